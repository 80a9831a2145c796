-- Exact caches follow the tables, whatever way these are written. Each line
-- compares what fetch says with what the query says: see cx_same in setup.sql.
\t on
\a
SELECT cachex.create_cache('exact');
CREATE SCHEMA ex;
SET search_path = ex, public;

---- Statements ----

CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t VALUES (1, 10);
SELECT cachex.watch('t');
CREATE FUNCTION t_is() RETURNS text LANGUAGE sql AS $$
	SELECT cx_same('SELECT string_agg(id || ''='' || v, '','' ORDER BY id) FROM t')
$$;
SELECT t_is();
SELECT t_is();

\echo INSERT
INSERT INTO t VALUES (2, 20), (3, 30);
SELECT t_is();
INSERT INTO t SELECT id + 10, v FROM t;
SELECT t_is();
INSERT INTO t VALUES (4, 40) RETURNING id;
SELECT t_is();
\echo ON CONFLICT
INSERT INTO t VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET v = t.v + 1;
SELECT t_is();
INSERT INTO t VALUES (1, 0), (5, 50) ON CONFLICT DO NOTHING;
SELECT t_is();
\echo UPDATE
UPDATE t SET v = v + 1 WHERE id = 2;
SELECT t_is();
UPDATE t SET v = t.v + u.v FROM t AS u WHERE t.id = 1 AND u.id = 2;
SELECT t_is();
\echo DELETE
DELETE FROM t WHERE id > 12;
SELECT t_is();
DELETE FROM t USING t AS u WHERE t.id = u.id + 10 AND u.id = 2;
SELECT t_is();
\echo MERGE: inserts, updates, deletes
MERGE INTO t USING (VALUES (1), (20)) AS s (id) ON t.id = s.id
WHEN MATCHED THEN UPDATE SET v = 0
WHEN NOT MATCHED THEN INSERT VALUES (s.id, 200);
SELECT t_is();
MERGE INTO t USING (VALUES (20)) AS s (id) ON t.id = s.id
WHEN MATCHED THEN DELETE;
SELECT t_is();
MERGE INTO t USING (VALUES (21)) AS s (id) ON t.id = s.id
WHEN NOT MATCHED THEN INSERT VALUES (s.id, 210);
SELECT t_is();
\echo COPY
COPY t FROM STDIN;
22	220
\.
SELECT t_is();
COPY t (v, id) FROM STDIN WITH (FORMAT csv) WHERE id <> 24;
230,23
240,24
\.
SELECT t_is();
\echo TRUNCATE, and COPY FREEZE after it
TRUNCATE t;
SELECT t_is();
SELECT t_is();
BEGIN;
TRUNCATE t;
COPY t FROM STDIN (FREEZE);
1	1
2	2
3	3
\.
COMMIT;
SELECT t_is();
\echo a data-modifying CTE, read and not read
WITH d AS (DELETE FROM t WHERE id = 3 RETURNING *) SELECT * FROM d;
SELECT t_is();
WITH d AS (UPDATE t SET v = 22 WHERE id = 2) SELECT 1;
SELECT t_is();
WITH d AS (DELETE FROM t WHERE id = 2 RETURNING *) INSERT INTO t SELECT id + 1, v FROM d;
SELECT t_is();
\echo EXECUTE
PREPARE put (int, int) AS INSERT INTO t VALUES ($1, $2);
EXECUTE put(4, 4);
SELECT t_is();
EXECUTE put(5, 5);
SELECT t_is();
DEALLOCATE put;
\echo WHERE CURRENT OF
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 4 FOR UPDATE;
FETCH c;
UPDATE t SET v = 44 WHERE CURRENT OF c;
COMMIT;
SELECT t_is();
\echo two statements in one query string
UPDATE t SET v = 441 WHERE id = 4 \; UPDATE t SET v = 442 WHERE id = 4;
SELECT t_is();
\echo EXPLAIN ANALYZE
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE UPDATE t SET v = 443 WHERE id = 4'; END $$;
SELECT t_is();
DO $$ BEGIN EXECUTE 'EXPLAIN UPDATE t SET v = 444 WHERE id = 4'; END $$;
SELECT t_is();
\echo session_replication_role
SET session_replication_role = replica;
UPDATE t SET v = 5 WHERE id = 4;
SELECT t_is();
SET session_replication_role = local;
UPDATE t SET v = 6 WHERE id = 4;
SELECT t_is();
RESET session_replication_role;
SELECT t_is();

\echo statements that change no row leave the entry
UPDATE t SET v = 0 WHERE id = 99;
SELECT t_is();
DELETE FROM t WHERE false;
SELECT t_is();
INSERT INTO t SELECT * FROM t WHERE false;
SELECT t_is();
INSERT INTO t VALUES (1, 0) ON CONFLICT DO NOTHING;
SELECT t_is();
MERGE INTO t USING (VALUES (99)) AS s (id) ON t.id = s.id WHEN MATCHED THEN DELETE;
SELECT t_is();
COPY t FROM STDIN;
\.
SELECT t_is();
\echo and so does one that fails, or is rolled back
INSERT INTO t VALUES (1, 0);
SELECT t_is();
BEGIN;
DELETE FROM t;
ROLLBACK;
SELECT t_is();
DO $$ BEGIN TRUNCATE t; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT t_is() ~ '^same';

---- Foreign keys ----

CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, of int DEFAULT 0 REFERENCES parent
	ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE loose (id int, of int REFERENCES parent ON DELETE SET NULL);
CREATE TABLE fallback (id int, of int DEFAULT 0 REFERENCES parent ON DELETE SET DEFAULT);
INSERT INTO parent SELECT generate_series(0, 4);
INSERT INTO child VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO loose TABLE child;
INSERT INTO fallback TABLE child;
SELECT cachex.watch(t) FROM unnest('{parent,child,loose,fallback}'::regclass[]) AS t;
CREATE FUNCTION children() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT cx_same(format('SELECT string_agg(id || ''>'' || coalesce(of::text, ''-''), '','' ORDER BY id) FROM %I', t))
	FROM unnest('{child,loose,fallback}'::text[]) AS t
$$;
SELECT children();
SELECT children();
\echo CASCADE, SET NULL, SET DEFAULT
DELETE FROM parent WHERE id = 1;
SELECT children();
\echo a parent without children
DELETE FROM parent WHERE id = 4;
SELECT children();
DELETE FROM loose WHERE of = 2;
DELETE FROM fallback WHERE of = 2;
SELECT children();
\echo ON UPDATE CASCADE
UPDATE parent SET id = 20 WHERE id = 2;
SELECT children();
\echo with replica, cascades do not run, and the answer is what is there
SET session_replication_role = replica;
DELETE FROM parent WHERE id = 20;
RESET session_replication_role;
SELECT children();
\echo TRUNCATE CASCADE
TRUNCATE parent CASCADE;
SELECT children();

---- Views, rules, triggers ----

TRUNCATE t;
INSERT INTO t VALUES (1, 1), (2, 2);
\echo a view that is updatable by itself; one upon it
CREATE VIEW small AS SELECT id, v FROM t WHERE v < 100 WITH CHECK OPTION;
CREATE VIEW smaller AS SELECT * FROM small WHERE v < 50;
CREATE FUNCTION small_is() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT t_is() UNION ALL
	SELECT cx_same('SELECT string_agg(id || ''='' || v, '','' ORDER BY id) FROM smaller')
$$;
SELECT small_is();
UPDATE small SET v = 10 WHERE id = 1;
SELECT small_is();
INSERT INTO smaller VALUES (3, 3);
SELECT small_is();
DELETE FROM smaller WHERE id = 2;
SELECT small_is();
INSERT INTO small VALUES (4, 400);
SELECT small_is();
\echo INSTEAD OF
CREATE VIEW twice AS SELECT id, v * 2 AS v2 FROM t;
CREATE FUNCTION twice_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t VALUES (new.id, new.v2 / 2);
	RETURN new;
END $$;
CREATE TRIGGER twice INSTEAD OF INSERT ON twice FOR EACH ROW EXECUTE FUNCTION twice_insert();
SELECT cx_same('SELECT sum(v2) FROM twice');
INSERT INTO twice VALUES (5, 100);
SELECT cx_same('SELECT sum(v2) FROM twice');
COPY twice FROM STDIN;
6	120
\.
SELECT cx_same('SELECT sum(v2) FROM twice');
\echo rules, INSTEAD and ALSO
CREATE TABLE logged (id int);
CREATE RULE to_t AS ON INSERT TO logged DO ALSO INSERT INTO t VALUES (new.id, 0);
SELECT t_is();
INSERT INTO logged VALUES (7);
SELECT t_is();
CREATE RULE not_gone AS ON DELETE TO logged DO INSTEAD DELETE FROM t WHERE t.id = old.id;
DELETE FROM logged;
SELECT t_is();
\echo a trigger of another table; one that is deferred to the commit
CREATE FUNCTION add_to_t() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t VALUES (new.id, 0);
	RETURN NULL;
END $$;
CREATE TABLE source (id int);
CREATE TRIGGER add AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION add_to_t();
INSERT INTO source VALUES (8);
SELECT t_is();
DROP TRIGGER add ON source;
CREATE CONSTRAINT TRIGGER add AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION add_to_t();
SELECT t_is();
BEGIN;
INSERT INTO source VALUES (9);
SELECT t_is();
COMMIT;
SELECT t_is();
\echo a BEFORE trigger that changes the row, one that drops it
CREATE FUNCTION negate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.id = 99 THEN RETURN NULL; END IF;
	new.v := -new.v;
	RETURN new;
END $$;
CREATE TRIGGER negate BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION negate();
INSERT INTO t VALUES (11, 11);
SELECT t_is();
INSERT INTO t VALUES (99, 99);
SELECT t_is();
DROP TRIGGER negate ON t;

---- Functions and procedures ----

\echo SQL, inlined never since it writes; PL/pgSQL; DO; dynamic SQL
CREATE FUNCTION bump(int) RETURNS int LANGUAGE sql AS
	'UPDATE t SET v = v + 1 WHERE id = $1 RETURNING v';
CREATE FUNCTION bump_pl(int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r int;
BEGIN
	EXECUTE 'UPDATE t SET v = v + 1 WHERE id = $1 RETURNING v' INTO r USING $1;
	RETURN r;
END $$;
SELECT t_is();
SELECT bump(1);
SELECT t_is();
SELECT bump_pl(1);
SELECT t_is();
SELECT count(*) FROM t WHERE bump(id) IS NULL;
SELECT t_is();
DO $$ BEGIN UPDATE t SET v = 0; UPDATE t SET v = id; END $$;
SELECT t_is();
\echo a SECURITY DEFINER function with a search_path of its own
CREATE FUNCTION bump_definer() RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog AS 'UPDATE ex.t SET v = v + 1 WHERE id = 1';
SELECT bump_definer();
SELECT t_is();
\echo a procedure that commits
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
BEGIN
	UPDATE t SET v = 100 WHERE id = 1;
	RAISE INFO '%', t_is();
	COMMIT;
	RAISE INFO '%', t_is();
	RAISE INFO '%', t_is();
	UPDATE t SET v = 101 WHERE id = 1;
	ROLLBACK;
	RAISE INFO '%', t_is();
	UPDATE t SET v = 102 WHERE id = 1;
END $$;
CALL steps();
SELECT t_is();

---- One's own transaction ----

\echo own writes, seen and not kept until the end, a rollback to a savepoint included
SELECT t_is();
BEGIN;
SELECT t_is();
SAVEPOINT a;
UPDATE t SET v = 200 WHERE id = 1;
SELECT t_is();
ROLLBACK TO a;
SELECT t_is();
RELEASE a;
SELECT t_is();
COMMIT;
SELECT t_is();
BEGIN;
UPDATE t SET v = 300 WHERE id = 1;
SAVEPOINT a;
UPDATE t SET v = 301 WHERE id = 1;
ROLLBACK TO a;
SAVEPOINT b;
DELETE FROM t WHERE id = 9;
RELEASE b;
SELECT t_is();
COMMIT;
SELECT t_is();
SELECT t_is();
\echo what others wrote is no reason
CREATE TABLE u (v int);
INSERT INTO u VALUES (1);
SELECT cachex.watch('u');
SELECT t_is(), cx_same('SELECT sum(v) FROM u');
BEGIN;
UPDATE u SET v = 2;
SELECT t_is(), cx_same('SELECT sum(v) FROM u'), cx_same('SELECT max(v) FROM t');
ROLLBACK;
SELECT t_is(), cx_same('SELECT sum(v) FROM u'), cx_same('SELECT max(v) FROM t');
\echo the isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT t_is();
UPDATE t SET v = 1 WHERE id = 1;
SELECT t_is();
COMMIT;
SELECT t_is();
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT t_is();
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
SELECT t_is();
COMMIT;
BEGIN READ ONLY;
SELECT t_is(), cx_same('SELECT min(v) FROM t');
COMMIT;

\echo in one statement: all see what its snapshot sees
CREATE FUNCTION with_write(OUT fetched jsonb, OUT direct bigint) LANGUAGE sql AS $$
	WITH w AS (UPDATE t SET v = v + 1 RETURNING v)
	SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t'), (SELECT sum(v) FROM t) FROM (SELECT count(*) FROM w) AS w
$$;
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
SELECT fetched = to_jsonb(direct) FROM with_write();
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
-- now an entry is there while the statement writes
SELECT fetched = to_jsonb(direct) FROM with_write();
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
SELECT bump(1) IS NULL, cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t)), bump(1) IS NULL;
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
\echo a function that writes and then fetches sees its write
CREATE FUNCTION write_and_fetch() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE t SET v = v + 1;
	RETURN cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
END $$;
SELECT write_and_fetch(), write_and_fetch();
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t') = to_jsonb((SELECT sum(v) FROM t));
\echo a STABLE one does not
CREATE FUNCTION fetch_stable() RETURNS jsonb STABLE LANGUAGE plpgsql AS
$$ BEGIN RETURN cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t'); END $$;
CREATE FUNCTION direct_stable() RETURNS jsonb STABLE LANGUAGE plpgsql AS
$$ BEGIN RETURN to_jsonb((SELECT sum(v) FROM t)); END $$;
SELECT bump(1) IS NULL, fetch_stable() = direct_stable(), bump(1) IS NULL, fetch_stable() = direct_stable();
\echo the fetch as a part of the write
UPDATE t SET v = (cachex.fetch('exact', 'sum', 'SELECT count(*) FROM t'))::int WHERE id < 3;
SELECT t_is();
INSERT INTO t SELECT 30 + n, (cachex.fetch('exact', 'sum', 'SELECT count(*) FROM t'))::int FROM generate_series(1, 2) AS n;
SELECT t_is(), (SELECT count(DISTINCT v) FROM t WHERE id > 30);
\echo a cursor keeps its snapshot
SELECT cx_same('SELECT count(*) FROM t');
BEGIN;
DECLARE c CURSOR FOR SELECT cachex.fetch('exact', 'SELECT count(*) FROM t', 'SELECT count(*) FROM t') = to_jsonb((SELECT count(*) FROM t)), n FROM generate_series(1, 2) AS n;
FETCH c;
DELETE FROM t WHERE id > 30;
FETCH c;
COMMIT;
SELECT cx_same('SELECT count(*) FROM t');
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT cachex.fetch('exact', 'SELECT count(*) FROM t', 'SELECT count(*) FROM t') = to_jsonb((SELECT count(*) FROM t));
DELETE FROM t WHERE id = 1;
COMMIT;
FETCH c;
CLOSE c;
SELECT cx_same('SELECT count(*) FROM t');

---- Partitions ----

CREATE TABLE p (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1, 1), (11, 2);
SELECT cachex.watch('p');
CREATE FUNCTION p_is(VARIADIC tables text[] DEFAULT '{p,p1,p2,p21}') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%-3s ', t) || cx_same(format('SELECT string_agg(id || ''='' || v, '','' ORDER BY id, v) FROM %I', t))
	FROM unnest(tables) AS t
$$;
SELECT p_is();
SELECT p_is();
\echo by the root, into one leaf
INSERT INTO p VALUES (2, 1);
SELECT p_is();
\echo by a leaf: its neighbours stay
UPDATE p1 SET v = v + 1;
SELECT p_is();
DELETE FROM p21 WHERE id = 99;
UPDATE p21 SET v = v + 1;
SELECT p_is();
\echo by a table between
UPDATE p2 SET v = v + 1;
SELECT p_is();
\echo a row that moves
UPDATE p SET id = id + 10 WHERE id = 1;
SELECT p_is();
MERGE INTO p USING (VALUES (2)) AS s (id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET id = 12;
SELECT p_is();
COPY p FROM STDIN;
3	3
\.
SELECT p_is();
\echo TRUNCATE of a leaf, of the table between, of the root
TRUNCATE p1;
SELECT p_is();
TRUNCATE p2;
SELECT p_is();
INSERT INTO p VALUES (4, 4), (14, 14);
SELECT p_is();
TRUNCATE p;
SELECT p_is();
INSERT INTO p VALUES (4, 4), (14, 14);
\echo a partition that is excluded; then the row comes there
SELECT cx_same('SELECT count(*) FROM p WHERE id = 5');
INSERT INTO p1 VALUES (5, 5);
SELECT cx_same('SELECT count(*) FROM p WHERE id = 5');
\echo a new partition is watched by itself
SELECT p_is();
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30);
SELECT p_is('p', 'p3');
INSERT INTO p3 VALUES (21, 21);
SELECT p_is('p', 'p3', 'p1');
UPDATE p3 SET v = v + 1;
SELECT p_is('p', 'p3', 'p1');
\echo so is what is attached, with rows
CREATE TABLE p4 (id int, v int);
INSERT INTO p4 VALUES (31, 31);
SELECT p_is('p', 'p4');
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (30) TO (40);
SELECT p_is('p', 'p4');
INSERT INTO p4 VALUES (32, 32);
SELECT p_is('p', 'p4');
CREATE TABLE p5 (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE p51 PARTITION OF p5 FOR VALUES FROM (40) TO (50);
INSERT INTO p5 VALUES (41, 41);
ALTER TABLE p ATTACH PARTITION p5 FOR VALUES FROM (40) TO (50);
SELECT p_is('p', 'p5', 'p51');
INSERT INTO p51 VALUES (42, 42);
SELECT p_is('p', 'p5', 'p51');
\echo DETACH: each is followed on its own
ALTER TABLE p DETACH PARTITION p4;
SELECT p_is('p', 'p4');
INSERT INTO p4 VALUES (33, 33);
SELECT p_is('p', 'p4');
INSERT INTO p VALUES (6, 6);
SELECT p_is('p', 'p4');
ALTER TABLE p DETACH PARTITION p3 CONCURRENTLY;
SELECT p_is('p', 'p3');
UPDATE p3 SET v = v + 1;
SELECT p_is('p', 'p3');
\echo attached again, at another place
ALTER TABLE p2 DETACH PARTITION p21;
SELECT p_is();
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
SELECT p_is('p', 'p3');
UPDATE p SET v = v + 1 WHERE id >= 20;
SELECT p_is('p', 'p3');
\echo DROP
DROP TABLE p3;
SELECT p_is('p', 'p3');
DROP TABLE p1;
SELECT p_is();
\echo a default partition, and one that takes rows from it
CREATE TABLE pd PARTITION OF p DEFAULT;
INSERT INTO p VALUES (77, 77);
SELECT p_is('p', 'pd');
DELETE FROM pd;
SELECT p_is('p', 'pd');
DROP TABLE p;

\echo 200 partitions are one table
CREATE TABLE many (id int, v int) PARTITION BY LIST (id);
DO $$ BEGIN
	FOR n IN 1..200 LOOP
		EXECUTE format('CREATE TABLE many%s PARTITION OF many FOR VALUES IN (%s)', n, n);
	END LOOP;
END $$;
SELECT count(cachex.watch('many'));
INSERT INTO many SELECT n, n FROM generate_series(1, 200) AS n;
SELECT cx_same('SELECT sum(v) FROM many');
UPDATE many117 SET v = 0;
SELECT cx_same('SELECT sum(v) FROM many'), cx_same('SELECT sum(v) FROM many118'), cx_same('SELECT sum(v) FROM many');
UPDATE many SET v = 0 WHERE id = 200;
SELECT cx_same('SELECT sum(v) FROM many'), cx_same('SELECT sum(v) FROM many118'), cx_same('SELECT sum(v) FROM many');
DROP TABLE many;

---- Inheritance ----

CREATE TABLE i (id int, v int);
CREATE TABLE i1 () INHERITS (i);
CREATE TABLE i2 () INHERITS (i1);
INSERT INTO i VALUES (0, 0);
INSERT INTO i1 VALUES (1, 1);
INSERT INTO i2 VALUES (2, 2);
SELECT cachex.watch('i');
CREATE FUNCTION i_is(VARIADIC tables text[] DEFAULT '{i,ONLY i,i1,i2}') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%-6s ', t) || cx_same(format('SELECT string_agg(id || ''='' || v, '','' ORDER BY id, v) FROM %s', t))
	FROM unnest(tables) AS t
$$;
SELECT i_is();
SELECT i_is();
UPDATE i SET v = v + 1;
SELECT i_is();
UPDATE ONLY i SET v = v + 1;
SELECT i_is();
UPDATE i1 SET v = v + 1;
SELECT i_is();
UPDATE i2 SET v = v + 1;
SELECT i_is();
DELETE FROM i WHERE id = 2;
SELECT i_is();
TRUNCATE ONLY i1;
SELECT i_is();
\echo a child that comes later, by INHERITS and by INHERIT
CREATE TABLE i3 () INHERITS (i);
INSERT INTO i3 VALUES (3, 3);
SELECT i_is('i', 'i3');
CREATE TABLE i4 (id int, v int);
INSERT INTO i4 VALUES (4, 4);
ALTER TABLE i4 INHERIT i;
SELECT i_is('i', 'i4');
INSERT INTO i4 VALUES (5, 5);
SELECT i_is('i', 'i4');
\echo of two parents
CREATE TABLE j (v int);
SELECT cachex.watch('j');
ALTER TABLE i4 INHERIT j;
SELECT cx_same('SELECT sum(v) FROM j');
INSERT INTO i4 VALUES (6, 6);
SELECT i_is('i', 'i4'), cx_same('SELECT sum(v) FROM j');
UPDATE j SET v = v + 1;
SELECT i_is('i', 'i4');
SELECT cx_same('SELECT sum(v) FROM j');
\echo NO INHERIT
ALTER TABLE i4 NO INHERIT i;
SELECT i_is('i', 'i4');
INSERT INTO i4 VALUES (7, 7);
SELECT i_is('i', 'i4');
SELECT cx_same('SELECT sum(v) FROM j');
DROP TABLE i3;
SELECT i_is('i');
DROP TABLE i, i1, i2, i4, j;

---- Other tables ----

\echo unlogged
CREATE UNLOGGED TABLE un (v int);
INSERT INTO un VALUES (1);
SELECT cachex.watch('un');
SELECT cx_same('SELECT sum(v) FROM un');
UPDATE un SET v = 2;
SELECT cx_same('SELECT sum(v) FROM un'), cx_same('SELECT sum(v) FROM un');
\echo large values, generated and identity columns
CREATE TABLE big (id int GENERATED ALWAYS AS IDENTITY, v text, n int GENERATED ALWAYS AS (length(v)) STORED);
SELECT cachex.watch('big');
INSERT INTO big (v) VALUES (repeat('x', 100000));
SELECT cx_same('SELECT sum(n) + sum(length(v)) + max(id) FROM big');
UPDATE big SET v = v || 'y';
SELECT cx_same('SELECT sum(n) + sum(length(v)) + max(id) FROM big'), cx_same('SELECT sum(n) + sum(length(v)) + max(id) FROM big');
\echo a result that is nothing, and one that is an error
TRUNCATE t;
SELECT cx_same('SELECT 10 / v FROM t'), cx_same('SELECT 10 / v FROM t');
INSERT INTO t VALUES (1, 0);
SELECT cx_same('SELECT 10 / v FROM t'), cx_same('SELECT 10 / v FROM t');
UPDATE t SET v = 5;
SELECT cx_same('SELECT 10 / v FROM t'), cx_same('SELECT 10 / v FROM t');
\echo no table at all
SELECT cx_same('SELECT 1 + 1'), cx_same('SELECT 1 + 1');

---- Functions of the cache on exact entries ----

\echo get, get_as and lookup follow the tables
CREATE FUNCTION t_got() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', cachex.get('exact', 'sum'), cachex.get_as('exact', 'sum', '0'::jsonb), (cachex.lookup('exact', 'sum')).status)
$$;
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t');
SELECT t_got();
UPDATE t SET v = 6;
SELECT t_got();
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t');
SELECT t_got();
BEGIN;
UPDATE t SET v = 7;
SELECT t_got();
ROLLBACK;
SELECT t_got();
SELECT cachex.fetch('exact', 'sum', 'SELECT sum(v) FROM t');
SELECT t_got();
\echo touch keeps it what it is
SELECT cx_same('SELECT sum(v) FROM t');
SELECT cachex.touch('exact', 'SELECT sum(v) FROM t', ttl => '1 h');
SELECT cx_same('SELECT sum(v) FROM t');
UPDATE t SET v = 8;
SELECT cx_same('SELECT sum(v) FROM t');
BEGIN;
SELECT cachex.touch('exact', 'SELECT sum(v) FROM t', ttl => '1 h');
UPDATE t SET v = 9;
SELECT cx_same('SELECT sum(v) FROM t');
COMMIT;
SELECT cx_same('SELECT sum(v) FROM t');
\echo what is put, or changed by hand, is not taken by fetch
SELECT cachex.put('exact', 'SELECT sum(v) FROM t', '"by hand"');
SELECT cachex.get('exact', 'SELECT sum(v) FROM t');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cachex.update('exact', 'SELECT sum(v) FROM t', 'to_jsonb($1::int + 1)');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cachex.incr('exact', 'SELECT sum(v) FROM t');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cx_same('SELECT jsonb_agg(v) FROM t');
SELECT cachex.push('exact', 'SELECT jsonb_agg(v) FROM t', '0');
SELECT cx_same('SELECT jsonb_agg(v) FROM t'), cx_same('SELECT jsonb_agg(v) FROM t');
SELECT cachex.take('exact', 'SELECT jsonb_agg(v) FROM t');
SELECT cx_same('SELECT jsonb_agg(v) FROM t');
BEGIN;
SELECT cachex.put('exact', 'SELECT sum(v) FROM t', '"by hand"');
SELECT cx_same('SELECT sum(v) FROM t');
COMMIT;
SELECT cx_same('SELECT sum(v) FROM t');
\echo invalidate_table, invalidate, invalidate_tags, clear
SELECT cx_same('SELECT sum(v) FROM t');
SELECT cachex.invalidate_table('t');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cachex.invalidate('exact', 'SELECT sum(v) FROM t');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cachex.fetch('exact', 'tagged', 'SELECT sum(v) FROM t', tags => '{x}'), (cachex.lookup('exact', 'tagged')).status;
SELECT cachex.invalidate_tags('{x}');
SELECT (cachex.lookup('exact', 'tagged')).status;
SELECT cachex.clear('exact');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT sum(v) FROM t');
SELECT cachex.invalidate_table('u');
SELECT cx_same('SELECT sum(v) FROM t');
\echo fetch_as, other parameters, a time to live, modes
SELECT cachex.fetch_as('exact', 'as', 0, 'SELECT sum(v)::int FROM t') = sum(v) FROM t;
UPDATE t SET v = 10;
SELECT cachex.fetch_as('exact', 'as', 0, 'SELECT sum(v)::int FROM t') = sum(v) FROM t;
SELECT cachex.fetch('exact', 'par', 'SELECT v FROM t WHERE id = $1', '{1}'), cachex.fetch('exact', 'par', 'SELECT v FROM t WHERE id = $1', '{2}') IS NULL;
INSERT INTO t VALUES (2, 2);
SELECT cachex.fetch('exact', 'par', 'SELECT v FROM t WHERE id = $1', '{2}'), cachex.fetch('exact', 'par', 'SELECT v FROM t WHERE id = $1', '{1}');
SELECT cachex.fetch('exact', 'short', 'SELECT sum(v) FROM t', ttl => '1 h'), (cachex.lookup('exact', 'short')).status;
UPDATE t SET v = 11 WHERE id = 1;
SELECT (cachex.lookup('exact', 'short')).status;
SELECT cachex.fetch('exact', 'short', 'SELECT sum(v) FROM t', mode => 'cached');
SELECT cachex.fetch('exact', 'short', 'SELECT sum(v) FROM t', mode => 'refresh'), cachex.fetch('exact', 'short', 'SELECT sum(v) FROM t', mode => 'cached');
\echo fetch_many
CREATE FUNCTION many_is(VARIADIC keys text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := cx_counts('exact');
	fetched text;
	direct text;
BEGIN
	SELECT string_agg(concat(key, '=', value), ',' ORDER BY key) INTO fetched
	FROM cachex.fetch_many('exact', keys, 'SELECT id::text AS key, v AS value FROM t WHERE id::text = ANY ($1)');
	SELECT string_agg(concat(key, '=', v), ',' ORDER BY key) INTO direct
	FROM unnest(keys) AS key LEFT JOIN t ON id::text = key;
	RETURN QUERY SELECT CASE WHEN fetched = direct THEN 'same' ELSE 'DIFFERENT ' || direct END || ', ' ||
		cx_moved(before, cx_counts('exact')) || ': ' || fetched;
END $$;
SELECT many_is('1', '2', '3');
SELECT many_is('1', '2', '3');
UPDATE t SET v = 12 WHERE id = 1;
SELECT many_is('1', '2', '3');
INSERT INTO t VALUES (3, 3);
SELECT many_is('1');
SELECT many_is('1', '2', '3');
BEGIN;
DELETE FROM t WHERE id = 3;
SELECT many_is('1', '2', '3');
ROLLBACK;
SELECT many_is('1', '2', '3');

---- A fetch inside of a loader ----

CREATE FUNCTION inner_sum() RETURNS bigint STABLE LANGUAGE sql AS $$
	SELECT cachex.fetch('exact', 'SELECT sum(v) FROM t', 'SELECT sum(v) FROM t')::bigint
$$;
SELECT cx_same('SELECT inner_sum() + (SELECT sum(v) FROM u)');
\echo a hit inside
SELECT cx_same('SELECT inner_sum() - (SELECT sum(v) FROM u)');
SELECT cx_same('SELECT inner_sum() - (SELECT sum(v) FROM u)'), cx_same('SELECT inner_sum() + (SELECT sum(v) FROM u)');
\echo the outer one stands with the tables of the inner one, and with its own
UPDATE t SET v = v + 1;
SELECT cx_same('SELECT inner_sum() - (SELECT sum(v) FROM u)'), cx_same('SELECT inner_sum() + (SELECT sum(v) FROM u)');
UPDATE u SET v = v + 1;
SELECT cx_same('SELECT inner_sum() - (SELECT sum(v) FROM u)'), cx_same('SELECT inner_sum() + (SELECT sum(v) FROM u)'), cx_same('SELECT sum(v) FROM t');
\echo three deep
SELECT cx_same($$SELECT cachex.fetch('exact', 'mid', 'SELECT inner_sum()')$$);
UPDATE t SET v = v + 1;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT cx_same($$SELECT cachex.fetch('exact', 'mid', 'SELECT inner_sum()')$$), cx_same($$SELECT cachex.fetch('exact', 'mid', 'SELECT inner_sum()')$$);
UPDATE t SET v = v + 1;
SELECT cx_same($$SELECT cachex.fetch('exact', 'mid', 'SELECT inner_sum()')$$), cx_same($$SELECT cachex.fetch('exact', 'mid', 'SELECT inner_sum()')$$);
\echo in a cache ttl, the outer one ends with the shape of the tables inside
SELECT cachex.create_cache('timed', consistency => 'ttl');
SELECT cx_same('SELECT inner_sum()', 'timed'), cx_same('SELECT inner_sum()', 'timed');
ALTER TABLE t SET (fillfactor = 90);
SELECT cx_same('SELECT inner_sum()', 'timed'), cx_same('SELECT inner_sum()', 'timed');

---- The view dependencies ----

CREATE FUNCTION last_change(of text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', name, entries, changed_by, changed_table) FROM cachex.dependencies
	WHERE kind = 'table' AND name = of
$$;
SELECT cachex.clear('exact'), cachex.purge('exact') >= 0;
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT max(v) FROM t'), cx_same('SELECT sum(t.v) FROM t, u');
INSERT INTO t VALUES (50, 50);
SELECT last_change('t');
SELECT cx_same('SELECT sum(v) FROM t'), cx_same('SELECT max(v) FROM t'), cx_same('SELECT sum(t.v) FROM t, u');
SELECT last_change('t');
SELECT last_change('u');
UPDATE t SET v = 0;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
DELETE FROM t;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
TRUNCATE t;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
ALTER TABLE t ADD COLUMN w int;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
COPY t FROM STDIN;
1	1	1
\.
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
MERGE INTO t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 2;
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
SELECT cachex.invalidate_table('t');
SELECT cx_same('SELECT sum(v) FROM t');
SELECT last_change('t');
\echo the table below that was written
CREATE TABLE dp (id int) PARTITION BY LIST (id);
CREATE TABLE dp1 PARTITION OF dp FOR VALUES IN (1);
SELECT cachex.watch('dp');
SELECT cx_same('SELECT count(*) FROM dp');
INSERT INTO dp1 VALUES (1);
SELECT cx_same('SELECT count(*) FROM dp');
SELECT last_change('dp');
INSERT INTO dp VALUES (1);
SELECT cx_same('SELECT count(*) FROM dp');
SELECT last_change('dp');

---- Caches of kind ttl: shapes count, rows do not ----

TRUNCATE t;
INSERT INTO t VALUES (1, 1);
CREATE FUNCTION timed() RETURNS text LANGUAGE sql AS $$
	SELECT cachex.fetch('timed', 'sum', 'SELECT sum(v) FROM t')::text
$$;
SELECT timed();
INSERT INTO t VALUES (2, 10);
UPDATE t SET v = v + 1;
SELECT timed();
ALTER TABLE t ADD COLUMN x int;
SELECT timed();
TRUNCATE t;
SELECT timed() IS NULL;
INSERT INTO t VALUES (1, 1);
SELECT timed() IS NULL;
GRANT SELECT ON t TO pg_monitor;
SELECT timed();
UPDATE t SET v = 5;
REVOKE SELECT ON t FROM pg_monitor;
SELECT timed();
UPDATE t SET v = 6;
SELECT timed();
ALTER TABLE t RENAME v TO vv;
ALTER TABLE t RENAME vv TO v;
SELECT timed();
UPDATE t SET v = 7;
SELECT timed();
\echo a view, and a table behind it
CREATE VIEW tv AS SELECT v FROM t;
SELECT cachex.fetch('timed', 'view', 'SELECT sum(v) FROM tv');
UPDATE t SET v = 8;
SELECT cachex.fetch('timed', 'view', 'SELECT sum(v) FROM tv');
CREATE OR REPLACE VIEW tv AS SELECT -v AS v FROM t;
SELECT cachex.fetch('timed', 'view', 'SELECT sum(v) FROM tv');
\echo a table that nobody watches
CREATE TABLE free (v int);
INSERT INTO free VALUES (1);
SELECT cachex.fetch('timed', 'free', 'SELECT sum(v) FROM free');
INSERT INTO free VALUES (1);
SELECT cachex.fetch('timed', 'free', 'SELECT sum(v) FROM free');
TRUNCATE free;
SELECT cachex.fetch('timed', 'free', 'SELECT count(*) FROM free');
SELECT cachex.fetch('timed', 'free', 'SELECT sum(v) FROM free') IS NULL;

---- One kind becomes the other ----

SELECT cachex.fetch('timed', 'SELECT sum(v) FROM t', 'SELECT sum(v) FROM t');
UPDATE t SET v = 20;
SELECT cx_same('SELECT sum(v) FROM t', 'timed') ~ '^DIFFERENT, hit';
SELECT cachex.alter_cache('timed', '{"consistency": "exact"}');
SELECT cx_same('SELECT sum(v) FROM t', 'timed'), cx_same('SELECT sum(v) FROM t', 'timed');
UPDATE t SET v = 21;
SELECT cx_same('SELECT sum(v) FROM t', 'timed'), cx_same('SELECT sum(v) FROM t', 'timed');
SELECT cachex.alter_cache('timed', '{"consistency": "ttl"}');
SELECT cx_same('SELECT max(v) FROM t', 'timed');
UPDATE t SET v = 22;
SELECT cx_same('SELECT max(v) FROM t', 'timed') ~ '^DIFFERENT, hit';
BEGIN;
SELECT cachex.alter_cache('timed', '{"consistency": "exact"}');
SELECT cx_same('SELECT max(v) FROM t', 'timed');
ROLLBACK;
SELECT cachex.drop_cache('timed');
\echo the cache queries is exact
SELECT consistency FROM cachex.caches WHERE name = 'queries';
SELECT cx_same('SELECT sum(v) FROM t', 'queries'), cx_same('SELECT sum(v) FROM t', 'queries');
UPDATE t SET v = 23;
SELECT cx_same('SELECT sum(v) FROM t', 'queries'), cx_same('SELECT sum(v) FROM t', 'queries');

SET client_min_messages = warning;
DROP SCHEMA ex CASCADE;
SELECT cachex.drop_cache('exact');
SELECT cx_check();
