--
-- watch, unwatch and on_change
--
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cachex;
RESET client_min_messages;
CREATE SCHEMA watch_test;
SET search_path = watch_test, public;
SELECT cachex.create_cache('w', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('w', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SELECT cachex.create_cache('w2', consistency => 'ttl');

-- What is in cache w, in two forms: its keys, and which of some are there.
CREATE FUNCTION fill(VARIADIC keys text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE k text;
BEGIN
	FOREACH k IN ARRAY keys LOOP
		PERFORM cachex.put('w', k, '"filled"', tags => ARRAY['t:' || k]);
	END LOOP;
END $$;
CREATE FUNCTION there(VARIADIC keys text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE k text; r text := '';
BEGIN
	FOREACH k IN ARRAY keys LOOP
		IF cachex.get('w', k) IS NOT NULL THEN r := r || ' ' || k; END IF;
	END LOOP;
	RETURN ltrim(r);
END $$;
CREATE FUNCTION triggers(rel regclass) RETURNS TABLE (tg text, on_table regclass, enabled "char", clone boolean)
LANGUAGE sql AS $$
	SELECT regexp_replace(tgname, '[0-9a-f]{16}', 'HASH'), tgrelid::regclass, tgenabled, tgparentid <> 0
	FROM pg_catalog.pg_trigger
	WHERE tgfoid = 'cachex.on_change()'::regprocedure
		AND (tgrelid = rel OR tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(rel)))
	ORDER BY 2, 1
$$;

-- arguments
CREATE TABLE u (id int PRIMARY KEY, name text, grp text, note text);
SELECT cachex.watch(NULL, 'w');
SELECT cachex.watch('u', 'w', action => NULL);
SELECT cachex.watch('u', 'nosuch');
SELECT cachex.watch('u', '');
SELECT cachex.watch('u', columns => '{id}');
SELECT cachex.watch('u', keys => '{user:<id>}');
SELECT cachex.watch('u', 'w', '{user:<id>}', action => 'stale');
SELECT cachex.watch('u', 'w', action => 'stale');
SELECT cachex.watch('u', 'w', '{user:<id>}', action => 'refresh');
SELECT cachex.watch('u', 'w', '{user:<id>}', action => 'nonsense');
SELECT cachex.watch('u', 'w', action => 'put');
SELECT cachex.watch('u', 'w', '{a:<id>,b:<id>}', action => 'put');
SELECT cachex.watch('u', 'w', '{a:<id>}', action => 'put', columns => '{name}');
SELECT cachex.watch('u', 'w', '{user:<id}');
SELECT cachex.watch('u', 'w', '{üser:<<<>}');
SELECT cachex.watch('u', 'w', ARRAY['']);
SELECT cachex.watch('u', 'w', ARRAY[NULL]);
SELECT cachex.watch('u', 'w', ARRAY[['a','b'],['c','d']]);
SELECT cachex.watch('u', 'w', '{user:<Id>}');
SELECT cachex.watch('u', 'w', '{user:<ctid>}');
SELECT cachex.watch('u', 'w', '{user:<id>}', columns => '{name,nosuch}');

-- relations
CREATE VIEW v AS SELECT * FROM u;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM u;
CREATE TEMP TABLE tmp (id int);
CREATE SEQUENCE s;
CREATE FOREIGN DATA WRAPPER watch_fdw;
CREATE SERVER watch_server FOREIGN DATA WRAPPER watch_fdw;
CREATE FOREIGN TABLE ft (id int) SERVER watch_server;
SELECT cachex.watch('v', 'w');
SELECT cachex.watch('mv', 'w');
SELECT cachex.watch('tmp', 'w');
SELECT cachex.watch('s', 'w');
SELECT cachex.watch('ft', 'w');
SELECT cachex.watch('pg_class', 'w');
SELECT cachex.watch(4294967295::oid::regclass, 'w');
SELECT cachex.unwatch(NULL);
SELECT cachex.unwatch('v');
SELECT cachex.unwatch('u');

-- triggers: twice is once; others stand beside; unwatch drops all
SELECT cachex.watch('u', 'w', '{user:<id>}', '{group:<grp>}');
SELECT * FROM triggers('u');
SELECT cachex.watch('u', 'w', '{user:<id>}', '{group:<grp>}');
ALTER TABLE u DISABLE TRIGGER USER;
SELECT cachex.watch('u', 'w', '{user:<id>}', '{group:<grp>}');
SELECT * FROM triggers('u');
SELECT cachex.watch('u', 'w', '{list}');
SELECT count(*) FROM triggers('u');
SELECT cachex.unwatch('u');
SELECT count(*) FROM triggers('u');

-- INSERT, UPDATE, DELETE name keys and tags from both rows
SELECT cachex.watch('u', 'w', '{user:<id>,name:<name>,all}', '{t:group:<grp>}');
SELECT fill('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
INSERT INTO u VALUES (1, 'a', 'x', NULL);
SELECT there('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
SELECT fill('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
UPDATE u SET name = 'b', grp = NULL;
SELECT there('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
SELECT fill('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
DELETE FROM u;
SELECT there('user:1', 'user:2', 'name:a', 'name:b', 'all', 'group:x', 'group:y', 'other');
-- no row, no change
SELECT fill('all');
UPDATE u SET name = 'x';
DELETE FROM u;
SELECT there('all');
-- a transaction sees it at once, and it goes with a savepoint
SELECT fill('user:1', 'user:2');
BEGIN;
INSERT INTO u VALUES (1);
SELECT there('user:1', 'user:2');
SAVEPOINT s;
INSERT INTO u VALUES (2);
SELECT there('user:1', 'user:2');
ROLLBACK TO s;
SELECT there('user:1', 'user:2');
ROLLBACK;
SELECT there('user:1', 'user:2');
-- ON CONFLICT, COPY, MERGE, a rule, a foreign key's cascade
SELECT fill('user:1', 'user:2', 'user:3');
INSERT INTO u VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x';
SELECT there('user:1', 'user:2', 'user:3');
SELECT fill('user:1');
INSERT INTO u VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x';
SELECT there('user:1', 'user:2', 'user:3');
COPY u FROM stdin;
2	b	\N	\N
\.
SELECT there('user:1', 'user:2', 'user:3');
SELECT fill('user:1', 'user:2', 'user:3');
MERGE INTO u USING (VALUES (1), (3)) AS new (id) ON u.id = new.id
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (new.id);
SELECT there('user:1', 'user:2', 'user:3');
CREATE TABLE child (id int PRIMARY KEY, u int REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO child VALUES (10, 2);
SELECT cachex.watch('child', 'w', '{child:<id>:<u>}');
SELECT fill('child:10:2', 'child:10:4', 'child:10:5');
UPDATE u SET id = 4 WHERE id = 2;
SELECT there('child:10:2', 'child:10:4', 'child:10:5');
SELECT fill('child:10:4');
DELETE FROM u WHERE id = 4;
SELECT there('child:10:2', 'child:10:4', 'child:10:5');
DROP TABLE child;

-- TRUNCATE clears the cache; so do DROP TRIGGER, unwatch and DROP TABLE
SELECT fill('anything');
TRUNCATE u;
SELECT there('anything');
SELECT fill('anything');
SELECT cachex.unwatch('u');
SELECT there('anything');
SELECT cachex.watch('u', 'w', '{user:<id>}');
SELECT fill('anything');
BEGIN;
DROP VIEW v;
DROP MATERIALIZED VIEW mv;
DROP TABLE u;
SELECT there('anything');
ROLLBACK;
SELECT there('anything');
DROP TABLE u CASCADE;
SELECT there('anything');

-- columns
CREATE TABLE p (id int, price numeric, stock int, txt text);
INSERT INTO p SELECT i, i, 0, repeat('x', 3000) FROM generate_series(1, 3) i;
SELECT cachex.watch('p', 'w', '{p:<id>}', columns => '{price,txt}');
SELECT fill('p:1', 'p:2', 'p:3');
UPDATE p SET stock = 1;
SELECT there('p:1', 'p:2', 'p:3');
UPDATE p SET price = 7 WHERE id = 2;
SELECT there('p:1', 'p:2', 'p:3');
UPDATE p SET txt = txt || 'y', stock = 2 WHERE id = 1;
SELECT there('p:1', 'p:2', 'p:3');
UPDATE p SET price = NULL WHERE id = 3;
SELECT there('p:1', 'p:2', 'p:3');
SELECT fill('p:1', 'p:2', 'p:3');
UPDATE p SET price = NULL WHERE id = 3;
DELETE FROM p WHERE id = 2;
SELECT there('p:1', 'p:2', 'p:3');
DROP TABLE p;

-- without templates each change clears; without a cache tags only
CREATE TABLE c (id int, grp text);
SELECT cachex.watch('c', 'w');
SELECT fill('one');
UPDATE c SET id = 2;
SELECT there('one');
INSERT INTO c VALUES (1, 'g');
SELECT there('one');
SELECT cachex.unwatch('c');
SELECT cachex.watch('c', tags => '{t:<grp>,t:list}');
SELECT fill('g', 'h', 'list', 'other');
UPDATE c SET id = 3;
SELECT there('g', 'h', 'list', 'other');
-- what cannot be named clears every cache of the database
SELECT fill('g', 'h', 'list', 'other');
TRUNCATE c;
SELECT there('g', 'h', 'list', 'other');
SELECT cachex.unwatch('c');
SELECT cachex.watch('c', tags => '{t:list}');
SELECT fill('list', 'other');
TRUNCATE c;
SELECT there('list', 'other');
DROP TABLE c;

-- what a value's text is
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN flag AS boolean;
CREATE TABLE ty (b boolean, d flag, c char(5), v varchar, "Na<me" name, n numeric, m mood, ts timestamptz, dt date, i interval, f float8, by bytea, r regclass, a int[], ip inet, mo money);
SELECT cachex.watch('ty', 'w', ARRAY['b:<b>', 'd:<d>', 'c:<c>|', 'v:<v>', 'n:<Na<me>', 'n:<n>', 'm:<m>', 'ts:<ts>', 'dt:<dt>', 'i:<i>', 'f:<f>', 'by:<by>', 'r:<r>', 'a:<a>', 'ip:<ip>', 'mo:<mo>', '<<<b><<b>']);
SELECT fill('b:true', 'd:false', 'c:ab|', 'v:üñ', 'n:nm', 'n:1.50', 'm:happy', 'ts:2024-01-02 03:04:05+00', 'dt:2024-01-02', 'i:1 day 02:00:00', 'f:0.1', 'by:\x61', 'r:watch_test.ty', 'a:{1,2}', 'ip:1.2.3.4/32', 'mo:$1.00', '<true<b>', 'rest');
SET TimeZone = 'America/New_York';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -5;
SET bytea_output = 'escape';
INSERT INTO ty VALUES (true, false, 'ab', 'üñ', 'nm', 1.50, 'happy', '2024-01-02 03:04:05+00', '02/01/2024', '1 day 2 hours', 0.1, 'a', 'ty', '{1,2}', '1.2.3.4', 1);
SHOW DateStyle;
SHOW TimeZone;
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
RESET extra_float_digits;
RESET bytea_output;
SELECT key FROM cachex.entries('w') WHERE cachex.get('w', key) IS NOT NULL ORDER BY key COLLATE "C";
-- too long for a key, empty, NULL: names nothing
UPDATE ty SET v = repeat('v', 10000), b = NULL;
DROP TABLE ty;

-- many keys from one statement clear the cache
CREATE TABLE many (id int);
SELECT cachex.watch('many', 'w', '{many:<id>}');
SELECT fill('many:5', 'rest');
INSERT INTO many SELECT i % 10000 FROM generate_series(1, 50000) i;
SELECT there('many:5', 'rest');
SELECT fill('many:5', 'rest');
INSERT INTO many SELECT i FROM generate_series(1, 10001) i;
SELECT there('many:5', 'rest');
DROP TABLE many;

-- action put
CREATE TABLE pu (id int PRIMARY KEY, v text, at timestamptz);
SELECT cachex.watch('pu', 'w', '{pu:<id>}', '{t:pu}', action => 'put');
SELECT fill('pu');
INSERT INTO pu VALUES (1, 'one', '2024-01-01 00:00+02'), (2, 'two', NULL);
SELECT there('pu'), cachex.get('w', 'pu:1'), cachex.get('w', 'pu:2');
UPDATE pu SET v = 'uno' WHERE id = 1;
SELECT cachex.get('w', 'pu:1');
UPDATE pu SET id = 3 WHERE id = 1;
SELECT cachex.get('w', 'pu:1'), cachex.get('w', 'pu:3');
UPDATE pu SET id = 5 - id, v = v || '!';
SELECT cachex.get('w', 'pu:2'), cachex.get('w', 'pu:3');
ALTER TABLE pu DROP CONSTRAINT pu_pkey;
UPDATE pu SET id = 5 - id;
SELECT cachex.get('w', 'pu:2'), cachex.get('w', 'pu:3');
BEGIN;
DELETE FROM pu WHERE id = 2;
SELECT cachex.get('w', 'pu:2'), cachex.get('w', 'pu:3');
ROLLBACK;
SELECT cachex.get('w', 'pu:2'), cachex.get('w', 'pu:3');
DELETE FROM pu;
SELECT cachex.get('w', 'pu:2'), cachex.get('w', 'pu:3');
-- a trigger before ours that writes to the table: the last state, or nothing
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE watch_test.pu SET v = 'last' WHERE v <> 'last';
	RETURN NULL;
END $$;
CREATE TRIGGER a_first AFTER INSERT ON pu FOR EACH STATEMENT EXECUTE FUNCTION again();
INSERT INTO pu VALUES (4, 'first', NULL);
SELECT cachex.get('w', 'pu:4') -> 'v' AS v;
-- a role that may write but not read finds nothing
CREATE ROLE regress_watch_writer;
GRANT USAGE ON SCHEMA watch_test TO regress_watch_writer;
GRANT INSERT, UPDATE, SELECT (id) ON pu TO regress_watch_writer;
DROP TRIGGER a_first ON pu;
SET ROLE regress_watch_writer;
INSERT INTO pu VALUES (9, 'secret', NULL);
SELECT cachex.get('w', 'pu:9');
RESET ROLE;
GRANT SELECT ON pu TO regress_watch_writer;
SET ROLE regress_watch_writer;
INSERT INTO pu VALUES (10, 'open', NULL);
SELECT cachex.get('w', 'pu:10');
RESET ROLE;
SELECT cachex.get('w', 'pu:10');
ALTER TABLE pu ENABLE ROW LEVEL SECURITY;
CREATE POLICY pol ON pu USING (true);
SET ROLE regress_watch_writer;
INSERT INTO pu VALUES (11, 'row', NULL);
SELECT cachex.get('w', 'pu:11');
RESET ROLE;

-- rights
GRANT EXECUTE ON FUNCTION cachex.watch, cachex.unwatch, cachex.on_change TO regress_watch_writer;
SET ROLE regress_watch_writer;
SELECT cachex.watch('pu', 'w');
SELECT cachex.unwatch('pu');
RESET ROLE;
CREATE TABLE own (id int);
ALTER TABLE own OWNER TO regress_watch_writer;
SET ROLE regress_watch_writer;
SELECT cachex.watch('own', 'w', '{own:<id>}');
SELECT cachex.unwatch('own');
RESET ROLE;
DROP TABLE own, pu;
REVOKE EXECUTE ON FUNCTION cachex.watch, cachex.unwatch, cachex.on_change FROM regress_watch_writer;
DROP OWNED BY regress_watch_writer;
DROP ROLE regress_watch_writer;

-- a writer is never stopped: columns and caches that are gone, search_path,
-- replica role
CREATE TABLE h (id int, x text);
SELECT cachex.watch('h', 'w', '{h:<id>}', columns => '{x}');
ALTER TABLE h RENAME id TO ident;
SELECT fill('other');
INSERT INTO h VALUES (1, 'a');
SELECT there('other');
INSERT INTO h VALUES (1, 'a');
ALTER TABLE h RENAME ident TO id;
ALTER TABLE h DROP COLUMN x;
SELECT fill('h:1', 'other');
UPDATE h SET id = id;
SELECT there('h:1', 'other');
SELECT cachex.unwatch('h');
SELECT cachex.watch('h', 'w2', '{h:<id>}');
SELECT cachex.drop_cache('w2');
UPDATE h SET id = id;
TRUNCATE h;
SELECT cachex.unwatch('h');
SELECT cachex.watch('h', 'w', '{h:<id>}');
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.int4out(int) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION hostile.fail(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.fail, LEFTARG = text, RIGHTARG = text);
SELECT fill('h:1', 'h:2', 'h:3');
SET search_path = hostile, pg_catalog;
INSERT INTO watch_test.h VALUES (1);
SELECT cachex.watch('watch_test.h', 'w', '{h:<id>}');
SELECT cachex.watch('watch_test.h', 'w', '{h2:<id>}');
SELECT cachex.unwatch('watch_test.h');
SELECT cachex.watch('watch_test.h', 'w', '{h:<id>}');
SET search_path = '';
SELECT watch_test.fill('h:1', 'h:2', 'h:3');
INSERT INTO watch_test.h VALUES (1);
SET session_replication_role = replica;
INSERT INTO watch_test.h VALUES (2);
RESET session_replication_role;
SET search_path = watch_test, public;
SELECT there('h:1', 'h:2', 'h:3');
DROP TABLE h;
DROP SCHEMA hostile CASCADE;
-- names that need quotes
CREATE SCHEMA "a.b";
CREATE TABLE "a.b"."T 1'" ("I""d" int, "it's" text);
SELECT cachex.watch('"a.b"."T 1''"', 'w', ARRAY['q:<I"d>:<it''s>:\,"']);
SELECT fill(E'q:1:x:\\,"', 'q:1');
INSERT INTO "a.b"."T 1'" VALUES (1, 'x');
SELECT there(E'q:1:x:\\,"', 'q:1');
SELECT cachex.unwatch('"a.b"."T 1''"');
DROP SCHEMA "a.b" CASCADE;

-- by hand
CREATE TABLE hand (id int);
INSERT INTO hand VALUES (1);
SELECT cachex.on_change();
CREATE TRIGGER b BEFORE INSERT ON hand FOR EACH ROW EXECUTE FUNCTION cachex.on_change('w');
INSERT INTO hand VALUES (2);
DROP TRIGGER b ON hand;
CREATE TRIGGER nothing AFTER INSERT ON hand EXECUTE FUNCTION cachex.on_change();
INSERT INTO hand VALUES (2);
DROP TRIGGER nothing ON hand;
CREATE TRIGGER wrong AFTER INSERT ON hand EXECUTE FUNCTION cachex.on_change('w', '{a:<id}');
INSERT INTO hand VALUES (2);
DROP TRIGGER wrong ON hand;
CREATE TRIGGER toomany AFTER INSERT ON hand EXECUTE FUNCTION cachex.on_change('w', '', '', '', '', '', '');
INSERT INTO hand VALUES (2);
DROP TRIGGER toomany ON hand;
-- per row; per statement with and without rows to look at
CREATE TRIGGER r AFTER INSERT OR UPDATE ON hand FOR EACH ROW EXECUTE FUNCTION cachex.on_change('w', '{hand:<id>}');
SELECT fill('hand:1', 'hand:2', 'hand:3', 'x');
INSERT INTO hand VALUES (2);
SELECT there('hand:1', 'hand:2', 'hand:3', 'x');
DROP TRIGGER r ON hand;
CREATE TRIGGER s AFTER INSERT ON hand EXECUTE FUNCTION cachex.on_change('w', '{hand:<id>}');
SELECT fill('hand:1', 'x');
INSERT INTO hand VALUES (2);
SELECT there('hand:1', 'x');
DROP TRIGGER s ON hand;
CREATE TRIGGER s AFTER UPDATE ON hand REFERENCING NEW TABLE AS n EXECUTE FUNCTION cachex.on_change('w', '{hand:<id>}');
SELECT fill('hand:1', 'x');
UPDATE hand SET id = id;
SELECT there('hand:1', 'x');
DROP TRIGGER s ON hand;
CREATE TRIGGER s AFTER INSERT ON hand EXECUTE FUNCTION cachex.on_change('w', '{const}', '{t:x}');
SELECT fill('const', 'x', 'y');
INSERT INTO hand VALUES (2);
SELECT there('const', 'x', 'y');
SELECT cachex.unwatch('hand');
-- deferred
CREATE CONSTRAINT TRIGGER d AFTER UPDATE ON hand DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cachex.on_change('w', '{hand:<id>}', '', '', '{id}');
SELECT fill('hand:1', 'hand:2', 'hand:7');
BEGIN;
UPDATE hand SET id = 7 WHERE id = 1;
SELECT there('hand:1', 'hand:2', 'hand:7');
COMMIT;
SELECT there('hand:1', 'hand:2', 'hand:7');
DROP TABLE hand;

-- partitions
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE part2a PARTITION OF part2 FOR VALUES FROM (10) TO (20);
SELECT cachex.watch('part', 'w', '{part:<id>}', columns => '{id,v}');
SELECT cachex.watch('part', 'w', '{part:<id>}', columns => '{id,v}');
SELECT * FROM triggers('part');
SELECT fill('part:1', 'part:2', 'part:11', 'part:21');
INSERT INTO part VALUES (1);
INSERT INTO part1 VALUES (2);
SELECT there('part:1', 'part:2', 'part:11', 'part:21');
UPDATE part SET id = 11 WHERE id = 1;
SELECT there('part:1', 'part:2', 'part:11', 'part:21');
CREATE TABLE part3 PARTITION OF part FOR VALUES FROM (20) TO (30);
CREATE TABLE part4 (v text, junk int, id int);
ALTER TABLE part4 DROP COLUMN junk;
ALTER TABLE part ATTACH PARTITION part4 FOR VALUES FROM (30) TO (40);
SELECT fill('part:21', 'part:31', 'part:32');
INSERT INTO part3 VALUES (21);
INSERT INTO part4 (id) VALUES (31);
SELECT there('part:21', 'part:31', 'part:32');
SELECT cachex.watch('part', 'w', '{part:<id>}', columns => '{id,v}');
SELECT * FROM triggers('part3');
SELECT fill('x');
TRUNCATE part2a;
SELECT there('x');
SELECT fill('x');
TRUNCATE part;
SELECT there('x');
SELECT fill('x');
ALTER TABLE part DETACH PARTITION part4;
SELECT there('x');
SELECT * FROM triggers('part4');
SELECT cachex.unwatch('part4');
SELECT * FROM triggers('part4');
SELECT fill('x');
DROP TABLE part3;
SELECT there('x');
-- a partition by itself; then the same for all of it
SELECT cachex.unwatch('part1');
SELECT cachex.unwatch('part');
SELECT * FROM triggers('part');
SELECT cachex.watch('part1', 'w', '{leaf:<id>}');
SELECT cachex.watch('part2', 'w', '{leaf:<id>}');
SELECT * FROM triggers('part');
SELECT fill('leaf:1', 'leaf:11');
INSERT INTO part VALUES (1), (11);
SELECT there('leaf:1', 'leaf:11');
SELECT cachex.watch('part', 'w', '{leaf:<id>}');
SELECT fill('leaf:1', 'leaf:11');
DELETE FROM part;
SELECT there('leaf:1', 'leaf:11');
SELECT cachex.unwatch('part');
SELECT cachex.unwatch('part1');
SELECT cachex.unwatch('part2');
SELECT * FROM triggers('part');
-- put, with rights on the parent only
SELECT cachex.watch('part', 'w', '{part:<id>}', action => 'put');
INSERT INTO part VALUES (3, 'three');
SELECT cachex.get('w', 'part:3');
UPDATE part SET id = 13;
SELECT cachex.get('w', 'part:3'), cachex.get('w', 'part:13');
DROP TABLE part;

-- inheritance
CREATE TABLE base (id int, v text);
CREATE TABLE derived (extra int) INHERITS (base);
SELECT cachex.watch('base', 'w', '{base:<id>}');
SELECT * FROM triggers('base') UNION ALL SELECT * FROM triggers('derived');
SELECT fill('base:1', 'base:2', 'base:3');
INSERT INTO base VALUES (1);
INSERT INTO derived VALUES (2);
SELECT there('base:1', 'base:2', 'base:3');
SELECT fill('base:1', 'base:2', 'base:3');
UPDATE base SET v = 'x';
SELECT there('base:1', 'base:2', 'base:3');
SELECT fill('x');
TRUNCATE derived;
SELECT there('x');
SELECT cachex.unwatch('base');
SELECT count(*) FROM triggers('derived');
SELECT cachex.watch('derived', 'w', '{d:<id>:<extra>}');
INSERT INTO derived VALUES (5, 'v', 6);
SELECT fill('d:5:6', 'd:5:7');
UPDATE base SET v = 'y';
SELECT there('d:5:6', 'd:5:7');
-- a table that got a child later is watched anew
DROP TABLE derived;
SELECT cachex.watch('base', 'w', '{base:<id>}');
CREATE TABLE derived2 () INHERITS (base);
SELECT cachex.watch('base', 'w', '{base:<id>}');
SELECT * FROM triggers('base') UNION ALL SELECT * FROM triggers('derived2');
DROP TABLE base CASCADE;

-- action stale: who allows staleness gets the old value, who does not none
SELECT cachex.create_cache('ws', stale_for => '1 hour', consistency => 'ttl');
CREATE TABLE aged (id int, v text);
SELECT cachex.watch('aged', 'ws', '{aged:<id>}', action => 'stale');
SELECT cachex.put('ws', 'aged:1', '"old"'), cachex.put('ws', 'aged:2', '"other"');
INSERT INTO aged VALUES (1, 'new');
SELECT key, (cachex.lookup('ws', key)).status, (cachex.lookup('ws', key)).value
FROM unnest('{aged:1,aged:2}'::text[]) AS key;
SELECT cachex.fetch('ws', 'aged:1', 'SELECT v FROM watch_test.aged', stale_for => '0');
DROP TABLE aged;
SELECT cachex.drop_cache('ws');

-- read only
CREATE TABLE ro (id int);
BEGIN READ ONLY;
SELECT cachex.watch('ro', 'w');
ROLLBACK;
BEGIN READ ONLY;
SELECT cachex.unwatch('ro');
ROLLBACK;
-- PREPARE: pending invalidations survive it
SELECT cachex.watch('ro', 'w', '{ro:<id>}');
SELECT fill('ro:1', 'ro:2');
BEGIN;
INSERT INTO ro VALUES (1);
PREPARE TRANSACTION 'watch';
SELECT there('ro:1', 'ro:2');
COMMIT PREPARED 'watch';
SELECT there('ro:1', 'ro:2');
DROP TABLE ro;

SELECT cachex.drop_cache('w');
SET client_min_messages = warning;
DROP SCHEMA watch_test CASCADE;
DROP SERVER watch_server;
DROP FOREIGN DATA WRAPPER watch_fdw;
