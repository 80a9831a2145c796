-- Invalidation by key, tag, pattern, scope and cache.
SELECT cachex.create_cache('inv', consistency => 'ttl');
SELECT cachex.create_cache('inv2', consistency => 'ttl');

-- What is left of both, as cache:key.
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(name, ' ' ORDER BY name COLLATE "C"), 'nothing') FROM (
		SELECT DISTINCT concat_ws(':', replace(e.cache, 'inv', ''), e.scope, e.key) AS name
		FROM cachex.entries() AS e
		WHERE e.cache LIKE 'inv%'
			AND (cachex.lookup(e.cache, e.key, scope => e.scope)).status <> 'miss') AS x
$$;
CREATE FUNCTION start() RETURNS text LANGUAGE sql AS $$
	SELECT cachex.put('inv', 'a', '1', tags => '{t}'),
		cachex.put('inv', 'b', '1', tags => '{t,u}'),
		cachex.put('inv', 'ab', '1'),
		cachex.put('inv', 'a', '1', scope => 's', tags => '{u}'),
		cachex.put('inv', 'b', '1', scope => 's'),
		cachex.put('inv', 'a', '1', scope => 's2'),
		cachex.put('inv2', 'a', '1', tags => '{t}'),
		cachex.put('inv2', 'b', '1');
	SELECT state();
$$;

-- A key, in every scope or in one; not in another cache.
SELECT start();
SELECT cachex.invalidate('inv', 'a');
SELECT state();
SELECT start();
SELECT cachex.invalidate('inv', 'a', scope => 's');
SELECT state();
SELECT cachex.invalidate('inv', 'absent'), cachex.invalidate('inv', 'b', scope => 'absent');
SELECT state();
SELECT start() IS NOT NULL;
SELECT cachex.invalidate('inv', 'a', 's');
SELECT cachex.invalidate('inv', 'a');
SELECT state();

-- A tag, across caches; several at once; none.
SELECT start();
SELECT cachex.invalidate_tags('{t}');
SELECT state();
SELECT start();
SELECT cachex.invalidate_tags('{u}');
SELECT state();
SELECT start();
SELECT cachex.invalidate_tags('{u,nobody has this one,t}');
SELECT state();
SELECT cachex.invalidate_tags('{}');
SELECT state();
-- all of 64 tags, of any length
SELECT cachex.put('inv', 'tagged', '1', tags => (SELECT array_agg(repeat('t', i * 3)) FROM generate_series(1, 64) AS i));
SELECT cardinality(tags) FROM cachex.lookup('inv', 'tagged');
SELECT cachex.invalidate_tags(ARRAY[repeat('t', 2)]);
SELECT status FROM cachex.lookup('inv', 'tagged');
SELECT cachex.invalidate_tags(ARRAY[repeat('t', 192)]);
SELECT status FROM cachex.lookup('inv', 'tagged');
-- an entry that is replaced has the tags of its last value only
SELECT cachex.put('inv', 'tagged', '1', tags => '{old}'), cachex.put('inv', 'tagged', '2', tags => '{new}');
SELECT cachex.invalidate_tags('{old}');
SELECT cachex.get('inv', 'tagged');
SELECT cachex.invalidate_tags('{new}');
SELECT cachex.get('inv', 'tagged');

-- A pattern: %, _ and \, over whole keys, in every scope of one cache. It
-- returns how many there are.
SELECT cachex.drop_cache('inv'), cachex.drop_cache('inv2');
SELECT cachex.create_cache('inv', consistency => 'ttl');
SELECT cachex.create_cache('inv2', consistency => 'ttl');
SELECT start();
SELECT cachex.invalidate_like('inv', 'a');
SELECT state();
CREATE FUNCTION matches(pattern text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key, ' ' ORDER BY key COLLATE "C")
	FROM cachex.entries('inv2', pattern)
$$;
SELECT cachex.clear('inv2');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'inv2'$$);
SELECT bool_and(cachex.put('inv2', key, '1'))
FROM unnest('{user:1,user:12,user:2,users,usr,100%,100x,a_b,axb,a\\b,ключ,ключи,%}'::text[]) AS key;
SELECT left(pattern, 10) AS pattern, matches(pattern), matches(pattern) IS NOT DISTINCT FROM (
	SELECT string_agg(key, ' ' ORDER BY key COLLATE "C")
	FROM cachex.entries('inv2') WHERE key LIKE pattern) AS same_as_like
FROM unnest(ARRAY['user:1', 'user:%', 'user:_', '%:%2', 'u%r%', '%r', '100\%', '100_',
	'a\_b', 'a\\b', 'клю_', '_____', 'клю%', '%%', '\%', '', 'USER:1', '%%%1%%',
	'%' || repeat('_%', 200)]) AS pattern;
SELECT cachex.invalidate_like('inv2', 'user:_');
SELECT key FROM cachex.entries('inv2', 'u%') WHERE cachex.get('inv2', key) IS NOT NULL ORDER BY key;
-- once more: there are none now
SELECT cachex.invalidate_like('inv2', 'user:_');
SELECT cachex.invalidate_like('inv2', 'nothing%');
-- a pattern that would be exponential for a naive matcher
SELECT cachex.put('inv2', repeat('a', 1000), '1');
SELECT cachex.invalidate_like('inv2', repeat('%a', 400) || '%b');
SELECT cachex.invalidate_like('inv2', repeat('%a', 400));
SELECT cachex.get('inv2', repeat('a', 1000));

-- A scope, a cache, all of them.
SELECT cachex.drop_cache('inv2');
SELECT cachex.create_cache('inv2', consistency => 'ttl');
SELECT start();
SELECT cachex.clear('inv', 's');
SELECT state();
SELECT start();
SELECT cachex.clear('inv', scope => 'absent');
SELECT cachex.clear('inv');
SELECT state();
SELECT start();
SELECT cachex.clear();
SELECT state();

-- What a clear left goes from the memory: at once with purge.
SELECT start() IS NOT NULL;
SELECT cachex.clear('inv');
SELECT cachex.purge('inv') BETWEEN 0 AND 6;
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'inv'$$);
SELECT cache, entries, bytes > 0 AS bytes FROM cachex.stats WHERE cache LIKE 'inv%' ORDER BY cache;

-- An invalidation of what is not there is remembered all the same, for a load
-- that is under way; entries stored after it are not touched by it.
SELECT cachex.invalidate('inv', 'later'), cachex.invalidate_tags('{later}');
SELECT cachex.put('inv', 'later', '1', tags => '{later}');
SELECT cachex.fetch('inv', 'later too', 'SELECT 1', tags => '{later}');
SELECT cachex.get('inv', 'later'), cachex.get('inv', 'later too');

-- More invalidations than there are places for generations: each one still
-- holds, and none lets an older entry come back.
SELECT bool_and(cachex.put('inv', 'k' || i, '1', tags => ARRAY['tag' || i % 100])) FROM generate_series(1, 1000) AS i;
SELECT count(cachex.invalidate('inv2', 'x' || i)) FROM generate_series(1, 300000) AS i;
SELECT cachex.invalidate('inv', 'k1'), cachex.invalidate_tags('{tag2}');
SELECT count(cachex.invalidate('inv2', 'x' || i)) FROM generate_series(1, 300000) AS i;
SELECT cachex.get('inv', 'k1'), count(cachex.get('inv', 'k' || i)) FILTER (WHERE i % 100 = 2) AS tagged
FROM generate_series(1, 1000) AS i;

SELECT cx_check();
SELECT cachex.drop_cache('inv'), cachex.drop_cache('inv2');
DROP FUNCTION start, state, matches;
