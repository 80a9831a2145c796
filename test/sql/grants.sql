-- Who may read and write a cache: owner, grants, memberships, everybody.
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_gr_owner;
CREATE ROLE regress_gr_reader;
CREATE ROLE regress_gr_writer;
CREATE ROLE regress_gr_group;
CREATE ROLE regress_gr_heir IN ROLE regress_gr_group;
CREATE ROLE regress_gr_aloof NOINHERIT IN ROLE regress_gr_group;
CREATE ROLE regress_gr_dbo;

-- What a role can do with a cache: r(ead), w(rite), o(wn); - is no.
CREATE FUNCTION can(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN false;
END $$;
CREATE FUNCTION rights(cache text DEFAULT 'gr') RETURNS text LANGUAGE sql AS $$
	SELECT concat(CASE WHEN can(format('SELECT cachex.get(%L, ''k'')', cache)) THEN 'r' ELSE '-' END,
		CASE WHEN can(format('SELECT cachex.put(%L, ''k'', ''1'')', cache)) THEN 'w' ELSE '-' END,
		CASE WHEN can(format('SELECT cachex.clear(%L)', cache)) THEN 'o' ELSE '-' END)
$$;
CREATE FUNCTION rights_of(role name, cache text DEFAULT 'gr') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	found := rights(cache);
	RESET ROLE;
	RETURN found;
END $$;
CREATE FUNCTION all_rights(cache text DEFAULT 'gr') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat(substr(role, 12), ' ', rights_of(role::name, cache))
	FROM unnest('{regress_gr_owner,regress_gr_reader,regress_gr_writer,regress_gr_group,regress_gr_heir,regress_gr_aloof}'::text[]) AS role
$$;

DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_gr_owner', current_database()); END$$;
SET ROLE regress_gr_owner;
SELECT cachex.create_cache('gr', consistency => 'ttl');
RESET ROLE;

-- ---- the owner's alone, until he gives it away ----

SELECT all_rights();
SELECT readers, writers FROM cachex.caches WHERE name = 'gr';
SET ROLE regress_gr_owner;
SELECT cachex.grant_cache('gr', 'regress_gr_reader', 'read');
SELECT cachex.grant_cache('gr', 'regress_gr_writer', 'write');
SELECT cachex.grant_cache('gr', 'regress_gr_group', 'read'), cachex.grant_cache('gr', 'regress_gr_group', 'write');
-- again, which is nothing
SELECT cachex.grant_cache('gr', 'regress_gr_reader', 'read');
RESET ROLE;
-- heirs have what the group has, those who do not inherit only as the group
SELECT all_rights();
SELECT readers, writers FROM cachex.caches WHERE name = 'gr';
SET SESSION AUTHORIZATION regress_gr_aloof;
SELECT rights();
SET ROLE regress_gr_group;
SELECT rights();
RESET SESSION AUTHORIZATION;
ALTER ROLE regress_gr_aloof INHERIT;
-- since 16 it is the membership that inherits
SET client_min_messages = warning;
GRANT regress_gr_group TO regress_gr_aloof;
RESET client_min_messages;
\set VERBOSITY terse
SELECT current_setting('server_version_num')::int >= 160000 AS since_16 \gset
\if :since_16
GRANT regress_gr_group TO regress_gr_aloof WITH INHERIT TRUE;
\endif
SELECT rights_of('regress_gr_aloof');
REVOKE regress_gr_group FROM regress_gr_aloof;
SELECT rights_of('regress_gr_aloof');
-- a member of the owning role owns
GRANT regress_gr_owner TO regress_gr_aloof;
SELECT rights_of('regress_gr_aloof');
REVOKE regress_gr_owner FROM regress_gr_aloof;
SELECT rights_of('regress_gr_aloof');
SELECT cachex.revoke_cache('gr', 'regress_gr_group', 'write');
SELECT all_rights();
-- what he has not got cannot be taken
SELECT cachex.revoke_cache('gr', 'regress_gr_group', 'write');
SELECT cachex.revoke_cache('gr', 'regress_gr_group', 'read');
SELECT readers, writers FROM cachex.caches WHERE name = 'gr';

-- ---- what each privilege is for ----

SET ROLE regress_gr_reader;
SELECT can(format('SELECT cachex.%s', call)) AS reader, call FROM unnest(ARRAY[
	$$get('gr', 'k')$$, $$get_as('gr', 'k', 1)$$, $$lookup('gr', 'k')$$, $$fetch('gr', 'k', 'SELECT 1')$$,
	$$fetch_many('gr', '{k}', 'SELECT k AS key, 1 AS value FROM unnest($1) AS k')$$,
	$$put('gr', 'k', '1')$$, $$put_many('gr', '{"k": 1}')$$, $$push('gr', 'k', '1')$$, $$touch('gr', 'k')$$,
	$$update('gr', 'k', '$1')$$, $$incr('gr', 'k')$$, $$take('gr', 'k')$$, $$invalidate('gr', 'k')$$,
	$$invalidate_like('gr', 'k')$$, $$clear('gr', 's')$$, $$refresh('gr', 'k', query => 'SELECT 1')$$,
	$$clear('gr')$$, $$reset_stats('gr')$$, $$purge('gr')$$, $$alter_cache('gr', '{"ttl": "1 h"}')$$, $$drop_cache('gr')$$,
	$$grant_cache('gr', 'public', 'read')$$, $$revoke_cache('gr', 'regress_gr_writer', 'write')$$]) AS call;
SET ROLE regress_gr_writer;
SELECT can(format('SELECT cachex.%s', call)) AS writer, call FROM unnest(ARRAY[
	$$get('gr', 'k')$$, $$get_as('gr', 'k', 1)$$, $$lookup('gr', 'k')$$, $$fetch('gr', 'k', 'SELECT 1')$$,
	$$put('gr', 'k', '1')$$, $$put_many('gr', '{"k": 1}')$$, $$push('gr', 'l', '1')$$, $$touch('gr', 'k')$$,
	$$update('gr', 'k', '$1')$$, $$incr('gr', 'k')$$, $$take('gr', 'k')$$, $$invalidate('gr', 'k')$$,
	$$invalidate_like('gr', 'k')$$, $$clear('gr', 's')$$, $$refresh('gr', 'k', query => 'SELECT 1')$$,
	$$clear('gr')$$, $$reset_stats('gr')$$, $$purge('gr')$$, $$alter_cache('gr', '{"ttl": "1 h"}')$$, $$drop_cache('gr')$$,
	$$grant_cache('gr', 'public', 'read')$$]) AS call;
RESET ROLE;
-- the error
SET ROLE regress_gr_reader;
SELECT cachex.put('gr', 'k', '1');
\set VERBOSITY default
SELECT cachex.put('gr', 'k', '1');
SELECT cachex.grant_cache('gr', 'regress_gr_reader', 'write');
\set VERBOSITY terse
RESET ROLE;

-- ---- fetch answers everybody, by the loader where it must ----

\c
\set VERBOSITY default
SELECT cachex.reset_stats('gr'), cachex.clear('gr');
-- no more than a role's own entries are at stake: a member of no grant
SET ROLE regress_gr_heir;
SELECT cachex.fetch('gr', 'f', 'SELECT 1');
SELECT cachex.fetch('gr', 'f', 'SELECT 1');
SELECT cachex.fetch('gr', 'f', 'SELECT 1', mode => 'cached');
SELECT * FROM cachex.query('SELECT 1', cache => 'gr') AS q(x int);
-- one who only reads fills nothing
\c
SET ROLE regress_gr_reader;
SELECT cachex.fetch('gr', 'f', 'SELECT 1');
SELECT cachex.fetch('gr', 'f', 'SELECT 1'), (cachex.lookup('gr', 'f')).status;
RESET ROLE;
SELECT denied, bypasses FROM cachex.stats WHERE cache = 'gr';
-- and finds what he has put while he could
SELECT cachex.grant_cache('gr', 'regress_gr_reader', 'write');
SET ROLE regress_gr_reader;
SELECT cachex.put('gr', 'p', '"put"');
RESET ROLE;
SELECT cachex.revoke_cache('gr', 'regress_gr_reader', 'write');
SET ROLE regress_gr_reader;
SELECT cachex.fetch('gr', 'p', 'SELECT 1'), cachex.get('gr', 'p');
RESET ROLE;

-- ---- everybody ----

SELECT cachex.grant_cache('gr', 'public', 'read');
SELECT readers, writers FROM cachex.caches WHERE name = 'gr';
SELECT all_rights();
SELECT cachex.revoke_cache('gr', 'public', 'read');
SELECT all_rights();
-- the built-in ones are, as long as nobody takes that away
SELECT name, readers, writers FROM cachex.caches WHERE name IN ('default', 'queries') ORDER BY name;
SELECT rights_of('regress_gr_heir', 'default'), rights_of('regress_gr_heir', 'queries');
BEGIN;
SELECT cachex.revoke_cache('default', 'public', 'write');
SELECT rights_of('regress_gr_heir', 'default');
SELECT name, readers, writers FROM cachex.caches WHERE name = 'default';
ROLLBACK;
SELECT rights_of('regress_gr_heir', 'default');

-- ---- own transaction, savepoints, rollback ----

BEGIN;
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'read');
SELECT rights_of('regress_gr_heir');
SAVEPOINT s;
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'write');
SELECT rights_of('regress_gr_heir');
ROLLBACK TO s;
SELECT rights_of('regress_gr_heir');
ROLLBACK;
SELECT rights_of('regress_gr_heir');
BEGIN;
GRANT regress_gr_reader TO regress_gr_heir;
SELECT rights_of('regress_gr_heir');
ROLLBACK;
SELECT rights_of('regress_gr_heir');

-- ---- the database's owner ----

-- drops, clears and alters, but does not read, nor have others read
SELECT current_user AS me \gset
DO $$BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_gr_dbo', current_database()); END$$;
SELECT rights_of('regress_gr_dbo');
SET ROLE regress_gr_dbo;
SELECT can(format('SELECT cachex.%s', call)) AS dbo, call FROM unnest(ARRAY[
	$$alter_cache('gr', '{"ttl": "1 h"}')$$, $$reset_stats('gr')$$, $$purge('gr')$$,
	$$alter_cache('gr', '{"shared": true}')$$, $$alter_cache('gr', '{"validate": "true"}')$$,
	$$grant_cache('gr', 'regress_gr_dbo', 'read')$$, $$revoke_cache('gr', 'regress_gr_reader', 'read')$$,
	$$create_warmer('gr', 'w', 'SELECT 1')$$]) AS call;
-- of the built-in ones he decides
SELECT can($$SELECT cachex.revoke_cache('queries', 'public', 'write')$$);
SELECT readers, writers FROM cachex.caches WHERE name = 'queries';
SELECT can($$SELECT cachex.grant_cache('queries', 'public', 'write')$$);
RESET ROLE;
DO $$BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), session_user); END$$;
-- the owner's privileges, which he needs for what is run or read as another
SET ROLE regress_gr_owner;
SELECT can($$SELECT cachex.alter_cache('gr', '{"shared": true}')$$);
SELECT shared FROM cachex.caches WHERE name = 'gr';
SELECT can($$SELECT cachex.alter_cache('gr', '{"shared": false}')$$);
RESET ROLE;

-- ---- roles that go ----

CREATE ROLE regress_gr_gone;
SELECT cachex.grant_cache('gr', 'regress_gr_gone', 'read'), cachex.grant_cache('gr', 'regress_gr_gone', 'write');
SELECT cardinality(readers), cardinality(writers) FROM cachex.caches WHERE name = 'gr';
DROP ROLE regress_gr_gone;
SELECT cardinality(readers), cardinality(writers) FROM cachex.caches WHERE name = 'gr';
SELECT all_rights();
-- the next grant forgets them, so that nobody inherits their number
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'read');
SELECT readers, writers FROM cachex.caches WHERE name = 'gr';

-- ---- arguments ----

\set VERBOSITY default
SELECT cachex.grant_cache('gr', 'regress_gr_gone', 'read');
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'select');
SELECT cachex.grant_cache('gr', NULL, 'read');
SELECT cachex.grant_cache('gr', 'regress_gr_heir', NULL);
SELECT cachex.grant_cache('nowhere', 'regress_gr_heir', 'read');
SELECT cachex.revoke_cache('nowhere', 'regress_gr_heir', 'read');
BEGIN READ ONLY;
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'read');
ROLLBACK;

-- ---- watches ----

-- Whoever makes a trigger that names a cache must be able to write to it, by
-- watch() or by hand, also on a table of his own.
DO $$BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM regress_gr_owner', current_database()); END$$;
CREATE SCHEMA regress_gr_s;
GRANT ALL ON SCHEMA regress_gr_s TO regress_gr_heir, regress_gr_writer;
SET ROLE regress_gr_heir;
CREATE TABLE regress_gr_s.t (k int);
CREATE TEMP TABLE own (k int);
SELECT cachex.watch('regress_gr_s.t', 'gr', keys => '{<k>}');
SELECT cachex.watch('regress_gr_s.t', 'gr');
SELECT cachex.watch('regress_gr_s.t', tags => '{<k>}');
SELECT cachex.watch('regress_gr_s.t', 'default', tags => '{<k>}');
SELECT cachex.watch('regress_gr_s.t', 'default', keys => '{<k>}', tags => '{}');
SELECT cachex.watch('regress_gr_s.t');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('gr', '{k}');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('', '', '{t}');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('default', '', '{t}');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('default', '', '{ }');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('', '', '');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('not yet', '{k}');
CREATE CONSTRAINT TRIGGER own AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION cachex.on_change('gr', '{k}');
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('default', '{k}', '{}');
CREATE OR REPLACE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('gr', '{k}');
CREATE TRIGGER bare BEFORE INSERT ON own EXECUTE FUNCTION cachex.on_change();
INSERT INTO own VALUES (1);
RESET ROLE;
SELECT tgname, substring(pg_get_triggerdef(oid) FROM 'on_change.*') FROM pg_trigger WHERE tgrelid = 'own'::regclass ORDER BY tgname;
-- with the privileges
SELECT cachex.grant_cache('gr', 'regress_gr_heir', 'write');
GRANT EXECUTE ON FUNCTION cachex.invalidate_tags(text[]) TO regress_gr_heir;
SET ROLE regress_gr_heir;
SELECT cachex.watch('regress_gr_s.t', 'gr', keys => '{<k>}', tags => '{<k>}');
CREATE TRIGGER by_hand AFTER INSERT ON own EXECUTE FUNCTION cachex.on_change('gr', '', '{t}');
CREATE TABLE regress_gr_s.p (k int) PARTITION BY LIST (k);
CREATE TABLE regress_gr_s.p1 PARTITION OF regress_gr_s.p FOR VALUES IN (1);
SELECT cachex.watch('regress_gr_s.p', 'gr', keys => '{<k>}');
RESET ROLE;
-- Once made it goes on without them: a load is better than old values.  So do
-- partitions that come later.
SELECT cachex.revoke_cache('gr', 'regress_gr_heir', 'write'), cachex.revoke_cache('gr', 'regress_gr_heir', 'read');
REVOKE EXECUTE ON FUNCTION cachex.invalidate_tags(text[]) FROM regress_gr_heir;
SELECT cachex.put('gr', '1', '1'), cachex.put('gr', '2', '2'), cachex.put('gr', 'tagged', '3', tags => '{3}'), cachex.put('gr', '4', '4'), cachex.put('gr', '5', '5');
SET ROLE regress_gr_heir;
CREATE TABLE regress_gr_s.p2 PARTITION OF regress_gr_s.p FOR VALUES IN (2);
CREATE TABLE regress_gr_s.p4 (k int);
ALTER TABLE regress_gr_s.p ATTACH PARTITION regress_gr_s.p4 FOR VALUES IN (4);
INSERT INTO regress_gr_s.p VALUES (1), (2);
INSERT INTO regress_gr_s.p4 VALUES (4);
INSERT INTO regress_gr_s.t VALUES (3);
-- but it is not made again
SELECT cachex.watch('regress_gr_s.p1', 'gr', keys => '{<k>}');
RESET ROLE;
SELECT cachex.get('gr', '1'), cachex.get('gr', '2'), cachex.get('gr', 'tagged'), cachex.get('gr', '4'), cachex.get('gr', '5');
-- who needs no cache: a dump may be restored before there is one
CREATE TRIGGER early AFTER INSERT ON regress_gr_s.t EXECUTE FUNCTION cachex.on_change('not yet', '{k}');

-- Rows are put for as long as the table's owner may write to the cache, also if
-- that is another one that somebody else has made under the name.
DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_gr_owner', current_database()); END$$;
SET ROLE regress_gr_owner;
SELECT cachex.create_cache('prices', consistency => 'ttl');
SELECT cachex.grant_cache('prices', 'regress_gr_heir', 'write');
RESET ROLE;
CREATE TABLE regress_gr_s.price (k int, v text);
CREATE TABLE regress_gr_s.prices (k int, v text) PARTITION BY LIST (k);
CREATE TABLE regress_gr_s.prices1 PARTITION OF regress_gr_s.prices FOR VALUES IN (11);
CREATE TABLE regress_gr_s.prices2 PARTITION OF regress_gr_s.prices FOR VALUES IN (12);
ALTER TABLE regress_gr_s.price OWNER TO regress_gr_heir;
ALTER TABLE regress_gr_s.prices OWNER TO regress_gr_heir;
ALTER TABLE regress_gr_s.prices1 OWNER TO regress_gr_heir;
ALTER TABLE regress_gr_s.prices2 OWNER TO regress_gr_heir;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA regress_gr_s TO regress_gr_writer, regress_gr_reader, regress_gr_heir;
GRANT USAGE ON SCHEMA regress_gr_s TO PUBLIC;
SET ROLE regress_gr_heir;
SELECT cachex.watch('regress_gr_s.price', 'prices', keys => '{<k>}', action => 'put');
SELECT cachex.watch('regress_gr_s.prices', 'prices', keys => '{<k>}', action => 'put');
RESET ROLE;
ALTER TABLE regress_gr_s.prices2 OWNER TO regress_gr_writer;
CREATE FUNCTION put_rows(what text) RETURNS text LANGUAGE plpgsql SET ROLE = regress_gr_heir AS $$
BEGIN
	INSERT INTO regress_gr_s.price VALUES (1, what), (2, what);
	INSERT INTO regress_gr_s.prices VALUES (11, what), (12, what);
	RETURN 'put';
END $$;
CREATE FUNCTION prices() RETURNS text LANGUAGE sql SET ROLE = regress_gr_reader AS $$
	SELECT string_agg(coalesce(cachex.get('prices', k) #>> '{v}', 'none'), ' ' ORDER BY i)
	FROM unnest('{1,2,11,12}'::text[]) WITH ORDINALITY AS u (k, i)
$$;
SET ROLE regress_gr_owner;
SELECT cachex.drop_cache('prices');
SELECT cachex.create_cache('prices', consistency => 'ttl', shared => true);
SELECT cachex.grant_cache('prices', 'regress_gr_reader', 'read');
SELECT count(cachex.put('prices', k, '{"v": "old"}')) FROM unnest('{1,2,11,12}'::text[]) AS k;
RESET ROLE;
SELECT prices();
SELECT put_rows('of another cache');
SELECT prices();
-- the partition's owner did not ask for it
SELECT cachex.grant_cache('prices', 'regress_gr_writer', 'write');
SELECT put_rows('of another cache');
SELECT prices();
SELECT cachex.revoke_cache('prices', 'regress_gr_writer', 'write'), cachex.grant_cache('prices', 'regress_gr_heir', 'write');
SELECT put_rows('granted');
SELECT prices();
SELECT cachex.revoke_cache('prices', 'regress_gr_heir', 'write'), cachex.grant_cache('prices', 'regress_gr_group', 'write');
SELECT put_rows('as a member');
SELECT prices();
SELECT cachex.revoke_cache('prices', 'regress_gr_group', 'write'), cachex.grant_cache('prices', 'public', 'write');
SELECT put_rows('everybody');
SELECT prices();
SELECT cachex.revoke_cache('prices', 'public', 'write');
SELECT put_rows('taken back');
SELECT prices();
ALTER TABLE regress_gr_s.price OWNER TO regress_gr_owner;
GRANT INSERT ON regress_gr_s.price TO regress_gr_heir;
SELECT put_rows('of the owner');
SELECT prices();
SELECT cachex.drop_cache('prices');
DROP FUNCTION put_rows, prices;
DO $$BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_gr_owner', current_database()); END$$;

DROP TABLE own;
DROP SCHEMA regress_gr_s CASCADE;
DO $$
BEGIN
	FOR i IN 1 .. 1200 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM cachex.jobs WHERE status IN ('pending', 'running'));
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
SELECT cachex.drop_cache('gr');
-- what was altered is as built in; its row stays
DELETE FROM cachex.cache_definition WHERE name IN ('default', 'queries');
DROP FUNCTION can, rights, rights_of, all_rights;
DROP ROLE regress_gr_owner, regress_gr_reader, regress_gr_writer, regress_gr_group, regress_gr_heir, regress_gr_aloof, regress_gr_dbo;
