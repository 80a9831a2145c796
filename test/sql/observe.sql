-- What can be seen: stats, caches, entries() and memory(); reset_stats.
SELECT cachex.create_cache('seen', max_memory => '1MB', consistency => 'ttl');

-- Each kind of event moves its counter, and no other.
CREATE FUNCTION moved(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb; after jsonb;
BEGIN
	SELECT to_jsonb(s) INTO before FROM cachex.stats AS s WHERE cache = 'seen';
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	SELECT to_jsonb(s) INTO after FROM cachex.stats AS s WHERE cache = 'seen';
	RETURN string_agg(format('%s %s', key, after->>key), ', ' ORDER BY key)
		FROM jsonb_object_keys(after) AS key
		WHERE after->key <> before->key
			AND key NOT LIKE 'bytes%' AND key NOT LIKE 'load_ms%' AND key NOT LIKE 'hit_us%'
			AND key NOT IN ('time_saved_ms', 'last_sweep', 'hit_rate');
END $$;
SELECT moved($$SELECT cachex.get('seen', 'k')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'k', 'SELECT 1')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'k', 'SELECT 1')$$);
SELECT moved($$SELECT cachex.get('seen', 'k')$$);
SELECT moved($$SELECT cachex.get_as('seen', 'k', NULL::jsonb)$$);
SELECT moved($$SELECT cachex.lookup('seen', 'k')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'k', 'SELECT 1', mode => 'bypass')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'k', 'SELECT 1', mode => 'refresh')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'k', 'SELECT 2')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'n', 'SELECT NULL')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'n', 'SELECT NULL')$$);
SELECT moved($$SELECT cachex.get('seen', 'n')$$);
SELECT moved($$SELECT cachex.fetch('seen', 'e', 'SELECT 1 / 0')$$);
SELECT moved($$SELECT * FROM cachex.fetch_many('seen', '{k,m1,m2}', 'SELECT k AS key, 1 AS value FROM unnest($1) AS k')$$);
-- a staged value occupies memory; it is counted as put at the commit
SELECT moved($$SELECT cachex.put('seen', 'p', '1')$$);
SELECT puts FROM cachex.stats WHERE cache = 'seen';
SELECT moved($$SELECT cachex.put('seen', 'p', '2')$$);
SELECT puts, replaced FROM cachex.stats WHERE cache = 'seen';
SELECT cachex.invalidate('seen', 'p');
SELECT puts, replaced, invalidated FROM cachex.stats WHERE cache = 'seen';
SELECT moved($$SELECT cachex.put('seen', 'large', to_jsonb(repeat('x', 1100000)))$$);
SELECT moved($$SELECT cachex.put('seen', 'larger than the cache', to_jsonb(repeat('x', 1048570)))$$);
-- reading the statistics moves nothing
SELECT moved('SELECT * FROM cachex.stats'), moved('SELECT * FROM cachex.entries()'),
	moved('SELECT * FROM cachex.memory()'), moved('SELECT * FROM cachex.caches');

-- What they add up to.
SELECT cachex.reset_stats('seen');
SELECT available, enabled, hits, negative_hits, misses, hit_rate, bypasses, loads, load_errors, fills, puts,
	invalidated, replaced, too_large, loader_changed, refused_limit, load_ms_avg, load_ms_p99, time_saved_ms = 0 AS nothing_saved,
	bytes = bytes_peak AS at_the_peak, stats_reset > now() - interval '1 min' AS just_now
FROM cachex.stats WHERE cache = 'seen';
SELECT count(cachex.fetch('seen', 'r' || i % 3, 'SELECT 1 FROM pg_sleep(0.01)')) FROM generate_series(1, 8) AS i;
SELECT cachex.get('seen', 'n'), cachex.fetch('seen', 'r0', 'SELECT 1', mode => 'bypass');
-- hits in percent of all but bypasses: 5 + 1 of 5 + 1 + 3
SELECT hits, negative_hits, misses, hit_rate, bypasses, loads FROM cachex.stats WHERE cache = 'seen';
SELECT time_saved_ms >= 50 AS time_saved_ms, load_ms_avg < load_ms_p99 OR load_ms_avg > 0 AS load_ms_avg,
	load_ms_p50 >= 8 AS load_ms_p50, load_ms_p95 >= load_ms_p50 AS load_ms_p95, load_ms_p99 >= load_ms_p95 AS load_ms_p99
FROM cachex.stats WHERE cache = 'seen';
SELECT count(cachex.get('seen', 'r0')) FROM generate_series(1, 1000);
SELECT hits, hit_us_p50 > 0 AS hit_us_p50, hit_us_p99 >= hit_us_p50 AS hit_us_p99 FROM cachex.stats WHERE cache = 'seen';

-- A row a cache; those that nobody has created are among them.
SELECT cache, available, enabled, nullif(bytes_limit, cachex.public_memory()) AS bytes_limit FROM cachex.stats ORDER BY cache;
SELECT name, consistency, nullif(max_memory, cachex.public_memory()) AS max_memory FROM cachex.caches ORDER BY name;
SELECT pg_typeof(hits), pg_typeof(bytes), pg_typeof(hit_rate), pg_typeof(stats_reset) FROM cachex.stats LIMIT 1;

-- bytes is what its entries occupy, and memory() what all of them do.
SELECT s.entries = count(*) AS entries, s.bytes = sum(e.bytes) AS bytes, s.bytes_peak >= s.bytes AS peak
FROM cachex.stats AS s JOIN cachex.entries('seen') AS e USING (cache) GROUP BY s.entries, s.bytes, s.bytes_peak;
SELECT cx_wait('entries = (SELECT sum(entries) FROM cachex.stats) FROM cachex.memory()') AS entries;
SELECT used BETWEEN 1 AND available AS used, in_doubt FROM cachex.memory();

-- entries(): what there is, with its state; the value is left to lookup.
SELECT cachex.create_cache('listed', consistency => 'ttl');
SELECT cachex.put('listed', 'hit', '1', tags => '{t,u}', expires_at => '2121-01-01'), cachex.put('listed', 'negative', NULL),
	cachex.put('listed', 'scoped', '1', scope => 's', cost => '3 s');
SELECT cache, scope, key, status, expires_at = '2121-01-01' AS expires, frequency, round(load_ms) AS load_ms, tags
FROM cachex.entries('listed') ORDER BY key;
SELECT e.version = l.version AS version, e.created_at = l.created_at AS created, e.expires_at = l.expires_at AS expires, e.bytes = l.bytes AS bytes
FROM cachex.entries('listed', 'hit') AS e, cachex.lookup('listed', 'hit') AS l;
SELECT key FROM cachex.entries('listed', '%t%') ORDER BY key;
SELECT cache, key FROM cachex.entries(NULL, 'hit') ORDER BY cache;
SELECT count(*) FROM cachex.entries('listed', 'none');
BEGIN;
SELECT cachex.put('listed', 'pending', '1');
SELECT key, status FROM cachex.entries('listed', 'pend%');
ROLLBACK;
SELECT key, status FROM cachex.entries('listed', 'pend%');
-- what an invalidation, a tag or a clear has ended is not shown as a hit
SELECT cachex.invalidate('listed', 'hit');
SELECT key, status FROM cachex.entries('listed', 'hit') WHERE status <> 'dead';
SELECT cachex.put('listed', 'hit', '1', tags => '{t,u}');
SELECT cachex.invalidate_tags('{u}');
SELECT key, status FROM cachex.entries('listed', 'hit') WHERE status <> 'dead';
SELECT cachex.clear('listed');
SELECT key, status FROM cachex.entries('listed') WHERE status <> 'dead';
-- more than one bucket, none twice
SELECT bool_and(cachex.put('listed', 'many' || i, '1')) FROM generate_series(1, 20000) AS i;
SELECT count(*), count(DISTINCT key) FROM cachex.entries('listed', 'many%');

-- reset_stats: one cache, or all.
SELECT cachex.reset_stats('listed');
SELECT puts FROM cachex.stats WHERE cache = 'listed';
SELECT hits > 0 FROM cachex.stats WHERE cache = 'seen';
SELECT cachex.reset_stats();
SELECT cache, hits, misses, loads FROM cachex.stats ORDER BY cache;

SELECT cx_check();
SELECT cachex.drop_cache('seen'), cachex.drop_cache('listed');
DROP FUNCTION moved;
