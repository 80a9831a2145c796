-- Scopes: parts of the identity; and scoped_by, which has a setting of the
-- application say the scope of each call.

-- The same key in scopes, and in none, is as many entries.
SELECT cachex.create_cache('sc', consistency => 'ttl');
SELECT count(cachex.put('sc', 'k', to_jsonb(s), scope => s)) FROM unnest(ARRAY['a', 'b', 'A', ' a', 'ab', NULL]) AS s;
SELECT s, cachex.get('sc', 'k', scope => s) FROM unnest(ARRAY['a', 'b', 'A', ' a', 'ab', NULL, 'a ', 'bb']) AS s;
-- what one writes is not glued to the other
SELECT cachex.put('sc', 'bc', '"a, bc"', scope => 'a'), cachex.get('sc', 'c', scope => 'ab'), cachex.get('sc', 'abc');
SELECT cachex.put('sc', 'k', '"again"', scope => 'a'), cachex.take('sc', 'k', scope => 'b');
SELECT s, cachex.get('sc', 'k', scope => s) FROM unnest(ARRAY['a', 'b', 'A', NULL]) AS s;
-- a key in one scope, a scope, a key in all of them
SELECT cachex.invalidate('sc', 'k', scope => 'A');
SELECT s, cachex.get('sc', 'k', scope => s) FROM unnest(ARRAY['a', 'A', 'ab', NULL]) AS s;
SELECT cachex.clear('sc', scope => 'a');
SELECT s, cachex.get('sc', 'k', scope => s), cachex.get('sc', 'bc', scope => s) FROM unnest(ARRAY['a', 'ab', NULL]) AS s;
SELECT cachex.invalidate('sc', 'k');
SELECT count(cachex.get('sc', 'k', scope => s)) FROM unnest(ARRAY['a', 'b', 'A', ' a', 'ab', NULL]) AS s;

-- A scope is cleared by one number that moves, however many entries it has:
-- nothing is looked at, and memory comes back when it is needed.
SELECT count(*) FROM generate_series(1, 100000) AS i WHERE cachex.put('sc', 'k' || i, '1', scope => 'large');
SELECT count(*) FROM generate_series(1, 1000) AS i WHERE cachex.put('sc', 'k' || i, '1', scope => 'small');
-- Generations that a clear draws; others may draw some at the same time.
CREATE PROCEDURE clear_scope(scope text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	least bigint;
BEGIN
	FOR i IN 1..5 LOOP
		before := (cachex.lookup('sc', 'nobody')).version;
		PERFORM cachex.clear('sc', scope => scope);
		COMMIT;
		least := least(least, (cachex.lookup('sc', 'nobody')).version - before);
	END LOOP;
	RAISE INFO 'generations: %', least;
END $$;
SELECT entries, evicted, cleared, expired, invalidated FROM cachex.stats WHERE cache = 'sc';
CALL clear_scope('large');
SELECT entries, evicted, cleared, expired, invalidated FROM cachex.stats WHERE cache = 'sc';
SELECT status, count(*) FROM cachex.entries('sc') WHERE scope = 'large' GROUP BY 1;
SELECT count(cachex.get('sc', 'k' || i, scope => 'large')), count(cachex.get('sc', 'k' || i, scope => 'small')) FROM generate_series(1, 1000) AS i;
CALL clear_scope('small');
SELECT cachex.put('sc', 'k1', '"new"', scope => 'large'), cachex.get('sc', 'k1', scope => 'large'), cachex.get('sc', 'k2', scope => 'large');
SELECT cachex.clear('sc');

-- ---- scoped_by ----

SELECT cachex.create_cache('sb', consistency => 'ttl', options => '{"scoped_by": "app.user_id"}');
SELECT cachex.create_cache('sq', consistency => 'ttl', options => '{"scoped_by": "app.user_id"}');
SELECT scoped_by FROM cachex.caches WHERE name = 'sb';
CREATE FUNCTION try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	EXECUTE 'SELECT ' || call INTO result;
	RETURN 'ok: ' || coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || coalesce(' ' || nullif(hint, ''), '');
END $$;

-- Every function that takes a scope.
CREATE TABLE calls (n int, call text);
INSERT INTO calls VALUES
	(1, $$cachex.put('sb', 'k', '"mine"'%s)$$),
	(2, $$cachex.get('sb', 'k'%s)$$),
	(3, $$cachex.get_as('sb', 'k', NULL::jsonb%s)$$),
	(4, $$status FROM cachex.lookup('sb', 'k'%s)$$),
	(5, $$cachex.fetch('sb', 'f', 'SELECT current_setting(''app.user_id'')'%s)$$),
	(6, $$cachex.fetch_as('sb', 'fa', 'none'::text, 'SELECT current_setting(''app.user_id'')'%s)$$),
	(7, $$string_agg(key || '=' || value::text, ',') FROM cachex.fetch_many('sb', '{x,y}', 'SELECT k AS key, current_setting(''app.user_id'') AS value FROM unnest($1) AS k'%s)$$),
	(8, $$cachex.put_many('sb', '{"m1": 1, "m2": 2}'%s)$$),
	(9, $$cachex.update('sb', 'k', '$1 || ''[1]'''%s)$$),
	(10, $$cachex.push('sb', 'list', '1'%s)$$),
	(11, $$cachex.incr('sb', 'count'%s)$$),
	(12, $$cachex.touch('sb', 'k', ttl => '1 hour'%s)$$),
	(13, $$cachex.take('sb', 'count'%s)$$),
	(14, $$cachex.refresh('sb', 'r', wait => true, query => 'SELECT 1'%s)$$),
	(15, $$cachex.invalidate('sb', 'm1'%s)$$),
	(16, $$cachex.clear('sb'%s)$$);
CREATE FUNCTION try_all(scope text) RETURNS TABLE (n int, result text) LANGUAGE sql AS $$
	SELECT n, try(format(call, CASE WHEN scope IS NOT NULL THEN ', scope => ' || quote_nullable(scope) ELSE '' END))
	FROM calls WHERE scope IS NOT NULL OR n < 16 ORDER BY n
$$;
-- not set, or set to nothing
SELECT DISTINCT result FROM try_all(NULL);
SELECT DISTINCT result FROM try_all('7');
SET app.user_id = '';
SELECT DISTINCT result FROM try_all(NULL);
SELECT DISTINCT result FROM try_all('7');
-- its own scope, which can be left out
SET app.user_id = '7';
SELECT * FROM try_all(NULL);
SELECT scope, key FROM cachex.entries('sb') WHERE status = 'hit' ORDER BY key;
SELECT * FROM try_all('7');
SELECT count(*) FROM cachex.entries('sb') WHERE status = 'hit';
-- Loaders fill it, each for itself, and are not run again.
SELECT hits AS hits, loads AS loads FROM cachex.stats WHERE cache = 'sb' \gset
SELECT format('SET app.user_id = %L', u) || E';\n' || format('SELECT ' || call, '')
FROM unnest(ARRAY['7', '8', '7', '8']) WITH ORDINALITY AS u (u, i), calls WHERE n IN (5, 6, 7) ORDER BY i, n \gexec
SELECT hits - :hits AS hits, loads - :loads AS loads FROM cachex.stats WHERE cache = 'sb';
SELECT scope, string_agg(key, ',' ORDER BY key) FROM cachex.entries('sb') WHERE status = 'hit' GROUP BY 1 ORDER BY 1;
SET app.user_id = '7';
-- another one, also a part of it, or longer
SELECT cachex.put('sb', 'k', '"mine"');
SELECT DISTINCT result FROM try_all('8');
SELECT DISTINCT result FROM try_all('77');
SELECT DISTINCT result FROM try_all('');
SET app.user_id = '77';
SELECT DISTINCT result FROM try_all('7');
SELECT cachex.get('sb', 'k');
SELECT * FROM try_all('77') WHERE n < 9;
SET app.user_id = '7';
SELECT cachex.get('sb', 'k'), cachex.get('sb', 'f');
-- too long to be one
SELECT set_config('app.user_id', repeat('x', 255), false) IS NOT NULL, try($$cachex.put('sb', 'k', '"long"')$$), try($$cachex.get('sb', 'k')$$);
SELECT set_config('app.user_id', repeat('x', 256), false) IS NOT NULL, try($$cachex.get('sb', 'k')$$);
SELECT set_config('app.user_id', repeat('x', 254), false) IS NOT NULL, try($$cachex.get('sb', 'k')$$);

-- query and query_as have no scope to be given: it is the setting's.
RESET app.user_id;
SELECT try($$count(*) FROM cachex.query('SELECT 1', cache => 'sq') AS q(i int)$$);
SELECT try($$count(*) FROM cachex.query_as(NULL::int, 'SELECT 1', cache => 'sq')$$);
CREATE TABLE notes (user_id text, note text);
INSERT INTO notes VALUES ('7', 'of seven'), ('8', 'of eight');
CREATE FUNCTION mine(OUT notes text, OUT again text) LANGUAGE sql AS $$
	SELECT (SELECT string_agg(n, ',') FROM cachex.query('SELECT note FROM notes WHERE user_id = current_setting(''app.user_id'')', cache => 'sq') AS q(n text)),
		(SELECT string_agg(n, ',') FROM cachex.query_as(NULL::text, 'SELECT note FROM notes WHERE user_id = current_setting(''app.user_id'')', cache => 'sq') AS n)
$$;
SET app.user_id = '7';
SELECT * FROM mine();
SET app.user_id = '8';
SELECT * FROM mine();
SET app.user_id = '7';
UPDATE notes SET note = 'changed';
SELECT * FROM mine();
SELECT scope, count(*) FROM cachex.entries('sq') GROUP BY 1 ORDER BY 1;

-- The setting that holds at the call counts: local ones, and those that are
-- taken back.
SET app.user_id = '7';
BEGIN;
SET LOCAL app.user_id = '8';
SELECT cachex.put('sb', 'own', '8');
SAVEPOINT s;
SET LOCAL app.user_id = '9';
SELECT cachex.put('sb', 'own', '9'), cachex.get('sb', 'own');
SAVEPOINT t;
SELECT set_config('app.user_id', '10', true), cachex.get('sb', 'own');
ROLLBACK TO t;
SELECT cachex.get('sb', 'own');
RELEASE s;
SELECT cachex.get('sb', 'own');
COMMIT;
SELECT cachex.get('sb', 'own');
SELECT u, set_config('app.user_id', u, false) = u, cachex.get('sb', 'own') FROM unnest(ARRAY['8', '9', '10', '7']) AS u;
BEGIN;
SAVEPOINT s;
SET LOCAL app.user_id = '9';
SELECT cachex.put('sb', 'own', '"gone"');
ROLLBACK TO s;
SELECT cachex.get('sb', 'own');
SELECT cachex.put('sb', 'own', '7');
SET app.user_id = '8';
SELECT cachex.put('sb', 'own', '"gone too"');
ROLLBACK;
SELECT current_setting('app.user_id'), u, set_config('app.user_id', u, false) = u, cachex.get('sb', 'own') FROM unnest(ARRAY['8', '9', '7']) AS u;
-- in a function with a setting of its own, and in a loader that changes it
CREATE FUNCTION as_nine(OUT own jsonb) LANGUAGE plpgsql SET app.user_id = '9' AS $$ BEGIN own := cachex.get('sb', 'own'); END $$;
SELECT as_nine(), cachex.get('sb', 'own');
CREATE FUNCTION to_nine() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.user_id', '9', false) $$;
SELECT cachex.fetch('sb', 'moved', 'SELECT to_nine() AS value');
SELECT current_setting('app.user_id'), cachex.get('sb', 'moved');
SET app.user_id = '7';
SELECT cachex.get('sb', 'moved');
-- prepared statements ask anew
PREPARE own AS SELECT cachex.get('sb', 'own');
EXECUTE own;
SET app.user_id = '9';
EXECUTE own;
SET plan_cache_mode = force_generic_plan;
SET app.user_id = '8';
EXECUTE own;
RESET plan_cache_mode;
DEALLOCATE own;

-- Without a scope, invalidate() reaches the own one only; patterns and tags
-- know none.
SET app.user_id = '9';
SELECT cachex.invalidate('sb', 'own');
SELECT u, set_config('app.user_id', u, false) = u, cachex.get('sb', 'own') FROM unnest(ARRAY['9', '8']) AS u;
-- Entries of the scope that is set are shown, to the owner all.
CREATE ROLE regress_scopes;
GRANT SELECT ON notes, calls TO regress_scopes;
SELECT cachex.grant_cache('sb', 'regress_scopes', 'read'), cachex.grant_cache('sb', 'regress_scopes', 'write');
SET ROLE regress_scopes;
SELECT u, set_config('app.user_id', u, false) = u, cachex.put('sb', 'role''s', to_jsonb(u)) FROM unnest(ARRAY['1', '2']) AS u;
SELECT scope, key FROM cachex.entries('sb') ORDER BY 1, 2;
SELECT cachex.invalidate_like('sb', 'role%');
SELECT u, set_config('app.user_id', u, false) = u, cachex.get('sb', 'role''s') FROM unnest(ARRAY['1', '2']) AS u;
RESET app.user_id;
SELECT count(*) FROM cachex.entries('sb');
SELECT try($$cachex.get('sb', 'own')$$), try($$cachex.clear('sb')$$), try($$cachex.clear('sb', scope => '8')$$);
RESET ROLE;
SELECT count(DISTINCT scope) > 3 AS all_scopes FROM cachex.entries('sb');
-- So are jobs, and what they say of an error.
SET ROLE regress_scopes;
SET app.user_id = '7';
SELECT cachex.refresh('sb', 'secret', query => 'SELECT (''of seven'' || $1)::int', params => '{!}', max_attempts => 1) AS job \gset
RESET ROLE;
SELECT cx_wait('(SELECT status = ''failed'' FROM cachex.job WHERE id = ' || :job || ')');
SELECT scope, key, last_error FROM cachex.jobs WHERE id = :job;
RESET app.user_id;
SELECT scope, key, last_error FROM cachex.jobs WHERE id = :job;
SET ROLE regress_scopes;
SELECT scope, key, last_error FROM cachex.jobs WHERE id = :job;
SET app.user_id = '8';
SELECT scope, key, last_error FROM cachex.jobs WHERE id = :job;
BEGIN;
SELECT cachex.refresh('sb', 'own', query => 'SELECT 1') > 0 AS asked;
SELECT scope, key, status FROM cachex.jobs WHERE cache = 'sb';
SET app.user_id = '7';
SELECT scope, key, status FROM cachex.jobs WHERE cache = 'sb';
ROLLBACK;
SET app.user_id = '7';
SELECT scope, key, last_error FROM cachex.jobs WHERE id = :job;
RESET ROLE;
RESET app.user_id;

-- alter_cache to it and from it: entries stay where they are, and are found
-- by who asks for their scope.
SELECT cachex.put('sc', 'k', '"none"'), cachex.put('sc', 'k', '"seven"', scope => '7'), cachex.put('sc', 'k', '"eight"', scope => '8');
SELECT try($$cachex.alter_cache('sc', '{"scoped_by": "no_dot"}')$$);
BEGIN;
SELECT cachex.alter_cache('sc', '{"scoped_by": "app.user_id"}');
SELECT try($$cachex.get('sc', 'k')$$);
ROLLBACK;
SELECT cachex.get('sc', 'k');
SELECT cachex.alter_cache('sc', '{"scoped_by": "app.user_id"}');
SELECT try($$cachex.get('sc', 'k')$$);
SET app.user_id = '7';
SELECT cachex.get('sc', 'k'), try($$cachex.get('sc', 'k', scope => '8')$$);
SELECT cachex.alter_cache('sc', '{"scoped_by": "app.other"}');
SELECT try($$cachex.get('sc', 'k')$$);
SET app.other = '8';
SELECT cachex.get('sc', 'k');
SELECT cachex.alter_cache('sc', '{"scoped_by": null}');
SELECT cachex.get('sc', 'k'), cachex.get('sc', 'k', scope => '8');
RESET app.user_id;
SELECT cachex.get('sc', 'k', scope => '7');

-- Staleness, an exact cache, a cache in a table: the same.
SELECT cachex.create_cache('se', options => '{"scoped_by": "app.user_id"}');
SELECT cachex.create_cache('st', consistency => 'ttl', persist => 'table', options => '{"scoped_by": "app.user_id"}');
SELECT cachex.watch('notes');
CREATE FUNCTION three(u text, OUT exact jsonb, OUT again jsonb, OUT stored jsonb, OUT hits bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('app.user_id', u, true);
	exact := cachex.fetch('se', 'k', 'SELECT note FROM notes WHERE user_id = current_setting(''app.user_id'')');
	again := cachex.fetch('se', 'k', 'SELECT note FROM notes WHERE user_id = current_setting(''app.user_id'')');
	stored := cachex.get('st', 'k');
	hits := (SELECT stats.hits FROM cachex.stats WHERE cache = 'se');
END $$;
SELECT set_config('app.user_id', u, false) = u, cachex.put('st', 'k', to_jsonb('stored for ' || u)) FROM unnest(ARRAY['7', '8']) AS u;
UPDATE notes SET note = 'of ' || user_id;
SELECT u, t.* FROM unnest(ARRAY['7', '8', '7']) AS u, three(u) AS t;
SELECT cachex.clear('st', scope => '8');
SELECT u, t.stored FROM unnest(ARRAY['7', '8', '7']) AS u, three(u) AS t;
SELECT try($$cachex.clear('st', scope => '7')$$);

SELECT count(cachex.drop_cache(c)) FROM unnest(ARRAY['sc', 'sb', 'sq', 'se', 'st']) AS c;
DROP PROCEDURE clear_scope;
DROP FUNCTION try, try_all, mine, as_nine, to_nine, three;
DROP TABLE calls, notes;
DROP ROLE regress_scopes;
RESET app.user_id;
RESET app.other;
SELECT cx_check();
