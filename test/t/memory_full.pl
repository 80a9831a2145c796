
# The memory is full all the time, of values from 10 bytes to 1 MB, while
# everything that can be done to a cache is done to it, transactions are
# cancelled and sessions are terminated.  Nobody sees an error, and at the end
# every byte is accounted for.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seconds = run_seconds();
my $node = start_server('full', 'cachex.memory = 16MB',
	'max_connections = 40', 'max_prepared_transactions = 20',
	'synchronous_commit = off', 'deadlock_timeout = 100ms');

# Random bytes, to cut values from; stored so that cutting is cheap.
$node->safe_psql('postgres', q{
	SELECT setseed(0.5);
	CREATE TABLE noise (b bytea);
	ALTER TABLE noise ALTER b SET STORAGE EXTERNAL;
	INSERT INTO noise SELECT string_agg(decode(md5(random()::text), 'hex'), '')
	FROM generate_series(1, 40000);
	-- A value of n bytes, as jsonb has them: the text and at most 16 more.
	CREATE FUNCTION val(n int) RETURNS jsonb LANGUAGE sql
	AS 'SELECT to_jsonb(encode(substr(b, 1 + (random() * 100000)::int,
		greatest(n - 16, 2) / 2), ''hex'')) FROM noise';
	SELECT cachex.create_cache('plain', ttl => NULL, consistency => 'ttl');
	SELECT cachex.create_cache('bounded', max_entries => 500,
		max_memory => '3MB', consistency => 'ttl');
	SELECT cachex.create_cache('brief', ttl => '300 ms', consistency => 'ttl');
	SELECT cachex.create_cache('scopes', max_entries_per_scope => 3, consistency => 'ttl');
	CREATE TABLE prepared (x int)});

# Sizes spread evenly over the powers of ten.
my $pick = q{
\set n random(1, 2000)
\set small random(1, 50)
\set size int(least(1048576, 10 + exp(random(0, 11512) / 1000.0) * random(1, 10)))
\set big random(1, 100)
\set c random(0, 2)
};
my $cache = q{(ARRAY['plain', 'bounded', 'brief'])[:c + 1]};
my $put = "SELECT cachex.put($cache, 'k' || :n, val(:size),"
  . " tags => ARRAY['t' || :small, 'u' || :c]);\n";

my @scripts = (
	[ 30, $pick . $put ],
	[ 10, $pick . "SELECT cachex.put('plain', 'k' || :n, val(:size),"
		  . " ttl => make_interval(secs => :small / 50.0), scope => 's' || :small,"
		  . " metadata => '{\"a\": 1}', cost => '5 ms');\n" ],
	# scopes that come and go, so many that they fill the memory by themselves
	[ 20, $pick . "SELECT count(cachex.put('scopes', 'k' || :c, '1', scope => 's' || i))"
		  . " FROM generate_series(:n * 20, :n * 20 + 30) i;\n" ],
	[ 1, "SELECT cachex.clear('scopes');\n" ],
	# the largest there are
	[ 2, $pick . "SELECT cachex.put($cache, 'big' || :small, val(1048576));\n" ],
	[ 30, $pick . "SELECT length(cachex.get($cache, 'k' || :n)::text),"
		  . " (cachex.lookup($cache, 'k' || :n)).bytes;\n" ],
	[ 20, $pick . "SELECT length(cachex.fetch($cache, 'f' || :n,"
		  . " 'SELECT val(\$1::int) AS value', ARRAY[(:size)::text],"
		  . " tags => ARRAY['t' || :small])::text);\n" ],
	[ 5, $pick . "SELECT cachex.put_many($cache, (SELECT jsonb_object_agg("
		  . "'m' || i, val(:size / 20 + 20)) FROM generate_series(:n, :n + 20) i));\n" ],
	[ 5, $pick . "SELECT cachex.invalidate($cache, 'k' || :n);\n" ],
	[ 5, $pick . "SELECT cachex.invalidate_tags(ARRAY['t' || :small]);\n" ],
	[ 1, $pick . "SELECT cachex.invalidate_like($cache, '%7' || :small);\n" ],
	[ 1, "SELECT cachex.clear('brief');\n" ],
	[ 1, $pick . "SELECT cachex.clear('plain', 's' || :small);\n" ],
	[ 1, "SELECT cachex.purge(), (SELECT count(*) FROM cachex.entries()),"
		  . " (SELECT count(*) FROM cachex.stats), (cachex.memory()).used;\n" ],
	# atomic ones, a single key each
	[ 5, $pick . "SELECT cachex.incr('plain', 'counter' || :small);\n" ],
	[ 5, $pick . "SELECT length(cachex.update('plain', 'upd' || :small,"
		  . " 'to_jsonb(repeat(coalesce(\$1 #>> ''{}'', ''a''), 2))',"
		  . " initial => '\"a\"')::text) WHERE :big < 50;\n"
		  . "SELECT cachex.take('plain', 'upd' || :small) IS NULL WHERE :big > 80;\n" ],
	[ 5, $pick . "SELECT cachex.push('bounded', 'list' || :small, val(:size / 50 + 20),"
		  . " max_length => 20);\n" ],
	[ 5, $pick . "SELECT cachex.touch($cache, 'k' || :n, '100 ms');\n" ],
	[ 5, $pick . "SELECT cachex.put($cache, 'k' || :n, val(:size), only_if => 'absent');\n" ],
	# savepoints, aborts, and PREPARE
	[ 10, $pick . "BEGIN;\n$put" . "SAVEPOINT a;\n$pick$put$put"
		  . "SELECT cachex.clear('bounded');\n$put" . "ROLLBACK TO a;\n$put"
		  . "SAVEPOINT b;\n$pick$put" . "RELEASE b;\n"
		  . "SELECT cachex.get($cache, 'k' || :n) IS NULL;\nEND;\n" ],
	[ 5, $pick . "BEGIN;\n$put$pick$put$pick$put" . "ROLLBACK;\n" ],
	[ 1, $pick . "BEGIN;\nINSERT INTO prepared VALUES (1);\n"
		  . "SELECT cachex.invalidate_tags(ARRAY['t' || :small]);\n"
		  . "PREPARE TRANSACTION 'p:client_id';\n$put"
		  . "COMMIT PREPARED 'p:client_id';\n" ],
	[ 1, "SELECT cachex.alter_cache('bounded', '{\"max_entries\": 300}');\n"
		  . "SELECT cachex.alter_cache('bounded', '{\"max_entries\": 500}');\n" ]);

# ---- sessions that are cancelled and terminated ----

my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/victim.sql", qq{
BEGIN;
SELECT count(cachex.put('plain', 'v' || i, val(10 + i * i))) FROM generate_series(1, 500) i;
SAVEPOINT a;
SELECT count(cachex.put('bounded', 'v' || i, val(1000 + i * i))) FROM generate_series(1, 300) i;
SELECT length(cachex.fetch('plain', 'vf', 'SELECT val(1000000) AS value')::text);
SELECT cachex.invalidate_like('plain', 'v%1'), cachex.invalidate_tags('{t1,t2}');
COMMIT;
} x 50);
my %victims = map { $_ => undef } 1, 2;
my $victim_errors = '';
my ($cancelled, $terminated) = (0, 0);

# Starts those that are not running.
sub revive
{
	foreach my $v (keys %victims)
	{
		if ($victims{$v})
		{
			$victims{$v}{harness}->pump_nb;
			next if $victims{$v}{harness}->pumpable;
			$victims{$v}{harness}->finish;
			$victim_errors .= $victims{$v}{err};
		}
		my $new = { out => '', err => '' };
		$new->{harness} = IPC::Run::start(
			[ 'psql', '-XAtq', '-d',
				$node->connstr('postgres') . " application_name=victim",
				'-f', "$dir/victim.sql" ],
			'<', \undef, '>', \$new->{out}, '2>', \$new->{err});
		$victims{$v} = $new;
	}
	return;
}

my $killer = session($node);
my $kill = q{SELECT count(*) FROM pg_stat_activity
	WHERE CASE WHEN application_name = 'victim' AND state = 'active'
		AND random() < %f THEN %s(pid) END};

my $run = pgbench_start($node, clients => 8, seconds => $seconds,
	scripts => \@scripts);
while (pgbench_running($run))
{
	revive();
	$cancelled += $killer->must(sprintf($kill, 0.5, 'pg_cancel_backend'));
	$terminated += $killer->must(sprintf($kill, 0.1, 'pg_terminate_backend'));
	usleep(20_000);
}
pgbench_wait($run);
$_->{harness}->kill_kill foreach values %victims;
$victim_errors .= $_->{err} foreach values %victims;
$killer->close;

is($run->{status}, 0, 'no client got an error');
unlike($run->{out}, qr/number of failed transactions: [1-9]/,
	'no transaction failed');
# a cancelled BEGIN leaves the next statement without a transaction
my @unexpected = grep { /ERROR|FATAL|PANIC/
	  && !/canceling statement due to user request|terminating connection due to administrator|current transaction is aborted|SAVEPOINT can only be used in transaction blocks/ }
  split(/\n/, $victim_errors);
is("@unexpected[0 .. ($#unexpected > 3 ? 3 : $#unexpected)]", '',
	'those who were cancelled or terminated got no other error');
cmp_ok($cancelled, '>', $seconds, 'many statements were cancelled');
cmp_ok($terminated, '>', $seconds / 5, 'many sessions were terminated');

is_idle_and_consistent($node, 'after the load');
note("$run->{transactions} transactions, $cancelled cancelled, $terminated terminated;\n"
	  . one($node, q{SELECT * FROM cachex.memory()}));
note(one($node, q{SELECT cache, entries, bytes, hits, misses, fills, puts, evicted,
	expired, cleared, replaced, too_large, refused_full, refused_limit,
	refused_doubt FROM cachex.stats}));
cmp_ok(one($node, q{SELECT sum(evicted) FROM cachex.stats}), '>', 100,
	'the memory was full');
is(one($node, q{SELECT sum(refused_full) FROM cachex.stats}), '0',
	'there was always something to evict');
is(one($node, q{SELECT prepared FROM cachex.memory()}) < 100, 1,
	'prepared transactions do not pile up');

# ---- one size after another ----

is(one($node, q{SELECT cachex.put('plain', 'last', '1');
		SELECT cachex.get('plain', 'last')}),
	"t\n1", 'a put still succeeds');

# Fills the memory with values of one size, twice over.
sub fill
{
	my ($size) = @_;
	one($node, "SELECT count(cachex.put('plain', '$size.' || i, val($size)))
		FROM generate_series(1, least(100000, 32000000 / $size)) i");
	my ($used, $available) = split(/\|/,
		one($node, 'SELECT used, available FROM cachex.memory()'));
	# what does not fit another one of these stays free, and pages of slots
	# that small values have left behind are not full
	cmp_ok($used, '>', 0.8 * $available - 2 * $size,
		"values of $size bytes fill the memory");
	note("values of $size bytes use $used of $available");
	is_consistent($node, "values of $size bytes");
	return;
}

foreach my $sizes ([ 20, 1_048_576 ], [ 1_048_576, 20 ], [ 5000, 1_000_000 ],
	[ 100, 4000 ], [ 4000, 100 ])
{
	my ($first, $second) = @$sizes;
	fill($first);
	is(one($node, "SELECT cachex.put('plain', 'second', val($second))"), 't',
		"then one of $second bytes is stored");
	# jsonb's text has two quotes
	is(one($node, "SELECT length(cachex.get('plain', 'second')::text)"),
		$second - 14, 'and read');
}
is(one($node, q{SELECT sum(refused_full) FROM cachex.stats}), '0',
	'nothing was refused for lack of memory');

$node->safe_psql('postgres', q{SELECT cachex.clear()});
wait_for_memory($node, 'used = 0 AND entries = 0',
	'after a clear all of the memory is free');
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
