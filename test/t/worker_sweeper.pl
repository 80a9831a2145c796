# The sweeper: gives memory back when it is due, and sleeps otherwise.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = start_server('sweeper', "cachex.memory = '16MB'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
}

sub fill
{
	my ($cache, $n, $ttl) = @_;
	sql("SELECT cachex.put_many('$cache', jsonb_object_agg('$ttl' || i, i),
		ttl => '$ttl') FROM generate_series(1, $n) i");
}

sub wait_for_worker
{
	my ($kind, $not) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($pid) = workers($node, $kind);
		return $pid if $pid && $pid != $not;
		usleep(100_000);
	}
	return 0;
}

sub wake_ups
{
	my ($pid) = @_;
	return read_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m
	  ? $1 : -1;
}

# ---- what is due is freed, nothing else ----

my $entries = "SELECT entries FROM cachex.stats WHERE cache = 'c'";

sql("SELECT cachex.create_cache('c', consistency => 'ttl')");
fill('c', 500, '1 hour');
fill('c', 300, '1 s');
is(sql("SELECT entries + expired FROM cachex.stats WHERE cache = 'c'"), '800', 'entries are there');
wait_for("SELECT entries = 500 FROM cachex.stats WHERE cache = 'c'",
	'what has expired is freed, though nobody asks for it');
is(sql("SELECT expired FROM cachex.stats WHERE cache = 'c'"),
	'300', 'and counted');
is(sql("SELECT cachex.get('c', '1 hour17')"), '17', 'the others are there');

sql("SELECT cachex.clear('c')");
fill('c', 10, '2 hours');
wait_for("SELECT entries = 10 FROM cachex.stats WHERE cache = 'c'",
	'what a clear left behind is freed');
is(sql("SELECT cachex.get('c', '2 hours7')"), '7', 'what came later stays');

# ---- dropped caches give their numbers back ----

for my $i (1 .. 8)
{
	sql("SELECT cachex.create_cache('d$i-' || j, consistency => 'ttl')
		FROM generate_series(1, 20) j");
	sql("SELECT cachex.put('d$i-' || j, 'k', '1') FROM generate_series(1, 20) j");
	sql("SELECT cachex.drop_cache('d$i-' || j) FROM generate_series(1, 20) j");
	wait_for("SELECT entries = 10 FROM cachex.memory()",
		"round $i: entries of dropped caches are freed");
}
sql("SELECT cachex.create_cache('last', consistency => 'ttl')");
sql("SELECT cachex.put('last', 'k', '1')");
is(sql("SELECT available, entries, puts FROM cachex.stats WHERE cache = 'last'"),
	't|1|1', 'a later cache has a number, and counters of its own');

# ---- idle ----

SKIP:
{
	my ($pid) = workers($node, 'cachex sweeper');
	skip 'no /proc to look at', 6 unless $pid && wake_ups($pid) >= 0;

	fill('c', 20000, '3 hours');
	cmp_ok(sql($entries), '>', 10000, 'many entries');
	my $woken;
	# again, if it had just been woken for what comes due
	for (1 .. 3)
	{
		my $before = wake_ups($pid);
		usleep(2_000_000);
		$woken = wake_ups($pid) - $before;
		# one for a coarse list of the wheel, that may just have been due
		last if $woken <= 1;
	}
	cmp_ok($woken, '<=', 1, 'it does not wake up for them');

	my $swept = "SELECT last_sweep FROM cachex.stats WHERE cache = 'c'";
	my $last = sql($swept);
	$node->append_conf('postgresql.conf', 'cachex.sweep_interval = 1');
	$node->reload;
	wait_for("SELECT last_sweep > '$last' FROM cachex.stats WHERE cache = 'c'",
		'sweep_interval is obeyed after a reload');
	$node->append_conf('postgresql.conf', 'cachex.sweep_interval = -1');
	$node->reload;

	# ---- killed ----
	kill 'TERM', $pid;
	my $next = wait_for_worker('cachex sweeper', $pid);
	ok($next, 'a terminated sweeper is started again');
	fill('c', 100, '1 s');
	wait_for("SELECT expired = 400 FROM cachex.stats WHERE cache = 'c'",
		'and goes on');
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cachex sweeper'"),
		'0', 'it has no database connection');
}

$node->stop;
done_testing();
