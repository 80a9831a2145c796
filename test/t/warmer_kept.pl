# Warmers: required ones, ones that replace, and what a clear has run again.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('kept', 'max_prepared_transactions = 2',
	"cachex.memory = '64MB'");
my $s = session($node);

sub status
{
	my ($key, $cache) = @_;
	$cache //= 'c';
	return "(cachex.lookup('$cache', '$key')).status";
}

sub run { return $s->must("SELECT cachex.warm('$_[0]', wait => true)"); }

$s->must("CREATE TABLE gate AS SELECT 1 AS n");
$s->must("CREATE TABLE t AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 5) i");
$s->must("SELECT cachex.create_cache('c', consistency => 'ttl')");
$s->must("SELECT cachex.create_cache('other', consistency => 'ttl')");

# ---- required ----

my $holder = session($node);
$holder->must('SELECT pg_advisory_lock(1)');
is($s->must('SELECT ' . status('9')), 'miss', 'nothing is required');
$s->must(q{SELECT cachex.create_warmer('c', 'needed', required => true, query =>
	'SELECT id::text AS key, v AS value FROM public.t, pg_advisory_xact_lock_shared(1)')});
is($s->must('SELECT ' . status('9')), 'loading', 'a required warmer has not run');
is($s->must('SELECT ' . status('9', 'other')), 'miss', 'another cache has none');
until_true($s, "running FROM cachex.warmers");
is($s->must('SELECT ' . status('9')), 'loading', 'while it runs');
is($s->must("SELECT warmed FROM cachex.warmers"), 'f', 'as the view says');
$s->must("SELECT cachex.put('c', 'mine', '1')");
is($s->must('SELECT ' . status('mine')), 'hit', 'a hit is a hit');
$holder->must('SELECT pg_advisory_unlock(1)');
until_true($s, "warmed FROM cachex.warmers");
is($s->must('SELECT ' . status('9') . ', ' . status('1')), 'miss|hit',
	'when it has run');
is(session($node)->must('SELECT ' . status('9')), 'miss', 'for a new session too');

# A second one that cannot run.
$s->must(q{SELECT cachex.create_warmer('c', 'bad', required => true, query =>
	'SELECT ''b'' AS key, 1 / (n - n) AS value FROM public.gate')});
until_true($s, "failures > 0 FROM cachex.warmers WHERE name = 'bad'");
is($s->must('SELECT ' . status('9')), 'loading', 'one that has failed has not run');
$s->must("SELECT cachex.drop_warmer('c', 'bad')");
until_true($s, status('9') . " = 'miss'");
$s->must('BEGIN');
$s->must(q{SELECT cachex.create_warmer('c', 'bad', 'SELECT ''b'' AS key, 1 AS value',
	required => true)});
is($s->must('SELECT ' . status('9')), 'loading', 'seen by its own transaction');
$s->must('ROLLBACK');
is($s->must('SELECT ' . status('9')), 'miss', 'until that is rolled back');

# After a restart, from the first look-up on.
$s->close;
$holder->close;
$node->append_conf('postgresql.conf', "cachex.databases = ''");
$node->restart;
$s = session($node);
is($s->must('SELECT ' . status('9')), 'loading', 'after a restart');
is($s->must("SELECT warmed FROM cachex.warmers"), 'f', 'as the view says');
$s->must("SELECT cachex.alter_cache('c', '{\"enabled\": false}')");
is($s->must('SELECT ' . status('9')), 'miss',
	'a cache that is not enabled is not being loaded');
$s->must("SELECT cachex.alter_cache('c', '{\"enabled\": true}')");
$node->append_conf('postgresql.conf', "cachex.databases = '*'");
$node->reload;
until_true($s, status('9') . " = 'miss'");
is($s->must('SELECT ' . status('1')), 'hit', 'and filled');

# ---- clear ----

sub runs { return $s->must("SELECT runs FROM cachex.warmers WHERE name = 'needed'"); }

my $idle = q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker')};
$holder = session($node);
until_true($s, $idle);
my $runs = runs();
$holder->must('SELECT pg_advisory_lock(1)');
$s->must("SELECT cachex.clear('c')");
is($s->must('SELECT ' . status('1')), 'loading', 'after a clear');
$holder->must('SELECT pg_advisory_unlock(1)');
until_true($s, "runs = $runs + 1 FROM cachex.warmers");
until_true($s, status('1') . " = 'hit'");
pass('the warmer runs again');
is($s->must('SELECT ' . status('9')), 'miss', 'all is loaded');
$s->must("SELECT cachex.clear()");
until_true($s, "runs = $runs + 2 FROM cachex.warmers");
pass('after a clear of all caches as well');
until_true($s, status('1') . " = 'hit'");

# A watch that clears.
$s->must("CREATE TABLE watched (a int)");
$s->must("SELECT cachex.watch('watched', 'c')");
$s->must("INSERT INTO watched VALUES (1)");
until_true($s, "runs = $runs + 3 FROM cachex.warmers");
pass('after a change of a table that is watched for it');
$runs++;
until_true($s, $idle);
$s->must("BEGIN; SELECT cachex.clear('c'); ROLLBACK");
$s->must("SELECT cachex.clear('other')");
$s->must("SELECT cachex.create_warmer('other', 'w', 'SELECT ''k'' AS key, 1 AS value')");
is($s->must("SELECT cachex.warm('other', wait => true)"), 'w', 'another runs');
is(runs(), $runs + 2, 'not after a rollback, nor after a clear of another cache');

# While it runs: what it stores then is not there, so it runs once more.
until_true($s, $idle);
$holder->must('SELECT pg_advisory_lock(1)');
$s->must("SELECT cachex.warm('c')");
until_true($s, "running FROM cachex.warmers WHERE name = 'needed'");
$s->must("SELECT cachex.clear('c')");
$holder->must('SELECT pg_advisory_unlock(1)');
until_true($s, "runs = $runs + 4 AND warmed FROM cachex.warmers WHERE name = 'needed'");
is($s->must('SELECT ' . status('1')), 'hit', 'a clear while it runs');

# Prepared: nothing runs by itself, but a visit finds it.
until_true($s, $idle);
$s->must("BEGIN; SELECT cachex.clear('c'); PREPARE TRANSACTION 'p'");
$s->must("COMMIT PREPARED 'p'");
until_true($s, status('1') . " = 'loading'");
is($s->must("SELECT warmed FROM cachex.warmers WHERE name = 'needed'"), 'f',
	'a prepared clear counts');
$s->must("SELECT cachex.warm('other', wait => true)");
until_true($s, "runs = $runs + 5 AND warmed FROM cachex.warmers WHERE name = 'needed'");
pass('at the next visit');

# ---- a database that is copied has none of the entries ----

until_true($s, $idle);
$s->close;
$holder->close;
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
$s = session($node, 'copy');
until_true($s, status('1') . " = 'hit'");
pass('warmers run in a copy of a database');
$s->close;
$s = session($node);

# ---- replace ----

$s->must("SELECT cachex.drop_warmer(cache, name) FROM cachex.warmers");
$s->must("SELECT cachex.create_cache('r', consistency => 'ttl')");
$s->must("CREATE TABLE r AS SELECT 'k' || i AS k, i AS v, NULL::text AS scope
	FROM generate_series(1, 8) i");
$s->must("INSERT INTO r VALUES ('k1', 11, 'x')");
$s->must(q{SELECT cachex.create_warmer('r', 'all', replace => true, query =>
	'SELECT k AS key, v AS value, scope FROM public.r')});
$s->must(q{SELECT cachex.create_warmer('r', 'keeps', query =>
	'SELECT ''keep'' || v AS key, v AS value FROM public.r')});
is(run('r'), "all\nkeeps", 'two warmers of one cache');

sub kept
{
	return $s->must("SELECT string_agg(key || coalesce('/' || scope, ''), ' '
		ORDER BY key, scope NULLS FIRST) FROM cachex.entries('r') WHERE key LIKE 'k_'
		AND status <> 'expired'");
}

is(kept(), 'k1 k1/x k2 k3 k4 k5 k6 k7 k8', 'all keys');
$s->must("SELECT cachex.put('r', 'k2', '\"mine\"')");
$s->must("SELECT cachex.invalidate('r', 'k3')");
$s->must("SELECT cachex.fetch('r', 'k3', 'SELECT ''\"fetched\"''::jsonb AS value')");
$s->must("SELECT cachex.fetch('r', 'k8', 'SELECT 80 AS value', mode => 'refresh')");
$s->must("SELECT cachex.touch('r', 'k4', '1 hour')");
$s->must("SELECT cachex.incr('r', 'k7')");
$s->must("UPDATE r SET v = 50 WHERE k = 'k5'");
$s->must("DELETE FROM r WHERE k IN ('k2', 'k3', 'k4', 'k6', 'k7', 'k8') OR scope = 'x'");
is(run('r'), "all\nkeeps", 'a run with fewer rows');
is(kept(), 'k1 k2 k3 k5 k7 k8',
	'what it had stored goes, what others have written since stays');
is($s->must("SELECT cachex.get('r', 'k2'), cachex.get('r', 'k3'), cachex.get('r', 'k5'),
	cachex.get('r', 'k7'), cachex.get('r', 'k8')"), '"mine"|"fetched"|50|8|80',
	'with its values');
is($s->must("SELECT count(*) FROM cachex.entries('r') WHERE key LIKE 'keep%'"), '10',
	'a warmer that does not replace leaves its own');

# An error removes nothing.
$s->must("CREATE TABLE zero AS SELECT 0 AS n");
$s->must(q{SELECT cachex.create_warmer('r', 'fails', replace => true, query =>
	'SELECT k AS key, 1 / n AS value FROM public.r, public.zero')});
$s->must("UPDATE zero SET n = 1");
$s->must("SELECT cachex.drop_warmer('r', 'all')");
is(run('r'), "fails\nkeeps", 'it runs');
$s->must("UPDATE zero SET n = 0");
$s->must("DELETE FROM r WHERE k = 'k5'");
is(run('r'), 'keeps', 'it fails');
is(kept(), 'k1 k2 k3 k5 k7 k8', 'and has removed nothing');

# A put that commits while the run is at it is not the warmer's.
$s->must("UPDATE zero SET n = 1");
$holder = session($node);
$holder->must("BEGIN; LOCK TABLE zero");
$s->must("SELECT cachex.warm('r', '{fails}')");
until_true($s, "running FROM cachex.warmers WHERE name = 'fails'");
$s->must("SELECT cachex.put('r', 'k5', '\"late\"')");
$holder->must('COMMIT');
until_true($s, "runs = 3 AND NOT running FROM cachex.warmers WHERE name = 'fails'");
is($s->must("SELECT cachex.get('r', 'k5')"), '"late"', 'a put meanwhile stays');

# Many keys.
$s->must("SELECT cachex.drop_warmer(cache, name) FROM cachex.warmers");
$s->must("SELECT cachex.create_cache('many', consistency => 'ttl')");
$s->must("CREATE TABLE many AS SELECT i FROM generate_series(1, 100000) i");
$s->must(q{SELECT cachex.create_warmer('many', 'm', replace => true, query =>
	'SELECT i::text AS key, i AS value FROM public.many')});
run('many');
is($s->must("SELECT entries FROM cachex.stats WHERE cache = 'many'"), '100000',
	'100000 keys');
$s->must("DELETE FROM many WHERE i % 2 = 0");
run('many');
is($s->must("SELECT count(*), count(*) FILTER (WHERE key::int % 2 = 0)
	FROM cachex.entries('many')"), '50000|0', 'half of them go');
cmp_ok($s->must("SELECT extract(epoch FROM last_finished - last_started)
	FROM cachex.warmers"), '<', 20, 'in seconds');

$s->close;
$holder->close;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;
done_testing();
