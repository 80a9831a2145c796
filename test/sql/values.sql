-- Values: jsonb through get, any type by example through get_as.
SELECT cachex.create_cache('values', consistency => 'ttl');

-- Every jsonb is a value of its own; SQL NULL is one too, and a JSON null is
-- neither SQL NULL nor absence.
SELECT cachex.put_many('values', '{"number": 1.50, "string": "söme \"text\"",
	"true": true, "null": null, "array": [1, [2, 3], {}], "empty": [],
	"object": {"a": {"b": null}}}');
SELECT key, cachex.get('values', key, '"otherwise"')
FROM unnest('{number,string,true,"null",array,empty,object,absent}'::text[]) AS key;
SELECT cachex.put('values', 'sql null', NULL);
SELECT cachex.get('values', 'sql null', '"otherwise"') IS NULL AS sql_null,
	cachex.get('values', 'null') = 'null' AS json_null;

-- Keys and values of any size and any bytes.
SELECT cachex.put('values', key, to_jsonb(key))
FROM unnest(ARRAY[' ', 'a''b"c\d', 'ключ', repeat('k', 1024)]) AS key;
SELECT left(key, 10), cachex.get('values', key) = to_jsonb(key) AS same
FROM unnest(ARRAY[' ', 'a''b"c\d', 'ключ', repeat('k', 1024)]) AS key;
SELECT bool_and(cachex.put('values', 'size ' || n, to_jsonb(repeat('v', n))))
FROM unnest(ARRAY[0, 1, 17, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 100000, 1000000]) AS n;
SELECT bool_and(cachex.get('values', 'size ' || n) = to_jsonb(repeat('v', n)))
FROM unnest(ARRAY[0, 1, 17, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 100000, 1000000]) AS n;

-- A value over cachex.max_value_size is not kept, and takes the old one away:
-- it would be wrong from now on.
SELECT cachex.put('values', 'large', '1');
SELECT cachex.put('values', 'large', to_jsonb(repeat('v', 1100000)));
SELECT cachex.get('values', 'large');
SELECT length(cachex.fetch('values', 'large', 'SELECT repeat(''v'', 1100000)')::text);
SELECT cachex.get('values', 'large');
SELECT too_large FROM cachex.stats WHERE cache = 'values';

-- A TOASTed value and a compressed one are stored whole.
CREATE TABLE toasted (compressed jsonb, external jsonb);
ALTER TABLE toasted ALTER external SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT to_jsonb(repeat('c', 100000)),
	to_jsonb(repeat('e', 100000));
SELECT cachex.put('values', 'toasted', external),
	cachex.put('values', 'compressed', compressed) FROM toasted;
SELECT cachex.fetch_as('values', 'toasted text', NULL::text,
	'SELECT external::text FROM toasted') = external::text FROM toasted;
SELECT length(cachex.get('values', 'toasted')::text),
	length(cachex.get('values', 'compressed')::text),
	length(cachex.get_as('values', 'toasted text', ''::text));
-- What was put stays without its table, what was loaded does not.
DROP TABLE toasted;
SELECT length(cachex.get('values', 'toasted')::text),
	length(cachex.get_as('values', 'toasted text', ''::text));

-- Scalars by value and by reference, fixed and not.
-- Loaded, hit and got, it is the example each time.
CREATE FUNCTION round_trip(example anyelement) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	key text := pg_typeof(example);
	query text := format('SELECT %L::%s', example, pg_typeof(example));
	loads_before bigint := (SELECT loads FROM cachex.stats WHERE cache = 'values');
	loaded text := cachex.fetch_as('values', key, example, query);
	hit text := cachex.fetch_as('values', key, example, query);
	got text := cachex.get_as('values', key, example);
	loads bigint := (SELECT loads FROM cachex.stats WHERE cache = 'values');
BEGIN
	IF (loaded, hit, got, loads) IS DISTINCT FROM
		(example::text, example::text, example::text, loads_before + 1) THEN
		RETURN format('%s: loaded %L, hit %L, got %L in %s loads', key,
			loaded, hit, got, loads - loads_before);
	END IF;
	RETURN key || ' ' || left(got, 40);
END $$;
SELECT round_trip(true);
SELECT round_trip(32767::smallint);
SELECT round_trip(-2147483648);
SELECT round_trip(9223372036854775807);
SELECT round_trip('NaN'::float8);
SELECT round_trip(1.1::real);
SELECT round_trip(12345678901234567890.0123456789);
SELECT round_trip(''::text);
SELECT round_trip(repeat('long ', 10000));
SELECT round_trip('\x00ff'::bytea);
SELECT round_trip('infinity'::timestamptz);
SELECT round_trip('1 mon -2 days 03:04:05.6'::interval);
SELECT round_trip('a'::"char");
SELECT round_trip('a name'::name);
SELECT round_trip('0123456789abcdef0123456789abcdef'::uuid);
SELECT round_trip('10.0.0.0/8'::cidr);
SELECT round_trip('(1,2)'::point);
SELECT round_trip('{"a": 1}'::json);
SELECT round_trip('{"a": 1}'::jsonb);
SELECT round_trip('a & b'::tsquery);
SELECT round_trip('pg_class'::regclass);

-- Arrays.
SELECT round_trip('{}'::int[]);
SELECT round_trip('{1,NULL,3}'::int[]);
SELECT round_trip('[2:3][0:1]={{1,2},{3,4}}'::int[]);
SELECT round_trip('{"",NULL,"a,b","{}"}'::text[]);
SELECT round_trip(ARRAY[repeat('x', 100000), NULL]);

-- Ranges and multiranges.
SELECT round_trip('[1,10)'::int4range);
SELECT round_trip('empty'::tstzrange);
SELECT round_trip('(,5.5]'::numrange);
SELECT round_trip('{[1,2),[5,)}'::int8multirange);

-- Enums, domains, composites, and all of them in each other.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, ps pair[], d positive, r int4range);
CREATE TABLE row_type (id int, gone int, name text);
ALTER TABLE row_type DROP COLUMN gone;
SELECT round_trip('happy'::mood);
SELECT round_trip('{sad,ok}'::mood[]);
SELECT round_trip(7::positive);
SELECT round_trip('{sad}'::moods);
SELECT round_trip('(1,"a, b")'::pair);
SELECT round_trip('(,)'::pair);
SELECT round_trip(ARRAY[(1, 'a'), NULL, (2, NULL)]::pair[]);
SELECT round_trip(ROW('(1,a)', ARRAY['(2,b)']::pair[], 3, '[4,5)')::nested);
SELECT round_trip((5, 'five')::row_type);
SELECT (cachex.get_as('values', 'row_type', NULL::row_type)).name;

-- What is not there is otherwise; what is there and NULL is NULL.
SELECT cachex.get_as('values', 'absent', 42);
SELECT cachex.get_as('values', 'absent', NULL::pair);
SELECT cachex.get_as('values', 'sql null', 42);
SELECT cachex.fetch_as('values', 'null int', 42, 'SELECT NULL::int');
SELECT status FROM cachex.lookup('values', 'null int');

-- lookup shows any type as jsonb.
SELECT key, value FROM unnest('{integer,mood,pair,nested,int4range,integer[]}'::text[])
	AS k, cachex.lookup('values', k);

-- The wrong type is an error that names both, never a reinterpretation.
SELECT cachex.get_as('values', 'integer', NULL::bigint);
SELECT cachex.get_as('values', 'integer', NULL::oid);
SELECT cachex.get_as('values', 'pair', NULL::nested);
SELECT cachex.get_as('values', 'pair[]', NULL::pair);
SELECT cachex.get_as('values', 'positive', 7);
SELECT cachex.get('values', 'pair');
SELECT cachex.get_as('values', 'jsonb', NULL::json);

-- A composite that was altered is a miss, in every form that contains it.
SELECT status FROM cachex.lookup('values', 'pair');
ALTER TYPE pair ADD ATTRIBUTE c int;
SELECT cachex.get_as('values', 'pair', NULL::pair);
SELECT cachex.get_as('values', 'pair[]', NULL::pair[]);
SELECT cachex.get_as('values', 'nested', NULL::nested);
SELECT cachex.fetch_as('values', 'pair', NULL::pair, $$SELECT '(1,a,2)'::pair$$);
SELECT cachex.get_as('values', 'pair', NULL::pair);
ALTER TYPE pair DROP ATTRIBUTE b;
SELECT cachex.get_as('values', 'pair', NULL::pair);
SELECT cachex.fetch_as('values', 'pair', NULL::pair, $$SELECT '(1,2)'::pair$$);
ALTER TYPE pair ALTER ATTRIBUTE c TYPE bigint;
SELECT cachex.get_as('values', 'pair', NULL::pair);
ALTER TABLE row_type ADD more int;
SELECT cachex.get_as('values', 'row_type', NULL::row_type);

-- So is one that was dropped, also when its name is used again.
DROP TYPE nested;
CREATE TYPE nested AS (a int);
SELECT cachex.get_as('values', 'nested', NULL::nested);
SELECT status, value FROM cachex.lookup('values', 'nested');
DROP TYPE mood CASCADE;
SELECT cachex.get_as('values', 'mood', NULL::text);
SELECT status, value FROM cachex.lookup('values', 'mood');
SELECT status, value FROM cachex.lookup('values', 'mood[]');
DROP TYPE positive;
SELECT status, value FROM cachex.lookup('values', 'positive');

SELECT cx_check();
SELECT cachex.drop_cache('values');
DROP FUNCTION round_trip;
DROP TYPE nested, pair;
DROP TABLE row_type;
