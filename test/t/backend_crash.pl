
# A backend dies by kill -9 in the middle of puts: the server restarts by
# itself with an empty cache.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{CACHEX_TEST_CRASHES} || 4;
my $node = start_server('crashing', 'restart_after_crash = on',
	'cachex.memory = 16MB', 'max_connections = 30');

$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', max_entries => 5000, consistency => 'ttl');
	CREATE TABLE noise (t text);
	INSERT INTO noise SELECT string_agg(md5(i::text), '')
	FROM generate_series(1, 8000) i});

# Puts of all sizes, in transactions that roll back now and then.
my $load = q{
\set n random(1, 10000)
\set size random(1, 5)
BEGIN;
SELECT count(cachex.put('c', 'k' || i, to_jsonb(substr(t, i % 1000, (10 ^ :size)::int)),
	tags => ARRAY['t' || i % 7])) FROM noise, generate_series(:n, :n + 20) i;
SAVEPOINT a;
SELECT cachex.incr('c', 'counter' || :size), cachex.take('c', 'k' || :n),
	cachex.fetch('c', 'f' || :n, 'SELECT 1');
ROLLBACK TO a;
SELECT cachex.invalidate_tags(ARRAY['t1']);
END;
};

foreach my $round (1 .. $rounds)
{
	$node->safe_psql('postgres', q{SELECT cachex.put('c', 'old', '1')});
	my $started = one($node, q{SELECT stats_reset FROM cachex.stats WHERE cache = 'c'});
	my $run = pgbench_start($node, clients => 6, seconds => 60,
		scripts => [ [ 1, $load ] ]);
	ok($node->poll_query_until('postgres',
			q{SELECT puts > 1000 FROM cachex.stats WHERE cache = 'c'}),
		"round $round: puts are under way");
	# one that is at work now
	my $pid;
	until ($pid)
	{
		$pid = one($node, q{SELECT pid FROM pg_stat_activity
			WHERE state = 'active' AND pid <> pg_backend_pid()
			AND query LIKE 'SELECT count(cachex.put(%' LIMIT 1});
		pgbench_running($run) or die 'pgbench has ended';
	}
	is(kill('KILL', $pid), 1, "round $round: a backend is killed");
	$run->{harness}->finish;
	ok(until_up($node, qq{
		SELECT stats_reset > '$started' FROM cachex.stats WHERE cache = 'c'}),
		"round $round: the server restarts by itself");
	is(one($node, q{SELECT sum(entries), sum(puts), sum(hits) FROM cachex.stats}),
		'0|0|0', "round $round: the caches are empty");
	is(one($node, q{SELECT used, entries, in_doubt FROM cachex.memory()}),
		'0|0|0', "round $round: so is the memory");
	is(one($node, q{SELECT cachex.get('c', 'old') IS NULL,
			cachex.put('c', 'new', '2'), cachex.fetch('c', 'f', 'SELECT 3')}),
		't|t|3', "round $round: the cache works");
	is(one($node, q{SELECT cachex.get('c', 'new')}), '2',
		"round $round: what was put is there");
	is_idle_and_consistent($node, "round $round");
}
my @killed = grep { /was terminated by signal/ } split(/\n/, slurp_file($node->logfile));
is(scalar(@killed), $rounds, 'no other process has crashed');
$node->safe_psql('postgres', q{SELECT cachex.clear();
	SELECT cachex.put('c', 'brief', '1', ttl => '100 ms')});
wait_for_memory($node, 'used = 0', 'the sweeper is at work again');
$node->stop;

done_testing();
