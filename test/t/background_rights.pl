# Who can have something run in the background, or by a cache's validation, as
# somebody else: nobody.  And what a worker does about loaders that do not end,
# and about the time of day.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main', "cachex.refresh_timeout = '500 ms'",
	"cachex.retry_pause = '10 ms'");

sub wait_until
{
	my ($what, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT $what"), $name);
	return;
}

# Runs as a role; returns the error, or the empty string.
sub as_role
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $err;
}

$node->safe_psql('postgres', q{
	CREATE ROLE dbo LOGIN;
	CREATE ROLE mallory LOGIN;
	CREATE ROLE writer LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
	CREATE ROLE keeper LOGIN;
	ALTER DATABASE postgres OWNER TO dbo;
	GRANT CREATE ON DATABASE postgres TO keeper, mallory;
	CREATE TABLE ran_as (role text);
	CREATE FUNCTION tell(text) RETURNS text LANGUAGE sql STABLE
		AS $$SELECT current_user::text$$});
as_role('dbo', q{CREATE SCHEMA d; GRANT USAGE ON SCHEMA d TO PUBLIC;
	CREATE FUNCTION d.ok(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
	CREATE FUNCTION d.loader(text) RETURNS text LANGUAGE sql AS 'SELECT $1'});

# ---- what is run as the cache's owner only he can set ----

for my $change ('{"validate": "d.ok($1)"}', '{"loader": "d.loader(text)"}')
{
	like(as_role('dbo', "SELECT cachex.alter_cache('default', '$change')"),
		qr/must have the privileges of the owner of cache "default"/,
		"the database's owner cannot set $change");
}
is(as_role('dbo', q{SELECT cachex.alter_cache('default', '{"ttl": "1 min"}')}), '',
	'but what is not run');
is(as_role('keeper', q{SELECT cachex.create_cache('kept', consistency => 'ttl',
		loader => 'tell(text)', options => '{"validate": "$1 <> ''0''"}');
	SELECT cachex.alter_cache('kept', '{"validate": null}')}), '', 'an owner can');

# ---- nobody has another one's loader run ----

as_role('mallory', q{CREATE SCHEMA m; CREATE TABLE m.t (k text);
	CREATE TABLE m.u (k text)});
my $by_hand = q{CREATE TRIGGER t AFTER INSERT ON m.t REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION cachex.on_change('kept', '{<k>}', '', 'refresh', '')};
like(as_role('mallory', $by_hand), qr/permission denied for cache "kept"/, 'no trigger without a privilege');
is(as_role('keeper', q{SELECT cachex.grant_cache('kept', 'mallory', 'write')}), '', 'with one');
like(as_role('mallory', q{SELECT cachex.watch('m.t', 'kept', keys => '{<k>}', action => 'refresh')}),
	qr/must have the privileges of the owner of cache "kept"/, 'watch');
is(as_role('mallory', "$by_hand; INSERT INTO m.t VALUES ('mine')"), '', 'a trigger by hand fires');
is(one($node, q{SELECT count(*) FROM cachex.jobs WHERE cache = 'kept'}), '0', 'but asks for nothing');
is(as_role('keeper', q{CREATE SCHEMA k; CREATE TABLE k.t (k text);
	SELECT cachex.watch('k.t', 'kept', keys => '{<k>}', action => 'refresh');
	INSERT INTO k.t VALUES ('own')}), '', 'the owner');
wait_until(q{EXISTS (SELECT FROM cachex.jobs WHERE cache = 'kept' AND key = 'own' AND status = 'done')},
	'has his job');
is(as_role('keeper', q{DO $$BEGIN ASSERT cachex.get('kept', 'own') = '"keeper"'; END$$}), '',
	'which ran as he');

# ---- the tables are nobody's to write ----

for my $insert (
	q{INSERT INTO cachex.job_request (cache, key, session, role, query, max_attempts) VALUES ('default', 'k', 10, 10, 'SELECT 1', 1)},
	q{INSERT INTO cachex.warmer_definition (cache, name, id, query) VALUES ('default', 'w', 1, 'SELECT 1')},
	q{INSERT INTO cachex.cache_definition (name, owner, id, seed) VALUES ('mine', 'postgres', 1, 1)})
{
	like(as_role('writer', $insert), qr/row-level security/, 'pg_write_all_data: ' . substr($insert, 12, 24));
}
is(as_role('writer', q{UPDATE cachex.cache_definition SET owner = 'writer'}), '', 'updates nothing');
is(one($node, q{SELECT count(*) FROM cachex.cache_definition WHERE owner = 'writer'::regrole}), '0', 'indeed');

# ---- loaders that catch what stops them ----

$node->safe_psql('postgres', q{
	CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(60);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END$$;
	SELECT cachex.refresh('default', 'stubborn', max_attempts => 1, query => 'SELECT stubborn()');
	SELECT cachex.refresh('default', 'after', query => 'SELECT 1')});
wait_until(q{(SELECT status FROM cachex.jobs WHERE key = 'stubborn') = 'failed'}, 'are ended');
wait_until(q{(SELECT status FROM cachex.jobs WHERE key = 'after') = 'done'}, 'and the next ones are run');

# ---- what now() is in the background ----

$node->safe_psql('postgres', q{SELECT cachex.create_cache('clock', '100 ms', stale_for => '1 h', consistency => 'ttl')});
my $fetch = q{SELECT (cachex.fetch('clock', 'k', 'SELECT now() AS now, clock_timestamp() AS clock, pg_backend_pid() AS pid'))};
# each time its transaction began after the loader of the one before had read the clock
my $values = q{SELECT bool_and(now > clock_before), count(*) > 2
	FROM (SELECT now, lag(clock) OVER (ORDER BY clock) AS clock_before
		FROM (SELECT DISTINCT (v->>'now')::timestamptz AS now, (v->>'clock')::timestamptz AS clock
			FROM seen WHERE v->>'pid' = (SELECT v->>'pid' FROM seen
				GROUP BY 1 ORDER BY count(DISTINCT v->>'clock') DESC LIMIT 1)) AS refreshes) AS r};
$node->safe_psql('postgres', 'CREATE TABLE seen (v jsonb)');
my $session = session($node);
# until one worker has refreshed it three times
for (1 .. 600)
{
	$session->must("INSERT INTO seen $fetch");
	$session->must('SELECT pg_sleep(0.05)');
	last if one($node, $values) =~ /\|t$/;
}
is(one($node, $values), 't|t', 'the time of the transaction, not of the process');

never_crashed($node);
$node->stop;
done_testing();
