
# pgbench's own TPC-B beside readers of an exact cache: the balances of
# accounts, tellers and branches are equal in every snapshot.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = run_seconds(15);
my $node = start_server('main', 'fsync = off', 'cachex.memory = 16MB');
$node->command_ok([ 'pgbench', '-i', '-q', '-s', 5, $node->connstr('postgres') ],
	'pgbench -i');
$node->safe_psql('postgres', q{
	SELECT cachex.watch(r) FROM unnest('{pgbench_accounts, pgbench_tellers,
		pgbench_branches, pgbench_history}'::regclass[]) r;
	SELECT cachex.create_cache(c) FROM unnest('{one, many, old}'::text[]) c;
	CREATE FUNCTION unequal(text) RETURNS void LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'unequal: %', $1; END $$});

my %sum = (
	a => 'SELECT sum(abalance) FROM pgbench_accounts',
	t => 'SELECT sum(tbalance) FROM pgbench_tellers',
	b => 'SELECT sum(bbalance) FROM pgbench_branches',
	h => 'SELECT coalesce(sum(delta), 0) FROM pgbench_history');

sub cached
{
	my ($cache, $table) = @_;
	return "cachex.fetch_as('$cache', '$table', 0::bigint, '$sum{$table}')";
}

# The cached ones, and one that is not from the cache: all three could be old.
my $unequal = q{
\if :a != :t or :t != :b or :b != :h or :b != :now
SELECT unequal('accounts :a, tellers :t, branches :b, history :h, now :now');
\endif
};
my $now = "SELECT ($sum{b}) AS now \\gset\n";

# A statement each, in one REPEATABLE READ transaction.
my $one = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
  . join('', map { 'SELECT ' . cached('one', $_) . " AS $_ \\gset\n" } qw(a t b h))
  . $now . $unequal . "END;\n";

# One READ COMMITTED statement.
my $many = 'SELECT '
  . join(', ', map { cached('many', $_) . " AS $_" } qw(b h t a))
  . ", ($sum{b}) AS now \\gset\n$unequal";

# A snapshot that gets old beside what others fill and find in the same cache;
# what it reads in between takes time.
my $old = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$now"
  . (join('', map { 'SELECT ' . cached('one', $_) . " AS $_ \\gset\n" } qw(h b t a)) . $unequal) x 2
  . 'SELECT ' . join(', ', map { cached('old', $_) . " AS $_" } qw(a t b h))
  . " \\gset\n$unequal" . "END;\n";

my $writers = pgbench_start($node, clients => 4, seconds => $seconds,
	options => [ '-R', 20, '-b', 'tpcb-like' ]);
my $readers = pgbench_start($node, clients => 3, seconds => $seconds,
	scripts => [ [ 20, $one ], [ 20, $many ], [ 1, $old ] ]);
pgbench_wait($_) foreach $writers, $readers;
is($readers->{status}, 0, 'the balances were equal, always');
is($writers->{status}, 0, 'writers had no error');
cmp_ok($writers->{transactions}, '>=', 5 * $seconds, 'enough was written');
cmp_ok($readers->{transactions}, '>=', 20 * $seconds, 'enough was read');

foreach my $cache ('one', 'many')
{
	my ($hits, $misses) = split /\|/,
	  one($node, "SELECT hits, misses FROM cachex.stats WHERE cache = '$cache'");
	note("$cache: $hits hits, $misses misses");
	cmp_ok($hits, '>', $misses, "$cache: over half were hits, else this proves nothing");
	cmp_ok($misses, '>', $seconds, "$cache: but not all");
}
note(one($node, q{SELECT to_jsonb(s) FROM cachex.stats s WHERE cache = 'one'}));
note("$writers->{transactions} written, $readers->{transactions} read");

# When nobody writes any more.
my $direct = one($node, join(' UNION ALL ', map { "($sum{$_})" } qw(a t b h)));
is($direct, join("\n", ($direct =~ /^(.*)$/m) x 4), 'pgbench keeps its balances');
for my $i (1 .. 3)
{
	is(one($node, join(' UNION ALL ', map { 'SELECT ' . cached('one', $_) } qw(a t b h))),
		$direct, "at the end, $i");
}

is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
