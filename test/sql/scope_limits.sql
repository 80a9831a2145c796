-- max_entries_per_scope: a scope that is full makes room among its own
-- entries. Staged ones count, as for max_entries.
SELECT cachex.create_cache('hundred', max_entries_per_scope => 100, consistency => 'ttl');
SELECT cachex.create_cache('four', max_entries_per_scope => 4, consistency => 'ttl');
SELECT cachex.create_cache('one', max_entries_per_scope => 1, consistency => 'ttl');
SELECT cachex.create_cache('both', max_entries_per_scope => 10, max_entries => 25, consistency => 'ttl');
SELECT cachex.create_cache('unlimited', consistency => 'ttl');
SELECT cachex.create_cache('bad', max_entries_per_scope => 0);

-- How many entries the scopes have: how many scopes have so many.
CREATE FUNCTION sizes(cache text) RETURNS TABLE (entries bigint, scopes bigint)
LANGUAGE sql AS $$
	SELECT n, count(*) FROM
		(SELECT count(*) AS n FROM cachex.entries($1)
		 WHERE scope IS NOT NULL AND status <> 'dead' GROUP BY scope) AS s
	GROUP BY n ORDER BY n
$$;

-- Many scopes, in one statement each time: exactly the limit remains, and it
-- is the last ones. No scope, or another cache: no limit.
SELECT count(*) FROM generate_series(1, 150) AS k, generate_series(1, 300) AS u
WHERE cachex.put('hundred', 'k' || 1000 + k, to_jsonb(k), scope => 'u' || u);
SELECT * FROM sizes('hundred');
SELECT min(key), max(key) FROM cachex.entries('hundred');
SELECT evicted, evicted_unread, cleared, expired FROM cachex.stats WHERE cache = 'hundred';
SELECT count(*) FROM generate_series(1, 150) AS k
WHERE cachex.put('hundred', 'k' || k, '1') AND cachex.put('unlimited', 'k' || k, '1', scope => 'u1');
SELECT scope, count(*) FROM cachex.entries('hundred') WHERE scope IS NULL GROUP BY 1;
SELECT * FROM sizes('unlimited');
SELECT cx_check();
-- what finds the entries of a scope, entries without one and other caches have not
SELECT cachex.put(cache, 'size', to_jsonb(repeat('x', 78)), scope => scope)
FROM unnest(ARRAY['hundred', 'unlimited']) AS cache, unnest(ARRAY['twelve bytes', NULL]) AS scope;
SELECT cache, scope, bytes FROM cachex.entries(NULL, 'size') ORDER BY 1, 2;

-- The same one by one, and in a transaction that rolls back.
CREATE PROCEDURE fill(cache text, scope text, prefix text, n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM cachex.put(cache, prefix || i, to_jsonb(i), scope => scope);
		COMMIT;
	END LOOP;
END $$;
CALL fill('four', 'a', 'k', 10);
CALL fill('four', 'b', 'k', 3);
SELECT scope, key FROM cachex.entries('four') ORDER BY 1, 2;
BEGIN;
SELECT count(*) FROM generate_series(1, 10) AS i WHERE cachex.put('four', 'new' || i, '1', scope => 'a');
SELECT count(cachex.get('four', 'new' || i, scope => 'a')), count(cachex.get('four', 'k' || i, scope => 'a'))
FROM generate_series(1, 10) AS i;
SELECT entries FROM cachex.stats WHERE cache = 'four';
ROLLBACK;
SELECT scope, key FROM cachex.entries('four') ORDER BY 1, 2;
CALL fill('four', 'a', 'm', 4);
CALL fill('one', 'a', 'k', 5);
CALL fill('one', 'b', 'k', 5);
SELECT scope, key FROM cachex.entries('one') ORDER BY 1, 2;

-- An entry that is replaced, removed or invalidated makes room again.
SELECT cachex.put('four', 'm4', '"again"', scope => 'a');
SELECT cachex.put('four', 'm3', '"again"', scope => 'a');
SELECT cachex.take('four', 'm4', scope => 'a');
SELECT * FROM sizes('four');
CALL fill('four', 'a', 'n', 2);
SELECT scope, key FROM cachex.entries('four') WHERE scope = 'a' AND status <> 'dead' ORDER BY 2;

-- What is read stays; of the oldest, what was cheap goes first.
SELECT cachex.clear('four'), cachex.clear('hundred');
CREATE PROCEDURE crowd(cache text, hot text, n int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.put(cache, hot, '1', scope => 'a');
	COMMIT;
	FOR i IN 1..n LOOP
		PERFORM cachex.get(cache, hot, scope => 'a');
		PERFORM cachex.put(cache, 'crowd' || i, '1', scope => 'a');
		COMMIT;
	END LOOP;
END $$;
CALL crowd('four', 'hot', 50);
SELECT key, frequency FROM cachex.entries('four') WHERE scope = 'a' AND status <> 'dead' ORDER BY 1;
-- all of them: then the oldest
SELECT cachex.clear('four');
CALL fill('four', 'a', 'read', 4);
SELECT count(cachex.get('four', 'read' || i, scope => 'a')) FROM generate_series(1, 4) AS i;
CALL fill('four', 'a', 'new', 1);
SELECT key FROM cachex.entries('four') WHERE scope = 'a' AND status <> 'dead' ORDER BY 1;
SELECT cachex.put('hundred', 'costly', '1', scope => 'a', cost => '1 min');
CALL fill('hundred', 'a', 'k', 500);
SELECT cachex.get('hundred', 'costly', scope => 'a'), entries FROM sizes('hundred');

-- A scope that is full does not make what others have look cheap.
SELECT cachex.create_cache('fair', max_entries_per_scope => 10, max_entries => 40, consistency => 'ttl');
SELECT count(*) FROM generate_series(1, 10) AS i WHERE cachex.put('fair', 'k' || i, '1', scope => 'old', cost => '1 s');
SELECT count(*) FROM generate_series(1, 200) AS i WHERE cachex.put('fair', 'k' || i, '1', scope => 'full', cost => '1 min');
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('fair', 'k' || i, '1', scope => 'cheap' || i % 10, cost => '1 ms');
SELECT scope, count(*) FROM cachex.entries('fair') WHERE scope NOT LIKE 'cheap%' GROUP BY 1 ORDER BY 1;

-- A scope that was cleared gives its old entries first, read ones too.
SELECT cachex.clear('four');
CALL fill('four', 'a', 'old', 4);
SELECT count(cachex.get('four', 'old' || i, scope => 'a')) FROM generate_series(1, 4) AS i;
SELECT cachex.clear('four', scope => 'a');
SELECT evicted, cleared FROM cachex.stats WHERE cache = 'four' \gset before_
CALL fill('four', 'a', 'new', 4);
SELECT key FROM cachex.entries('four') WHERE scope = 'a' AND key LIKE 'new%' ORDER BY 1;
SELECT evicted - :before_evicted AS evicted, cleared - :before_cleared AS cleared
FROM cachex.stats WHERE cache = 'four';
SELECT cx_check();

-- Both limits.
SELECT count(*) FROM generate_series(1, 30) AS k, generate_series(1, 5) AS u
WHERE cachex.put('both', 'k' || k, '1', scope => 'u' || u);
SELECT entries FROM cachex.stats WHERE cache = 'both';
SELECT max(entries) <= 10 AS within FROM sizes('both');

-- Every way to store an entry.
SELECT cachex.clear('four');
SELECT cachex.put_many('four', '{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}', scope => 'a');
SELECT * FROM sizes('four');
SELECT sum(cachex.fetch('four', 'f' || i, 'SELECT $1::int', ARRAY[i::text], scope => 'a')::int) FROM generate_series(1, 10) AS i;
SELECT count(*) FROM cachex.fetch_many('four', ARRAY['1', '2', '3', '4', '5', '6', '7', '8'],
	'SELECT k AS key, k AS value FROM unnest($1) AS k', scope => 'a');
SELECT cachex.incr('four', 'i' || i, scope => 'a'), cachex.push('four', 'p' || i, '1', scope => 'a'),
	cachex.update('four', 'u' || i, '$1', initial => '1', scope => 'a') FROM generate_series(1, 2) AS i;
SELECT cachex.touch('four', 'u2', ttl => '1 day', scope => 'a') FROM generate_series(1, 3);
SELECT entries <= 4 AS within FROM sizes('four');
SELECT cx_check();

-- Of all roles together.
CREATE ROLE regress_scope_limits;
SELECT cachex.grant_cache('four', 'regress_scope_limits', 'write');
SELECT cachex.clear('four');
CALL fill('four', 'a', 'k', 4);
SET ROLE regress_scope_limits;
SELECT cachex.put('four', 'k' || i, '1', scope => 'a') FROM generate_series(5, 6) AS i;
RESET ROLE;
SELECT count(*) FROM cachex.entries('four') WHERE status <> 'dead';

-- A lower limit holds from the commit on, a higher one as well; none is none.
SELECT cachex.clear('hundred');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'hundred'$$);
SELECT count(*) FROM generate_series(1, 150) AS k, generate_series(1, 30) AS u
WHERE cachex.put('hundred', 'k' || 1000 + k, to_jsonb(k), scope => 'u' || u);
BEGIN;
SELECT cachex.alter_cache('hundred', '{"max_entries_per_scope": 7}');
SELECT * FROM sizes('hundred');
ROLLBACK;
SELECT * FROM sizes('hundred');
SELECT evicted FROM cachex.stats WHERE cache = 'hundred' \gset before_
SELECT cachex.alter_cache('hundred', '{"max_entries_per_scope": 7}');
SELECT * FROM sizes('hundred');
SELECT evicted - :before_evicted AS evicted FROM cachex.stats WHERE cache = 'hundred';
SELECT cx_check();
SELECT cachex.alter_cache('hundred', '{"max_entries_per_scope": 9}');
CALL fill('hundred', 'u1', 'more', 5);
SELECT * FROM sizes('hundred');
SELECT cachex.alter_cache('hundred', '{"max_entries_per_scope": null}');
SELECT count(*) FROM generate_series(1, 20) AS k WHERE cachex.put('hundred', 'k' || k, '1', scope => 'u1');
SELECT max(entries) FROM sizes('hundred');
SELECT cx_check();
-- entries of before do not say which scope they are in: they go
SELECT cachex.alter_cache('hundred', '{"max_entries_per_scope": 5}');
SELECT cachex.get('hundred', 'k1', scope => 'u1');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'hundred'$$);
CALL fill('hundred', 'u1', 'k', 6);
SELECT * FROM sizes('hundred');
-- in one transaction
BEGIN;
SELECT count(*) FROM generate_series(1, 20) AS k WHERE cachex.put('unlimited', 'k' || k, '1', scope => 'u2');
SELECT cachex.alter_cache('unlimited', '{"max_entries_per_scope": 5}');
SELECT count(*) FROM generate_series(1, 20) AS k WHERE cachex.put('unlimited', 'k' || k, '1', scope => 'u3');
COMMIT;
SELECT cx_wait($$entries = 5 FROM cachex.stats WHERE cache = 'unlimited'$$);
SELECT * FROM sizes('unlimited');
SELECT cachex.alter_cache('default', '{"max_entries_per_scope": 5}');
SELECT count(*) FROM generate_series(1, 20) AS k WHERE cachex.put('default', 'k' || k, '1', scope => 'u3');
SELECT * FROM sizes('default');
DELETE FROM cachex.cache_definition WHERE name = 'default';

-- Scopes come and go by the thousands: what that took comes back.
SELECT cachex.clear();
SELECT cx_wait($$(SELECT sum(entries) FROM cachex.stats) = 0$$);
-- what found their scopes as well
SELECT cachex.purge() >= 0;
SELECT used FROM cachex.memory() \gset
CREATE PROCEDURE many(first int, last int) LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(first, last) AS u
	WHERE cachex.put('one', 'k' || u % 3, '1', scope => 'many' || u)
$$;
CALL many(1, 20000);
CALL many(15000, 25000);
SELECT * FROM sizes('one');
SELECT cx_check();
-- 64 bytes of a slot and 128 of the entry, and what finds the scope
SELECT (used - :used - 25000 * 192) / 25000 BETWEEN 10 AND 40 AS little FROM cachex.memory();
SELECT count(*) FROM generate_series(1, 24000) AS u
WHERE cachex.take('one', 'k' || u % 3, scope => 'many' || u) = '1';
SELECT * FROM sizes('one');
SELECT cx_check();
SELECT cachex.drop_cache('one');
SELECT cx_wait(format('used = %s FROM cachex.memory()', :used));

SELECT count(cachex.drop_cache(c)) FROM unnest(ARRAY['hundred', 'four', 'both', 'fair', 'unlimited']) AS c;
DROP FUNCTION sizes;
DROP PROCEDURE fill, crowd, many;
DROP ROLE regress_scope_limits;
SELECT cx_check();
