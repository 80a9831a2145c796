-- fetch_many: the keys that are there from the cache, the others by one run of
-- the query, which gets them as $1.
SELECT cachex.create_cache('many', consistency => 'ttl');
CREATE TABLE products (id int PRIMARY KEY, name text);
INSERT INTO products SELECT i, 'product ' || i FROM generate_series(1, 9) AS i;
-- The queries get what is missing, no more: a notice tells.
CREATE FUNCTION asked_for(keys text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	RAISE INFO 'asked for %', keys;
	RETURN keys;
END $$;
\set load 'SELECT k AS key, name AS value FROM unnest(asked_for($1)) AS k LEFT JOIN products ON id::text = k WHERE k <> ''nobody'''

-- In the order of the keys, a row a key; twice the same key is twice a row.
SELECT * FROM cachex.fetch_many('many', '{3,1,2}', :'load');
SELECT * FROM cachex.fetch_many('many', '{1,4,3,5,1}', :'load');
SELECT * FROM cachex.fetch_many('many', '{1,2,3,4,5}', :'load');
SELECT * FROM cachex.fetch_many('many', '{}', :'load');

-- A key without a row is NULL, and so is a row without a value; both are kept.
SELECT * FROM cachex.fetch_many('many', '{nobody,77,1}', :'load');
SELECT * FROM cachex.fetch_many('many', '{77,nobody}', :'load');
SELECT key, status FROM unnest('{77,nobody}'::text[]) AS k, cachex.lookup('many', k);

-- What the query returns beyond the keys is not kept; of two rows of one key
-- one is.
SELECT * FROM cachex.fetch_many('many', '{a}', 'SELECT k AS key, ''of '' || k AS value FROM unnest($1 || ''{b,c}'') AS k');
SELECT status FROM cachex.lookup('many', 'b');
SELECT count(*), count(value) FROM cachex.fetch_many('many', '{twice}', 'SELECT ''twice'' AS key, i AS value FROM generate_series(1, 2) AS i');

-- One entry is as good as by fetch, invalidated alone.
SELECT cachex.invalidate('many', '2');
SELECT * FROM cachex.fetch_many('many', '{1,2}', :'load');
SELECT cachex.put('many', '1', '"by hand"');
SELECT * FROM cachex.fetch_many('many', '{1,2}', :'load');

-- Tags, ttl and the columns of a row.
SELECT * FROM cachex.fetch_many('many', '{t1,t2,t3,t4}', $$
	SELECT k AS key, upper(k) AS value, CASE k WHEN 't2' THEN interval '5 min' END AS ttl,
		CASE k WHEN 't3' THEN '{own}'::text[] END AS tags, k = 't4' AS ignore
	FROM unnest($1) AS k$$, ttl => '10 s', tags => '{given}');
SELECT key, status, expires_at - created_at AS life, tags
FROM unnest('{t1,t2,t3,t4}'::text[]) AS k, cachex.lookup('many', k);
SELECT cachex.invalidate_tags('{given}');
SELECT key, status FROM unnest('{t1,t2,t3,t4}'::text[]) AS k, cachex.lookup('many', k);
-- several columns are an object
SELECT * FROM cachex.fetch_many('many', '{6,7}', 'SELECT id::text AS key, id, name FROM products WHERE id::text = ANY ($1)');

-- Another query under the same keys loads again.
SELECT * FROM cachex.fetch_many('many', '{6,7}', 'SELECT id::text AS key, name FROM products WHERE id::text = ANY ($1)');
SELECT loader_changed FROM cachex.stats WHERE cache = 'many';

-- The loader of a cache, called once for each missing key.
CREATE FUNCTION load_one(key text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RAISE INFO 'loading %', key;
	RETURN to_jsonb(upper(key));
END $$;
SELECT cachex.create_cache('one', loader => 'load_one(text)', consistency => 'ttl');
SELECT cachex.fetch('one', 'b');
SELECT * FROM cachex.fetch_many('one', '{a,b,c}');
SELECT * FROM cachex.fetch_many('one', '{a,b,c}');
SELECT cachex.fetch('one', 'c', mode => 'cached');

-- An error stores nothing.
SELECT * FROM cachex.fetch_many('many', '{1,e1,e2}', 'SELECT k AS key, 1 / (k <> ''e2'')::int AS value FROM unnest($1) AS k');
SELECT key, status FROM unnest('{e1,e2}'::text[]) AS k, cachex.lookup('many', k);
SELECT load_errors FROM cachex.stats WHERE cache = 'many';

-- Many of them; an exact cache keeps none that it cannot follow.
SELECT count(*), sum(value::int) FROM cachex.fetch_many('many',
	(SELECT array_agg('n' || i) FROM generate_series(1, 5000) AS i),
	'SELECT k AS key, substr(k, 2)::int AS value FROM unnest($1) AS k');
SELECT count(cachex.get('many', 'n' || i)) FROM generate_series(1, 5000) AS i;
SELECT cachex.create_cache('exact');
SELECT * FROM cachex.fetch_many('exact', '{1}', :'load');
SELECT * FROM cachex.fetch_many('exact', '{1}', :'load');
SELECT refused_unwatched FROM cachex.stats WHERE cache = 'exact';
SET cachex.enabled = off;
SELECT * FROM cachex.fetch_many('many', '{1}', :'load');
RESET cachex.enabled;

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches WHERE name IN ('many', 'one', 'exact');
DROP FUNCTION asked_for, load_one;
DROP TABLE products;
