-- fetch and fetch_as: get it from the cache, or compute it and keep it.
SELECT cachex.create_cache('f', consistency => 'ttl');

CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, NULL);
CREATE FUNCTION count_of(counter text, cache text DEFAULT 'f') RETURNS bigint
LANGUAGE sql AS $$
	SELECT (to_jsonb(s)->>counter)::bigint FROM cachex.stats AS s WHERE s.cache = $2
$$;

-- Once loaded, it is not loaded again, whatever happens to the table.
SELECT cachex.fetch('f', 'name', 'SELECT name FROM items WHERE id = $1', '{1}');
UPDATE items SET name = 'uno' WHERE id = 1;
SELECT cachex.fetch('f', 'name', 'SELECT name FROM items WHERE id = $1', '{1}');
SELECT cachex.invalidate('f', 'name');
SELECT cachex.fetch('f', 'name', 'SELECT name FROM items WHERE id = $1', '{1}');
SELECT count_of('loads'), count_of('fills'), count_of('hits'), count_of('misses');
SELECT cachex.get('f', 'name'), cachex.get_as('f', 'name', NULL::jsonb);

-- The value: the column of that name, else the only one, else the row.
SELECT cachex.fetch('f', 'v1', 'SELECT 1');
SELECT cachex.fetch('f', 'v2', 'SELECT 1 AS a, 2 AS value, 3 AS b');
SELECT cachex.fetch('f', 'v3', 'SELECT * FROM items WHERE id = 2');
SELECT cachex.fetch('f', 'v4', 'TABLE items ORDER BY id LIMIT 1 OFFSET 1');
SELECT cachex.fetch('f', 'v5', 'VALUES (1, ''a'')');
SELECT cachex.fetch('f', 'v6', 'WITH i AS (SELECT * FROM items) SELECT jsonb_object_agg(id, name ORDER BY id) FROM i');
SELECT cachex.fetch('f', 'v7', 'SELECT items FROM items WHERE id = 2');
SELECT cachex.fetch('f', 'v8', 'SELECT 1 AS a, NULL AS b, ''{"c": null}''::jsonb AS c');
-- no row and NULL are the same, and are kept; a JSON null is a value
SELECT cachex.fetch('f', 'n1', 'SELECT name FROM items WHERE id = 0') IS NULL;
SELECT cachex.fetch('f', 'n2', 'SELECT name FROM items WHERE id = 3') IS NULL;
SELECT cachex.fetch('f', 'n3', 'SELECT ''null''::jsonb') IS NULL;
SELECT cachex.fetch('f', 'n4', 'SELECT * FROM items WHERE false') IS NULL;
SELECT key, status, value FROM unnest('{n1,n2,n3,n4}'::text[]) AS k, cachex.lookup('f', k);
SELECT cachex.fetch('f', 'n1', 'SELECT name FROM items WHERE id = 0') IS NULL;
SELECT count_of('negative_hits');

-- Columns that say how to keep it win over the arguments.
CREATE FUNCTION kept(key text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', status, value, expires_at - created_at, tags)
	FROM cachex.lookup('f', key)
$$;
SELECT cachex.fetch('f', 'c1', 'SELECT 1 AS value, interval ''5 min'' AS ttl', ttl => '1 s');
SELECT kept('c1');
SELECT cachex.fetch('f', 'c2', 'SELECT 1 AS value, ''{x,y}''::text[] AS tags', tags => '{z}');
SELECT kept('c2');
SELECT cachex.fetch('f', 'c3', 'SELECT 1 AS value, timestamptz ''infinity'' AS expires_at', ttl => '1 s');
SELECT expires_at FROM cachex.lookup('f', 'c3');
SELECT cachex.fetch('f', 'c4', 'SELECT 1 AS value, true AS ignore');
SELECT kept('c4');
SELECT cachex.fetch('f', 'c5', 'SELECT 1 AS value, false AS ignore, NULL::interval AS ttl, NULL::text[] AS tags', ttl => '7 s', tags => '{z}');
SELECT kept('c5');
SELECT cachex.fetch('f', 'c6', 'SELECT 1 AS value, interval ''0'' AS ttl');
SELECT kept('c6');
-- with one other column, that is the value; with more, they are the row
SELECT cachex.fetch('f', 'c7', 'SELECT name, interval ''5 min'' AS ttl FROM items WHERE id = 2');
SELECT kept('c7');
SELECT cachex.fetch('f', 'c8', 'SELECT *, interval ''5 min'' AS ttl FROM items WHERE id = 2');
SELECT kept('c8');
-- alone, or of another type, they are values like others
SELECT cachex.fetch('f', 'c9', 'SELECT interval ''5 min'' AS ttl');
SELECT kept('c9');
SELECT cachex.fetch('f', 'c10', 'SELECT 1 AS value, ''5 min'' AS ttl');
SELECT kept('c10');
SELECT cachex.fetch('f', 'c11', 'SELECT 1 AS a, 5 AS ttl');
SELECT kept('c11');
-- what is not to be kept takes the old value away; what is to be ignored not
SELECT cachex.fetch('f', 'c1', 'SELECT 2 AS value, interval ''-1 s'' AS ttl', mode => 'refresh');
SELECT kept('c1');
SELECT cachex.fetch('f', 'c2', 'SELECT 2 AS value, true AS ignore', mode => 'refresh');
SELECT kept('c2');

-- The tags stand for the entry, from the arguments as from the loader.
SELECT cachex.fetch('f', 't1', 'SELECT 1', tags => '{g,h}');
SELECT cachex.invalidate_tags('{x}');
SELECT kept('t1'), kept('c2');
SELECT cachex.invalidate_tags('{h}');
SELECT kept('t1');

-- Parameters have the types that the query gives them.
SELECT cachex.fetch('f', 'p1', 'SELECT jsonb_build_array($1::int + 1, $2::date, $3::text[], $4, $5::jsonb)',
	ARRAY['41', '2026-01-02', '{a,"b c"}', 'text', '{"a": 1}']);
SELECT cachex.fetch('f', 'p2', 'SELECT $1::int IS NULL', ARRAY[NULL]);
SELECT cachex.fetch('f', 'p3', 'SELECT name FROM items WHERE id = $2 AND $1 = ''x''', '{x,2}');
SELECT cachex.fetch('f', 'p4', 'SELECT 1', '{}');
SELECT cachex.fetch('f', 'p5', 'SELECT $1 || $1', '{ab}');

-- A hit is for the same query and the same parameters; another is a miss that
-- replaces it, counted.
SELECT cachex.fetch('f', 'same', 'SELECT name FROM items WHERE id = $1', '{1}');
SELECT cachex.fetch('f', 'same', 'SELECT name FROM items WHERE id = $1', '{2}');
SELECT cachex.fetch('f', 'same', 'SELECT upper(name) FROM items WHERE id = $1', '{2}');
SELECT cachex.get('f', 'same'), count_of('loader_changed');
SELECT cachex.fetch('f', 'same', 'SELECT upper(name) FROM items WHERE id = $1', '{2}', mode => 'cached');
-- NULL is another parameter than the word, and an array of one than two
SELECT cachex.fetch('f', 'same', 'SELECT coalesce($1, ''is null'')', ARRAY[NULL]);
SELECT cachex.fetch('f', 'same', 'SELECT coalesce($1, ''is null'')', ARRAY['NULL']);
-- settings that change the result are a part of it
CREATE FUNCTION under(setting text, value text, query text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config(setting, value, true);
	RETURN cachex.fetch('f', 'setting', query);
END $$;
SELECT under('timezone', 'UTC', q), under('timezone', 'Asia/Tokyo', q) FROM (VALUES ('SELECT timestamptz ''2026-01-02 00:00+00''::text')) v(q);
SELECT under('datestyle', 'ISO, DMY', q), under('datestyle', 'SQL, DMY', q), under('datestyle', 'SQL, MDY', q) FROM (VALUES ('SELECT date ''2026-01-02''::text')) v(q);
SELECT under('intervalstyle', 'iso_8601', q), under('intervalstyle', 'postgres', q) FROM (VALUES ('SELECT interval ''90 min''::text')) v(q);
SELECT under('bytea_output', 'hex', q), under('bytea_output', 'escape', q) FROM (VALUES ('SELECT ''ab''::bytea::text')) v(q);
SELECT under('extra_float_digits', '0', q), under('extra_float_digits', '1', q) FROM (VALUES ('SELECT (1 / 3::float8)::text')) v(q);
CREATE SCHEMA other;
CREATE TABLE other.items AS SELECT 1 AS id, 'of another schema'::text AS name;
SELECT under('search_path', 'public', q), under('search_path', 'other', q), under('search_path', 'public', q) FROM (VALUES ('SELECT name FROM items WHERE id = 1')) v(q);
DROP SCHEMA other CASCADE;

-- The modes.
SELECT cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2');
UPDATE items SET name = 'dos' WHERE id = 2;
SELECT count_of('bypasses') AS bypasses, count_of('hits') + count_of('misses') AS asked \gset
SELECT cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2', mode => 'bypass');
-- a bypass counts in neither
SELECT count_of('bypasses') - :bypasses AS bypasses, count_of('hits') + count_of('misses') - :asked AS asked;
SELECT cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2', mode => 'normal'),
	cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2', mode => 'cached'),
	cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2', mode => NULL);
SELECT cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2', mode => 'refresh');
SELECT cachex.fetch('f', 'm', 'SELECT name FROM items WHERE id = 2');
SELECT cachex.fetch('f', 'bypassed', 'SELECT 1', mode => 'bypass');
SELECT cachex.fetch('f', 'bypassed', 'SELECT 1', mode => 'cached');
DO $$
BEGIN
	PERFORM cachex.fetch('f', 'absent', 'SELECT 1', mode => 'cached');
EXCEPTION WHEN SQLSTATE 'CX001' THEN
	RAISE INFO 'not computed yet';
END $$;

-- cachex.enabled = off bypasses all of it, for this session.
SET cachex.enabled = off;
SELECT cachex.get('f', 'm'), (cachex.lookup('f', 'm')).status,
	cachex.fetch('f', 'm', 'SELECT 0'), cachex.fetch_as('f', 'e', 0, 'SELECT 1');
SELECT cachex.fetch('f', 'm', 'SELECT 0', mode => 'cached');
RESET cachex.enabled;
SELECT cachex.get('f', 'm'), (cachex.lookup('f', 'e')).status;

-- A value put by hand answers any fetch of its key in a ttl cache.
SELECT cachex.put('f', 'hand', '"by hand"');
SELECT cachex.fetch('f', 'hand', 'SELECT 1'), cachex.fetch('f', 'hand', 'SELECT 2', mode => 'cached'),
	cachex.fetch_as('f', 'hand', NULL::jsonb, 'SELECT ''3''::jsonb');
-- but not in another type
SELECT cachex.fetch_as('f', 'hand', 0, 'SELECT 1');
-- update and push keep it being the loader's
SELECT cachex.fetch('f', 'list', 'SELECT jsonb_agg(id ORDER BY id) FROM items');
SELECT cachex.push('f', 'list', '0');
SELECT cachex.fetch('f', 'list', 'SELECT jsonb_agg(id ORDER BY id) FROM items', mode => 'cached');

-- An exact cache runs the loader each time while a table that it reads is not
-- watched, which it counts; what is put is for get and lookup only.
SELECT cachex.create_cache('x');
SELECT cachex.fetch('x', 'k', 'SELECT name FROM items WHERE id = 2');
UPDATE items SET name = 'deux' WHERE id = 2;
SELECT cachex.fetch('x', 'k', 'SELECT name FROM items WHERE id = 2');
SELECT count_of('refused_unwatched', 'x'), count_of('fills', 'x'), count_of('loads', 'x'), count_of('misses', 'x');
SELECT cachex.put('x', 'k', '"put"');
SELECT cachex.get('x', 'k'), cachex.fetch('x', 'k', 'SELECT name FROM items WHERE id = 2');
SELECT cachex.get('x', 'k');

-- A cache with a loader of its own; a query in the call is still possible.
CREATE FUNCTION load_item(key text) RETURNS text LANGUAGE sql STABLE AS
	$$SELECT name || ' of ' || key FROM items WHERE id = split_part(key, ':', 2)::int$$;
SELECT cachex.create_cache('l', loader => 'load_item(text)', consistency => 'ttl');
SELECT cachex.fetch('l', 'item:1'), cachex.fetch('l', 'item:2'), cachex.fetch('l', 'item:9');
UPDATE items SET name = 'yksi' WHERE id = 1;
SELECT cachex.fetch('l', 'item:1'), cachex.fetch('l', 'item:1', mode => 'refresh'),
	cachex.fetch('l', 'item:1', mode => 'cached'), cachex.fetch_as('l', 'as:2', ''::text);
SELECT cachex.fetch('l', 'item:1', 'SELECT 1');
SELECT cachex.fetch('l', 'item:1');
SELECT key, status FROM cachex.entries('l') ORDER BY key;
-- its errors are those of the loader
SELECT cachex.fetch('l', 'item:x');
-- it is remembered by name, and can change or go
DROP FUNCTION load_item;
SELECT cachex.fetch('l', 'item:1');
SELECT cachex.fetch('l', 'item:3');
CREATE FUNCTION load_item(key text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1';
SELECT cachex.fetch('l', 'item:3');

-- An error in the loader is the caller's, is counted and stores nothing.
SELECT cachex.fetch('f', 'fails', 'SELECT 1 / 0');
SELECT cachex.fetch('f', 'fails', 'SELECT id FROM items');
SELECT status FROM cachex.lookup('f', 'fails');
SELECT count_of('load_errors');
-- the old value stays
SELECT cachex.fetch('f', 'm', 'SELECT 1 / 0', mode => 'refresh');
SELECT cachex.get('f', 'm');

-- A transaction that has written gets its own rows, and keeps none of them:
-- they are not committed.
BEGIN;
UPDATE items SET name = 'uncommitted' WHERE id = 1;
SELECT cachex.fetch('f', 'own', 'SELECT name FROM items WHERE id = 1');
SELECT status FROM cachex.lookup('f', 'own');
COMMIT;
SELECT count_of('refused_writes');
SELECT cachex.fetch('f', 'own', 'SELECT name FROM items WHERE id = 1');
SELECT cachex.get('f', 'own');

-- Loaders that fetch themselves.
CREATE FUNCTION sum_to(n int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN n + CASE WHEN n > 0 THEN
		cachex.fetch_as('f', 'sum' || n - 1, 0::bigint, 'SELECT sum_to($1)', ARRAY[(n - 1)::text]) ELSE 0 END;
END $$;
SELECT cachex.fetch_as('f', 'sum20', 0::bigint, 'SELECT sum_to($1)', '{20}');
SELECT count(*) FROM cachex.entries('f', 'sum%');
SELECT cachex.get_as('f', 'sum10', 0::bigint);
-- one that uses the same key fills it twice, and both are right
CREATE FUNCTION same_key() RETURNS int LANGUAGE sql AS
	$$SELECT cachex.fetch_as('f', 'same key', 0, 'SELECT 1') + 1$$;
SELECT cachex.fetch_as('f', 'same key', 0, 'SELECT same_key()');
SELECT cachex.fetch_as('f', 'same key', 0, 'SELECT same_key()', mode => 'cached');

-- In functions, prepared statements, cursors and read-only transactions.
PREPARE p(text) AS SELECT cachex.fetch('f', $1, 'SELECT name FROM items WHERE id = 3', ttl => '1 min');
EXECUTE p('prepared'); EXECUTE p('prepared');
DEALLOCATE p;
BEGIN READ ONLY;
SELECT cachex.fetch('f', 'read only', 'SELECT 1');
SELECT status FROM cachex.lookup('f', 'read only');
DECLARE c CURSOR FOR SELECT cachex.fetch('f', 'cursor ' || i, 'SELECT $1::int', ARRAY[i::text]) FROM generate_series(1, 3) AS i;
FETCH ALL FROM c;
COMMIT;
SELECT count(*) FROM cachex.entries('f', 'cursor %');

-- A query that plans anew after DDL, and one with other types under its key.
SELECT cachex.fetch('f', 'ddl', 'SELECT * FROM items WHERE id = 3', mode => 'refresh');
ALTER TABLE items ADD price numeric DEFAULT 1.50;
SELECT cachex.fetch('f', 'ddl', 'SELECT * FROM items WHERE id = 3', mode => 'refresh');
ALTER TABLE items ALTER id TYPE text USING 'id ' || id;
SELECT cachex.fetch('f', 'ddl', 'SELECT * FROM items WHERE id = $1', '{id 3}', mode => 'refresh');
SELECT cachex.fetch('f', 'types', 'SELECT 1');
SELECT cachex.fetch_as('f', 'types', NULL::int, 'SELECT 1');
SELECT cachex.get_as('f', 'types', NULL::int);
SELECT cachex.fetch('f', 'types', 'SELECT 1');

-- More queries than plans are kept for.
SELECT sum(cachex.fetch_as('f', 'plan', 0, format('SELECT %s', i))) FROM generate_series(1, 600) AS i;

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches WHERE name IN ('f', 'x', 'l');
DROP FUNCTION count_of, kept, under, load_item, sum_to, same_key;
DROP TABLE items;
