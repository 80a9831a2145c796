-- lookup: the entry and all that is known of it; it never loads and never
-- raises an error but for a cache that does not exist.
SELECT cachex.create_cache('look', consistency => 'ttl');
\pset null '-'
\x on

SELECT cachex.put('look', 'k', '{"a": 1}', tags => '{t,u}', metadata => '{"content-type": "json"}',
	cost => '250 ms', ttl => '90 s', scope => 's');
SELECT cache, scope, key, status, value, length(etag) AS etag, version > 0 AS version,
	created_at BETWEEN now() - interval '1 min' AND now() AS created_at, age < '1 min' AS age,
	ttl BETWEEN '80 s' AND '90 s' AS ttl, expires_at - created_at AS life, frequency, bytes > 100 AS bytes,
	round(load_ms) AS load_ms, tags, metadata, cache_control ~ '^max-age=(8\d|90)$' AS cache_control
FROM cachex.lookup('look', 'k', scope => 's');
SELECT * FROM cachex.put('look', 'negative', NULL);
SELECT status, value, etag, version > 0 AS version, expires_at - created_at AS life, tags, metadata
FROM cachex.lookup('look', 'negative');
SELECT cache, scope, key, status, value, etag, version > 0 AS version, created_at, age, ttl, expires_at,
	frequency, bytes, load_ms, tags, metadata, cache_control
FROM cachex.lookup('look', 'absent', scope => 's');
\x off
SELECT cachex.lookup('nowhere', 'k');

-- The etag is of the value: the same for the same, whoever put it and when.
SELECT cachex.put('look', 'a', '{"x": 1, "y": [2]}'), cachex.put('look', 'b', '{"y": [2], "x": 1}', ttl => '1 min', scope => 's'),
	cachex.put('look', 'c', '{"x": 1, "y": [3]}'), cachex.put('look', 'd', '"1"'), cachex.put('look', 'e', '1');
SELECT etag AS a FROM cachex.lookup('look', 'a') \gset
SELECT key, etag = :'a' AS same FROM (VALUES ('a'), ('c'), ('d')) v(k), cachex.lookup('look', k);
SELECT etag = :'a' AS same FROM cachex.lookup('look', 'b', scope => 's');
SELECT count(DISTINCT (cachex.lookup('look', k)).etag) FROM unnest('{a,c,d,e}'::text[]) AS k;
SELECT :'a' ~ '^"[0-9a-f]{16}"$' AS quoted;

-- With the etag that the caller has, the value is left out.
SELECT status, value, etag = :'a' AS etag, cache_control ~ '^max-age=3[56]\d\d$' AS cache_control FROM cachex.lookup('look', 'a', if_none_match => :'a');
SELECT status, value FROM cachex.lookup('look', 'a', if_none_match => '"0"');
SELECT status, value FROM cachex.lookup('look', 'absent', if_none_match => :'a');
SELECT cachex.put('look', 'a', '2');
SELECT status, value FROM cachex.lookup('look', 'a', if_none_match => :'a');
SELECT cachex.put('look', 'a', '{"x": 1, "y": [2]}');
SELECT status, value FROM cachex.lookup('look', 'a', if_none_match => :'a');
SELECT status FROM cachex.lookup('look', 'negative', if_none_match => :'a');

-- A version is of the storing: each has another, also of the same value, and
-- reading does not change it.
SELECT version AS v1 FROM cachex.lookup('look', 'a') \gset
SELECT version = :v1 AS same FROM cachex.lookup('look', 'a');
SELECT cachex.put('look', 'a', '{"x": 1, "y": [2]}');
SELECT version > :v1 AS later FROM cachex.lookup('look', 'a');
SELECT version AS v2 FROM cachex.lookup('look', 'a') \gset
SELECT cachex.touch('look', 'a');
SELECT version > :v2 AS later FROM cachex.lookup('look', 'a');
SELECT version AS v1 FROM cachex.lookup('look', 'absent') \gset
SELECT cachex.invalidate('look', 'other');
SELECT version >= :v1 AS later FROM cachex.lookup('look', 'absent');

-- It counts as get does, and counts for eviction.
SELECT cachex.create_cache('counted', consistency => 'ttl');
SELECT cachex.put('counted', 'k', '1'), cachex.put('counted', 'n', NULL);
SELECT count((cachex.lookup('counted', 'k')).status) FROM generate_series(1, 3);
SELECT count(status) FROM cachex.lookup('counted', 'n');
SELECT count(status) FROM cachex.lookup('counted', 'absent');
SELECT hits, negative_hits, misses, loads FROM cachex.stats WHERE cache = 'counted';

-- Filled entries: what the loader took, and what it returned in its type.
SELECT cachex.fetch_as('look', 'range', NULL::int4range, 'SELECT ''[1,5)''::int4range FROM pg_sleep(0.02)', tags => '{r}');
SELECT status, value, load_ms >= 20 AS load_ms, tags, metadata, scope FROM cachex.lookup('look', 'range');

SELECT cx_check();
SELECT cachex.drop_cache('look'), cachex.drop_cache('counted');
