# Entries in a table: what a restart and a crash leave, and that nobody is told
# what is older than his snapshot, whatever memory has lost.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', 'cachex.memory = 8MB', 'restart_after_crash = on');
my $evict = q{SELECT cachex.alter_cache('t', '{"max_entries": 0}');
	SELECT cachex.alter_cache('t', '{"max_entries": null}')};
$node->safe_psql('postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, v int);
	INSERT INTO src SELECT i, i FROM generate_series(1, 100) i;
	SELECT cachex.create_cache('t', consistency => 'ttl', persist => 'table')});

# Waits until a condition holds in a session of its own.
sub wait_for
{
	my ($condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->poll_query_until('postgres', "SELECT $condition"), $name);
}

sub stored
{
	my ($key) = @_;
	return "EXISTS (SELECT FROM cachex.stored_entry WHERE key = '$key')";
}

# ---- restart and crash ----

my $load = q{'SELECT sum(v) FROM src'};
$node->safe_psql('postgres', q{SELECT cachex.put('t', 'first', '1')});
wait_for(stored('first'), 'the cache stores');
$node->safe_psql('postgres', qq{
	SELECT cachex.put('t', 'put', '{"a": [1, 2]}', tags => '{x}', metadata => '{"by": 7}');
	SELECT cachex.put('t', 'null', NULL, ttl => '1 day');
	SELECT cachex.put('t', 'x', '1', tags => '{x}');
	SELECT cachex.fetch('t', 'sum', $load);
	BEGIN READ ONLY; SELECT cachex.fetch('t', 'ro', $load); COMMIT});
wait_for(stored('sum') . ' AND ' . stored('ro'), 'fills are stored, of readers as well');
my $created = one($node, q{SELECT created_at FROM cachex.lookup('t', 'put')});
foreach my $mode ('fast', 'immediate')
{
	$node->safe_psql('postgres', 'UPDATE src SET v = v + 1');
	$node->stop($mode);
	$node->start;
	is(one($node, q{SELECT count(*) FROM cachex.entries('t')}), '0', "$mode: memory is empty");
	is(one($node, qq{SELECT cachex.fetch('t', 'sum', $load, mode => 'cached'), cachex.get('t', 'ro')}),
		'5050|5050', "$mode: a page that never computes has its values");
	is(one($node, q{SELECT status, value, metadata, tags, created_at FROM cachex.lookup('t', 'put')}),
		"hit|{\"a\": [1, 2]}|{\"by\": 7}|{x}|$created", "$mode: a put is as it was");
	is(one($node, q{SELECT status FROM cachex.lookup('t', 'null')}), 'negative', "$mode: so is nothing");
	is(one($node, q{SELECT loads, tier_hits, misses, hit_rate FROM cachex.stats WHERE cache = 't'}),
		'0|4|0|100.00', "$mode: no loader has run");
}
my $pid = one($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cachex launcher'});
kill 'KILL', $pid;
until_up($node, q{SELECT count(*) = 0 FROM cachex.entries('t')}) or die 'no restart';
is(one($node, q{SELECT cachex.get('t', 'ro')}), '5050', 'a process that is killed costs memory only');

# A put has its row when it has committed.
wait_for(q{count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cachex worker'}, 'no worker is at work');
$node->safe_psql('postgres', q{SELECT cachex.put('t', 'durable', '1')});
$node->stop('immediate');
$node->start;
is(one($node, q{SELECT cachex.get('t', 'durable')}), '1', 'a put before a crash is there');

# ---- what a restart must not bring back ----

$node->safe_psql('postgres', q{SELECT cachex.invalidate('t', 'ro');
	BEGIN; SELECT cachex.invalidate_tags('{x}'); PREPARE TRANSACTION 'tag';
	BEGIN; SELECT cachex.invalidate('t', 'null'); ROLLBACK});
my $session = session($node);
$session->must(q{BEGIN; SELECT cachex.put('t', 'put', '0'), cachex.invalidate('t', 'sum')});
$node->stop('immediate');
$session->close;
$node->start;
is(one($node, q{SELECT cachex.get('t', 'ro') IS NULL}), 't', 'what was invalidated is gone');
is(one($node, q{SELECT cachex.get('t', 'put') IS NOT NULL OR cachex.get('t', 'sum') IS NOT NULL}),
	'f', 'nothing is served while a transaction is prepared from before');
$node->safe_psql('postgres', q{COMMIT PREPARED 'tag'});
is(one($node, q{SELECT cachex.get('t', 'put'), cachex.get('t', 'x'), cachex.get('t', 'sum'),
		(cachex.lookup('t', 'null')).status}),
	'||5050|negative', 'a prepared invalidation acts, those that never committed do not');
$node->stop('immediate');
$node->start;
is(one($node, q{SELECT cachex.get('t', 'put'), cachex.get('t', 'x'), cachex.get('t', 'sum')}),
	'||5050', 'after another crash too');

# Shapes and privileges count, also when they changed before the crash.
$node->safe_psql('postgres', q{
	CREATE ROLE reader; GRANT SELECT ON src TO reader;
	SELECT cachex.grant_cache('t', 'reader', 'read'), cachex.grant_cache('t', 'reader', 'write');
	SET ROLE reader; SELECT cachex.fetch('t', 'mine', 'SELECT max(v) FROM src')});
wait_for(stored('mine'), 'a fill of a role is stored');
$node->safe_psql('postgres', 'REVOKE SELECT ON src FROM reader');
$node->stop('immediate');
$node->start;
is(one($node, q{SET ROLE reader; SELECT cachex.get('t', 'mine') IS NULL}), 't',
	'what a role may read no more it does not get');

# ---- more than memory holds ----

$node->safe_psql('postgres', q{
	DO $$ BEGIN FOR i IN 1 .. 5000 LOOP
		PERFORM cachex.put('t', 'big' || i, to_jsonb(i || repeat('x', 3000)));
		IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$});
is(one($node, q{SELECT entries < 4000 FROM cachex.memory()}), 't', 'memory does not hold all of them');
is(one($node, q{SELECT count(cachex.get('t', 'big' || i)) FROM generate_series(1, 5000) i}),
	'5000', 'and all are there');
# ---- rows go with their time, and with their cache ----

$node->safe_psql('postgres', q{SELECT cachex.put('t', 'short', '1', ttl => '10 ms');
	SELECT cachex.create_cache('d', consistency => 'ttl', persist => 'table')});
$node->safe_psql('postgres', q{SELECT cachex.put('d', 'dropped', '1')});
wait_for(stored('dropped'), 'another cache stores');
$node->safe_psql('postgres', q{SELECT cachex.drop_cache('d')});
$node->restart;
wait_for('NOT ' . stored('short') . ' AND NOT ' . stored('dropped'),
	'a visit deletes what has expired and what has no cache');
is(one($node, q{SELECT cachex.clear('t')}), '', 'cleared');
$node->restart;
wait_for('NOT EXISTS (SELECT FROM cachex.stored_entry)', 'a visit deletes what is invalid');
wait_for(q{cachex.purge() >= 0 AND NOT EXISTS (SELECT FROM cachex.stored_invalidation)},
	'and the records of it');

# ---- never older than the snapshot ----

# Writers count up a row and invalidate; readers note the row before they ask,
# in one snapshot or before it. Memory is emptied all the time, so that it is
# the table that answers.
$node->safe_psql('postgres', q{
	CREATE TABLE counter (id int PRIMARY KEY, n bigint);
	INSERT INTO counter SELECT i, 0 FROM generate_series(1, 5) i;
	CREATE TABLE wrong (how text);
	CREATE PROCEDURE bump(i int, how int) LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE counter SET n = n + 1 WHERE id = i;
		CASE how
			WHEN 0 THEN PERFORM cachex.invalidate('t', 'c' || i);
			WHEN 1 THEN PERFORM cachex.invalidate_tags(ARRAY['c' || i]);
			WHEN 2 THEN PERFORM cachex.invalidate_like('t', 'c' || i || '%');
			WHEN 3 THEN PERFORM cachex.put('t', 'c' || i, (SELECT to_jsonb(n) FROM counter WHERE id = i), tags => ARRAY['c' || i]);
			ELSE PERFORM cachex.clear('t');
		END CASE;
	END $$;
	CREATE FUNCTION look(i int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		before bigint; got bigint; after bigint;
	BEGIN
		SELECT n INTO before FROM counter WHERE id = i;
		got := cachex.fetch('t', 'c' || i, 'SELECT n FROM counter WHERE id = ' || i, tags => ARRAY['c' || i])::bigint;
		SELECT n INTO after FROM counter WHERE id = i;
		IF got < before OR got > after THEN
			RAISE WARNING 'c%: % is not between % and %', i, got, before, after;
			PERFORM note_wrong(format('c%s: %s not in %s .. %s', i, got, before, after));
		END IF;
	END $$;
	CREATE FUNCTION note_wrong(t text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF current_setting('transaction_read_only') = 'off' THEN
			INSERT INTO wrong VALUES (t);
		END IF;
	END $$});
my @scripts = (
	[ 3, "\\set i random(1, 5)\n\\set how random(0, 4)\nCALL bump(:i, :how);\n" ],
	[ 1, "\\set i random(1, 5)\n\\set how random(0, 2)\nBEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\nSELECT cachex.invalidate('t', 'c' || :i);\nCOMMIT;\n" ],
	[ 20, "\\set i random(1, 5)\nSELECT look(:i);\n" ],
	[ 6, "\\set i random(1, 5)\nBEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT look(:i);\nSELECT look(:i);\nCOMMIT;\n" ],
	[ 4, "SELECT cachex.alter_cache('t', '{\"max_entries\": 0}');\nSELECT cachex.alter_cache('t', '{\"max_entries\": null}');\n" ],
	[ 1, "SELECT cachex.purge();\n" ]);
foreach my $round (1 .. 2)
{
	my $run = pgbench($node, scripts => \@scripts, clients => 6, seconds => run_seconds(10));
	is($run->{status}, 0, "round $round: nobody fails");
	is(one($node, q{SELECT count(*), min(how) FROM wrong}), '0|', "round $round: nobody is told what is old");
	unlike($run->{err}, qr/is not between/, "round $round: nor in REPEATABLE READ");
	is(one($node, q{SELECT tier_hits > 100 AND tier_stored > 100 FROM cachex.stats WHERE cache = 't'}), 't',
		"round $round: the table has answered")
	  || diag(one($node, q{SELECT hits, misses, tier_hits, tier_stored, tier_dropped, loads FROM cachex.stats WHERE cache = 't'}));
	$node->safe_psql('postgres', $evict);
	$node->stop($round == 1 ? 'immediate' : 'fast');
	$node->start;
	is(one($node, q{SELECT count(*) FROM counter
			WHERE coalesce(cachex.fetch('t', 'c' || id, 'SELECT n FROM counter WHERE id = ' || id, tags => ARRAY['c' || id])::bigint, -1) <> n}),
		'0', "round $round: nor after the server has gone");
}
is_idle_and_consistent($node, 'at the end');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal 11/, 'nothing has crashed');
$node->stop;

done_testing();
