-- Limits of a cache, kept exactly by eviction within that cache; staged
-- entries count, and are evicted like others.
SELECT cachex.create_cache('ten', max_entries => 10, consistency => 'ttl');
SELECT cachex.create_cache('bytes', max_memory => '64kB', consistency => 'ttl');
SELECT cachex.create_cache('both', max_entries => 5, max_memory => '20kB', consistency => 'ttl');
SELECT cachex.create_cache('none', max_entries => 0, consistency => 'ttl');
SELECT cachex.create_cache('beside', consistency => 'ttl');
SELECT bool_and(cachex.put('beside', 'k' || i, '1')) FROM generate_series(1, 50) AS i;

-- One transaction after the other, never one more than the limit, and not
-- fewer either.
CREATE PROCEDURE fill(cache text, n int, bytes int) LANGUAGE plpgsql AS $$
DECLARE
	-- how many small ones fit is a matter of overhead
	most bigint := 0; most_bytes bigint := 0; s record;
BEGIN
	FOR i IN 1..n LOOP
		PERFORM cachex.put(cache, 'k' || i, to_jsonb(repeat('x', bytes)));
		SELECT INTO s * FROM cachex.stats WHERE stats.cache = fill.cache;
		most := greatest(most, s.entries);
		most_bytes := greatest(most_bytes, s.bytes);
		COMMIT;
		SELECT INTO s * FROM cachex.stats WHERE stats.cache = fill.cache;
		most := greatest(most, s.entries);
		most_bytes := greatest(most_bytes, s.bytes);
	END LOOP;
	RAISE INFO '%: % entries at most; bytes within the limit: %; evicted and there: %',
		cache, CASE WHEN cache <> 'bytes' THEN most END,
		most_bytes <= s.bytes_limit AND s.bytes_peak <= s.bytes_limit,
		s.evicted + s.entries;
END $$;
CALL fill('ten', 100, 10);
CALL fill('both', 100, 10);
CALL fill('both', 100, 10000);
CALL fill('bytes', 1000, 10);
CALL fill('bytes', 100, 20000);
-- as full as it can be
SELECT bytes + 21000 > bytes_limit AS full FROM cachex.stats WHERE cache = 'bytes';
SELECT entries, evicted FROM cachex.stats WHERE cache = 'beside';

-- What was put last is there.
SELECT cachex.put('ten', 'last', '1');
SELECT cachex.get('ten', 'last');

-- All in one transaction: what does not survive is not seen by its own reads
-- either; nothing is left after a rollback.
SELECT cachex.clear('ten');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'ten'$$);
BEGIN;
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('ten', 'k' || i, to_jsonb(i));
SELECT count(cachex.get('ten', 'k' || i)), max(cachex.get('ten', 'k' || i)::int) FROM generate_series(1, 100) AS i;
SELECT entries FROM cachex.stats WHERE cache = 'ten';
ROLLBACK;
SELECT entries, bytes FROM cachex.stats WHERE cache = 'ten';
BEGIN;
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('ten', 'k' || i, to_jsonb(i));
COMMIT;
SELECT count(cachex.get('ten', 'k' || i)), max(cachex.get('ten', 'k' || i)::int) FROM generate_series(1, 100) AS i;
SELECT entries FROM cachex.stats WHERE cache = 'ten';

-- A staged value that was evicted must not leave the old one behind.
SELECT cachex.clear('ten');
SELECT cachex.put('ten', 'k', '"old"');
BEGIN;
SELECT cachex.put('ten', 'k', '"new"');
SELECT count(*) FROM generate_series(1, 200) AS i WHERE cachex.put('ten', 'k' || i, to_jsonb(i), cost => '1 h');
SELECT cachex.get('ten', 'k');
COMMIT;
SELECT cachex.get('ten', 'k');

-- Fills are evicted as puts are.
SELECT cachex.clear('ten');
SELECT sum(cachex.fetch('ten', 'f' || i, 'SELECT $1::int', ARRAY[i::text])::int) FROM generate_series(1, 100) AS i;
SELECT entries, fills FROM cachex.stats WHERE cache = 'ten';

-- What is used, or was expensive, stays.
SELECT cachex.create_cache('worth', max_entries => 10, consistency => 'ttl');
CREATE PROCEDURE crowd(hot text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..500 LOOP
		PERFORM cachex.put('worth', 'crowd' || i, '1');
		COMMIT;
		PERFORM cachex.get('worth', hot);
	END LOOP;
	RAISE INFO '% %', hot, cachex.get('worth', hot);
END $$;
SELECT cachex.put('worth', 'hot', '1');
CALL crowd('hot');
SELECT cachex.put('worth', 'costly', '1', cost => '1 min');
CALL crowd('crowd0');
SELECT cachex.get('worth', 'costly');
SELECT evicted > 900, evicted_unread BETWEEN 900 AND evicted FROM cachex.stats WHERE cache = 'worth';

-- No entries at all, and values that are larger than the whole cache: they
-- are not kept, which is counted, and fetch answers all the same.
SELECT cachex.put('none', 'k', '1'), cachex.put_many('none', '{"a": 1}'),
	cachex.put('bytes', 'k', to_jsonb(repeat('x', 65536)));
SELECT cachex.fetch('none', 'k', 'SELECT 1'), length(cachex.fetch('bytes', 'k', 'SELECT repeat(''x'', 65536)')::text);
SELECT cache, refused_limit, entries FROM cachex.stats WHERE cache = 'none';
SELECT cache, refused_limit FROM cachex.stats WHERE cache = 'bytes';
-- it takes the old value away
SELECT cachex.put('bytes', 'k', '"old"');
SELECT cachex.put('bytes', 'k', to_jsonb(repeat('x', 65536)));
SELECT cachex.get('bytes', 'k');

-- New limits hold from the commit on, whatever is there.
BEGIN;
SELECT cachex.alter_cache('beside', '{"max_entries": 20}');
ROLLBACK;
SELECT entries FROM cachex.stats WHERE cache = 'beside';
SELECT cachex.alter_cache('beside', '{"max_entries": 20}');
SELECT entries, evicted FROM cachex.stats WHERE cache = 'beside';
SELECT cachex.alter_cache('beside', '{"max_memory": "1kB"}');
SELECT entries < 20, bytes <= 1024, bytes_limit FROM cachex.stats WHERE cache = 'beside';
SELECT cachex.alter_cache('beside', '{"max_entries": 0}');
SELECT entries, bytes FROM cachex.stats WHERE cache = 'beside';
SELECT cachex.alter_cache('beside', '{"max_entries": null, "max_memory": null}');
SELECT count(*) FROM generate_series(1, 50) AS i WHERE cachex.put('beside', 'k' || i, '1');
SELECT entries, bytes_limit FROM cachex.stats WHERE cache = 'beside';

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches
WHERE name IN ('ten', 'bytes', 'both', 'none', 'beside', 'worth');
DROP PROCEDURE fill, crowd;
