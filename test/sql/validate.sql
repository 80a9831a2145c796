-- The condition that a cache's values must meet: a put of another is an error,
-- a fetch returns it and does not keep it.
SELECT cachex.create_cache('va', consistency => 'ttl', options => '{"validate": "$1 ? ''a''"}');
DO $$BEGIN PERFORM cachex.grant_cache('va', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SELECT validate FROM cachex.caches WHERE name = 'va';
SELECT cachex.create_cache('free', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('free', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
CREATE TABLE src (id int PRIMARY KEY, v jsonb);
INSERT INTO src VALUES (1, '{"a": 1}');

CREATE FUNCTION counted(statement text, cache text DEFAULT 'va')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := cx_counts(cache);
	result text;
BEGIN
	BEGIN
		EXECUTE statement INTO result;
	EXCEPTION WHEN OTHERS THEN
		result := SQLSTATE || ' ' || SQLERRM;
	END;
	RETURN coalesce(result, 'NULL') || ' (' || coalesce((
		SELECT string_agg(name || ' ' || (a.value::numeric - b.value::numeric), ', ' ORDER BY name)
		FROM jsonb_each_text(before) AS b (name, value)
		JOIN jsonb_each_text(cx_counts(cache)) AS a (name, value) USING (name)
		WHERE name IN ('hits', 'stale_hits', 'negative_hits', 'misses', 'loads', 'load_errors',
				'refreshes', 'fills', 'puts', 'refused_invalid')
			AND a.value <> b.value), 'nothing') || ')';
END $$;

-- ---- by hand ----

SELECT counted($$SELECT cachex.put('va', 'k', '{"a": 1}')$$);
SELECT counted($$SELECT cachex.put('va', 'k', '{"b": 1}')$$);
SELECT cachex.put('va', 'k', '17');
SELECT cachex.get('va', 'k');
-- nothing is not asked for, a JSON null is
SELECT cachex.put('va', 'nothing', NULL), (cachex.lookup('va', 'nothing')).status;
SELECT cachex.put('va', 'null', 'null');
-- one of many: none
SELECT cachex.put_many('va', '{"m1": {"a": 1}, "m2": {"b": 1}, "m3": {"a": 1}}');
SELECT cachex.get('va', key) FROM unnest('{m1,m2,m3}'::text[]) AS key;
SELECT cachex.put_many('va', '{"m1": {"a": 1}, "m2": {"a": 2}}');
SELECT cachex.get('va', key) FROM unnest('{m1,m2,m3}'::text[]) AS key;
SELECT cachex.update('va', 'k', '$1 || ''{"b": 2}''');
SELECT cachex.update('va', 'k', '$1 - ''a''');
SELECT cachex.update('va', 'new', '$1', initial => '{"b": 1}');
SELECT cachex.incr('va', 'new');
SELECT cachex.push('va', 'new', '1');
SELECT cachex.push('va', 'new', '"a"');
SELECT cachex.put('va', 'new', '{}', only_if => 'absent');
SELECT cachex.get('va', 'k'), cachex.get('va', 'new');
-- the transaction ends with it, or its savepoint
BEGIN;
SELECT cachex.put('va', 'k', '{"a": "first"}');
SAVEPOINT s;
SELECT cachex.put('va', 'k', '{}');
ROLLBACK TO s;
SELECT cachex.get('va', 'k');
COMMIT;
SELECT cachex.get('va', 'k');
-- a watch that puts rows: so does a row that does not meet it
CREATE TABLE watched (id int PRIMARY KEY, a int, b int);
SELECT cachex.watch('watched', 'va', keys => '{w<id>}', action => 'put');
INSERT INTO watched VALUES (1, 1, 1);
SELECT cachex.get('va', 'w1');
SELECT cachex.alter_cache('va', '{"validate": "($1 ->> ''a'')::int > 0"}');
UPDATE watched SET a = 0;
SELECT cachex.get('va', 'w1'), a FROM watched;
DROP TABLE watched;
SELECT cachex.alter_cache('va', '{"validate": "$1 ? ''a''"}');

-- ---- loaders ----

SELECT counted($$SELECT cachex.fetch('va', 'f', 'SELECT v FROM src')$$);
SELECT counted($$SELECT cachex.fetch('va', 'f', 'SELECT v FROM src')$$);
UPDATE src SET v = '{"b": 1}';
SELECT counted($$SELECT cachex.fetch('va', 'f', 'SELECT v FROM src', mode => 'refresh')$$);
-- what was there stays
SELECT counted($$SELECT cachex.get('va', 'f')$$);
SELECT counted($$SELECT cachex.fetch('va', 'f2', 'SELECT v FROM src')$$);
SELECT counted($$SELECT cachex.fetch('va', 'f2', 'SELECT v FROM src')$$);
SELECT counted($$SELECT cachex.fetch('va', 'f3', 'SELECT v FROM src WHERE id = 2')$$);
SELECT counted($$SELECT cachex.fetch('va', 'f3', 'SELECT v FROM src WHERE id = 2')$$);
SELECT counted($$SELECT string_agg(key || value, ' ' ORDER BY key) FROM cachex.fetch_many('va', '{a,b}',
	$q$SELECT k AS key, jsonb_build_object(k, 1) AS value FROM unnest($1) AS k$q$)$$);
SELECT cachex.get('va', 'a'), cachex.get('va', 'b');
-- values that are no jsonb are not asked
SELECT counted($$SELECT cachex.fetch_as('va', 'typed', 0, 'SELECT 17')$$);
SELECT counted($$SELECT cachex.fetch_as('va', 'typed', 0, 'SELECT 17')$$);
SELECT counted($$SELECT t.n FROM cachex.query('SELECT 17', cache => 'va') AS t(n int)$$);
SELECT counted($$SELECT t.n FROM cachex.query('SELECT 17', cache => 'va') AS t(n int)$$);
-- a stale value stays as long as what comes after it is none
SELECT cachex.alter_cache('va', '{"stale_for": "1 hour"}');
UPDATE src SET v = '{"a": 2}';
SELECT cachex.fetch('va', 's', 'SELECT v FROM src', ttl => '1 us');
UPDATE src SET v = '{"b": 2}';
SELECT counted($$SELECT cachex.fetch('va', 's', 'SELECT v FROM src', mode => 'refresh')$$);
SELECT counted($$SELECT cachex.get('va', 's')$$);

-- An error of the condition: that of who puts, not that of who fetches.
SELECT cachex.alter_cache('va', '{"validate": "1 / ($1 ->> ''a'')::int > 0"}');
SELECT counted($$SELECT cachex.put('va', 'e', '{"a": 1}')$$);
SELECT counted($$SELECT cachex.put('va', 'e', '{"a": 0}')$$);
SELECT counted($$SELECT cachex.put('va', 'e', '{"a": "x"}')$$);
SELECT counted($$SELECT cachex.put('va', 'e', '{}')$$);
UPDATE src SET v = '{"a": 0}';
SELECT counted($$SELECT cachex.fetch('va', 'e2', 'SELECT v FROM src')$$);
SELECT counted($$SELECT cachex.fetch('va', 'e2', 'SELECT v FROM src')$$);
BEGIN;
SELECT cachex.fetch('va', 'e2', 'SELECT v FROM src');
SELECT 'still there' AS transaction;
COMMIT;
-- a cancel is
SELECT cachex.alter_cache('va', '{"validate": "(SELECT true FROM pg_sleep(100))"}');
SET statement_timeout = '100 ms';
SELECT cachex.fetch('va', 'e3', 'SELECT v FROM src');
RESET statement_timeout;
SELECT cachex.alter_cache('va', '{"validate": null}');
SELECT counted($$SELECT cachex.put('va', 'e', '{}')$$);

-- ---- the definition ----

\set VERBOSITY sqlstate
SELECT cachex.create_cache('bad', options => '{"validate": "$1 ?"}');
SELECT cachex.create_cache('bad', options => '{"validate": ""}');
SELECT cachex.create_cache('bad', options => '{"validate": "true; DROP TABLE src"}');
SELECT cachex.create_cache('bad', options => '{"validate": "no_such_function($1)"}');
SELECT cachex.create_cache('bad', options => '{"validate": "17"}');
SELECT cachex.create_cache('bad', options => '{"validate": "$1"}');
SELECT cachex.alter_cache('va', '{"validate": "$1 ?"}');
SELECT cachex.alter_cache('va', '{"validate": "true, true"}');
\set VERBOSITY default
SELECT count(*) FROM cachex.caches WHERE name = 'bad';
SELECT validate FROM cachex.caches WHERE name = 'va';
SELECT cachex.alter_cache('va', '{"validate": "true -- or so"}');
SELECT cachex.put('va', 'comment', '1');
-- NULL is not true
SELECT cachex.alter_cache('va', '{"validate": "$1 -> ''a'' = ''1''"}');
SELECT cachex.put('va', 'unknown', '{}');

-- ---- who runs it ----

-- The owner of the cache, with names of the system only: a function in the
-- caller's way is not called.
CREATE ROLE regress_validate_owner;
CREATE ROLE regress_validate_user;
DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_validate_owner', current_database()); END$$;
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE SCHEMA own;
GRANT USAGE ON SCHEMA own TO regress_validate_owner;
CREATE FUNCTION hostile.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'hostile, as %', current_user;
END $$;
CREATE FUNCTION hostile.yes(jsonb, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR hostile.? (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = hostile.yes);
CREATE FUNCTION own.is_good(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'asked as %, path %', current_user, current_setting('search_path');
	RETURN jsonb_typeof($1) = 'object' AND $1 ? 'a';
END $$;
SET ROLE regress_validate_owner;
SET search_path = hostile, pg_catalog;
SELECT cachex.create_cache('owned', consistency => 'ttl', options => '{"validate": "jsonb_typeof($1) = ''object'' AND $1 ? ''a'' AND own.is_good($1)"}');
DO $$BEGIN PERFORM cachex.grant_cache('owned', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SET ROLE regress_validate_user;
SELECT jsonb_typeof('1');
SELECT cachex.put('owned', 'k', '{"a": 1}');
SELECT cachex.put('owned', 'k', '{"b": 1}');
SELECT cachex.put('owned', 'k', '[]');
SELECT cachex.fetch('owned', 'f', $$SELECT '{"a": 1}'::jsonb$$);
SELECT cachex.fetch('owned', 'f2', $$SELECT '{"b": 1}'::jsonb$$);
SELECT cachex.get('owned', 'f'), cachex.get('owned', 'f2');
-- afterwards it is the caller again, after an error too
SELECT current_user, current_setting('search_path');
BEGIN;
SAVEPOINT s;
SELECT cachex.put('owned', 'k', '[]');
ROLLBACK TO s;
SELECT current_user, current_setting('search_path');
COMMIT;
RESET search_path;
RESET ROLE;
-- It cannot become somebody else, nor write.
CREATE TABLE own.written (n int);
GRANT ALL ON own.written TO regress_validate_owner;
CREATE FUNCTION own.set_role(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SET ROLE ' || ($1 ->> 'role');
	RETURN true;
END $$;
CREATE FUNCTION own.write(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO own.written VALUES (1);
	RETURN true;
END $$;
SELECT cachex.alter_cache('owned', '{"validate": "own.set_role($1)"}');
SELECT cachex.put('owned', 'k', '{"role": "regress_validate_user"}');
SELECT cachex.fetch('owned', 'k3', $$SELECT '{"role": "regress_validate_user"}'::jsonb$$);
SELECT current_user = session_user AS unchanged;
SELECT cachex.alter_cache('owned', '{"validate": "own.write($1)"}');
SELECT cachex.put('owned', 'k', '{}');
SELECT count(*) FROM own.written;
-- A function of it that is gone: nothing is kept.
SELECT cachex.alter_cache('owned', '{"validate": "own.is_good($1)"}');
DROP FUNCTION own.is_good;
SELECT cachex.put('owned', 'k', '{"a": 1}');
SELECT counted($$SELECT cachex.fetch('owned', 'k4', $q$SELECT '{"a": 1}'::jsonb$q$)$$, 'owned');

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches WHERE name IN ('va', 'free', 'owned');
DROP FUNCTION counted;
DROP TABLE src;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA hostile, own CASCADE;
RESET client_min_messages;
DO $$BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_validate_owner', current_database()); END$$;
DROP ROLE regress_validate_owner, regress_validate_user;
