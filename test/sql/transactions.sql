-- What a transaction does to a cache takes effect when it commits, in order,
-- savepoints honoured; a rollback leaves no trace. What others see of it is
-- in the isolation tests.
SELECT cachex.create_cache('tx', consistency => 'ttl');

-- What there is; entries() also shows what is staged beside it, or dead.
CREATE FUNCTION state() RETURNS TABLE (key text, value jsonb)
LANGUAGE sql AS $$
	SELECT DISTINCT key, cachex.get('tx', key) FROM cachex.entries('tx')
	WHERE (cachex.lookup('tx', key)).status <> 'miss'
	ORDER BY key
$$;
-- Five entries, whatever there was.
CREATE FUNCTION start() RETURNS bigint LANGUAGE sql AS $$
	SELECT cachex.clear('tx');
	SELECT count(*) FROM (VALUES ('a', '"a"', 't'), ('b', '"b"', 'u'),
		('list', '[0]', 'u'), ('n', '10', 't'), ('x', '"x"', 't'))
		AS v(key, value, tag)
	WHERE cachex.put('tx', key, value::jsonb, tags => ARRAY[tag]);
$$;

-- Every kind of change, seen at once by the transaction itself ...
SELECT start();
BEGIN;
SELECT cachex.put('tx', 'new', '1', tags => '{t}'), cachex.put('tx', 'a', '"A"'),
	cachex.update('tx', 'b', '$1 || ''1'''), cachex.push('tx', 'list', '1'),
	cachex.incr('tx', 'n'), cachex.take('tx', 'x'), cachex.put_many('tx', '{"m": 1}');
SELECT * FROM state();
-- ... gone with a rollback ...
ROLLBACK;
SELECT * FROM state();
-- ... and there after a commit.
BEGIN;
SELECT cachex.put('tx', 'new', '1', tags => '{t}'), cachex.put('tx', 'a', '"A"'),
	cachex.update('tx', 'b', '$1 || ''1'''), cachex.push('tx', 'list', '1'),
	cachex.incr('tx', 'n'), cachex.take('tx', 'x'), cachex.put_many('tx', '{"m": 1}');
COMMIT;
SELECT * FROM state();

-- The same for every kind of invalidation. Each is followed by a put, which
-- is later and so stays, where it is of a key that went.
CREATE FUNCTION invalidations() RETURNS TABLE (call text)
LANGUAGE sql AS $$
	VALUES ('invalidate(''tx'', ''a'')'), ('invalidate_tags(''{t}'')'),
		('invalidate_like(''tx'', ''_'')'), ('clear(''tx'')'), ('clear()'),
		('take(''tx'', ''a'')'), ('put(''tx'', ''a'', ''0'', ttl => ''0'')')
$$;
CREATE FUNCTION keys() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key || '=' || value, ' ' ORDER BY key) FROM state()
$$;
CREATE PROCEDURE try(what text, before text, after text, finish text)
LANGUAGE plpgsql AS $$
DECLARE
	inside text; outside text;
BEGIN
	PERFORM start();
	COMMIT;
	EXECUTE 'SELECT cachex.' || before;
	EXECUTE 'SELECT cachex.' || after;
	inside := keys();
	IF finish = 'commit' THEN COMMIT; ELSE ROLLBACK; END IF;
	outside := keys();
	RAISE INFO '%: % | %', what, coalesce(inside, 'nothing'),
		CASE WHEN outside IS NOT DISTINCT FROM inside THEN 'same'
			ELSE coalesce(outside, 'nothing') END;
END $$;
CREATE PROCEDURE try_all(finish text) LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	FOR call IN SELECT * FROM invalidations() LOOP
		CALL try(call, call, 'get(''tx'', ''a'')', finish);
		CALL try('then put', call, 'put(''tx'', ''a'', ''1'', tags => ''{t}'')', finish);
		CALL try('put before', 'put(''tx'', ''a'', ''1'', tags => ''{t}'')', call, finish);
		CALL try('then incr', call, 'incr(''tx'', ''n'')', finish);
		CALL try('incr before', 'incr(''tx'', ''n'')', call, finish);
	END LOOP;
END $$;
CALL try_all('commit');
-- Nothing of all that after a rollback.
CALL try_all('rollback');

-- The last of several to one key counts.
SELECT start();
BEGIN;
SELECT cachex.put('tx', 'a', '1');
SELECT cachex.clear('tx');
SELECT cachex.put('tx', 'a', '2');
SELECT cachex.invalidate('tx', 'a');
SELECT cachex.put('tx', 'a', '3');
SELECT cachex.put('tx', 'a', '4');
COMMIT;
SELECT * FROM state();
BEGIN;
SELECT cachex.put('tx', 'a', '5', tags => '{v}');
SELECT cachex.invalidate_tags('{v}');
SELECT cachex.put('tx', 'a', '6', tags => '{w}');
SELECT cachex.invalidate_tags('{v}');
COMMIT;
SELECT * FROM state();
-- Each atomic change starts from the one before it.
BEGIN;
SELECT cachex.put('tx', 'a', '1'), cachex.incr('tx', 'a', 2),
	cachex.update('tx', 'a', 'to_jsonb($1::int * 10)'), cachex.take('tx', 'a'),
	cachex.take('tx', 'a'), cachex.incr('tx', 'a', initial => 100),
	cachex.put('tx', 'a', '5', only_if => 'absent') AS absent,
	cachex.put('tx', 'a', '6', only_if => 'present') AS present,
	cachex.touch('tx', 'a', ttl => '1 day'), cachex.get('tx', 'a');
COMMIT;
SELECT value, ttl > '23 h' AS touched FROM cachex.lookup('tx', 'a');

-- Savepoints: what was rolled back to is as it was, also for its own reads.
SELECT start();
BEGIN;
SELECT cachex.put('tx', 'a', '1');
SAVEPOINT s1;
SELECT cachex.put('tx', 'a', '2'), cachex.put('tx', 'new', '2'), cachex.incr('tx', 'n');
SAVEPOINT s2;
SELECT cachex.put('tx', 'a', '3'), cachex.take('tx', 'new'), cachex.incr('tx', 'n');
SELECT cachex.invalidate('tx', 'b'), cachex.clear('tx');
SELECT cachex.get('tx', 'a'), cachex.get('tx', 'new'), cachex.get('tx', 'n'), cachex.get('tx', 'b');
ROLLBACK TO s2;
SELECT cachex.get('tx', 'a'), cachex.get('tx', 'new'), cachex.get('tx', 'n'), cachex.get('tx', 'b');
SELECT cachex.incr('tx', 'n', 100);
ROLLBACK TO s1;
SELECT cachex.get('tx', 'a'), cachex.get('tx', 'new'), cachex.get('tx', 'n'), cachex.get('tx', 'b');
SELECT cachex.incr('tx', 'n', 1000);
COMMIT;
SELECT * FROM state();
-- A released one belongs to the outer one, which can still be rolled back.
BEGIN;
SAVEPOINT s1;
SAVEPOINT s2;
SELECT cachex.put('tx', 'a', '"s2"'), cachex.invalidate_tags('{u}');
RELEASE s2;
SELECT cachex.get('tx', 'a'), cachex.get('tx', 'b');
ROLLBACK TO s1;
SELECT cachex.get('tx', 'a'), cachex.get('tx', 'b');
SAVEPOINT s3;
SELECT cachex.put('tx', 'a', '"s3"'), cachex.invalidate('tx', 'b');
RELEASE s3;
RELEASE s1;
COMMIT;
SELECT * FROM state();
-- An exception block is one, too, and an error ends all of it.
SELECT start();
DO $$
BEGIN
	PERFORM cachex.put('tx', 'a', '"kept"');
	BEGIN
		PERFORM cachex.put('tx', 'a', '"lost"'), cachex.clear('tx'), cachex.incr('tx', 'n');
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		RAISE INFO '% %', cachex.get('tx', 'a'), cachex.get('tx', 'n');
	END;
END $$;
SELECT * FROM state();
BEGIN;
SELECT cachex.put('tx', 'a', '"lost"'), cachex.take('tx', 'b'), cachex.clear('tx');
SELECT 1 / 0;
COMMIT;
SELECT * FROM state();
-- Deferred work that fails takes it back as well.
CREATE TABLE deferred (i int UNIQUE DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO deferred VALUES (1), (1);
SELECT cachex.put('tx', 'a', '"lost"'), cachex.invalidate('tx', 'b');
COMMIT;
DROP TABLE deferred;
SELECT * FROM state();
-- Many levels, alternately kept and not.
DO $$
BEGIN
	FOR i IN 1..200 LOOP
		BEGIN
			PERFORM cachex.incr('tx', 'n'), cachex.push('tx', 'list', to_jsonb(i), 3);
			IF i % 2 = 0 THEN
				RAISE EXCEPTION USING ERRCODE = 'CX999';
			END IF;
		EXCEPTION WHEN SQLSTATE 'CX999' THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT cachex.get('tx', 'n'), cachex.get('tx', 'list');

-- PREPARE: an invalidation waits for COMMIT PREPARED, a put is an error.
-- ROLLBACK PREPARED takes the keys too: rather too much than too little.
SELECT start();
BEGIN;
SELECT cachex.invalidate('tx', 'a'), cachex.invalidate_tags('{u}');
PREPARE TRANSACTION 'cachex 1';
SELECT prepared > 0 AS prepared FROM cachex.memory();
SELECT * FROM state();
ROLLBACK PREPARED 'cachex 1';
SELECT * FROM state();
SELECT start();
BEGIN;
SELECT cachex.invalidate('tx', 'a'), cachex.invalidate_tags('{u}');
PREPARE TRANSACTION 'cachex 2';
COMMIT PREPARED 'cachex 2';
SELECT * FROM state();
BEGIN;
SELECT cachex.clear('tx');
PREPARE TRANSACTION 'cachex 3';
SELECT * FROM state();
COMMIT PREPARED 'cachex 3';
SELECT * FROM state();
SELECT start();
BEGIN;
SELECT cachex.invalidate_like('tx', '_') > 0;
PREPARE TRANSACTION 'cachex 4';
COMMIT PREPARED 'cachex 4';
SELECT * FROM state();
BEGIN;
SELECT cachex.put('tx', 'a', '1');
PREPARE TRANSACTION 'cachex 5';
SELECT * FROM state();
BEGIN;
SELECT cachex.take('tx', 'list');
PREPARE TRANSACTION 'cachex 6';
SELECT * FROM state();
BEGIN;
SELECT cachex.create_cache('tx2');
PREPARE TRANSACTION 'cachex 7';
BEGIN;
SELECT cachex.alter_cache('tx', '{"ttl": "1 min"}');
PREPARE TRANSACTION 'cachex 8';
SELECT ttl FROM cachex.caches WHERE name LIKE 'tx%';
-- a put that a savepoint took back does not count
BEGIN;
SAVEPOINT s;
SELECT cachex.put('tx', 'a', '1');
ROLLBACK TO s;
SELECT cachex.invalidate('tx', 'list');
PREPARE TRANSACTION 'cachex 9';
COMMIT PREPARED 'cachex 9';
SELECT * FROM state();
SELECT in_doubt FROM cachex.memory();
SELECT count(*) FROM pg_prepared_xacts;

-- A transaction of 200,000 puts: none is lost, each can be read before and
-- after the commit; a rollback gives the memory back.
SELECT cachex.clear('tx');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'tx'$$);
SELECT entries, bytes FROM cachex.stats WHERE cache = 'tx';
BEGIN;
SELECT count(*) FROM generate_series(1, 200000) AS i WHERE cachex.put('tx', 'k' || i, to_jsonb(i));
SELECT sum(cachex.get('tx', 'k' || i)::int) FROM generate_series(1, 200000) AS i;
SELECT entries FROM cachex.stats WHERE cache = 'tx';
ROLLBACK;
SELECT entries, bytes FROM cachex.stats WHERE cache = 'tx';
BEGIN;
SELECT count(*) FROM generate_series(1, 200000) AS i WHERE cachex.put('tx', 'k' || i, to_jsonb(i));
SELECT count(*) FROM generate_series(1, 200000, 2) AS i WHERE cachex.take('tx', 'k' || i) IS NOT NULL;
COMMIT;
SELECT count(value), sum(value::int) FROM generate_series(1, 200000) AS i,
	cachex.get('tx', 'k' || i) AS value;
SELECT entries, evicted FROM cachex.stats WHERE cache = 'tx';
-- More than fit evict each other, and nothing fails.
SELECT used <= available FROM cachex.memory();
BEGIN;
SELECT count(*) > 0 FROM generate_series(1, 2000) AS i
WHERE cachex.put('tx', 'k' || i, to_jsonb(repeat('x', 100000)));
SELECT used <= available FROM cachex.memory();
COMMIT;
SELECT used <= available FROM cachex.memory();
SELECT evicted > 0, refused_full FROM cachex.stats WHERE cache = 'tx';

SELECT cx_check();
SELECT cachex.drop_cache('tx');
DROP PROCEDURE try_all, try;
DROP FUNCTION state, start, keys, invalidations;
