-- persist => 'table': what memory has lost is found in a table. Memory loses
-- it here by a limit that is set for a moment.
SELECT cachex.create_cache('pt', consistency => 'ttl', persist => 'table');
DO $$BEGIN PERFORM cachex.grant_cache('pt', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
CREATE PROCEDURE evict(cache text DEFAULT 'pt') LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.alter_cache(cache, '{"max_entries": 0}');
	COMMIT;
	PERFORM cachex.alter_cache(cache, '{"max_entries": null}');
END $$;
-- What the last look-ups were answered from, since the last call.
CREATE FUNCTION answered(cache text DEFAULT 'pt', OUT memory bigint, OUT tier bigint,
	OUT missed bigint, OUT loads bigint)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT hits + negative_hits, tier_hits, misses, s.loads INTO memory, tier, missed, loads
	FROM cachex.stats AS s WHERE s.cache = answered.cache;
	PERFORM cachex.reset_stats(answered.cache);
END $$;
-- While somebody writes who began before the cache was there, a worker stores.
SELECT cachex.put('pt', 'first', '1');
SELECT cx_wait('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''first'')');

-- ---- puts ----
SELECT cachex.put('pt', 'a', '{"x": 1}', ttl => '1 day', tags => '{t,u}', metadata => '{"by": "me"}', cost => '20 ms'),
	cachex.put('pt', 'null', NULL), cachex.put('pt', 'a', '2', scope => 's'), cachex.put('pt', 'a', '3', scope => ''''),
	cachex.put_many('pt', '{"m": "n"}', tags => '{t}'), cachex.push('pt', 'list', '1'), cachex.incr('pt', 'n', by => 5);
SELECT created_at AS created, expires_at AS expires FROM cachex.lookup('pt', 'a') \gset
CALL evict();
SELECT count(*) FROM cachex.entries('pt');
SELECT answered() IS NOT NULL;
SELECT cachex.get('pt', 'a'), cachex.get('pt', 'a', scope => 's'), cachex.get('pt', 'a', scope => ''''), cachex.get('pt', 'a', scope => 'z'),
	cachex.get('pt', 'm'), cachex.get('pt', 'list'), cachex.get('pt', 'n');
SELECT status FROM cachex.lookup('pt', 'null');
SELECT * FROM answered();
-- then it is in memory again, as it was
SELECT status, value, ttl > '23 h' AS ttl, load_ms, tags, metadata, created_at = :'created' AS created, expires_at = :'expires' AS expires
FROM cachex.lookup('pt', 'a');
SELECT * FROM answered();
-- a long value; one that memory refuses is not kept
SELECT cachex.put('pt', 'long', to_jsonb(repeat('x', 100000))), cachex.put('pt', 'too long', to_jsonb(repeat('x', 2000000)));
CALL evict();
SELECT length(cachex.get('pt', 'long')::text), cachex.get('pt', 'too long');

-- Atomic changes start from it.
CALL evict();
SELECT cachex.update('pt', 'a', '$1 || ''{"y": 2}'''), cachex.push('pt', 'list', '2'), cachex.incr('pt', 'n'),
	cachex.take('pt', 'm'), cachex.touch('pt', 'null', ttl => '1 year'),
	cachex.put('pt', 'long', '0', only_if => 'absent'), cachex.put('pt', 'none', '0', only_if => 'present');
SELECT version AS v FROM cachex.lookup('pt', 'n') \gset
SELECT cachex.put('pt', 'n', '7', if_version => :v);
CALL evict();
SELECT cachex.put('pt', 'n', '8', if_version => :v);
SELECT cachex.get('pt', 'a'), cachex.get('pt', 'list'), cachex.get('pt', 'n'), cachex.get('pt', 'm'), (cachex.lookup('pt', 'null')).ttl > '300 d';
SELECT metadata, tags FROM cachex.lookup('pt', 'a');

-- Transactions: their own changes, savepoints, the last of several.
CALL evict();
BEGIN;
SELECT cachex.put('pt', 'a', '"mine"'), cachex.take('pt', 'n');
SELECT cachex.get('pt', 'a'), cachex.get('pt', 'n'), cachex.get('pt', 'list');
SAVEPOINT s;
SELECT cachex.put('pt', 'a', '"gone"'), cachex.put('pt', 'list', '"gone"'), cachex.invalidate('pt', 'null');
SELECT cachex.get('pt', 'a'), (cachex.lookup('pt', 'null')).status;
ROLLBACK TO s;
SELECT cachex.get('pt', 'a'), (cachex.lookup('pt', 'null')).status, cachex.incr('pt', 'i'), cachex.incr('pt', 'i');
COMMIT;
CALL evict();
SELECT cachex.get('pt', 'a'), cachex.get('pt', 'n'), cachex.get('pt', 'list'), cachex.get('pt', 'i'), (cachex.lookup('pt', 'null')).status;
BEGIN;
SELECT cachex.put('pt', 'a', '"never"');
ROLLBACK;
CALL evict();
SELECT cachex.get('pt', 'a');
SELECT count(*), count(DISTINCT (key, scope)) FROM cachex.stored_entry WHERE key IN ('a', 'i', 'list');
-- what is evicted before the commit is stored by it, and seen before
BEGIN;
SELECT cachex.create_cache('pt2', consistency => 'ttl', persist => 'table'), cachex.put('pt2', 'second', '1');
COMMIT;
SELECT cx_wait('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''second'')');
SELECT cachex.alter_cache('pt2', '{"max_entries": 1}');
BEGIN;
SELECT cachex.put('pt2', 'k' || i, to_jsonb(i)) FROM generate_series(1, 3) AS i;
SELECT sum(cachex.get('pt2', 'k' || i)::int) FROM generate_series(1, 3) AS i;
COMMIT;
SELECT sum(cachex.get('pt2', 'k' || i)::int) FROM generate_series(1, 3) AS i;

-- ---- invalidations ----
CREATE FUNCTION keys() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key || coalesce('/' || scope, '') || '=' || cachex.get('pt', key, scope => scope), ' ' ORDER BY key, scope)
	FROM (VALUES ('a', NULL), ('a', 's'), ('a', 's2'), ('b', NULL), ('c', NULL)) AS v (key, scope)
$$;
CREATE PROCEDURE after_all(call text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.put('pt', 'a', '1', tags => '{t}'), cachex.put('pt', 'a', '2', scope => 's'),
		cachex.put('pt', 'a', '3', scope => 's2'), cachex.put('pt', 'b', '4', tags => '{t,u}'), cachex.put('pt', 'c', '5');
	COMMIT;
	CALL evict();
	COMMIT;
	EXECUTE 'SELECT cachex.' || call;
	RAISE NOTICE '%: own: %', call, keys();
	COMMIT;
	RAISE NOTICE '%: then: %', call, keys();
	CALL evict();
	COMMIT;
	RAISE NOTICE '%: evicted: %', call, keys();
END $$;
CALL after_all('invalidate(''pt'', ''a'')');
CALL after_all('invalidate(''pt'', ''a'', scope => ''s'')');
CALL after_all('invalidate_tags(''{u}'')');
CALL after_all('invalidate_like(''pt'', ''_'')');
CALL after_all('invalidate_like(''pt'', ''b%'')');
CALL after_all('clear(''pt'', scope => ''s'')');
CALL after_all('clear(''pt'')');
CALL after_all('alter_cache(''pt'', ''{"version": 3}'')');
CALL after_all('put(''pt'', ''b'', ''0'', ttl => ''0'')');
-- in a transaction with puts the order counts
BEGIN;
SELECT cachex.put('pt', 'a', '1', tags => '{t}'), cachex.put('pt', 'b', '1', tags => '{u}'), cachex.put('pt', 'c', '1');
SELECT cachex.invalidate_tags('{t}'), cachex.invalidate_like('pt', 'c%');
SELECT cachex.put('pt', 'd', '1', tags => '{t}');
COMMIT;
CALL evict();
SELECT cachex.get('pt', 'a') AS a, cachex.get('pt', 'b') AS b, cachex.get('pt', 'c') AS c, cachex.get('pt', 'd') AS d;

-- ---- fills: copied by a worker ----
CREATE TABLE pt_src (id int, v text);
INSERT INTO pt_src VALUES (1, 'one'), (2, 'two');
SELECT answered() IS NOT NULL;
SELECT cachex.fetch('pt', 'f', 'SELECT v FROM pt_src WHERE id = $1', params => '{1}', tags => '{src}'),
	cachex.fetch('pt', 'zone', 'SELECT ''2000-01-01 12:00+00''::timestamptz'),
	cachex.fetch('pt', 'none', 'SELECT 1 WHERE false'),
	cachex.fetch_as('pt', 'row', NULL::pt_src, 'SELECT s FROM pt_src s WHERE id = 2'),
	cachex.fetch('pt', 'setting', 'SELECT current_setting(''pt.tenant'', true)');
SELECT * FROM cachex.query('SELECT * FROM pt_src ORDER BY id', cache => 'pt') AS t(id int, v text);
SELECT cx_wait('(SELECT tier_stored = 6 FROM cachex.stats WHERE cache = ''pt'')');
CALL evict();
UPDATE pt_src SET v = 'changed';
SELECT answered() IS NOT NULL;
-- the page never computes
SELECT cachex.fetch('pt', 'f', 'SELECT v FROM pt_src WHERE id = $1', params => '{1}', mode => 'cached'),
	(cachex.lookup('pt', 'none')).status, cachex.get_as('pt', 'row', NULL::pt_src);
SELECT * FROM cachex.query('SELECT * FROM pt_src ORDER BY id', cache => 'pt', mode => 'cached') AS t(id int, v text);
SELECT * FROM answered();
-- another loader, other parameters, other settings
CALL evict();
SELECT cachex.fetch('pt', 'f', 'SELECT v FROM pt_src WHERE id = $1', params => '{2}', mode => 'cached');
SELECT cachex.fetch('pt', 'f', 'SELECT v||'''' FROM pt_src WHERE id = $1', params => '{1}', mode => 'cached');
SET TimeZone = 'Asia/Tokyo';
SELECT cachex.fetch('pt', 'zone', 'SELECT ''2000-01-01 12:00+00''::timestamptz', mode => 'cached');
RESET TimeZone;
SET pt.tenant = '7';
SELECT status FROM cachex.lookup('pt', 'setting');
RESET pt.tenant;
SELECT status FROM cachex.lookup('pt', 'zone');
-- a fill in a transaction that has written is served and not kept in memory
BEGIN;
CREATE TEMP TABLE written ON COMMIT DROP AS SELECT 1;
SELECT cachex.put('pt', 'other', '1'), status, value FROM cachex.lookup('pt', 'f');
COMMIT;
SELECT count(*) FROM cachex.entries('pt', 'f');
-- beside parallel workers
CREATE TABLE pt_many AS SELECT i FROM generate_series(1, 1000) AS i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CALL evict();
SELECT count(cachex.get('pt', 'f')) FROM pt_many WHERE i > 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE pt_many;
-- not in SERIALIZABLE
CALL evict();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cachex.get('pt', 'b');
COMMIT;
SELECT cachex.get('pt', 'b');

-- A loader that says not to keep its result ends an older one.
SELECT cachex.fetch('pt', 'zone', 'SELECT 1', ttl => '0');
SELECT cx_wait('NOT EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''zone'')');

-- Definitions and privileges of what a loader has read count.
CREATE ROLE pt_reader;
GRANT SELECT ON pt_src TO pt_reader;
CREATE PROCEDURE fill_p() LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	PERFORM cachex.invalidate('pt', 'p');
	COMMIT;
	SET LOCAL ROLE pt_reader;
	PERFORM cachex.fetch('pt', 'p', 'SELECT v FROM pt_src LIMIT 1');
	COMMIT;
	RESET ROLE;
	COMMIT;
	IF NOT cx_wait(format('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''p'' AND created > %L)', start)) THEN
		RAISE 'not stored';
	END IF;
	CALL evict();
END $$;
CREATE PROCEDURE read_p() LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE pt_reader;
	RAISE NOTICE '%', (cachex.lookup('pt', 'p')).status;
	COMMIT;
	RESET ROLE;
END $$;
CALL fill_p();
CALL read_p();
CALL fill_p();
REVOKE SELECT ON pt_src FROM pt_reader;
CALL read_p();
GRANT SELECT ON pt_src TO pt_reader;
CALL fill_p();
BEGIN;
ALTER TABLE pt_src ADD w int;
ROLLBACK;
CALL read_p();
CALL fill_p();
ALTER TABLE pt_src ADD w int;
CALL read_p();
-- so do changes of any role: views and functions read with the rights of others
CALL fill_p();
CREATE ROLE pt_group;
CALL read_p();
CALL fill_p();
GRANT pt_group TO pt_reader;
CALL read_p();
CREATE ROLE pt_definer BYPASSRLS;
GRANT pt_group TO pt_definer;
CREATE TABLE pt_rls (v text);
INSERT INTO pt_rls VALUES ('of the group');
ALTER TABLE pt_rls ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON pt_rls TO pt_group;
CREATE VIEW pt_view AS SELECT v FROM pt_rls;
ALTER VIEW pt_view OWNER TO pt_definer;
GRANT SELECT ON pt_view TO pt_reader;
CREATE PROCEDURE read_view(change text) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	PERFORM cachex.invalidate('pt', 'v');
	COMMIT;
	SET LOCAL ROLE pt_reader;
	PERFORM cachex.fetch('pt', 'v', 'SELECT v FROM pt_view');
	COMMIT;
	RESET ROLE;
	COMMIT;
	IF NOT cx_wait(format('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''v'' AND created > %L)', start)) THEN
		RAISE 'not stored';
	END IF;
	CALL evict();
	EXECUTE change;
	COMMIT;
	SET LOCAL ROLE pt_reader;
	RAISE NOTICE '%: %, %', change, (cachex.lookup('pt', 'v')).status, cachex.get('pt', 'v');
	COMMIT;
	RESET ROLE;
END $$;
CALL read_view('SELECT');
CALL read_view('ALTER ROLE pt_definer NOBYPASSRLS');
CALL read_view('ALTER ROLE pt_definer BYPASSRLS');
CALL read_view('REVOKE pt_group FROM pt_definer');
DROP PROCEDURE read_view(text);
DROP VIEW pt_view;
DROP TABLE pt_rls;
DROP ROLE pt_definer;
CALL fill_p();
SELECT cachex.invalidate_table('pt_src');
CALL read_p();
CALL fill_p();
TRUNCATE pt_src;
CALL read_p();

-- A row that this library has not written so is none.
CALL evict();
UPDATE cachex.stored_entry SET type = 'xml'::regtype, typhash = 1 WHERE key = 'b';
SELECT cachex.get('pt', 'b');
UPDATE cachex.stored_entry SET deps = '{1,2}' WHERE key = 'd';
SELECT cachex.get('pt', 'd');

-- Nobody else reads the table.
SET ROLE pt_reader;
SELECT count(*) FROM cachex.stored_entry;
SELECT count(*) FROM cachex.stored_invalidation;
SELECT cachex.get('pt', 'other');
RESET ROLE;

-- ---- exact caches: puts only, to who takes them ----
SELECT cachex.create_cache('pt_exact', persist => 'table');
SELECT cachex.put('pt_exact', 'put', '1');
SELECT cx_wait('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''put'')');
INSERT INTO pt_src VALUES (1, 'one');
SELECT cachex.watch('pt_src');
SELECT cachex.fetch('pt_exact', 'f', 'SELECT v FROM pt_src');
SELECT cx_wait('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''f'' AND cache = (SELECT id FROM cachex.cache_definition WHERE name = ''pt_exact''))');
CALL evict('pt_exact');
UPDATE pt_src SET v = 'new';
SELECT cachex.get('pt_exact', 'put'), cachex.get('pt_exact', 'f'), cachex.fetch('pt_exact', 'f', 'SELECT v FROM pt_src');
SELECT cachex.fetch('pt_exact', 'put', 'SELECT v FROM pt_src');

-- ---- rows that a watch puts, for who may still read their table ----
CREATE TABLE pt_put (id int PRIMARY KEY, v text);
GRANT SELECT, INSERT ON pt_put TO pt_reader;
SELECT cachex.watch('pt_put', c, keys => '{put:<id>}', action => 'put') FROM unnest('{pt,pt_exact}'::text[]) AS c;
DO $$BEGIN PERFORM cachex.grant_cache('pt_exact', 'pt_reader', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SET ROLE pt_reader;
INSERT INTO pt_put VALUES (1, 'kept');
SELECT cachex.get('pt', 'put:1'), cachex.get('pt_exact', 'put:1');
RESET ROLE;
CALL evict();
CALL evict('pt_exact');
SET ROLE pt_reader;
SELECT cachex.get('pt', 'put:1'), cachex.get('pt_exact', 'put:1');
RESET ROLE;
REVOKE SELECT ON pt_put FROM pt_reader;
SET ROLE pt_reader;
SELECT cachex.get('pt', 'put:1'), cachex.get('pt_exact', 'put:1');
RESET ROLE;
DROP TABLE pt_put;

-- ---- rows go ----
-- with their time
SELECT cachex.put('pt', 'short', '1', ttl => '50 ms'), cachex.put('pt', 'stays', '1');
SELECT cx_wait('(cachex.lookup(''pt'', ''short'')).status = ''miss''');
CALL evict();
SELECT cachex.get('pt', 'short'), cachex.get('pt', 'stays');
SELECT cachex.purge() >= 0;
SELECT cx_wait('NOT EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''short'')');
-- with what invalidates them, and its record; purge() counts from the commit
BEGIN;
SELECT cachex.clear('pt2'), cachex.purge() >= 0;
-- time enough for a worker that would come too early
SELECT pg_sleep(0.3);
COMMIT;
SELECT cx_wait('NOT EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''k1'')');
-- (a record stays while a snapshot is held that may need it, this session's own too)
CREATE PROCEDURE purge_until(condition text) LANGUAGE plpgsql AS $$
DECLARE
	holds boolean;
BEGIN
	FOR i IN 1..1000 LOOP
		PERFORM cachex.purge(), pg_sleep(0.01);
		COMMIT;
		EXECUTE 'SELECT ' || condition INTO holds;
		COMMIT;
		EXIT WHEN holds;
	END LOOP;
	IF NOT holds THEN
		RAISE 'never: %', condition;
	END IF;
END $$;
CALL purge_until('NOT EXISTS (SELECT FROM cachex.stored_invalidation)');
SELECT cachex.get('pt', 'stays');
-- with persist, for good
SELECT cachex.alter_cache('pt', '{"persist": "none"}');
SELECT cachex.get('pt', 'stays');
SELECT cachex.alter_cache('pt', '{"persist": "table"}');
SELECT cachex.get('pt', 'stays');
-- with the cache
SELECT cachex.drop_cache('pt2'), cachex.drop_cache('pt_exact');
BEGIN;
SELECT cachex.drop_cache('pt');
ROLLBACK;
SELECT cachex.put('pt', 'back', '1');
SELECT cx_wait('EXISTS (SELECT FROM cachex.stored_entry WHERE key = ''back'')');
SELECT cachex.drop_cache('pt');
SELECT cachex.create_cache('pt', consistency => 'ttl', persist => 'table');
DO $$BEGIN PERFORM cachex.grant_cache('pt', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SELECT cachex.get('pt', 'back');
CALL purge_until('NOT EXISTS (SELECT FROM cachex.stored_entry)');

SELECT cx_check();
SELECT cachex.drop_cache('pt');
DROP TABLE pt_src;
DROP ROLE pt_reader, pt_group;
DROP FUNCTION answered, keys;
DROP PROCEDURE evict, after_all, fill_p, read_p, purge_until;
