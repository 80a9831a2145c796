# Refreshes in the background: as whom and how loaders run, what becomes of
# errors, workers that die, writers that ask for the same.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('jobs', "cachex.retry_pause = '50ms'",
	'max_prepared_transactions = 5');
my $s = session($node);

$s->must($_) foreach (
	q{SELECT cachex.create_cache('c', consistency => 'ttl')},
	q{CREATE ROLE alice NOLOGIN; CREATE ROLE bob NOLOGIN},
	q{GRANT CREATE ON DATABASE postgres TO alice},
	q{SELECT cachex.grant_cache('c', r, p)
	  FROM unnest('{alice, bob}'::text[]) AS r, unnest('{read, write}'::text[]) AS p},
	q{CREATE TABLE note (who name, v int);
	  INSERT INTO note VALUES ('alice', 1), ('bob', 2);
	  ALTER TABLE note ENABLE ROW LEVEL SECURITY;
	  CREATE POLICY own ON note USING (who = current_user);
	  GRANT ALL ON note TO alice, bob},
	q{CREATE FUNCTION write_note() RETURNS int LANGUAGE sql
	  AS 'INSERT INTO public.note VALUES (current_user, 3) RETURNING 1'});

my $mine = 'SELECT sum(v) AS value FROM note';

# Asks for a job; returns its number.
sub ask
{
	my ($query, $more) = @_;
	return $s->must("SELECT cachex.refresh('c', 'k', query => \$q\$$query\$q\$"
		. ($more ? ", $more" : '') . ')');
}

sub job
{
	my ($id, $what) = @_;
	return $s->must("SELECT $what FROM cachex.jobs WHERE id = $id");
}

sub wait_for_job
{
	my ($id, $condition) = @_;
	until_true($s, "EXISTS (SELECT FROM cachex.jobs WHERE id = $id AND $condition)");
	return;
}

# Runs a job; returns its last error.
sub error_of
{
	my $id = ask($_[0], 'max_attempts => 1');
	wait_for_job($id, "status IN ('done', 'failed')");
	return job($id, "status || ': ' || coalesce(last_error, '')");
}

sub loads
{
	return $s->must("SELECT loads FROM cachex.stats WHERE cache = 'c'");
}

sub fetch
{
	my ($query) = @_;
	return $s->must("SELECT cachex.fetch('c', 'k', \$q\$$query\$q\$)");
}

sub worker
{
	return $s->must(q{SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
		WHERE backend_type = 'cachex worker'});
}

# ---- as whom ----

foreach my $role ('alice', 'bob')
{
	$s->must("SET ROLE $role");
	like(ask($mine), qr/^\d+$/, "$role, who cannot log in, asks");
	until_true($s, "(cachex.lookup('c', 'k')).status = 'hit'");
	my $before = loads();
	is(fetch($mine), $role eq 'alice' ? '1' : '2', 'for what the role may see');
	is(loads() - $before, 0, 'and fetch finds it without a load');
	$s->must('RESET ROLE');
}
is($s->must("SELECT (cachex.lookup('c', 'k')).status"), 'miss',
	'nobody else does');

until_true($s, q{(SELECT count(*) = 2 FROM cachex.jobs WHERE status = 'done'
	AND attempts = 1 AND last_error IS NULL AND duration >= '0'
	AND next_attempt IS NULL)});
pass('both are shown as done');

# ---- what a loader cannot do ----

$s->must('SET ROLE alice');
like(error_of("SELECT set_config('role', 'bob', false) AS value"),
	qr/^failed: .*within security-/, 'SET ROLE');
like(error_of('SELECT write_note() AS value'),
	qr/^failed: .*read-only transaction/, 'write');
like(error_of('SELECT count(*) FROM cachex.job'),
	qr/^failed: permission denied/, 'read what the role may not');
like(error_of('SELECT 1 AS value, true AS ignore'),
	qr/^done/, 'a loader may want nothing to be kept');
like(error_of(q{SELECT 1 AS value, interval '0' AS ttl}), qr/^done/, 'in another way');
like(error_of("SELECT repeat('x', 2000000) AS value"),
	qr/^failed: result was not kept in cache "c"/, 'what is too large is an error');
like(error_of(q{SELECT pg_advisory_lock(7)::text || set_config('work_mem', '77MB', false) AS value}),
	qr/^done/, 'but take a lock and set a setting');
until_true($s, "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')");
like(error_of(q{SELECT current_setting('work_mem') AS value}), qr/^done/,
	'which the next one does not see');
is(fetch(q{SELECT current_setting('work_mem') AS value}), '"4MB"',
	'as a fetch finds');
$s->must('RESET ROLE');

# ---- settings of the session that asks ----

$s->must(q{CREATE SCHEMA a; CREATE TABLE a.t AS SELECT 'a' AS v;
	CREATE SCHEMA b; CREATE TABLE b.t AS SELECT 'b' AS v});
my $query = q{SELECT v || '2020-01-01 00:00+00'::timestamptz::text
	|| coalesce(current_setting('app.tenant', true), '-') AS value FROM t};
foreach my $round (
	[ 'b', 'UTC', '', '"b2020-01-01 00:00:00+00-"' ],
	[ 'a', 'Asia/Tokyo', '7', '"a2020-01-01 09:00:00+097"' ],
	[ 'b', 'Asia/Tokyo', '8', '"b2020-01-01 09:00:00+098"' ])
{
	my ($schema, $zone, $tenant, $result) = @$round;
	$s->must("SET search_path = $schema; SET TimeZone = '$zone'");
	$s->must("SET app.tenant = '$tenant'") if $tenant ne '';
	like(error_of($query), qr/^done/, "search_path $schema, $zone, '$tenant'");
	my $before = loads();
	is(fetch($query), $result, 'are those of the loader');
	is(loads() - $before, 0, 'and the entry is for them');
}
$s->close;
$s = session($node);
like(error_of(q{SELECT current_setting('app.tenant', true) IS NULL AS value}),
	qr/^done/, 'a setting of an application');
is(fetch(q{SELECT current_setting('app.tenant', true) IS NULL AS value}),
	'true', 'is gone for the next loader');

# ---- errors ----

$s->must('CREATE TABLE number AS SELECT 0 AS n');
my $id = ask('SELECT 1 / n AS value FROM number', 'max_attempts => 2');
wait_for_job($id, "status = 'failed'");
is(job($id, q{attempts || ' ' || last_error || ' ' ||
	(finished - created > '50 ms')::text}),
	'2 division by zero true', 'attempts are counted, with a pause between');
$id = ask('SELECT 1 / n AS value FROM number', 'max_attempts => 50');
wait_for_job($id, "status = 'pending' AND attempts >= 3
	AND next_attempt - finished > '600 ms'");
is(job($id, 'last_error'), 'division by zero', 'the pauses grow');
is(ask('SELECT 1 / n AS value FROM number'), $id,
	'a job that waits is asked for but once');
is($s->must("SELECT (cachex.lookup('c', 'k2')).status,
	(cachex.lookup('c', 'k', scope => 's')).status"), 'miss|miss',
	'nothing is said of others');
$s->must("SELECT cachex.invalidate('c', 'k')");
is($s->must("SELECT (cachex.lookup('c', 'k')).status"), 'loading',
	'lookup says that there is a job');
$s->must('UPDATE number SET n = 1');
wait_for_job($id, "status = 'done'");
is($s->must("SELECT cachex.get('c', 'k')"), '1', 'in the end it succeeds');

# a value that is refused, and one that cannot be stored, beside an old one
$s->must(q{SELECT cachex.create_cache('v', consistency => 'ttl',
	options => '{"validate": "($1)::int < 100"}')});
$s->must(q{SELECT cachex.refresh('v', 'k', wait => true, query => 'SELECT 7 AS value')});
my $invalid = 'value for key "k" violates the validation of cache "v"';
foreach my $value ('700', "'x'::text")
{
	$id = $s->must("SELECT cachex.refresh('v', 'k', max_attempts => 2,
		query => \$q\$SELECT $value AS value\$q\$)");
	wait_for_job($id, "status IN ('done', 'failed')");
	is(job($id, "status || attempts || last_error"), "failed2$invalid",
		"$value is refused, and the job says so");
}
$s->query(q{SELECT cachex.refresh('v', 'k', wait => true, query => 'SELECT 700 AS value')});
like($s->error, qr/could not refresh key "k" of cache "v": $invalid/, 'so is who waits told');
$s->query(q{BEGIN; SELECT cachex.refresh('v', 'k', wait => true, query => 'SELECT 700 AS value')});
like($s->error, qr/ERROR: +$invalid/, 'and who does it himself');
$s->must('ROLLBACK');
is($s->must("SELECT cachex.get('v', 'k'), refused_invalid FROM cachex.stats WHERE cache = 'v'"),
	'7|6', 'the old value stays');
$s->must(q{SELECT cachex.alter_cache('v', '{"max_memory": "16kB", "validate": null}')});
$id = $s->must(q{SELECT cachex.refresh('v', 'k', max_attempts => 1,
	query => 'SELECT repeat($$x$$, 100000) AS value')});
wait_for_job($id, "status IN ('done', 'failed')");
is(job($id, "status || ': ' || last_error"), 'failed: result was not kept in cache "v"',
	'what the cache has no room for is an error');
is($s->must("SELECT cachex.get('v', 'k'), refused_limit FROM cachex.stats WHERE cache = 'v'"),
	'7|1', 'also when the old value stays');

# ---- one at a time ----

my $gate = session($node);
my $gated = 'SELECT pg_advisory_xact_lock_shared(1)::text || 7 AS value';
$gate->must('SELECT pg_advisory_lock(1)');
$s->must("SELECT cachex.invalidate('c', 'k')");
$s->must('BEGIN');
$id = ask($gated);
is(ask($gated), $id, 'asked for twice in a transaction');
is($gate->must("SELECT count(*) FROM cachex.jobs WHERE id = $id"), '0',
	'it is not seen before the commit');
$s->must('COMMIT');
wait_for_job($id, "status = 'running'");
is($s->must("SELECT (cachex.lookup('c', 'k')).status"), 'loading',
	'a running job counts as loading');
my $later = ask($gated);
isnt($later, $id, 'what is asked for while it runs is another job');
is(ask($gated), $later, 'but one');
$gate->must('SELECT pg_advisory_unlock(1)');
wait_for_job($later, "status = 'done'");
is(job($id, 'status'), 'done', 'they run one after the other');

# what is invalidated while it is computed is computed again
$gate->must('SELECT pg_advisory_lock(1)');
$id = ask($gated);
until_true($gate, "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)");
$s->must("SELECT cachex.invalidate('c', 'k')");
$gate->must('SELECT pg_advisory_unlock(1)');
wait_for_job($id, "status = 'done'");
is(job($id, 'attempts, last_error'), '2|result was not kept in cache "c"',
	'a key that is invalidated meanwhile is tried again');
is($s->must("SELECT cachex.get('c', 'k')"), '"7"', 'and is there');

# ---- waiting ----

my $wait = q{SELECT cachex.refresh('c', 'k', wait => true, query => $q$%s$q$)};
my $before = loads();
is($s->must(sprintf($wait, 'SELECT pg_backend_pid() AS value')), '',
	'waiting returns no number');
my $pid = $s->must("SELECT cachex.get('c', 'k')");
isnt($pid, $s->pid, 'a worker has done it');
is(loads() - $before, 1, 'once');
is(fetch('SELECT pg_backend_pid() AS value'), $pid, 'and fetch finds it');
is(loads() - $before, 1, 'without a load');
# a worker is there for a second after the last one, which may be over
my @same;
for (1 .. 10)
{
	@same = ();
	foreach my $tenant (undef, undef, 1, 2)
	{
		$s->must("SET app.tenant = '$tenant'") if $tenant;
		$s->must(sprintf($wait, 'SELECT pg_backend_pid() AS value'));
		push @same, $s->must("SELECT cachex.get('c', 'k')");
	}
	last if (grep { $_ eq $same[0] } @same) == 4;
	$s->close;
	$s = session($node);
}
is($same[1], $same[0], 'the next one finds the worker there');
is($same[2], $same[0], 'with a setting of an application');
is($same[3], $same[0], 'and another value of it');
$s->close;
$s = session($node);
$s->must(sprintf($wait, q{SELECT current_setting('app.tenant', true) IS NULL AS value}));
is($s->must("SELECT cachex.get('c', 'k')"), 'true',
	'but without it another worker comes');
$s->query(sprintf($wait, 'SELECT 1 / 0 AS value'));
like($s->error, qr/ERROR: +could not refresh key "k" of cache "c": division by zero/,
	'an error is passed on');
$gate->must('SELECT pg_advisory_lock(1)');
$s->query("SET statement_timeout = '200ms'");
$s->query(sprintf($wait, $gated));
like($s->error, qr/statement timeout/, 'the wait can be cut short');
$s->query('RESET statement_timeout');
# which is not the end of the load
until_true($gate, "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)");
$gate->must('SELECT pg_advisory_unlock(1)');
until_true($gate, q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker' AND state = 'active')});
$s->must('BEGIN');
$s->must(sprintf($wait, 'SELECT pg_backend_pid() AS value'));
is($s->must("SELECT cachex.get('c', 'k')"), $s->pid,
	'in a transaction block the caller does it');
$s->must('COMMIT');

# three that wait for one load, while the worker has a job
$gate->must('SELECT pg_advisory_lock(1)');
$before = loads();
$id = ask($gated);
wait_for_job($id, "status = 'running'");
my @three = map { session($node) } 1 .. 3;
$_->send(sprintf($wait, 'SELECT pg_backend_pid() AS value')) foreach @three;
until_true($gate, q{(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND wait_event = 'Extension') = 3});
$gate->must('SELECT pg_advisory_unlock(1)');
$_->receive foreach @three;
is(join('', map { $_->error } @three), '', 'three wait for the same');
wait_for_job($id, "status = 'done'");
is(loads() - $before, 2, 'it is done once, beside the job');

# what has begun before somebody asks is not what he asked for
$gate->must('SELECT pg_advisory_lock(1)');
$before = loads();
$three[0]->send(sprintf($wait, $gated));
until_true($gate, "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)");
$three[1]->send(sprintf($wait, $gated));
until_true($gate, q{(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND wait_event = 'Extension') = 2});
$gate->must('SELECT pg_advisory_unlock(1)');
$_->receive foreach @three[0 .. 1];
is(loads() - $before, 2, 'who comes later has it done again');
$_->close foreach @three;

# a worker that is terminated
$gate->must('SELECT pg_advisory_lock(1)');
$s->send(sprintf($wait, $gated));
until_true($gate, "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)");
$gate->must(q{SELECT pg_terminate_backend(pid) FROM pg_locks
	WHERE locktype = 'advisory' AND NOT granted});
$s->receive;
like($s->error, qr/the worker ended/, 'who waits is told that the worker ended');
$gate->must('SELECT pg_advisory_unlock(1)');

# ---- watches ----

$s->must($_) foreach (
	q{CREATE TABLE item (id int PRIMARY KEY, grp int, v int);
	  INSERT INTO item SELECT i, 1, i FROM generate_series(1, 3) i;
	  GRANT ALL ON item TO bob; ALTER TABLE item OWNER TO alice},
	q{CREATE FUNCTION load_group(key text) RETURNS bigint STABLE LANGUAGE sql
	  AS 'SELECT sum(v) FROM item WHERE grp = key::int'},
	q{SET ROLE alice},
	q{SELECT cachex.create_cache('w', consistency => 'ttl', loader => 'load_group(text)')},
	q{SELECT cachex.watch('item', 'w', keys => ARRAY['<grp>'], action => 'refresh')},
	q{RESET ROLE; SET ROLE bob});
$s->must('UPDATE item SET v = v + 10');
$s->must('RESET ROLE; SET ROLE alice');
until_true($s, "cachex.get('w', '1') = '36'");
until_true($s, "EXISTS (SELECT FROM cachex.jobs WHERE cache = 'w' AND status = 'done')");
is($s->must("SELECT count(*), min(status), min(role::text) FROM cachex.jobs WHERE cache = 'w'"),
	'1|done|alice', 'three rows, one job, as the owner of the cache');
is($s->must("SELECT cachex.fetch('w', '1')"), '36', 'the owner fetches it');
is($s->must("SELECT loads FROM cachex.stats WHERE cache = 'w'"), '1',
	'without a load');
$s->must('BEGIN; UPDATE item SET v = 0; ROLLBACK');

$s->must('RESET ROLE');
my $other = session($node);
my $two = session($node);
$_->must('BEGIN') foreach ($other, $two);
$other->must('UPDATE item SET v = 100 WHERE id = 1');
$two->must("SET lock_timeout = '10s'");
is($two->must('UPDATE item SET v = 200 WHERE id = 2 RETURNING v'), '200',
	'writers that refresh the same key do not wait for each other');
$_->must('COMMIT') foreach ($two, $other);
$s->must('SET ROLE alice');
until_true($s, "cachex.get('w', '1') = '313'");
until_true($s, "NOT EXISTS (SELECT FROM cachex.jobs WHERE cache = 'w' AND status <> 'done')");
is($s->must("SELECT cachex.drop_cache('w')"), 't', 'the cache is dropped');
is($s->must("SELECT count(*) FROM cachex.jobs WHERE cache = 'w'"), '0',
	'and its jobs');
$s->must('RESET ROLE');
$_->close foreach ($other, $two);

# the settings of a job that a watch asks for
$s->must($_) foreach (
	q{CREATE FUNCTION load_zone(key text) RETURNS text STABLE LANGUAGE sql
	  AS $$SELECT current_setting('TimeZone')$$},
	q{ALTER ROLE alice SET TimeZone = 'Asia/Tokyo'},
	q{ALTER ROLE alice IN DATABASE postgres SET TimeZone = 'Asia/Seoul'},
	q{SET ROLE alice},
	q{SELECT cachex.create_cache('z', consistency => 'ttl', loader => 'load_zone(text)')},
	q{SELECT cachex.watch('item', 'z', keys => ARRAY['zone'], action => 'refresh')},
	q{UPDATE item SET v = 1},
	q{SET TimeZone = 'Asia/Seoul'});
until_true($s, "EXISTS (SELECT FROM cachex.jobs WHERE cache = 'z' AND status = 'done')");
is($s->must("SELECT cachex.fetch('z', 'zone')"), '"Asia/Seoul"',
	'are those that the owner has in the database');
is($s->must("SELECT loads FROM cachex.stats WHERE cache = 'z'"), '1',
	'as a session of his finds');
$s->must("SELECT cachex.drop_cache('z'); RESET TimeZone; RESET ROLE");

# ---- a loader that hangs ----

$node->append_conf('postgresql.conf', "cachex.refresh_timeout = '200ms'");
$node->reload;
until_true($s, "current_setting('cachex.refresh_timeout') = '200ms'");
# one that has just been started may not have heard of it
until_true($s, q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker')});
like(error_of('SELECT pg_sleep(300)::text AS value'),
	qr/^failed: .*statement timeout/, 'a loader that hangs is stopped');
$node->append_conf('postgresql.conf', "cachex.refresh_timeout = '1min'");
$node->reload;
until_true($s, "current_setting('cachex.refresh_timeout') = '1min'");
until_true($s, q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker')});

# ---- a worker, or the server, that dies ----

$s->must('CREATE TABLE slow AS SELECT 300 AS seconds');
my $slow = q{SELECT pg_sleep(seconds)::text || 'done' AS value FROM slow};

foreach my $end ('terminate', 'restart', 'kill')
{
	$s->must('UPDATE slow SET seconds = 300');
	$id = ask($slow);
	wait_for_job($id, "status = 'running'");
	until_true($s, q{EXISTS (SELECT FROM pg_stat_activity
		WHERE backend_type = 'cachex worker' AND wait_event = 'PgSleep')});
	$s->must('UPDATE slow SET seconds = 0');
	my $pid = worker();
	if ($end eq 'terminate')
	{
		$s->must("SELECT pg_terminate_backend($pid)");
	}
	elsif ($end eq 'restart')
	{
		$s->close;
		$node->restart;
		$s = session($node);
	}
	else
	{
		$s->close;
		$node->stop('immediate');
		$node->start;
		$s = session($node);
	}
	wait_for_job($id, "status = 'done'");
	is(job($id, 'attempts, last_error'),
		'2|the worker ended before the job did', "$end: it is tried again");
	is($s->must("SELECT cachex.get('c', 'k')"), '"done"', 'and done');
}

# ---- old ones go, and so does everything ----

cmp_ok($s->must('SELECT count(*) FROM cachex.jobs'), '>', 3, 'jobs are shown');
$node->append_conf('postgresql.conf', "cachex.job_retention = '1s'");
$node->reload;
until_true($s, "current_setting('cachex.job_retention') = '1s'");
ask('SELECT 1 AS value');
until_true($s, 'NOT EXISTS (SELECT FROM cachex.jobs)');
until_true($s, q{NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE backend_type = 'cachex worker')});
pass('no worker is left');

$node->append_conf('postgresql.conf', "cachex.databases = 'other'");
$node->reload;
until_true($s, "current_setting('cachex.databases') = 'other'");
$s->must(sprintf($wait, 'SELECT pg_backend_pid() AS value'));
is($s->must("SELECT cachex.get('c', 'k')"), $s->pid,
	'where no worker comes, who waits does it');
ask('SELECT 1 AS value');
like($s->error, qr/jobs do not run in this database/, 'a job is warned about');

is_consistent($node, 'at the end');
$s->must('DROP EXTENSION cachex CASCADE');
pass('the extension is dropped');
$_->close foreach ($s, $gate);
$node->stop;
never_crashed($node);
done_testing();
