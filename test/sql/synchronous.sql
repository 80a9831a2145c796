-- cachex.synchronous: what would be left to a worker is done at once. Workers
-- are there, but whatever is to be seen here is seen by the next statement.
SHOW cachex.synchronous;
CREATE TABLE src (id int PRIMARY KEY, grp text, n int, day date DEFAULT '2020-02-01');
INSERT INTO src VALUES (1, 'a', 1), (2, 'a', 2), (3, 'b', 3);
CREATE FUNCTION total(key text) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT string_agg(n::text, '','' ORDER BY id) FROM src WHERE grp = key';
SELECT cachex.create_cache('sync', stale_for => '1 hour', consistency => 'ttl', loader => 'total(text)');
SELECT cachex.create_cache('sync exact', loader => 'total(text)');
-- loads, refreshes, and jobs that wait
CREATE VIEW work AS
SELECT sum(loads) AS loads, sum(load_errors) AS errors, sum(refreshes) AS refreshes,
	(SELECT count(*) FROM cachex.jobs WHERE cache LIKE 'sync%') AS jobs
FROM cachex.stats WHERE cache LIKE 'sync%';
SET cachex.synchronous = on;

-- ---- stale values ----

-- who reads one refreshes it, and gets the new one
SELECT cachex.fetch('sync', 'k', 'SELECT sum(n) FROM src');
UPDATE src SET n = 10 WHERE id = 1;
SELECT cachex.invalidate('sync', 'k');
SELECT cachex.get('sync', 'k');
SELECT cachex.fetch('sync', 'k', 'SELECT sum(n) FROM src');
SELECT (cachex.lookup('sync', 'k')).status;
TABLE work;
-- rows as well
SELECT * FROM cachex.query('SELECT id FROM src WHERE n > 2 ORDER BY id', cache => 'sync') AS t(id int);
UPDATE src SET n = 20 WHERE id = 2;
SELECT cachex.invalidate('sync', key) FROM cachex.entries('sync') WHERE key <> 'k';
SELECT * FROM cachex.query('SELECT id FROM src WHERE n > 2 ORDER BY id', cache => 'sync') AS t(id int);
-- an error is not the reader's; the next one tries again, without a pause
SELECT cachex.fetch('sync', 'e', 'SELECT 60 / min(n) FROM src');
SELECT cachex.invalidate('sync', 'e');
UPDATE src SET n = 0 WHERE id = 1;
SELECT cachex.fetch('sync', 'e', 'SELECT 60 / min(n) FROM src');
UPDATE src SET n = 2 WHERE id = 1;
SELECT cachex.fetch('sync', 'e', 'SELECT 60 / min(n) FROM src');
TABLE work;
-- a transaction that has written gets what is right for it, and keeps nothing
SELECT cachex.invalidate('sync', 'k');
BEGIN;
UPDATE src SET n = n + 1;
SELECT cachex.fetch('sync', 'k', 'SELECT sum(n) FROM src');
ROLLBACK;
SELECT cachex.get('sync', 'k') AS still_stale, (cachex.lookup('sync', 'k')).status;
SELECT cachex.fetch('sync', 'k', 'SELECT sum(n) FROM src');
-- ---- refresh() ----

SELECT cachex.clear('sync'), cachex.watch('src');
SELECT cachex.refresh('sync', 'r', query => 'SELECT sum(n) FROM src') AS job, cachex.get('sync', 'r');
SELECT cachex.refresh('sync', 'a') AS job, cachex.fetch('sync', 'a');
SELECT cachex.refresh('sync exact', 'a') AS job, cachex.get('sync exact', 'a');
-- in a transaction that has written: seen by it, by others from the commit on
BEGIN;
UPDATE src SET n = 100 WHERE id = 2;
SELECT cachex.refresh('sync', 'r', query => 'SELECT sum(n) FROM src') AS job;
SELECT cachex.get('sync', 'r'), cachex.fetch('sync', 'r', 'SELECT sum(n) FROM src');
SAVEPOINT s;
UPDATE src SET n = 200 WHERE id = 2;
SELECT cachex.refresh('sync', 'r', query => 'SELECT sum(n) FROM src') AS job;
SELECT cachex.get('sync', 'r');
ROLLBACK TO s;
SELECT cachex.get('sync', 'r');
ROLLBACK;
SELECT cachex.get('sync', 'r');
BEGIN;
UPDATE src SET n = 100 WHERE id = 2;
SELECT cachex.refresh('sync', 'r', query => 'SELECT sum(n) FROM src') AS job;
COMMIT;
SELECT cachex.get('sync', 'r');
-- an exact cache keeps nothing of a transaction's own rows: that is a job
BEGIN;
UPDATE src SET n = 2 WHERE id = 2;
SELECT cachex.refresh('sync exact', 'a') > 0 AS job;
SELECT key, status FROM cachex.jobs;
ROLLBACK;
-- an error is the caller's
SELECT cachex.refresh('sync', 'r', query => 'SELECT 1 / 0');
SELECT cachex.refresh('sync', 'r', query => 'SELECT 1', max_attempts => 0);
SELECT jobs FROM work;
SELECT cachex.get('sync', 'r');

-- ---- a watch with refresh ----

SELECT cachex.watch('src', 'sync', keys => ARRAY['<grp>'], action => 'refresh');
INSERT INTO src VALUES (5, 'c', 5);
SELECT cachex.get('sync', 'c'), cachex.fetch('sync', 'c');
UPDATE src SET grp = 'b' WHERE id = 2;
SELECT cachex.get('sync', 'a'), cachex.get('sync', 'b'), cachex.get('sync', 'c');
DELETE FROM src WHERE id = 5;
SELECT (cachex.lookup('sync', 'c')).status;
INSERT INTO src SELECT i, i % 50, i FROM generate_series(100, 299) i;
SELECT count(cachex.get('sync', g::text)), min(cachex.get('sync', '7') #>> '{}') FROM generate_series(0, 49) g;
DELETE FROM src WHERE id >= 100;
BEGIN;
UPDATE src SET n = 7 WHERE grp = 'b';
SELECT cachex.get('sync', 'b'), cachex.get('sync', 'a');
SAVEPOINT s;
DELETE FROM src;
SELECT (cachex.lookup('sync', 'b')).status;
ROLLBACK TO s;
SELECT cachex.get('sync', 'b');
-- what invalidates it later counts
SELECT cachex.invalidate('sync', 'b');
SELECT (cachex.lookup('sync', 'b')).status;
UPDATE src SET n = 8 WHERE grp = 'b';
COMMIT;
SELECT cachex.get('sync', 'b'), cachex.get('sync', 'a');
-- a loader that fails does not fail the writer: it is left to a worker
CREATE OR REPLACE FUNCTION total(key text) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT string_agg((60 / n)::text, '','' ORDER BY id) FROM src WHERE grp = key';
BEGIN;
UPDATE src SET n = 0 WHERE id = 1;
SELECT (cachex.lookup('sync', 'a')).status, key, status FROM cachex.jobs;
ROLLBACK;
-- it runs under the session's settings, but for those that templates need
CREATE OR REPLACE FUNCTION total(key text) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT string_agg(day::text, '','' ORDER BY id) FROM src WHERE day::text = key OR grp = key';
SELECT cachex.watch('src', 'sync', keys => ARRAY['<day>'], action => 'refresh');
SET DateStyle = 'German, DMY';
UPDATE src SET day = '2020-03-01' WHERE id = 1;
SELECT cachex.get('sync', 'a'), (cachex.lookup('sync', '2020-03-01')).status, cachex.fetch('sync', 'a');
RESET DateStyle;
-- and as the owner of cache and table, who looks up no name where a writer wants
CREATE ROLE regress_sync;
GRANT ALL ON src TO regress_sync;
CREATE SCHEMA trap AUTHORIZATION regress_sync;
SET ROLE regress_sync;
CREATE TABLE trap.src AS SELECT 'a' AS grp, 1 AS id, 'trapped' AS day;
CREATE FUNCTION trap.string_agg(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''trapped''';
SET search_path = trap, pg_catalog;
UPDATE public.src SET day = '2020-04-01' WHERE id = 1;
RESET search_path;
RESET ROLE;
SELECT cachex.get('sync', 'a');
-- nor among temporary tables
SET ROLE regress_sync;
CREATE TEMP TABLE src AS TABLE trap.src;
UPDATE public.src SET day = '2020-05-01' WHERE id = 1;
RESET ROLE;
DROP TABLE pg_temp.src;
SELECT cachex.get('sync', 'a');
SELECT cachex.unwatch('src');
-- rows of a partitioned table come one by one
CREATE TABLE parted (id int, grp text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE OR REPLACE FUNCTION total(key text) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT string_agg(id::text, '','' ORDER BY id) FROM parted WHERE grp = key';
SELECT cachex.watch('parted', 'sync', keys => ARRAY['<grp>'], action => 'refresh');
INSERT INTO parted SELECT i, i % 2 FROM generate_series(1, 19) i;
UPDATE parted SET id = 19 WHERE id = 2;
SELECT cachex.get('sync', '0'), cachex.get('sync', '1');
-- in REPEATABLE READ as well
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE parted SET grp = '2' WHERE id = 3;
SELECT cachex.get('sync', '2'), cachex.get('sync', '1');
COMMIT;
SELECT cachex.get('sync', '2'), cachex.get('sync', '1');
SELECT jobs FROM work;

-- ---- where a cache has a table, a worker copies what was committed ----

SELECT cachex.create_cache('sync table', consistency => 'ttl', persist => 'table');
SELECT cachex.fetch('sync table', 'k', 'SELECT count(*) FROM parted');
BEGIN;
DELETE FROM parted WHERE id > 10;
SELECT cachex.invalidate('sync table', 'k');
SELECT cachex.refresh('sync table', 'k', query => 'SELECT count(*) FROM parted'), cachex.get('sync table', 'k');
COMMIT;
SELECT cx_wait($$EXISTS (SELECT FROM cachex.stored_entry
	WHERE key = 'k' AND created = (cachex.lookup('sync table', 'k')).created_at)$$);
SELECT cachex.alter_cache('sync table', '{"max_entries": 0}');
SELECT cachex.alter_cache('sync table', '{"max_entries": null}');
SELECT cachex.get('sync table', 'k');
SELECT tier_hits FROM cachex.stats WHERE cache = 'sync table';

SELECT cachex.drop_cache('sync'), cachex.drop_cache('sync exact'), cachex.drop_cache('sync table');
DROP VIEW work;
DROP TABLE src, parted;
DROP SCHEMA trap CASCADE;
DROP FUNCTION total(text);
DROP ROLE regress_sync;
