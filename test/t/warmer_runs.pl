# Warmers: when they run, and what becomes of errors.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('warmers');
$node->init;
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
}

sub warmer
{
	my ($name, $column) = @_;
	return sql("SELECT $column FROM cachex.warmers WHERE name = '$name'");
}

sub wait_for_warmer
{
	my ($name, $condition, $what) = @_;
	wait_for("SELECT $condition FROM cachex.warmers WHERE name = '$name'",
		$what);
}

my $none_running = "SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'cachex worker'";

sql("CREATE EXTENSION cachex");
sql("SELECT cachex.create_cache('c', consistency => 'ttl')");
sql("CREATE TABLE t AS SELECT i AS id, 'value ' || i AS v
	FROM generate_series(1, 100) i");

# ---- every ----

sql(q{SELECT cachex.create_warmer('c', 'all', every => '1 s',
	query => 'SELECT id::text AS key, v AS value FROM public.t')});
wait_for("SELECT cachex.get('c', '42') = '\"value 42\"'",
	'a new warmer runs at once');
sql("UPDATE t SET v = 'new' WHERE id = 42");
wait_for("SELECT cachex.get('c', '42') = '\"new\"'", 'and again');
wait_for_warmer('all', 'runs >= 3 AND failures = 0 AND last_error IS NULL
	AND last_entries = 100', 'and again');
is(sql("SELECT cachex.fetch('c', '42', 'SELECT 1 AS value')"), '"new"',
	'a fetch gets what a warmer stored');
is(sql("SELECT last_warm IS NOT NULL FROM cachex.stats WHERE cache = 'c'"),
	't', 'statistics know of it');

# ---- an error is shown, and does not stop the next run ----

sql("CREATE TABLE numbers AS SELECT 0 AS n");
sql(q{SELECT cachex.create_warmer('c', 'fails', every => '1 s',
	query => 'SELECT ''n'' AS key, 1 / n AS value FROM public.numbers')});
wait_for_warmer('fails', "failures >= 2 AND last_error = 'division by zero'
	AND last_entries IS NULL", 'an error is shown');
my $runs = warmer('all', 'runs');
wait_for_warmer('all', "runs > $runs AND failures = 0",
	'and does not stop another');
sql("UPDATE numbers SET n = 1");
wait_for_warmer('fails', 'last_error IS NULL AND last_entries = 1',
	'nor the next run');
is(sql("SELECT cachex.get('c', 'n')"), '1', 'which fills');
sql("SELECT cachex.drop_warmer('c', name) FROM cachex.warmers");

# ---- columns ----

sql(q{SELECT cachex.create_warmer('c', 'columns', query => $$
	VALUES ('plain', to_jsonb(1), NULL::interval, NULL::text[], NULL),
		('tagged', to_jsonb(2), NULL, '{a,b}', NULL),
		('scoped', to_jsonb(3), NULL, NULL, 'x'),
		('none', NULL, NULL, NULL, NULL),
		('no life', to_jsonb(4), '0', NULL, NULL)$$)}
	=~ s/VALUES(.*)\$\$/SELECT * FROM (VALUES$1) AS r(key, value, ttl, tags, scope)\$\$/sr);
is(warmer('columns', 'last_started IS NULL AND runs = 0 AND next_run IS NULL'),
	't', 'without every it does not run by itself');

sql("BEGIN; SELECT cachex.warm('c'); ROLLBACK");
sql("SELECT cachex.create_warmer('c', 'marker', every => '1 s',
	query => 'SELECT ''m'' AS key, 1 AS value')");
wait_for_warmer('marker', 'runs > 0', 'another runs');
is(warmer('columns', 'runs'), '0', 'nor when asked for in vain');
sql("SELECT cachex.drop_warmer('c', 'marker')");

is(sql("SELECT cachex.warm('c', '{columns}')"), 'columns', 'asked for');
wait_for_warmer('columns', 'runs = 1 AND last_entries = 4', 'it runs');
is(sql("SELECT cachex.get('c', 'plain'), cachex.get('c', 'tagged'),
		cachex.get('c', 'scoped'), cachex.get('c', 'scoped', scope => 'x'),
		(cachex.lookup('c', 'none')).status, cachex.get('c', 'no life')"),
	'1|2||3|negative|', 'all columns are obeyed');
sql("SELECT cachex.invalidate_tags('{b}')");
is(sql("SELECT cachex.get('c', 'plain'), cachex.get('c', 'tagged')"),
	'1|', 'tags as well');

# ---- at server start, and after a crash ----

$node->restart;
wait_for_warmer('columns', 'runs = 2', 'it runs after a restart');
wait_for("SELECT cachex.get('c', 'tagged') = '2'", 'and fills');
wait_for($none_running, 'then no worker is left');

my $pid = sql("SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'cachex launcher'");
kill 'KILL', $pid;
ok(until_up($node, "SELECT count(*) = 1 FROM cachex.warmers WHERE runs = 3"),
	'it runs after a crash');
wait_for("SELECT cachex.get('c', 'tagged') = '2'", 'and fills');

# ---- a run that does not end ----

sql(q{SELECT cachex.create_warmer('c', 'slow', query =>
	'SELECT ''s'' AS key, 1 AS value FROM pg_sleep(300)')});
$node->append_conf('postgresql.conf', "cachex.warmer_timeout = '300ms'");
$node->reload;
sql("SELECT cachex.warm('c', '{slow}')");
wait_for_warmer('slow', "last_error LIKE '%statement timeout%'",
	'it is cut short');
$node->append_conf('postgresql.conf', "cachex.warmer_timeout = '1h'");
$node->reload;

# a worker reads the settings when it starts
sql("SELECT cachex.warm('c', '{slow}')");
wait_for_warmer('slow', 'running', 'a run can be seen');
# the query is shown a moment later
my $sleeping = "FROM pg_stat_activity
	WHERE backend_type = 'cachex worker' AND query LIKE '%pg_sleep%'";
wait_for("SELECT count(*) = 1 $sleeping", 'its worker can be seen');
my $victim = sql("SELECT pid $sleeping");
sql("SELECT cachex.warm('c', '{columns}')");
is(sql("SELECT pg_terminate_backend($victim)"), 't', 'its worker is killed');
wait_for_warmer('slow', "NOT running AND failures = 2
	AND last_error LIKE 'the worker ended%'", 'that counts as a failure');
wait_for_warmer('columns', 'runs = 4', 'and others run');

# ---- SIGTERM and SIGKILL ----

sub launcher
{
	return sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'cachex launcher'");
}

my $first = launcher();
kill 'TERM', $first;
wait_for("SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'cachex launcher' AND pid <> $first",
	'the launcher comes back');
sql("SELECT cachex.warm('c', '{columns}')");
wait_for_warmer('columns', 'runs = 5', 'and does its work');

sql("SELECT cachex.warm('c', '{slow}')");
wait_for_warmer('slow', 'running', 'a run is under way');
wait_for("SELECT count(*) = 1 $sleeping", 'its worker can be seen');
$victim = sql("SELECT pid $sleeping");
kill 'KILL', $victim;
ok(until_up($node, q{SELECT count(*) = 1 FROM cachex.warmers WHERE name = 'columns' AND runs = 6 AND warmed}),
	'warmers run after the worker was killed');
wait_for_warmer('slow', "failures = 3 AND last_error LIKE 'the worker ended%'",
	'and the run counts as failed');
wait_for("SELECT cachex.get('c', 'tagged') = '2'", 'entries are there again');
wait_for_warmer('slow', 'running', 'it is tried again');

# ---- nothing to do, nobody connected ----

sql("SELECT cachex.drop_warmer('c', 'slow')");
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'cachex worker'");
wait_for($none_running, 'no worker without work');
is(sql("SELECT count(*) FROM pg_stat_activity
		WHERE backend_type LIKE 'cachex%' AND datname IS NOT NULL"),
	'0', 'nobody is connected to a database');
wait_for("SELECT sum(numbackends) = 1 FROM pg_stat_database
	WHERE datid <> 0", 'and the database has one backend, this one');

# ---- databases ----

sql("CREATE DATABASE other");
$node->safe_psql('other', q{CREATE EXTENSION cachex;
	SELECT cachex.create_cache('c', consistency => 'ttl');
	SELECT cachex.create_warmer('c', 'w', 'SELECT ''k'' AS key, 1 AS value',
		every => '1 hour')});
ok($node->poll_query_until('other', "SELECT cachex.get('c', 'k') = '1'"),
	'warmers run in another database');
$node->append_conf('postgresql.conf', "cachex.databases = 'postgres'");
$node->restart;
wait_for_warmer('columns', 'runs = 7', 'a database that is named is served');
my ($status, $out, $err) = $node->psql('other',
	"SELECT cachex.warm('c')");
like($err, qr/warmers do not run in this database/, 'another says that it is not');
wait_for($none_running, 'all is done');
is($node->safe_psql('other', 'SELECT runs FROM cachex.warmers'), '1',
	'and is left alone');

# without a restart
$node->append_conf('postgresql.conf', "cachex.databases = 'other'");
$node->reload;
ok($node->poll_query_until('other',
		"SELECT runs = 2 AND warmed FROM cachex.warmers"),
	'it is served as soon as the configuration is read again');

# ---- the cache goes ----

sql("SELECT cachex.drop_cache('c')");
is(sql('SELECT count(*) FROM cachex.warmers'), '0',
	'warmers go with their cache');

$node->stop;
done_testing();
