
# What a role that has what everybody has must not do, must not see, and how
# long it can keep others waiting.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use HostileTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_hostile('max_prepared_transactions = 8', 'cachex.max_jobs = 50',
	"cachex.refresh_timeout = '1 s'", "cachex.retry_pause = '10 ms'",
	"cachex.warmer_timeout = '5 s'", "deadlock_timeout = '100 ms'");
my $hostile = session_of('hostile');
my $victim = session_of('victim');
$_->must('\set VERBOSITY verbose') foreach $hostile, $victim;
$_->must("SET statement_timeout = '20 s'") foreach $hostile, $victim;

# Seconds that a statement takes, and its output and errors; it must be over
# in time.
sub timed
{
	my ($session, $sql, $longest) = @_;
	my $start = time();
	$session->send($sql);
	while ($session->is_waiting)
	{
		usleep(1000);
		next if time() - $start < $longest;
		# it may not even hear of a shutdown
		kill('KILL', one($node, q{SELECT pid FROM pg_stat_activity
			WHERE usename = 'hostile' AND state = 'active' LIMIT 1}));
		BAIL_OUT("takes more than $longest seconds: $sql");
	}
	my $took = time() - $start;
	return ($took, $session->receive . $session->error);
}

# ---- patterns made to explode ----

$hostile->must(q{SELECT count(cachex.put('default', repeat('a', 1000) || i, '1'))
	FROM generate_series(1, 5000) i});
$hostile->must(q{SELECT count(cachex.put('default', repeat(U&'\00E9', 490) || i, '1'))
	FROM generate_series(1, 1000) i});
my %patterns = (
	'many %a' => q{repeat('%a', 511) || 'b'},
	'%_ in turns' => q{repeat('%_', 511) || 'b'},
	'long literals' => q{repeat('%' || repeat('a', 30), 32) || '%b'},
	'half a key, and not' => q{'%' || repeat('a', 500) || 'b%'},
	'escapes' => q{repeat('%\a', 341)},
	'escaped signs' => q{repeat('%\%', 341)},
	'percent signs' => q{repeat('%', 1024)},
	'more than a key has' => q{repeat('_', 1024)},
	'characters of two bytes' => q{repeat(U&'%_\00E9', 255)},
	'half a character' => q{'%' || substr(repeat(U&'\00E9', 20), 1, 3) || '_%' || repeat('_%', 400)},
);
my $slowest = 0;
foreach my $name (sort keys %patterns)
{
	foreach my $call ('count(*) FROM cachex.entries(\'default\', %s)',
		'cachex.invalidate_like(\'default\', %s)')
	{
		my ($took, $said) =
		  timed($hostile, 'BEGIN; SELECT ' . sprintf($call, $patterns{$name}) . '; ROLLBACK', 60);
		unlike($said, qr/ERROR/, "$name: $call is over in time");
		$slowest = $took if $took > $slowest;
	}
}
note("the slowest pattern takes $slowest s with 6000 keys");
{
	# a thousand matches of one key at most before it is noticed
	my ($took, $said) = timed($hostile, qq{BEGIN; SET LOCAL statement_timeout = '50 ms';
		SELECT cachex.invalidate_like('default', $patterns{'half a key, and not'}) FROM generate_series(1, 1000);
		ROLLBACK}, 60);
	like($said, qr/57014/, 'a pattern is cancelled');
	cmp_ok($took, '<', 5, 'at once');
	$hostile->must('ROLLBACK');
}
is(as_role('hostile', q{SELECT cachex.invalidate_like('default', 'S3CR%'),
		cachex.invalidate_like('queries', '%S3CR%')}),
	'0|0', 'patterns do not count what others have');

# ---- what it must not do ----

# Each alone; all of them say that a privilege is missing.
my @denied = (
	q{SELECT cachex.create_cache('mine')},
	(map {; "SELECT cachex.alter_cache('$_', '{\"ttl\": \"1 s\"}')", "SELECT cachex.drop_cache('$_')",
		  "SELECT cachex.clear('$_')", "SELECT cachex.reset_stats('$_')", "SELECT cachex.purge('$_')",
		  "SELECT cachex.grant_cache('$_', 'hostile', 'read')",
		  "SELECT cachex.revoke_cache('$_', 'public', 'read')",
		  "SELECT cachex.create_warmer('$_', 'w', 'SELECT ''k'' AS key, 1 AS value')",
		  "SELECT cachex.drop_warmer('$_', '$secret')", "SELECT cachex.warm('$_')" }
		  qw(default queries theirs readable writable warmed)),
	q{SELECT cachex.purge()},
	q{SELECT cachex.invalidate_tags('{t1}')},
	q{SELECT cachex.invalidate_table('victim.t')},
	q{SELECT cachex.watch('victim.t')},
	q{SELECT cachex.watch('victim.t', 'default', keys => '{<i>}')},
	q{SELECT cachex.unwatch('victim.t')},
	(map { my $c = $_;
		  map {; "SELECT cachex.$_" } "get('$c', 'k1')", "get_as('$c', 'k1', NULL::text)",
			"lookup('$c', 'k1')", "incr('$c', 'k1')", "take('$c', 'k1')",
			"update('$c', 'k1', '\$1')" } qw(theirs exact_of_them shared_by_them stored writable)),
	(map { my $c = $_;
		  map {; "SELECT cachex.$_" } "put('$c', 'k1', '1')", "put_many('$c', '{\"k1\": 1}')",
			"touch('$c', 'k1', '1 s')", "push('$c', 'k1', '1')", "invalidate('$c', 'k1')",
			"invalidate_like('$c', '%')", "refresh('$c', 'k1', query => 'SELECT 1')",
			"clear('$c', 's')", "incr('$c', 'k1')" }
		  qw(theirs exact_of_them shared_by_them stored readable open)),
	# triggers of its own on its own table
	(map {; "CREATE TRIGGER t AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION cachex.$_" }
		  q{on_change('theirs', '{k1}', '', 'put', '')},
		q{on_change('theirs', '{k1}', '', 'invalidate', '')}, q{on_change('readable', '{k1}', '', 'refresh', '')},
		q{on_change('', '', '{t1}', 'invalidate', '')}, q{on_change('theirs', '', '', '', '')},
		q{on_change('default', '', '{t1}', 'invalidate', '')},
		q{definition_changed()}, q{warmers_changed()}),
	q{CREATE TRIGGER t AFTER TRUNCATE ON own EXECUTE FUNCTION cachex.on_change('theirs', '', '', '', '')},
	q{CREATE FUNCTION pg_temp.c() RETURNS text LANGUAGE c AS '$libdir/cachex', 'cachex_check_store'},
	q{CREATE FUNCTION pg_temp.c() RETURNS trigger LANGUAGE c AS '$libdir/cachex', 'cachex_on_change'},
	q{ALTER EXTENSION cachex UPDATE}, q{DROP EXTENSION cachex}, q{CREATE TABLE cachex.x (a int)},
	q{CREATE FUNCTION cachex.f() RETURNS int LANGUAGE sql AS 'SELECT 1'},
	q{ALTER SYSTEM SET cachex.sweep_interval = 1}, q{SET ROLE victim},
	q{ALTER ROLE victim SET cachex.enabled = off}, q{ALTER DATABASE postgres SET cachex.enabled = off});

# Whatever tables, sequences and views there are
push @denied, split(/\n/, one($node, q{
	SELECT format(c, 'cachex.' || relname) FROM pg_class,
		unnest(CASE relkind
			WHEN 'r' THEN ARRAY['SELECT * FROM %s', 'INSERT INTO %s DEFAULT VALUES', 'DELETE FROM %s',
				'TRUNCATE %s', 'DO ''BEGIN LOCK %s IN ACCESS SHARE MODE; END''', 'ALTER TABLE %s ADD x int', 'DROP TABLE %s',
				'SELECT cachex.watch(''%s'')', 'SELECT cachex.invalidate_table(''%s'')',
				'CREATE TRIGGER t AFTER INSERT ON %s EXECUTE FUNCTION cachex.on_change()']
			WHEN 'S' THEN ARRAY['SELECT nextval(''%s'')', 'SELECT setval(''%s'', 1)', 'SELECT * FROM %s']
			ELSE ARRAY['DO ''BEGIN LOCK %s IN SHARE MODE; END''', 'DROP VIEW %s', 'CREATE OR REPLACE VIEW %s AS SELECT 1'] END) c
	WHERE relnamespace = 'cachex'::regnamespace AND relkind IN ('r', 'S', 'v') ORDER BY 1}));

$hostile->must(q{CREATE TEMP TABLE own (i int, v text)});
fill_victim();
my @allowed = grep { $hostile->query($_); $hostile->error !~ /ERROR:\s+42501:/ } @denied;
is(join("\n", @allowed), '', @denied . ' statements are denied');
diag($hostile->error) if @allowed;
$hostile->must($_) foreach q{SELECT cachex.clear()}, q{SELECT cachex.reset_stats()}, q{SELECT cachex.warm()};
is_unharmed('what is denied');
isnt(one($node, q{SELECT count(*) FROM cachex.stats WHERE hits > 0 AND cache = 'theirs'}), '0',
	'the counters of others are what they were');
foreach my $set ('cachex.memory = 8', 'cachex.max_jobs = 1', "cachex.databases = ''",
	"cachex.sweep_interval = 1", 'cachex.nope = 1')
{
	$hostile->query("SET $set");
	like($hostile->error, qr/55P02|42602|42501/, "$set cannot be set");
}
# views that can be written to would write to the tables below
foreach my $view (split(/\n/, one($node, q{SELECT oid::regclass FROM pg_class
		WHERE relnamespace = 'cachex'::regnamespace AND relkind = 'v'})))
{
	$hostile->query($_), like($hostile->error, qr/ERROR/, $_)
	  foreach "DELETE FROM $view", "INSERT INTO $view DEFAULT VALUES";
}
# a table below one of its own
$hostile->must(q{CREATE TEMP TABLE parent (i int) PARTITION BY RANGE (i)});
$hostile->query(q{SELECT cachex.watch('parent', 'default', keys => '{<i>}')});
like($hostile->error, qr/ERROR/, 'nobody watches a temporary table');

# ---- who runs what ----

my $who = 'SELECT current_user AS value';
$hostile->must("SELECT cachex.refresh('default', 'who', query => '$who')");
until_true($hostile, q{cachex.get('default', 'who') IS NOT NULL});
is($hostile->must(q{SELECT cachex.get('default', 'who')}), '"hostile"',
	'a job runs as who has asked for it');
like(as_role('hostile', "SELECT cachex.fetch('readable', 'who', '$who')"),
	qr/^"hostile"/, 'so does what is fetched from the cache of another');
like(as_role('hostile', q{SELECT cachex.fetch('default', 'x', 'SELECT set_config(''role'', ''victim'', false)')}),
	qr/42501/, 'a loader cannot become another role');
like(as_role('hostile', q{SELECT cachex.fetch('readable', 'x')}), qr/42501/,
	'the loader of a cache does not read what its caller may not read');
like(as_role('hostile', q{SELECT cachex.put('writable', 'x', '0')}), qr/\bf\b|ERROR/,
	'what the owner refuses is refused');

# ---- what it must not see ----

{
	# a job and a warmer of another at work, who has errors as well
	$victim->must(qq{SELECT cachex.refresh('theirs', '$secret', max_attempts => 100,
		query => 'SELECT pg_sleep(0.2) AS value, 1/0, ''$secret''')});
	$victim->must("SELECT cachex.warm('warmed')");
	my ($out, $err) = ('', '');
	foreach my $round (1 .. 5)
	{
		my ($o, $e) = as_role('hostile', join(";\n",
				(map {; "SELECT v::text FROM $_ v" } split(/\n/, one($node, q{
					SELECT oid::regclass FROM pg_class WHERE relkind IN ('v', 'r')
						AND (relnamespace = 'cachex'::regnamespace OR relname ~ '^pg_stat_|^pg_locks|^pg_prepared|^pg_cursors')
						AND has_table_privilege('hostile', oid, 'SELECT')}))),
				(map {; "SELECT v::text FROM cachex.entries('$_') v",
						"SELECT v::text FROM cachex.entries('$_', '%3CR%') v" }
					  qw(default queries theirs readable writable open shared_by_them)),
				q{SELECT cachex.fetch('theirs', 'k1', 'SELECT 1')},
				q{SELECT cachex.put('writable', 'k2', '0')},
				q{SELECT cachex.lookup('writable', 'k1'), cachex.lookup('readable', 'k1'), cachex.lookup('open', 'k1')},
				q{SELECT cachex.refresh('writable', 'k1', wait => true, query => 'SELECT 0 AS value')}));
		($out, $err) = ($out . $o, $err . $e);
	}
	is_secret_kept('views, functions, messages', $out, $err);
	cmp_ok(length($out), '>', 1000, 'there is something to look at');
	like($victim->must('SELECT key FROM cachex.jobs'), qr/$secret/, 'its owner does see it');
	$victim->must(q{SELECT cachex.invalidate('theirs', 'x')});
}

# ---- whom it keeps waiting ----

# What others do in this time, each for itself.  Who waited for any of it would
# do so for ten seconds at least.
sub nobody_waits
{
	my ($name, @more) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $longest = 0;
	foreach my $sql (q{SELECT cachex.get('theirs', 'k1')}, q{SELECT cachex.incr('theirs', 'n')},
		q{SELECT cachex.incr('default', 'n')}, q{SELECT cachex.put('default', 'k2', '1', only_if => 'absent')},
		q{SELECT cachex.fetch('default', 'slow', 'SELECT pg_sleep(0)::text || 1')},
		q{SELECT cachex.fetch('open', 'slow', 'SELECT pg_sleep(0)::text || 1')},
		q{SELECT cachex.fetch('exact_of_them', 'k1', 'SELECT v FROM victim.t WHERE i = $1::int', ARRAY['1'])},
		q{SELECT cachex.invalidate('default', 'k1'), cachex.invalidate_like('theirs', 'nope%')},
		q{SELECT cachex.put('stored', 'n', '1')}, q{UPDATE victim.t SET v = v WHERE i = 1}, @more)
	{
		my ($took, $said) = timed($victim, $sql, 30);
		diag("$sql: $said") if $said =~ /ERROR/;
		$longest = $took if $took > $longest;
	}
	return cmp_ok($longest, '<', 5, "$name: nobody waits");
}

my @others = map { session_of('hostile') } 1 .. 5;
nobody_waits('in peace');
fill_victim();

$others[0]->must(q{BEGIN; SELECT count(cachex.incr('default', 'k' || i)), count(cachex.incr('default', 'n' || i))
	FROM generate_series(1, 1000) i});
nobody_waits('many atomic changes that stay open');
$others[0]->must('ROLLBACK');

$others[$_]->send("SELECT cachex.fetch('" . (qw(default queries open readable))[$_]
	  . "', 'slow', 'SELECT pg_sleep(20)')") foreach 0 .. 3;
$node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM pg_stat_activity
	WHERE usename = 'hostile' AND wait_event = 'PgSleep'}) or die 'no loader runs';
nobody_waits('loaders that do not end');
one($node, q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%'
	AND usename = 'hostile'});
$_->receive foreach @others[ 0 .. 3 ];

# all advisory locks that SQL can take, with the numbers of ours
$victim->must(q{BEGIN; SELECT cachex.incr('theirs', 'n'), cachex.incr('default', 'k1')});
is($others[0]->must(q{BEGIN; SELECT bool_and(pg_try_advisory_lock(((classid::bigint << 32) | objid::bigint))
		AND pg_try_advisory_lock(classid::int4::int, objid::bigint::bit(32)::int))
	FROM pg_locks WHERE locktype = 'advisory' AND objsubid > 2}), 't',
	'locks of the extension are none that SQL can take');
$victim->must('COMMIT');
nobody_waits('advisory locks with our numbers');
$others[0]->must('SELECT pg_advisory_unlock_all(); ROLLBACK');

$others[0]->must(q{BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK cachex.jobs, cachex.caches, cachex.warmers, cachex.stats
	IN ACCESS SHARE MODE; SELECT count(*) FROM cachex.jobs, cachex.caches; SELECT cachex.refresh('default', 'z', query => 'SELECT 1')});
nobody_waits('locks on views', q{SELECT cachex.create_cache('new')}, q{SELECT cachex.alter_cache('new', '{"ttl": "1 s"}')},
	q{SELECT cachex.drop_cache('new')}, q{SELECT cachex.refresh('theirs', 'job', wait => true, query => 'SELECT 1')},
	qq{SELECT cachex.warm('warmed', wait => true)});
$others[0]->must('ROLLBACK');

# prepared transactions that stay
fill_victim();
$others[$_]->must("BEGIN; SELECT cachex.refresh('default', 'p$_', query => 'SELECT 1');
	SELECT count(cachex.invalidate('default', '$_.' || i)) FROM generate_series(1, 30000) i;
	SELECT count(cachex.invalidate_like('queries', i || '%')), count(cachex.clear('default', 's' || i))
		FROM generate_series(1, 100) i; PREPARE TRANSACTION 'p$_'") foreach 0 .. 4;
is_unharmed('prepared transactions that stay');
nobody_waits('prepared transactions that stay');
fill_victim();
$others[$_]->must(($_ % 2 ? 'ROLLBACK' : 'COMMIT') . " PREPARED 'p$_'") foreach 0 .. 4;
is_unharmed('prepared transactions that have ended');
$others[0]->must(q{SELECT count(cachex.get('default', '1.' || i)) FROM generate_series(1, 30000) i});
is_unharmed('prepared transactions that somebody resolves');

# ---- what it exhausts ----

fill_victim();
$others[0]->must(q{SELECT count(cachex.invalidate('default', 'h' || i)), count(cachex.clear('default', 'h' || i))
	FROM generate_series(1, 500000) i});
is_unharmed('a million changes of keys and scopes');
$others[0]->must(join(';', map {; "CREATE TEMP TABLE t$_ (a int primary key, b text); DROP TABLE t$_" } 1 .. 1000));
is_unharmed('a thousand temporary tables, one after the other');
$others[0]->must(join(';', 'BEGIN', (map {; "CREATE TEMP TABLE t$_ (a int primary key, b text)" } 1 .. 400), 'COMMIT'));
$others[0]->must('DISCARD TEMP');
is_unharmed('many temporary tables at once');
$others[0]->must(q{CREATE TEMP TABLE w (a int); CREATE TRIGGER t BEFORE INSERT ON w
	EXECUTE FUNCTION cachex.on_change(); INSERT INTO w VALUES (1)});
is_unharmed('a temporary table that is followed');

like(as_role('hostile', join(";\n", map {; "SELECT cachex.fetch('nope$_', 'k', 'SELECT 1')" } 1 .. 2000)),
	qr/42704/, 'caches that are not there');
is(one($node, q{SELECT count(*) FROM cachex.stats WHERE cache LIKE 'nope%'}), '0', 'take no place');

# as many jobs and requests as there can be, which all take their time
my $sleep = q{SELECT pg_sleep(0.2)::text || 1 AS value};
$hostile->query(join(';', map {; "SELECT cachex.refresh('default', 'j$_', query => '$sleep')" } 1 .. 100));
like($hostile->error, qr/54000/, 'jobs of a role are limited');
$hostile->must("SELECT count(cachex.fetch('default', 'r' || i, 'SELECT 1 AS value', ttl => '1 us', stale_for => '1 hour'))
	FROM generate_series(1, 200) i");
$victim->must(q{SELECT cachex.fetch('theirs', 'stale', 'SELECT now() AS value', ttl => '1 us', stale_for => '1 hour')});
my $ask = "SELECT count(cachex.fetch('default', 'r' || i, 'SELECT pg_sleep(0.2)::text || 1 AS value', ttl => '1 us',
	stale_for => '1 hour', mode => 'normal')) FROM generate_series(1, 200) i;\n";
$others[$_]->send("SET statement_timeout = '20 s'; $ask") foreach 0 .. 1;
{
	my ($took) = timed($victim, q{SELECT cachex.refresh('theirs', 'j1', wait => true, query => 'SELECT 1 AS value')}, 30);
	cmp_ok($took, '<', 10, 'who waits for a job has his turn');
	my $id = $victim->must(q{SELECT cachex.refresh('theirs', 'j2', query => 'SELECT 2 AS value')});
	my $start = time();
	until_true($victim, qq{cachex.get('theirs', 'j2') = '2'});
	cmp_ok(time() - $start, '<', 10, 'so does a job');
	($took) = timed($victim, "SELECT cachex.warm('warmed', wait => true)", 30);
	cmp_ok($took, '<', 10, 'and a warmer');
	$start = time();
	my $old = $victim->must(q{SELECT now()});
	until_true($victim, qq{cachex.fetch('theirs', 'stale', 'SELECT now() AS value', ttl => '1 us',
		stale_for => '1 hour')::text::timestamptz > '$old'});
	cmp_ok(time() - $start, '<', 15, 'and a value that was served stale');
}
one($node, q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE usename = 'hostile' AND state = 'active'});
$_->receive foreach @others[ 0 .. 1 ];
nobody_waits('after all of it');

$_->close foreach @others, $hostile, $victim;
log_is_clean('all of it');
never_crashed($node);
is_idle_and_consistent($node, 'at the end');
$node->stop;

done_testing();
