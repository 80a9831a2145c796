-- query and query_as: all rows of a query, with their types.
SELECT cachex.create_cache('q'), cachex.create_cache('qt', consistency => 'ttl');

CREATE FUNCTION q_count(counter text, cache text DEFAULT 'q') RETURNS bigint
LANGUAGE sql AS $$
	SELECT (to_jsonb(s)->>counter)::bigint FROM cachex.stats AS s WHERE s.cache = $2
$$;

-- Whether the rows are those of the query, in order, when it is run for the
-- cache and when they come from there; and how many.
CREATE FUNCTION q_kept(query text, columns text, cache text DEFAULT 'q') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	through text = format('SELECT array_agg(t::text) FROM cachex.query($1, cache => $2, mode => $3) AS t(%s)', columns);
	direct text[];
	loaded text[];
	hit text[];
BEGIN
	EXECUTE format('SELECT array_agg(t::text) FROM (%s) AS t', query) INTO direct;
	EXECUTE through INTO loaded USING query, cache, 'normal';
	EXECUTE through INTO hit USING query, cache, 'cached';
	RETURN CASE WHEN loaded IS DISTINCT FROM direct THEN 'loaded: ' || coalesce(loaded::text, 'nothing')
		WHEN hit IS DISTINCT FROM direct THEN 'kept: ' || coalesce(hit::text, 'nothing')
		ELSE coalesce(cardinality(direct), 0)::text END;
END $$;

CREATE TABLE items (id int PRIMARY KEY, name varchar(20), price numeric(10,2), tags text[]);
INSERT INTO items VALUES (3, 'three', 3.5, '{a,NULL}'), (1, 'one', NULL, '{}'), (2, NULL, 20, NULL);

-- Not kept while the table is not watched, and said why; afterwards kept.
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q') AS t(id int, name varchar);
SELECT q_count('refused_unwatched'), q_count('fills'), count(*) FROM cachex.entries('q');
SELECT cachex.watch('items');
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q') AS t(id int, name varchar);
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q', mode => 'cached') AS t(a int, b varchar);
SELECT q_count('loads'), q_count('hits'), q_count('fills');
-- it stands while the table does
UPDATE items SET name = 'two' WHERE id = 2;
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q', mode => 'cached') AS t(a int, b varchar);
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q') AS t(a int, b varchar);
-- an own write is seen and not kept
BEGIN;
DELETE FROM items WHERE id = 3;
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q') AS t(a int, b varchar);
ROLLBACK;
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id DESC', cache => 'q') AS t(a int, b varchar);
-- another snapshot is served what it sees
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM cachex.query('SELECT count(*) FROM items', cache => 'q') AS t(n bigint);
COMMIT;

-- The cache "queries" is the one that is meant.
SELECT * FROM cachex.query('SELECT sum(price) FROM items') AS t(sum numeric);
SELECT * FROM cachex.query('SELECT sum(price) FROM items', mode => 'cached') AS t(sum numeric);
SELECT regexp_replace(key, '#[0-9a-f]{64}$', '#'), status FROM cachex.entries('queries', 'SELECT sum(%');

-- Keys: the text, blanks squeezed, at most 120 bytes of it, and a digest.
SELECT count(*) FROM cachex.query(E'  SELECT\n\t id ,\r\n''a  b''::text FROM  items  ', cache => 'qt') AS t(a int, b text);
SELECT count(*) FROM cachex.query('SELECT id, ''' || repeat('ä', 100) || '''::text FROM items', cache => 'qt') AS t(a int, b text);
SELECT count(*) FROM cachex.query('SELECT id, ''' || repeat('ä', 101) || '''::text FROM items', cache => 'qt') AS t(a int, b text);
SELECT count(*) FROM cachex.query('SELECT id, ''x' || repeat('ä', 101) || '''::text FROM items', cache => 'qt') AS t(a int, b text);
SELECT regexp_replace(key, '#[0-9a-f]{64}$', '#'), octet_length(key), status FROM cachex.entries('qt') ORDER BY key;
SELECT cachex.invalidate_like('qt', 'SELECT id, ''ä%');
SELECT regexp_replace(key, '#[0-9a-f]{64}$', '#') FROM cachex.entries('qt') WHERE status = 'hit' ORDER BY key;
SELECT cachex.clear('qt');
-- one for each text and for each array of parameters
CREATE FUNCTION q_params(params text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x, '|') FROM cachex.query('SELECT coalesce(x, ''is null'') FROM unnest(ARRAY[$1, $2]) AS x', params, cache => 'qt') AS t(x text)
$$;
SELECT q_params('{a,bc}'), q_params('{ab,c}'), q_params('{NULL,x}'), q_params('{"NULL",x}'), q_params('{"",x}');
SELECT q_params('{a,bc}'), q_params('{ab,c}'), q_params('{NULL,x}'), q_params('{"NULL",x}'), q_params('{"",x}');
SELECT q_count('loads', 'qt') - 4 AS loads, q_count('hits', 'qt') AS hits, q_count('loader_changed', 'qt'),
	count(*) FILTER (WHERE status = 'hit') AS entries FROM cachex.entries('qt');
SELECT * FROM cachex.query('SELECT name FROM items WHERE id = $1 AND price > $2', '{3,3}', cache => 'q') AS t(name varchar(20));
SELECT * FROM cachex.query('SELECT name FROM items WHERE id = $1 AND price > $2', '{3,3}', cache => 'q', mode => 'cached') AS t(name varchar(20));
SELECT * FROM cachex.query('SELECT name FROM items WHERE id = $1 AND price > $2', '{3,4}', cache => 'q', mode => 'cached') AS t(name varchar(20));

-- Types come back as they were: each as direct, loaded, and kept.
CREATE TYPE q_mood AS ENUM ('sad', 'ok');
CREATE DOMAIN q_positive AS int CHECK (value > 0);
CREATE TYPE q_pair AS (a int, b text);
CREATE TYPE q_nest AS (p q_pair, ps q_pair[], d q_positive);
CREATE TYPE q_span AS RANGE (subtype = float8);
SELECT q_kept('SELECT true, 1::int2, 2, 3::int8, 1.5::float4, 2.5::float8, ''x''::"char"', 'a bool, b int2, c int, d int8, e float4, f float8, g "char"');
SELECT q_kept('SELECT date ''2026-01-02'', time ''1:02:03.4'', timetz ''1:02+03'', timestamp ''2026-01-02 3:04'', timestamptz ''infinity'', interval ''1 mon -2 d''',
	'a date, b time, c timetz, d timestamp, e timestamptz, f interval');
SELECT q_kept('SELECT 1.50::numeric, ''NaN''::numeric, 12.345::numeric(6,3), ''1.25''::money', 'a numeric, b numeric, c numeric(6,3), d money');
SELECT q_kept('SELECT ''''::text, ''abc''::text, ''ab''::varchar(3), ''ab''::char(4), ''n''::name, ''\x00ff''::bytea, ''c''::cstring::text', 'a text, b text, c varchar(3), d char(4), e name, f bytea, g text');
SELECT q_kept('SELECT gen_random_uuid() = NULL, ''6f1d0b9c-0000-4000-8000-000000000001''::uuid, ''1.2.3.0/24''::inet, ''08:00:2b:01:02:03''::macaddr, point(1, 2), ''((0,0),(1,1))''::path, b''101''::bit(3), varbit ''10''',
	'a bool, b uuid, c inet, d macaddr, e point, f path, g bit(3), h varbit', 'qt');
SELECT q_kept('SELECT ''{"a": [1, null]}''::json, ''{"a": [1, null]}''::jsonb, ''$.a''::jsonpath, ''<a/>''::xml, ''a:1 b''::tsvector, ''a & b''::tsquery', 'a json, b jsonb, c jsonpath, d xml, e tsvector, f tsquery');
SELECT q_kept('SELECT ''items''::regclass, ''1 2''::oidvector, ''3 4''::int2vector, ''1/2''::pg_lsn, 7::oid', 'a regclass, b oidvector, c int2vector, d pg_lsn, e oid', 'qt');
SELECT q_kept('SELECT ''{}''::int[], ''{1,NULL,3}''::int[], ''[2:3][0:1]={{a,b},{c,"d e"}}''::text[], ARRAY[1.5, NULL]::numeric(5,2)[], ARRAY[''ok''::q_mood]', 'a int[], b int[], c text[], d numeric(5,2)[], e q_mood[]');
SELECT q_kept('SELECT ''sad''::q_mood, 5::q_positive, int4range(1, 5), ''empty''::q_span, q_span(1, NULL), ''{[1,2),[5,9)}''::int4multirange', 'a q_mood, b q_positive, c int4range, d q_span, e q_span, f int4multirange');
SELECT q_kept('SELECT ROW(1, ''x'')::q_pair, ARRAY[ROW(2, NULL)::q_pair, NULL], ROW(ROW(3, ''z'')::q_pair, ARRAY[ROW(4, NULL)::q_pair], 5)::q_nest', 'a q_pair, b q_pair[], c q_nest');
SELECT q_kept('SELECT items FROM items ORDER BY id', 'i items');
-- NULL: everywhere, at the end, in more than 8 columns, in all rows or in one
SELECT q_kept('SELECT NULL::int, NULL::text, NULL::q_pair, NULL::int[]', 'a int, b text, c q_pair, d int[]');
SELECT q_kept('SELECT i, CASE WHEN i % 2 = 0 THEN i::text END, CASE WHEN i > 3 THEN i END, NULL::int8, i::int8, NULL::text, ''x''::text, NULL::bool, CASE WHEN i <> 2 THEN i::numeric END, i::int2 FROM generate_series(1, 5) AS i',
	'a int, b text, c int, d int8, e int8, f text, g text, h bool, i numeric, j int2');
WITH c AS (SELECT i, CASE WHEN i % 3 = 0 OR i > 95 THEN 'NULL' ELSE i::text END || '::int8' AS value FROM generate_series(1, 100) AS i)
SELECT q_kept('SELECT ' || string_agg(value, ', ' ORDER BY i) || ' FROM items', string_agg('c' || i || ' int8', ', ' ORDER BY i)) FROM c;
-- values after values of odd lengths are found where they are
SELECT q_kept('SELECT repeat(''x'', i), i::int8, repeat(''y'', 2 * i)::bytea, i::int2, repeat(''z'', 120 + i), i::float8 FROM generate_series(0, 20) AS i', 'a text, b int8, c bytea, d int2, e text, f float8');
-- no row, one row, many, and their order
SELECT q_kept('SELECT * FROM items WHERE false', 'id int, name varchar(20), price numeric(10,2), tags text[]');
SELECT q_kept('SELECT * FROM items ORDER BY name DESC NULLS FIRST', 'id int, name varchar(20), price numeric(10,2), tags text[]');
SELECT q_kept('SELECT i, (i * 7919 % 10007)::text FROM generate_series(1, 10000) AS i ORDER BY i * 7919 % 10007', 'a int, b text');
SELECT q_kept('VALUES (1, ''a''::text), (2, NULL)', 'a int, b text'), q_kept('TABLE items', 'id int, name varchar(20), price numeric(10,2), tags text[]'),
	q_kept('WITH i AS (SELECT id FROM items) SELECT max(id) FROM i', 'm int');
-- no row is a hit like any other
SELECT q_count('hits') AS hits, q_count('negative_hits') AS negative \gset
SELECT count(*) FROM cachex.query('SELECT * FROM items WHERE false', cache => 'q') AS t(id int, name varchar(20), price numeric(10,2), tags text[]);
SELECT q_count('hits') - :hits AS hits, q_count('negative_hits') - :negative AS negative;
-- names that mean something to fetch mean nothing here
SELECT q_kept('SELECT interval ''0'' AS ttl, true AS ignore, ''{a}''::text[] AS tags, now() AS expires_at, 1 AS value', 'a interval, b bool, c text[], d timestamptz, e int', 'qt');
-- out of line, compressed or not
CREATE TABLE long (id int, plain text, packed text, pair q_pair, list text[]);
ALTER TABLE long ALTER plain SET STORAGE EXTERNAL;
INSERT INTO long SELECT 1, s, repeat(s, 9), ROW(1, s)::q_pair, ARRAY[s, s]
FROM (SELECT string_agg(md5(i::text), '' ORDER BY i) AS s FROM generate_series(1, 300) AS i) AS m;
SELECT cachex.watch('long');
SELECT q_kept('SELECT * FROM long', 'id int, plain text, packed text, pair q_pair, list text[]'),
	q_kept('SELECT long FROM long', 'l long'), q_kept('SELECT left(plain, 5000), packed FROM long', 'a text, b text');
-- what is kept does not lead to the table any more (a ttl cache minds no rows)
SELECT * FROM cachex.query('SELECT md5(plain), length(packed) FROM long', cache => 'qt') AS t(a text, b int);
SELECT length(plain), length(packed) FROM cachex.query('SELECT plain, packed FROM long', cache => 'qt') AS t(plain text, packed text);
DELETE FROM long;
SELECT md5(plain), length(packed) FROM cachex.query('SELECT plain, packed FROM long', cache => 'qt', mode => 'cached') AS t(plain text, packed text);
-- values that a function has built up in memory
CREATE FUNCTION q_expanded() RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a int[] = '{}';
BEGIN
	FOR i IN 1..100 LOOP
		a[i] := i;
	END LOOP;
	RETURN a;
END $$;
SELECT q_kept('SELECT q_expanded(), q_expanded() || 1', 'a int[], b int[]');
-- attributes that rows of a table do not have yet, and those that they no more have
CREATE TABLE grown (a int, b text, c text);
INSERT INTO grown VALUES (1, 'b', 'c'), (2, NULL, NULL);
ALTER TABLE grown ADD d int DEFAULT 7, ADD e text;
ALTER TABLE grown DROP b;
SELECT cachex.watch('grown');
SELECT q_kept('SELECT * FROM grown', 'a int, c text, d int, e text'), q_kept('SELECT grown FROM grown', 'g grown');
CREATE TABLE wider (a int);
INSERT INTO wider VALUES (1), (NULL);
ALTER TABLE wider ADD b text, ADD c bigint;
INSERT INTO wider VALUES (2, 'b', 3);
SELECT cachex.watch('wider');
SELECT q_kept('SELECT * FROM wider', 'a int, b text, c bigint'), q_kept('TABLE wider', 'a int, b text, c bigint', 'qt');

-- A list that is not that of the columns is an error, as is one that takes a
-- modifier for granted; on a hit as on a miss.
CREATE FUNCTION q_list(columns text, cache_mode text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format('SELECT FROM cachex.query(''SELECT id, name, price FROM items'', cache => ''q'', mode => %L) AS t(%s)', cache_mode, columns);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN sqlstate || ' ' || sqlerrm || E'\n' || detail;
END $$;
SELECT columns, q_list(columns, 'bypass'), q_list(columns, 'normal') = q_list(columns, 'bypass') AS loaded FROM unnest(ARRAY[
	'a int', 'a int, b varchar, c numeric, d int', 'a bigint, b varchar, c numeric', 'a int, b int, c numeric',
	'a int, b varchar(19), c numeric', 'a int, b varchar, c numeric(10,1)', 'a int, b varchar(20), c float8',
	'a q_positive, b varchar, c numeric']) AS columns;
SELECT q_list('a int, b varchar, c numeric', 'normal');
SELECT columns, q_list(columns, 'cached') = q_list(columns, 'bypass') AS kept, q_list(columns, 'cached') = 'ok' AS ok FROM unnest(ARRAY[
	'a int', 'a int, b varchar, c numeric, d int', 'a bigint, b varchar, c numeric', 'a int, b int, c numeric',
	'a int, b varchar(19), c numeric', 'a int, b varchar, c numeric(10,1)', 'a int, b varchar(20), c float8',
	'a q_positive, b varchar, c numeric',
	'a int, b varchar, c numeric', 'a int, b varchar(20), c numeric(10,2)', 'a oid, b text, c numeric']) AS columns;
-- a domain's value stands for its base type, not the other way round
SELECT * FROM cachex.query('SELECT 5::q_positive', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT 5::q_positive', cache => 'q', mode => 'cached') AS t(a q_positive);
SELECT * FROM cachex.query('SELECT 1') AS t(a q_positive);
-- without a list
SELECT * FROM cachex.query('SELECT 1');
SELECT cachex.query('SELECT 1');
SELECT * FROM cachex.query('SELECT FROM items', cache => 'q') AS t(a int);

-- query_as: the attributes of a row type, or one column.
SELECT * FROM cachex.query_as(NULL::items, 'SELECT * FROM items ORDER BY id', cache => 'q');
SELECT *, pg_typeof(i) FROM cachex.query_as(NULL::items, 'SELECT * FROM items ORDER BY id', cache => 'q', mode => 'cached') AS i WHERE id > 1;
SELECT i.name, to_jsonb(i) FROM cachex.query_as(NULL::items, 'SELECT * FROM items WHERE id = $1', '{3}', cache => 'q') AS i;
SELECT (cachex.query_as(NULL::items, 'SELECT * FROM items ORDER BY id', cache => 'q', mode => 'cached')).id;
SELECT cachex.query_as(NULL::q_pair, 'SELECT 1, ''x''::text', cache => 'q'), cachex.query_as(0, 'SELECT generate_series(1, 2)', cache => 'q');
SELECT * FROM cachex.query_as(NULL::q_pair, 'SELECT 1, ''x''::text', cache => 'q', mode => 'cached');
SELECT * FROM cachex.query_as(0, 'SELECT generate_series(1, 2)', cache => 'q', mode => 'cached');
SELECT pg_typeof(t), t FROM cachex.query_as('2026-01-01'::date, 'SELECT date ''2026-01-02''', cache => 'q') AS t;
SELECT * FROM cachex.query_as(NULL::int[], 'SELECT ''{1,NULL}''::int[]', cache => 'q'), cachex.query_as(NULL::q_positive, 'SELECT 5::q_positive', cache => 'q') AS p;
SELECT * FROM cachex.query_as(NULL::record, 'SELECT 1, ''x''::text', cache => 'q', mode => 'cached') AS t(a int, b text);
-- with columns that were dropped from the type
SELECT * FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q');
SELECT * FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q', mode => 'cached');
SELECT cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q', mode => 'cached');
CREATE TABLE q_empty ();
SELECT count(*) FROM cachex.query_as(NULL::q_empty, 'SELECT FROM items', cache => 'q');
SELECT count(*) FROM cachex.query_as(NULL::q_empty, 'SELECT FROM items', cache => 'q', mode => 'cached');
-- it is the same entry for both, and for any list
SELECT q_kept('SELECT * FROM items ORDER BY id', 'a int, b varchar, c numeric, d text[]'), q_count('loader_changed');
-- what does not match
SELECT * FROM cachex.query_as(NULL::items, 'SELECT id, name FROM items', cache => 'q');
SELECT * FROM cachex.query_as(NULL::items, 'SELECT id, name::text, price, tags FROM items', cache => 'q');
SELECT * FROM cachex.query_as(NULL::items, 'SELECT items FROM items', cache => 'q');
SELECT * FROM cachex.query_as(0, 'SELECT 1, 2');
SELECT * FROM cachex.query_as(0, 'SELECT 1::bigint');
SELECT cachex.query_as(0, 'SELECT ''x''::text');
SELECT cachex.query_as(1::q_positive, 'SELECT 1');
SELECT cachex.query_as(NULL, 'SELECT 1');

-- A type that was altered is another one: a miss, never an error. (In a ttl
-- cache, and with functions that name no relation.)
CREATE FUNCTION q_pairs() RETURNS SETOF q_pair LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT (jsonb_populate_record(NULL::q_pair, jsonb_build_object('a', i, 'b', 'x'))).* FROM generate_series(1, 2) AS i;
END $$;
CREATE FUNCTION q_ask(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'SELECT t::text FROM cachex.query($1, cache => ''qt'') AS t(p q_pair)' USING query;
END $$;
SELECT q_ask('SELECT p FROM q_pairs() AS p');
SELECT q_ask('SELECT p FROM q_pairs() AS p');
SELECT cachex.query_as(NULL::q_pair, 'SELECT * FROM q_pairs()', cache => 'qt');
SELECT q_count('loads', 'qt') AS loads \gset
ALTER TYPE q_pair ADD ATTRIBUTE c int;
\c
SELECT q_ask('SELECT p FROM q_pairs() AS p');
SELECT q_ask('SELECT p FROM q_pairs() AS p');
SELECT q_count('loads', 'qt') - :loads AS loads;
-- what is kept has other columns than are asked for now: it is run again
SELECT cachex.query_as(NULL::q_pair, 'SELECT * FROM q_pairs()', cache => 'qt', mode => 'cached');
SELECT cachex.query_as(NULL::q_pair, 'SELECT * FROM q_pairs()', cache => 'qt');
SELECT cachex.query_as(NULL::q_pair, 'SELECT * FROM q_pairs()', cache => 'qt', mode => 'cached');
ALTER TYPE q_pair DROP ATTRIBUTE b;
\c
SELECT q_ask('SELECT p FROM q_pairs() AS p');
SELECT cachex.query_as(NULL::q_pair, 'SELECT * FROM q_pairs()', cache => 'qt');
-- a column of a table that gets another type, and one more
SELECT count(*) FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q');
SELECT count(*) FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q', mode => 'cached');
ALTER TABLE grown ALTER d TYPE bigint, ADD f date DEFAULT '2026-01-02';
SELECT * FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q');
SELECT * FROM cachex.query_as(NULL::grown, 'SELECT * FROM grown ORDER BY a', cache => 'q', mode => 'cached');
-- a type that is gone
CREATE TYPE q_gone AS ENUM ('x');
SELECT count(*) FROM cachex.query('SELECT ''x''::q_gone', cache => 'qt') AS t(a q_gone);
DROP TYPE q_gone;
\c
SELECT * FROM cachex.query('SELECT ''x''::q_gone', cache => 'qt') AS t(a text);

-- What means something in this session only is returned, and not kept.
SELECT * FROM cachex.query('SELECT ROW(1, ''x''), id FROM items WHERE id = 1', cache => 'q') AS t(r record, id int);
SELECT * FROM cachex.query('SELECT ROW(1, ''x''), id FROM items WHERE id = 1', cache => 'q') AS t(r record, id int);
SELECT count(*) FROM cachex.query('SELECT ARRAY[ROW(1, 2)]', cache => 'qt') AS t(r record[]);
SELECT q_count('refused_query'), q_count('refused_query', 'qt'), (SELECT count(*) FROM cachex.entries('q', 'SELECT ROW(1, ''x''), id%'));

-- The modes, and how it is kept.
SELECT * FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', ttl => '7 min', tags => '{g}') AS t(id int);
SELECT expires_at - created_at AS life, tags FROM cachex.entries('qt', 'SELECT id FROM items ORDER BY id #%');
INSERT INTO items VALUES (4, 'four');
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt') AS t(id int);
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', mode => 'bypass') AS t(id int);
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', mode => 'cached') AS t(id int);
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', mode => 'refresh', tags => '{g}') AS t(id int);
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', mode => NULL) AS t(id int);
SELECT cachex.invalidate_tags('{g}');
SELECT * FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', mode => 'cached') AS t(id int);
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'qt', ttl => '0') AS t(id int);
SELECT count(*) FROM cachex.entries('qt', 'SELECT id FROM items ORDER BY id #%') WHERE status = 'hit';
DO $$
BEGIN
	PERFORM FROM cachex.query('SELECT 404', cache => 'q', mode => 'cached') AS t(a int);
EXCEPTION WHEN SQLSTATE 'CX001' THEN
	RAISE INFO 'not computed yet';
END $$;
SET cachex.enabled = off;
SELECT count(*) FROM cachex.query('SELECT id FROM items ORDER BY id DESC', cache => 'q') AS t(id int);
RESET cachex.enabled;
SELECT count(*) FROM cachex.entries('q', 'SELECT id FROM items ORDER BY id DESC #%');
-- a value over cachex.max_value_size is returned and not kept
SELECT count(*), sum(length(x)) FROM cachex.query('SELECT repeat(i::text || ''x'', 50) FROM generate_series(1, 12000) AS i', cache => 'qt') AS t(x text);
SELECT q_count('too_large', 'qt'), count(*) FROM cachex.entries('qt', 'SELECT repeat(%');

-- Other functions know a set of rows for what it is.
SELECT count(*) FROM cachex.query('VALUES (1, ''a''::text), (2, NULL)', cache => 'q') AS t(a int, b text);
SELECT key FROM cachex.entries('q', 'VALUES %') WHERE status = 'hit' \gset
SELECT cachex.get('q', :'key');
SELECT cachex.get_as('q', :'key', NULL::items);
SELECT cachex.get_as('q', :'key', ROW(1, 'a'::text));
SELECT status, value, etag IS NOT NULL AS etag, ttl > '0' AS ttl FROM cachex.lookup('q', :'key');
SELECT cachex.update('q', :'key', '$1');
SELECT cachex.take('q', :'key');
SELECT cachex.fetch_as('q', :'key', ROW(1), 'VALUES (1, ''a''::text), (2, NULL)');
SELECT cachex.touch('q', :'key', ttl => '1 h');
SELECT * FROM cachex.query('VALUES (1, ''a''::text), (2, NULL)', cache => 'q', mode => 'cached') AS t(a int, b text);
-- and what somebody else has put in the place of one is not taken for it
SELECT count(*) FROM cachex.query('SELECT 5', cache => 'qt') AS t(a int);
SELECT key FROM cachex.entries('qt', 'SELECT 5 #%') \gset
SELECT cachex.put('qt', :'key', '{"rows": 1}');
SELECT * FROM cachex.query('SELECT 5', cache => 'qt', mode => 'cached') AS t(a int);
SELECT * FROM cachex.query('SELECT 5', cache => 'qt') AS t(a int);
SELECT * FROM cachex.query('SELECT 5', cache => 'qt', mode => 'cached') AS t(a int);
SELECT cachex.put('qt', :'key', NULL);
SELECT * FROM cachex.query('SELECT 5', cache => 'qt') AS t(a int);
SELECT cachex.fetch('qt', :'key', 'SELECT 5'), cachex.fetch_as('qt', :'key', 0, 'SELECT 5');
SELECT * FROM cachex.query('SELECT 5', cache => 'qt') AS t(a int);

-- Everywhere that a table can stand.
SELECT * FROM cachex.query('SELECT id, name FROM items ORDER BY id', cache => 'q') AS t(id int, name varchar) LIMIT 1 OFFSET 1;
SELECT i.id, t.* FROM items AS i, cachex.query('SELECT upper(name) FROM items WHERE id = $1', ARRAY[i.id::text], cache => 'q') AS t(name text) ORDER BY i.id;
SELECT i.id, t.* FROM items AS i LEFT JOIN LATERAL cachex.query('SELECT upper(name) FROM items WHERE id = $1', ARRAY[i.id::text], cache => 'q', mode => 'cached') AS t(name text) ON t.name LIKE 'T%' ORDER BY i.id;
SELECT * FROM ROWS FROM (cachex.query('SELECT id, name FROM items ORDER BY id', cache => 'q') AS (id int, name varchar), generate_series(1, 2)) WITH ORDINALITY AS t(a, b, c, n);
SELECT * FROM cachex.query_as(NULL::items, 'SELECT * FROM items ORDER BY id', cache => 'q') WITH ORDINALITY AS t(a, b, c, d, n) WHERE n = 2;
PREPARE asked(text) AS SELECT * FROM cachex.query('SELECT name FROM items WHERE id = $1', ARRAY[$1], cache => 'q') AS t(name varchar(20));
EXECUTE asked('1');
EXECUTE asked('1');
EXECUTE asked('2');
DEALLOCATE asked;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM cachex.query('SELECT id FROM items ORDER BY id', cache => 'q') AS t(id int);
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
COMMIT;
CREATE FUNCTION q_loop(times int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	i items;
	r record;
	s text = '';
BEGIN
	FOR n IN 1..times LOOP
		FOR i IN SELECT * FROM cachex.query_as(NULL::items, 'SELECT * FROM items WHERE id <= $1 ORDER BY id', ARRAY[n::text], cache => 'q') LOOP
			s := s || i.id || coalesce(i.name, '?');
		END LOOP;
		FOR r IN SELECT * FROM cachex.query('SELECT count(*) FROM items', cache => 'q') AS t(n bigint) LOOP
			s := s || ':' || r.n || ' ';
		END LOOP;
	END LOOP;
	RETURN s;
END $$;
SELECT q_loop(3);
SELECT q_loop(3);
-- in the query of another, which then depends on what that one has read
SELECT q_kept('SELECT sum(n) FROM cachex.query(''SELECT count(*) FROM items UNION ALL SELECT 1'', cache => ''q'') AS t(n bigint)', 's numeric');
SELECT q_kept('SELECT n FROM cachex.query(''SELECT id FROM items'', cache => ''qt'') AS t(n int)', 'n int', 'qt');
CREATE FUNCTION q_down(n int) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT n;
	IF n > 0 THEN
		RETURN QUERY SELECT x FROM cachex.query('SELECT q_down($1::int)', ARRAY[(n - 1)::text], cache => 'qt') AS t(x int);
	END IF;
END $$;
SELECT array_agg(x) FROM cachex.query('SELECT q_down($1::int)', '{5}', cache => 'qt') AS t(x int);
SELECT array_agg(x) FROM cachex.query('SELECT q_down($1::int)', '{3}', cache => 'qt', mode => 'cached') AS t(x int);

-- Errors, and where in the query they are.
SELECT * FROM cachex.query(NULL) AS t(a int);
SELECT * FROM cachex.query('') AS t(a int);
SELECT * FROM cachex.query('SELECT id FROM items WHERE nme = 1', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT 1 / 0', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT $1::int', '{x}', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT $1::int', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT $1, $2', '{{a},{b}}', cache => 'q') AS t(a text, b text);
SELECT * FROM cachex.query('DELETE FROM items RETURNING id', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT id FROM items FOR UPDATE', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT 1; SELECT 2', cache => 'q') AS t(a int);
SELECT * FROM cachex.query('SELECT 1', cache => 'none') AS t(a int);
SELECT * FROM cachex.query('SELECT 1', cache => NULL) AS t(a int);
SELECT * FROM cachex.query('SELECT 1', mode => 'hasty') AS t(a int);
SELECT * FROM cachex.query('SELECT 1', tags => '{""}', mode => 'refresh') AS t(a int);
SELECT * FROM cachex.query_as(0, NULL);
SELECT q_count('load_errors');

SELECT cx_check();
SELECT cachex.drop_cache('q'), cachex.drop_cache('qt');
DROP TABLE items, long, grown, wider, q_empty;
DROP FUNCTION q_count, q_kept, q_params, q_expanded, q_list, q_pairs, q_ask, q_loop, q_down;
DROP TYPE q_nest, q_span, q_mood, q_pair;
DROP DOMAIN q_positive;
