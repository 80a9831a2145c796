# Many clients and one key that expires again and again, with a loader that
# takes three seconds: one of them loads, the others go on. And how old is what they
# get while a table changes all the time?
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = run_seconds(10);
my $node = start_server('stale', 'max_connections = 40', "cachex.databases = ''");

sub counters
{
	my ($cache, @names) = @_;
	my %count;
	@count{@names} = split /\|/, one($node,
		'SELECT ' . join(', ', @names) . " FROM cachex.stats WHERE cache = '$cache'");
	return \%count;
}

# ---- a hot key ----

one($node, q{SELECT cachex.create_cache('hot', ttl => '1 s', stale_for => '1 hour',
		consistency => 'ttl')});
my $fetch = q{SELECT cachex.fetch('hot', 'k', 'SELECT clock_timestamp() FROM pg_sleep(3)');};
one($node, $fetch);
my @names = qw(hits stale_hits misses loads refreshes fills loads_deduped);
my $before = counters('hot', @names);
my $log = PostgreSQL::Test::Utils::tempdir . '/latency';
my $run = pgbench($node, clients => 20, seconds => $seconds, scripts => [ [ 1, $fetch ] ],
	options => [ '-R', 400, '-l', "--log-prefix=$log" ]);
is($run->{status}, 0, '20 clients fetch a key that expires');
my $after = counters('hot', @names);
my %n = map { $_ => $after->{$_} - $before->{$_} } @names;

# a refresh takes three seconds and the next one is due a second later; a client
# who began in time may end after it
my $most = int($seconds / 4) + 2;
cmp_ok($n{refreshes}, '>=', 2, 'it is refreshed');
cmp_ok($n{refreshes}, '<=', $most, "$n{refreshes} times, once for each expiry");
is($n{loads}, $n{refreshes}, 'nobody else loads');
is($n{fills}, $n{loads}, 'each load is kept');
is($n{misses}, 0, 'nobody misses');
cmp_ok($n{stale_hits}, '>', 100, 'many get the old value meanwhile');

# who took long; of a transaction that started late only the time since then
my ($slow, $longest) = (0, 0);
foreach my $line (map { split /\n/, slurp_file($_) } glob "$log*")
{
	my ($us, $lag) = (split / /, $line)[ 2, 6 ];
	$us -= $lag;
	if ($us >= 2_700_000) { $slow++; next; }
	$longest = $us if $us > $longest;
}
cmp_ok($slow, '<=', $n{refreshes}, "$slow calls took the time of the loader, one a refresh");
cmp_ok($longest, '<', 1_500_000, 'all others were answered at once, the slowest after '
	  . int($longest / 1000) . ' ms');

# ---- a table that changes ----

# get never loads; somebody does so every second. What it gets was true
# 200 ms ago at the latest; beyond it is not there.
one($node, $_) foreach
  'CREATE TABLE clock (n bigint)', 'INSERT INTO clock VALUES (0)', q{SELECT cachex.watch('clock')},
  'CREATE TABLE ended (n bigint PRIMARY KEY, at timestamptz)',
  q{SELECT cachex.create_cache('exact', stale_for => '200 ms')};
my $tick = q{
UPDATE clock SET n = n + 1;
INSERT INTO ended SELECT n - 1, clock_timestamp() FROM clock;
\sleep 20 ms
};
my $load = q{
SELECT cachex.fetch('exact', 'k', 'SELECT n FROM clock', mode => 'refresh');
\sleep 1000 ms
};
# the age is as of the statement's beginning and of a moment after the commit:
# the look-up was later, and the commit earlier
my $read = q{
SELECT count(*) AS stale, coalesce(max(statement_timestamp() - at) > '200 ms', false)::int AS bad
FROM ended WHERE n = (SELECT cachex.get('exact', 'k')::bigint) \gset
\if :bad
SELECT 1 / 0;
\endif
};
my $writer = pgbench_start($node, clients => 1, seconds => $seconds, scripts => [ [ 1, $tick ] ]);
my $loader = pgbench_start($node, clients => 1, seconds => $seconds, scripts => [ [ 1, $load ] ]);
my $reader = pgbench_start($node, clients => 3, seconds => $seconds, scripts => [ [ 1, $read ] ],
	options => [ '-R', 500 ]);
is(pgbench_wait($_)->{status}, 0, 'a pgbench run without error') foreach ($reader, $loader, $writer);
my $exact = counters('exact', qw(stale_hits misses fills));
cmp_ok($exact->{fills}, '>', 2, 'the value is loaded now and then');
cmp_ok($exact->{stale_hits}, '>', 20, 'it is served while it is not old');
cmp_ok($exact->{misses}, '>', $exact->{stale_hits}, 'and not when it is');

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;
done_testing();
