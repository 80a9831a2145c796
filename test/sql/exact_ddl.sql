-- Exact caches follow definitions, names, privileges and roles. Each line
-- compares what fetch says with what the query says: see cx_same in setup.sql.
\t on
\a
SELECT cachex.create_cache('exact');
DO $$BEGIN PERFORM cachex.grant_cache('exact', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
CREATE SCHEMA a;
CREATE SCHEMA b;
GRANT USAGE ON SCHEMA a, b TO PUBLIC;
SET search_path = a, b, public;

---- ALTER TABLE ----

CREATE TABLE a.t (id int PRIMARY KEY, v int);
INSERT INTO t VALUES (1, 10), (2, 20);
SELECT cachex.watch('a.t');
CREATE FUNCTION rows() RETURNS text LANGUAGE sql AS $$
	SELECT cx_same('SELECT jsonb_agg(t ORDER BY id) FROM t')
$$;
SELECT rows();
SELECT rows();
\echo columns: added, changed, renamed, dropped
ALTER TABLE t ADD COLUMN w text DEFAULT 'w';
SELECT rows(), rows();
ALTER TABLE t ALTER COLUMN v TYPE text USING v || '!';
SELECT rows(), rows();
ALTER TABLE t RENAME COLUMN w TO x;
SELECT rows(), rows();
ALTER TABLE t DROP COLUMN x;
SELECT rows(), rows();
ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED;
SELECT rows();
ALTER TABLE t ALTER COLUMN v SET DEFAULT 'none';
SELECT rows();
INSERT INTO t VALUES (3);
SELECT rows();
\echo constraints, storage, statistics, options: the answer stays
ALTER TABLE t ADD CHECK (id > 0);
SELECT rows();
ALTER TABLE t ALTER COLUMN v SET NOT NULL;
SELECT rows();
ALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL;
SELECT rows();
ALTER TABLE t SET (autovacuum_enabled = off);
SELECT rows();
COMMENT ON TABLE t IS 'a comment';
SELECT rows(), rows();
CREATE STATISTICS a.s ON id, v FROM t;
SELECT rows(), rows();
\echo files: CLUSTER, VACUUM FULL, REINDEX, CREATE INDEX, SET UNLOGGED, SET LOGGED
CREATE INDEX by_v ON t (v);
SELECT rows(), rows();
CLUSTER t USING t_pkey;
SELECT rows(), rows();
VACUUM FULL t;
SELECT rows(), rows();
REINDEX TABLE t;
SELECT rows(), rows();
REINDEX TABLE CONCURRENTLY t;
SELECT rows(), rows();
CREATE INDEX CONCURRENTLY by_g ON t (g);
SELECT rows(), rows();
DROP INDEX by_v, by_g;
SELECT rows(), rows();
ALTER TABLE t SET UNLOGGED;
SELECT rows(), rows();
ALTER TABLE t SET LOGGED;
SELECT rows(), rows();
VACUUM t;
SELECT rows() ~ '^same';
ANALYZE t;
SELECT rows() ~ '^same';
\echo a join that was left out because a key said so
CREATE TABLE a.key (id int PRIMARY KEY);
SELECT cachex.watch('a.key');
SELECT cx_same('SELECT count(*) FROM t LEFT JOIN key ON key.id = t.id');
ALTER TABLE key DROP CONSTRAINT key_pkey;
INSERT INTO key VALUES (1), (1);
SELECT cx_same('SELECT count(*) FROM t LEFT JOIN key ON key.id = t.id');
\echo a CHECK by which a table is left out; the check goes, a row comes
CREATE TABLE a.small (id int CHECK (id < 10)) INHERITS (key);
SET constraint_exclusion = on;
SELECT cx_same('SELECT count(*) FROM key WHERE id = 50');
ALTER TABLE small DROP CONSTRAINT small_id_check;
INSERT INTO small VALUES (50);
SELECT cx_same('SELECT count(*) FROM key WHERE id = 50');
RESET constraint_exclusion;
DROP TABLE key CASCADE;
\echo in one transaction: nothing of it is kept, and rolled back it is as it was
BEGIN;
ALTER TABLE t ADD COLUMN z int;
SELECT rows();
SAVEPOINT s;
ALTER TABLE t DROP COLUMN z;
SELECT rows();
ROLLBACK TO s;
SELECT rows();
ROLLBACK;
SELECT rows(), rows();
BEGIN;
SAVEPOINT s;
ALTER TABLE t ADD COLUMN z int;
ROLLBACK TO s;
SELECT rows();
COMMIT;
SELECT rows();

---- Names ----

\echo RENAME, SET SCHEMA, DROP and CREATE again
SELECT cx_same('SELECT count(*) FROM b.t');
ALTER TABLE a.t RENAME TO moved;
SELECT rows();
SELECT cx_same('SELECT count(*) FROM moved'), cx_same('SELECT count(*) FROM moved');
ALTER TABLE a.moved RENAME TO t;
SELECT cx_same('SELECT count(*) FROM moved'), rows();
ALTER TABLE a.t SET SCHEMA b;
SELECT rows(), cx_same('SELECT count(*) FROM b.t'), cx_same('SELECT count(*) FROM a.t');
ALTER TABLE b.t SET SCHEMA a;
SELECT rows(), cx_same('SELECT count(*) FROM b.t'), cx_same('SELECT count(*) FROM a.t');
ALTER SCHEMA b RENAME TO c;
SELECT rows();
ALTER SCHEMA a RENAME TO b;
SELECT b.rows(), cx_same('SELECT count(*) FROM b.t'), cx_same('SELECT count(*) FROM a.t');
ALTER SCHEMA b RENAME TO a;
ALTER SCHEMA c RENAME TO b;
SELECT rows(), cx_same('SELECT count(*) FROM b.t'), cx_same('SELECT count(*) FROM a.t');
CREATE TABLE a.again (v text);
INSERT INTO again VALUES ('old');
SELECT cachex.watch('a.again');
SELECT cx_same('SELECT v FROM again');
BEGIN;
DROP TABLE again;
SELECT cx_same('SELECT v FROM again');
CREATE TABLE a.again (v text);
INSERT INTO again VALUES ('new');
SELECT cachex.watch('a.again');
SELECT cx_same('SELECT v FROM again');
COMMIT;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
\echo a table becomes a view, and comes back
ALTER TABLE again RENAME TO behind;
CREATE VIEW a.again AS SELECT 'view of ' || v AS v FROM behind;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
UPDATE behind SET v = 'newer';
SELECT cx_same('SELECT v FROM again');
DROP VIEW again;
ALTER TABLE behind RENAME TO again;
SELECT cx_same('SELECT v FROM again');
\echo search_path: an entry answers only under its own
CREATE TABLE b.again (v text);
INSERT INTO b.again VALUES ('of b');
SELECT cachex.watch('b.again');
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
SET search_path = b, a, public;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
SET search_path = a, b, public;
SELECT cx_same('SELECT v FROM again');
SET search_path = public;
SELECT cx_same('SELECT v FROM again');
SET search_path = a, b, public;
\echo a schema of the path that is not there yet
DROP TABLE a.again;
SET search_path = first, a, b, public;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
CREATE SCHEMA first;
SELECT cx_same('SELECT v FROM again');
CREATE TABLE first.again AS SELECT 'of first' AS v;
SELECT cx_same('SELECT v FROM again') LIKE 'same, refused_unwatched: "of first"';
DROP SCHEMA first CASCADE;
SELECT cx_same('SELECT v FROM again');
SET search_path = a, b, public;

\echo B5a a new table hides another
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
CREATE TABLE a.again (v text);
INSERT INTO a.again VALUES ('of a');
SELECT cachex.watch('a.again');
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
\c
SET search_path = a, b, public;
SELECT cx_same('SELECT v FROM again');
DROP TABLE a.again;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
\echo by CREATE VIEW, CREATE TABLE AS, a materialized view, RENAME, SET SCHEMA, and gone again
CREATE VIEW a.again AS SELECT 'view' AS v;
SELECT cx_same('SELECT v FROM again');
DROP VIEW a.again;
SELECT cx_same('SELECT v FROM again');
CREATE TABLE a.again AS SELECT 'created as' AS v;
SELECT cx_same('SELECT v FROM again');
DROP TABLE a.again;
SELECT cx_same('SELECT v FROM again');
CREATE MATERIALIZED VIEW a.again AS SELECT 'materialized' AS v;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
ALTER MATERIALIZED VIEW a.again RENAME TO other;
SELECT cx_same('SELECT v FROM again');
ALTER MATERIALIZED VIEW a.other RENAME TO again;
SELECT cx_same('SELECT v FROM again');
DROP MATERIALIZED VIEW a.again;
SELECT cx_same('SELECT v FROM again');
CREATE SCHEMA elsewhere CREATE VIEW again AS SELECT 'from elsewhere' AS v;
SELECT cx_same('SELECT v FROM again');
ALTER VIEW elsewhere.again SET SCHEMA a;
SELECT cx_same('SELECT v FROM again');
ALTER VIEW a.again SET SCHEMA elsewhere;
SELECT cx_same('SELECT v FROM again');
DROP SCHEMA elsewhere CASCADE;
BEGIN;
CREATE VIEW a.again AS SELECT 'not for long' AS v;
SELECT cx_same('SELECT v FROM again');
ROLLBACK;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again');
\echo B5b a new function hides another
CREATE FUNCTION b.g(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'b' $$;
SELECT cx_same('SELECT g(1)'), cx_same('SELECT g(1)');
CREATE FUNCTION a.g(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a' $$;
SELECT cx_same('SELECT g(1)'), cx_same('SELECT g(1)');
\c
SET search_path = a, b, public;
SELECT cx_same('SELECT g(1)');
DROP FUNCTION a.g;
SELECT cx_same('SELECT g(1)');
\echo or fits better
SELECT cx_same('SELECT g(1::int2)');
CREATE FUNCTION b.g(int2) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'int2' $$;
SELECT cx_same('SELECT g(1::int2)');
\echo B5c the same inside of a PL/pgSQL function
CREATE FUNCTION b.pl() RETURNS text LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN (SELECT v FROM again); END $$;
SELECT cx_same('SELECT pl()'), cx_same('SELECT pl()');
CREATE TABLE a.again (v text);
INSERT INTO a.again VALUES ('of a');
SELECT cachex.watch('a.again');
SELECT cachex.fetch('exact', 'pl', 'SELECT pl()') = to_jsonb((SELECT v FROM again));
\c
SET search_path = a, b, public;
SELECT cx_same('SELECT pl()');
SELECT cachex.fetch('exact', 'pl', 'SELECT pl()') = to_jsonb((SELECT v FROM again));
DROP TABLE a.again;
SELECT cachex.fetch('exact', 'pl', 'SELECT pl()') = to_jsonb((SELECT v FROM again));

\echo a temporary table hides one, in this session
SELECT cx_same('SELECT v FROM again'), rows();
CREATE TEMP TABLE unique_name (x int);
SELECT cx_same('SELECT v FROM again'), rows();
CREATE TEMP TABLE again AS SELECT 'temporary' AS v;
-- no name is trusted any more
SELECT cx_same('SELECT v FROM again') LIKE 'same, refused_%: "temporary"', rows();
UPDATE pg_temp.again SET v = 'changed';
SELECT cx_same('SELECT v FROM again') LIKE 'same, refused_%: "changed"';
\echo the others go on hitting what they had, as this one does when it is gone
DROP TABLE pg_temp.again;
SELECT cx_same('SELECT v FROM again'), cx_same('SELECT v FROM again'), rows();
BEGIN;
CREATE TEMP TABLE again ON COMMIT DROP AS SELECT 'for a transaction' AS v;
SELECT cx_same('SELECT v FROM again') LIKE 'same, refused_%: "for a transaction"';
COMMIT;
SELECT cx_same('SELECT v FROM again'), rows();
CREATE TEMP VIEW again AS SELECT 'a temporary view' AS v;
SELECT cx_same('SELECT v FROM again') LIKE 'same, refused_%: "a temporary view"';
\echo one of the name comes later
DROP VIEW pg_temp.again;
CREATE TEMP TABLE later AS SELECT 'temporary' AS v;
SELECT rows();
CREATE TABLE b.later AS SELECT 'of b' AS v;
SELECT cx_same('SELECT v FROM later') ~ '^same, refused';
DROP TABLE pg_temp.later;
SELECT cx_same('SELECT v FROM later') LIKE 'same, refused_unwatched: "of b"';
DROP TABLE b.later;
DROP TABLE unique_name;
SELECT rows();

\echo B3 names that are looked up when the query runs
SELECT cx_same($$SELECT to_regclass('newtab') IS NOT NULL$$);
CREATE TABLE a.newtab (x int);
SELECT cx_same($$SELECT to_regclass('newtab') IS NOT NULL$$);
DROP TABLE a.newtab;
SELECT cx_same($$SELECT to_regclass('newtab') IS NOT NULL$$);
SELECT cx_same($$SELECT to_regclass('newix') IS NOT NULL$$);
CREATE INDEX newix ON a.t (v);
SELECT cx_same($$SELECT to_regclass('newix') IS NOT NULL$$);
DROP INDEX a.newix;
SELECT cx_same($$SELECT to_regclass('newseq') IS NOT NULL$$);
CREATE SEQUENCE a.newseq;
SELECT cx_same($$SELECT to_regclass('newseq') IS NOT NULL$$);
SELECT cx_same($$SELECT to_regtype('newdom') IS NOT NULL$$);
CREATE DOMAIN a.newdom AS int;
SELECT cx_same($$SELECT to_regtype('newdom') IS NOT NULL$$);
SELECT cx_same($$SELECT to_regproc('newproc') IS NOT NULL$$), cx_same($$SELECT to_regproc('newproc') IS NOT NULL$$);
CREATE FUNCTION a.newproc() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT cx_same($$SELECT to_regproc('newproc') IS NOT NULL$$);
SELECT cx_same($$SELECT to_regnamespace('newschema') IS NOT NULL$$), cx_same($$SELECT to_regnamespace('newschema') IS NOT NULL$$);
CREATE SCHEMA newschema;
SELECT cx_same($$SELECT to_regnamespace('newschema') IS NOT NULL$$);
DROP SCHEMA newschema;
SELECT cx_same($$SELECT to_regnamespace('newschema') IS NOT NULL$$);
\echo B3f how a table is written, since a view hides it
SELECT cx_same('SELECT tableoid::regclass::text FROM b.again');
CREATE VIEW a.again AS SELECT 'x'::text AS v;
SELECT cx_same('SELECT tableoid::regclass::text FROM b.again'), cx_same('SELECT tableoid::regclass::text FROM b.again');
SELECT cx_same($$SELECT 'b.again'::regclass::text$$), cx_same($$SELECT 'b.again'::regclass::text$$);
DROP VIEW a.again;
SELECT cx_same('SELECT tableoid::regclass::text FROM b.again');
SELECT cx_same($$SELECT 'b.again'::regclass::text$$);
SELECT cx_same($$SELECT to_regclass('b.again')::text$$);
\echo a table is renamed that is not read, but written as a name
CREATE TABLE a.named (x int);
SELECT cx_same(format('SELECT %s::regclass::text', 'a.named'::regclass::oid)) ~ '^same.*"named"$';
ALTER TABLE a.named RENAME TO otherwise;
SELECT cx_same(format('SELECT %s::regclass::text', 'a.otherwise'::regclass::oid)) ~ '^same.*"otherwise"$';
SELECT cx_same('SELECT pg_typeof(NULL::otherwise)::text'), cx_same('SELECT pg_typeof(NULL::otherwise)::text');
ALTER TABLE a.otherwise SET SCHEMA public;
SET search_path = b, a, public;
SELECT cx_same('SELECT pg_typeof(NULL::otherwise)::text');
DROP TABLE public.otherwise;
SET search_path = a, b, public;

---- Types ----

\echo B1 row types and composite types that no plan reads
CREATE TABLE a.rt (x int);
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$);
ALTER TABLE a.rt ADD y int;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$);
ALTER TABLE a.rt ALTER y TYPE text;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$);
ALTER TABLE a.rt RENAME y TO yy;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$);
ALTER TABLE a.rt DROP yy;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$), cx_same($$SELECT jsonb_populate_record(NULL::rt, '{"x": 1, "y": 2}')$$);
CREATE FUNCTION a.rtf() RETURNS jsonb LANGUAGE plpgsql STABLE AS
$$ DECLARE r a.rt%ROWTYPE; BEGIN r.x := 1; RETURN to_jsonb(r); END $$;
SELECT cx_same('SELECT rtf()');
ALTER TABLE a.rt ADD z int;
SELECT cx_same('SELECT rtf()');
CREATE FUNCTION a.rtv() RETURNS text LANGUAGE plpgsql STABLE AS
$$ DECLARE v a.rt.z%TYPE := '7'; BEGIN RETURN pg_typeof(v); END $$;
SELECT cx_same('SELECT rtv()');
ALTER TABLE a.rt ALTER z TYPE numeric;
SELECT cx_same($$SELECT rtv() <> 'x'$$);
CREATE TYPE a.ct AS (x int);
SELECT cx_same($$SELECT jsonb_populate_record(NULL::ct, '{"x": 1, "y": 2}')$$);
ALTER TYPE a.ct ADD ATTRIBUTE y int;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::ct, '{"x": 1, "y": 2}')$$);
ALTER TYPE a.ct ALTER ATTRIBUTE y TYPE text;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::ct, '{"x": 1, "y": 2}')$$);
ALTER TYPE a.ct RENAME ATTRIBUTE y TO z;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::ct, '{"x": 1, "y": 2}')$$);
ALTER TYPE a.ct DROP ATTRIBUTE z;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::ct, '{"x": 1, "y": 2}')$$);
\echo a view as a row type; one that is dropped, a table that is
CREATE VIEW a.rv AS SELECT 1 AS x;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rv, '{"x": 1, "y": 2}')$$);
CREATE OR REPLACE VIEW a.rv AS SELECT 1 AS x, 2 AS y;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rv, '{"x": 1, "y": 2}')$$);
DROP VIEW a.rv;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rv, '{"x": 1, "y": 2}')$$);
CREATE TABLE a.gone (x int);
SELECT cx_same($$SELECT jsonb_populate_record(NULL::gone, '{"x": 1}')$$), cx_same('SELECT pg_typeof(NULL::gone)::text');
DROP TABLE a.gone;
SELECT cx_same($$SELECT jsonb_populate_record(NULL::gone, '{"x": 1}')$$), cx_same('SELECT pg_typeof(NULL::gone)::text');
\echo values of type regclass: what they name is renamed, is dropped
CREATE TABLE a.named (x int);
CREATE TABLE a.rc (c regclass);
INSERT INTO rc VALUES ('named');
SELECT cachex.watch('a.rc');
CREATE TYPE a.rcs AS (r regclass);
SELECT cx_same('SELECT c FROM rc'), cx_same($$SELECT jsonb_populate_record(NULL::rcs, '{"r": "named"}')$$);
SELECT cx_same('SELECT c FROM rc'), cx_same($$SELECT jsonb_populate_record(NULL::rcs, '{"r": "named"}')$$);
ALTER TABLE a.named RENAME TO newly;
SELECT cx_same('SELECT c FROM rc'), cx_same($$SELECT jsonb_populate_record(NULL::rcs, '{"r": "named"}')$$);
SELECT cx_same($$SELECT jsonb_populate_record(NULL::rcs, '{"r": "newly"}')$$);
DROP TABLE a.newly;
-- the value is a number now
SELECT cx_same('SELECT c FROM rc') ~ '^same', cx_same($$SELECT jsonb_populate_record(NULL::rcs, '{"r": "newly"}')$$);
\echo enum: a new value, a new name; the order
CREATE TYPE a.mood AS ENUM ('sad', 'happy');
CREATE TABLE a.moods (m a.mood);
INSERT INTO moods VALUES ('happy'), ('sad');
SELECT cachex.watch('a.moods');
SELECT cx_same('SELECT jsonb_agg(m ORDER BY m) FROM moods'), cx_same('SELECT enum_range(NULL::mood)::text');
ALTER TYPE a.mood ADD VALUE 'angry' BEFORE 'sad';
SELECT cx_same('SELECT enum_range(NULL::mood)::text'), cx_same('SELECT enum_first(NULL::mood)');
ALTER TYPE a.mood RENAME VALUE 'happy' TO 'glad';
SELECT cx_same('SELECT jsonb_agg(m ORDER BY m) FROM moods'), cx_same('SELECT enum_range(NULL::mood)::text');
\echo domains: a default, a check
CREATE DOMAIN a.dom AS int DEFAULT 1;
CREATE FUNCTION a.domf() RETURNS int LANGUAGE plpgsql STABLE AS
$$ DECLARE d a.dom; BEGIN RETURN d; END $$;
SELECT cx_same($$SELECT '-5'::dom::int$$), cx_same($$SELECT '-5'::dom::int$$);
ALTER DOMAIN a.dom ADD CHECK (value > 0);
SELECT cx_same($$SELECT '-5'::dom::int$$);
ALTER DOMAIN a.dom DROP CONSTRAINT dom_check;
SELECT cx_same($$SELECT '-5'::dom::int$$);
\echo a range type by its function, a collation
CREATE COLLATION a.coll (provider = libc, locale = 'C');
SELECT cx_same($$SELECT 'a' COLLATE coll < 'B' COLLATE coll$$), cx_same($$SELECT 'a' COLLATE coll < 'B' COLLATE coll$$);
DROP COLLATION a.coll;
SELECT cx_same($$SELECT 'a' COLLATE coll < 'B' COLLATE coll$$);
\echo B2 a type hides another
CREATE DOMAIN b.price AS numeric(10,2);
SELECT cx_same($$SELECT '1.5'::price::text$$);
CREATE DOMAIN a.price AS text;
SELECT cx_same($$SELECT '1.5'::price::text$$);
DROP DOMAIN a.price;
SELECT cx_same($$SELECT '1.5'::price::text$$);
CREATE TYPE a.price AS ENUM ('1.5');
SELECT cx_same($$SELECT '1.5'::price::text$$);
ALTER TYPE a.price RENAME TO cost;
SELECT cx_same($$SELECT '1.5'::price::text$$);
ALTER TYPE a.cost RENAME TO price;
SELECT cx_same($$SELECT '1.5'::price::text$$);
DROP TYPE a.price;
\echo B2b a temporary one does, in this session
SELECT cx_same($$SELECT '1.5'::price::text$$);
CREATE TEMP TABLE price (x int);
SELECT cx_same($$SELECT '1.5'::price::text$$);
DROP TABLE pg_temp.price;
SELECT cx_same($$SELECT '1.5'::price::text$$);
CREATE DOMAIN pg_temp.price AS text;
SELECT cx_same($$SELECT '1.5'::price::text$$);
DROP DOMAIN pg_temp.price;
SELECT cx_same($$SELECT '1.5'::price::text$$), cx_same($$SELECT '1.5'::price::text$$);

---- Functions, operators, casts ----

CREATE FUNCTION a.inl(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION a.body(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 1;
CREATE FUNCTION a.sub() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM a.t';
CREATE FUNCTION a.pl(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION a.outer_pl(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN pl($1) * 10; END';
CREATE FUNCTION a.srf() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM t';
CREATE FUNCTION fs() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT cx_same('SELECT ' || f) FROM unnest('{inl(1),body(1),sub(),pl(1),outer_pl(1),sum(srf) FROM srf()}'::text[]) AS f
$$;
SELECT fs();
SELECT fs();
\echo each is replaced
CREATE OR REPLACE FUNCTION a.inl(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
SELECT fs();
CREATE OR REPLACE FUNCTION a.body(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 2;
CREATE OR REPLACE FUNCTION a.sub() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT -count(*) FROM a.t';
SELECT fs();
CREATE OR REPLACE FUNCTION a.pl(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 + 2; END';
SELECT fs();
CREATE OR REPLACE FUNCTION a.srf() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT -id FROM t';
SELECT fs();
\echo the tables that they read
UPDATE t SET v = v || '.' WHERE id = 1;
SELECT fs();
DELETE FROM t WHERE id = 3;
SELECT fs();
\echo ALTER FUNCTION: a setting, RENAME, another owner, DROP
CREATE FUNCTION a.wm() RETURNS text LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN current_setting('work_mem'); END $$;
SET work_mem = '4MB';
SELECT cx_same('SELECT wm()'), cx_same('SELECT wm()');
ALTER FUNCTION a.wm SET work_mem = '5MB';
SELECT cx_same('SELECT wm()'), cx_same('SELECT wm()');
ALTER FUNCTION a.wm RESET work_mem;
SELECT cx_same('SELECT wm()');
SET work_mem = '6MB';
SELECT cx_same('SELECT wm()'), cx_same('SELECT wm()');
RESET work_mem;
ALTER FUNCTION a.wm RENAME TO wm2;
SELECT cx_same('SELECT wm()'), cx_same('SELECT wm2()') ~ '^same, kept';
DROP FUNCTION a.inl;
SELECT cx_same('SELECT inl(1)');
\echo ALTER FUNCTION VOLATILE, STABLE
ALTER FUNCTION a.pl(int) VOLATILE;
SELECT cx_same('SELECT pl(1)'), cx_same('SELECT outer_pl(1)');
ALTER FUNCTION a.pl(int) STABLE;
SELECT cx_same('SELECT pl(1)'), cx_same('SELECT outer_pl(1)');
\echo an operator: its function, another operator, DROP
CREATE FUNCTION a.opf(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE OPERATOR b.## (FUNCTION = a.opf, LEFTARG = int, RIGHTARG = int);
SELECT cx_same('SELECT 2 ## 3'), cx_same('SELECT 2 ## 3');
CREATE OR REPLACE FUNCTION a.opf(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * $2';
SELECT cx_same('SELECT 2 ## 3'), cx_same('SELECT 2 ## 3');
CREATE FUNCTION a.opg(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE OPERATOR a.## (FUNCTION = a.opg, LEFTARG = int, RIGHTARG = int);
SELECT cx_same('SELECT 2 ## 3');
DROP OPERATOR a.## (int, int);
SELECT cx_same('SELECT 2 ## 3');
DROP OPERATOR b.## (int, int);
SELECT cx_same('SELECT 2 ## 3');
\echo a cast
CREATE FUNCTION a.moodint(a.mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 100';
SELECT cx_same($$SELECT 'sad'::mood::int$$);
CREATE CAST (a.mood AS int) WITH FUNCTION a.moodint(a.mood);
SELECT cx_same($$SELECT 'sad'::mood::int$$), cx_same($$SELECT 'sad'::mood::int$$);
DROP CAST (a.mood AS int);
SELECT cx_same($$SELECT 'sad'::mood::int$$);
\echo an aggregate, by its transition function
CREATE FUNCTION a.trans(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE a.agg (int) (SFUNC = a.trans, STYPE = int, INITCOND = '0');
SELECT cx_same('SELECT agg(id) FROM t'), cx_same('SELECT agg(id) FROM t');
CREATE OR REPLACE FUNCTION a.trans(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2 * $2';
SELECT cx_same('SELECT agg(id) FROM t');
CREATE OR REPLACE AGGREGATE a.agg (int) (SFUNC = a.trans, STYPE = int, INITCOND = '5');
SELECT cx_same('SELECT agg(id) FROM t');
\echo what folds to a constant, and takes a table out of the plan
CREATE FUNCTION a.flag() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
SELECT cx_same('SELECT CASE WHEN flag() THEN (SELECT sum(id) FROM t) ELSE 0 END');
CREATE OR REPLACE FUNCTION a.flag() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT cx_same('SELECT CASE WHEN flag() THEN (SELECT sum(id) FROM t) ELSE 0 END');
INSERT INTO t VALUES (4, 'four');
SELECT cx_same('SELECT CASE WHEN flag() THEN (SELECT sum(id) FROM t) ELSE 0 END');
\echo a text search configuration
CREATE TEXT SEARCH CONFIGURATION a.tsc (COPY = english);
SELECT cx_same($$SELECT to_tsvector('tsc', 'the running dogs')::text$$), cx_same($$SELECT to_tsvector('tsc', 'the running dogs')::text$$);
ALTER TEXT SEARCH CONFIGURATION a.tsc ALTER MAPPING FOR asciiword WITH simple;
SELECT cx_same($$SELECT to_tsvector('tsc', 'the running dogs')::text$$);

---- Views ----

CREATE VIEW a.v1 AS SELECT id, v FROM t;
CREATE VIEW a.v2 AS SELECT id + 0 AS id, v FROM v1;
SELECT cx_same('SELECT sum(id) FROM v2'), cx_same('SELECT sum(id) FROM v2');
CREATE OR REPLACE VIEW a.v1 AS SELECT id * 10 AS id, v FROM t;
SELECT cx_same('SELECT sum(id) FROM v2'), cx_same('SELECT sum(id) FROM v2');
INSERT INTO t VALUES (5, 'five');
SELECT cx_same('SELECT sum(id) FROM v2');
ALTER VIEW a.v1 RENAME COLUMN v TO vv;
SELECT cx_same('SELECT sum(id) FROM v2'), cx_same('SELECT max(v) FROM v1'), cx_same('SELECT max(vv) FROM v1');
ALTER VIEW a.v1 SET (security_barrier);
SELECT cx_same('SELECT sum(id) FROM v2'), cx_same('SELECT sum(id) FROM v2');
\echo one without tables, one whose tables are left out, a rule on its way
CREATE VIEW a.v3 AS SELECT 1 AS v;
CREATE VIEW a.v4 AS SELECT id AS v FROM t WHERE false;
SELECT cx_same('SELECT sum(v) FROM v3'), cx_same('SELECT count(*) FROM v4');
SELECT cx_same('SELECT sum(v) FROM v3'), cx_same('SELECT count(*) FROM v4');
CREATE OR REPLACE VIEW a.v3 AS SELECT 2 AS v;
CREATE OR REPLACE VIEW a.v4 AS SELECT id AS v FROM t;
SELECT cx_same('SELECT sum(v) FROM v3'), cx_same('SELECT count(*) FROM v4');
\echo materialized
CREATE MATERIALIZED VIEW a.mv AS SELECT id FROM t;
CREATE UNIQUE INDEX ON a.mv (id);
SELECT cx_same('SELECT sum(id) FROM mv'), cx_same('SELECT sum(id) FROM mv');
INSERT INTO t VALUES (6, 'six');
SELECT cx_same('SELECT sum(id) FROM mv');
REFRESH MATERIALIZED VIEW a.mv;
SELECT cx_same('SELECT sum(id) FROM mv'), cx_same('SELECT sum(id) FROM mv');
INSERT INTO t VALUES (7, 'seven');
REFRESH MATERIALIZED VIEW CONCURRENTLY a.mv;
SELECT cx_same('SELECT sum(id) FROM mv'), cx_same('SELECT sum(id) FROM mv');
BEGIN;
REFRESH MATERIALIZED VIEW a.mv WITH NO DATA;
SELECT cx_same('SELECT sum(id) FROM mv');
ROLLBACK;
SELECT cx_same('SELECT sum(id) FROM mv');
REFRESH MATERIALIZED VIEW a.mv WITH NO DATA;
SELECT cx_same('SELECT sum(id) FROM mv');

---- Roles and privileges ----

CREATE ROLE regress_exact_r;
CREATE ROLE regress_exact_s;
CREATE ROLE regress_exact_g;
CREATE FUNCTION public.as_role(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	result := cx_same(query);
	PERFORM set_config('role', 'none', true);
	RETURN result;
END $$;
SELECT cx_same('SELECT count(*) FROM t'), cx_same('SELECT count(*) FROM t');
\echo GRANT and REVOKE on the table, to the role, to PUBLIC
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t');
GRANT SELECT ON t TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t');
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t'), as_role('regress_exact_s', 'SELECT count(*) FROM t');
REVOKE SELECT ON t FROM regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t');
GRANT SELECT ON ALL TABLES IN SCHEMA a TO PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t'), as_role('regress_exact_s', 'SELECT count(*) FROM t');
BEGIN;
REVOKE SELECT ON t FROM PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t');
ROLLBACK;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t');
REVOKE SELECT ON ALL TABLES IN SCHEMA a FROM PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM t'), as_role('regress_exact_s', 'SELECT count(*) FROM t');
\echo on columns
GRANT SELECT (id, v) ON t TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT max(v) FROM t'), as_role('regress_exact_r', 'SELECT max(id) FROM t');
SELECT as_role('regress_exact_r', 'SELECT max(v) FROM t'), as_role('regress_exact_r', 'SELECT max(id) FROM t');
REVOKE SELECT (v) ON t FROM regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT max(v) FROM t'), as_role('regress_exact_r', 'SELECT max(id) FROM t');
GRANT SELECT ON t TO regress_exact_r;
\echo on the schema
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM a.t'), as_role('regress_exact_r', 'SELECT count(*) FROM a.t');
REVOKE USAGE ON SCHEMA a FROM PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM a.t');
GRANT USAGE ON SCHEMA a TO PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT count(*) FROM a.t');
\echo on a schema of the search_path: another table is found
GRANT SELECT ON b.again TO regress_exact_r;
CREATE TABLE a.again AS SELECT 'of a'::text AS v;
SELECT cachex.watch('a.again');
GRANT SELECT ON a.again TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM again'), as_role('regress_exact_r', 'SELECT v FROM again');
REVOKE USAGE ON SCHEMA a FROM PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT v FROM again'), as_role('regress_exact_r', 'SELECT v FROM again');
GRANT USAGE ON SCHEMA a TO PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT v FROM again');
DROP TABLE a.again;
\echo on a function, a type, a language
REVOKE EXECUTE ON FUNCTION a.sub() FROM PUBLIC;
SELECT as_role('regress_exact_r', 'SELECT sub()');
GRANT EXECUTE ON FUNCTION a.sub() TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT sub()'), as_role('regress_exact_r', 'SELECT sub()');
REVOKE EXECUTE ON FUNCTION a.sub() FROM regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT sub()');
\echo on a view, and on what is behind it, by its owner or (security_invoker) the caller
CREATE VIEW a.pv AS SELECT count(*) AS n FROM t;
GRANT SELECT ON pv TO regress_exact_r, regress_exact_s;
SELECT as_role(r, 'SELECT n FROM pv'), as_role(r, 'SELECT n FROM pv') FROM unnest('{regress_exact_r,regress_exact_s}'::text[]) AS r;
ALTER VIEW pv SET (security_invoker);
SELECT as_role(r, 'SELECT n FROM pv'), as_role(r, 'SELECT n FROM pv') FROM unnest('{regress_exact_r,regress_exact_s}'::text[]) AS r;
ALTER VIEW pv RESET (security_invoker);
ALTER VIEW pv OWNER TO regress_exact_s;
SELECT as_role(r, 'SELECT n FROM pv') FROM unnest('{regress_exact_r,regress_exact_s}'::text[]) AS r;
DROP VIEW pv;
\echo by another owner of the table, by SECURITY DEFINER
CREATE TABLE a.owned AS SELECT 1 AS v;
SELECT cachex.watch('a.owned');
SELECT as_role('regress_exact_s', 'SELECT v FROM a.owned');
ALTER TABLE a.owned OWNER TO regress_exact_s;
SELECT as_role('regress_exact_s', 'SELECT v FROM a.owned'), as_role('regress_exact_s', 'SELECT v FROM a.owned');
ALTER TABLE a.owned OWNER TO CURRENT_USER;
SELECT as_role('regress_exact_s', 'SELECT v FROM a.owned');
CREATE FUNCTION a.def() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = a AS 'SELECT count(*) FROM t';
SELECT as_role('regress_exact_s', 'SELECT def()'), as_role('regress_exact_s', 'SELECT def()');
ALTER FUNCTION a.def() SECURITY INVOKER;
SELECT as_role('regress_exact_s', 'SELECT def()');
ALTER FUNCTION a.def() SECURITY DEFINER;
ALTER FUNCTION a.def() OWNER TO regress_exact_s;
SELECT as_role('regress_exact_r', 'SELECT def()'), as_role('regress_exact_s', 'SELECT def()');
DROP FUNCTION a.def;

\echo membership, INHERIT
CREATE TABLE a.m AS SELECT 1 AS v;
SELECT cachex.watch('a.m');
GRANT SELECT ON a.m TO regress_exact_g;
SELECT as_role('regress_exact_r', 'SELECT v FROM m');
GRANT regress_exact_g TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM m'), as_role('regress_exact_r', 'SELECT v FROM m');
REVOKE regress_exact_g FROM regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM m');
GRANT regress_exact_g TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM m');
ALTER ROLE regress_exact_r SUPERUSER;
SELECT as_role('regress_exact_r', 'SELECT v FROM owned'), as_role('regress_exact_r', 'SELECT v FROM owned');
ALTER ROLE regress_exact_r NOSUPERUSER;
SELECT as_role('regress_exact_r', 'SELECT v FROM owned');
GRANT pg_read_all_data TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM owned'), as_role('regress_exact_r', 'SELECT v FROM owned');
REVOKE pg_read_all_data FROM regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT v FROM owned');

\echo policies
CREATE TABLE a.rl (v text);
INSERT INTO rl VALUES ('x'), ('y'), ('z');
SELECT cachex.watch('a.rl');
GRANT SELECT ON rl TO regress_exact_r, regress_exact_s;
CREATE FUNCTION seen() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT as_role(r, 'SELECT string_agg(v, '','' ORDER BY v) FROM rl') FROM unnest('{regress_exact_r,regress_exact_s}'::text[]) AS r
$$;
SELECT seen();
SELECT seen();
CREATE POLICY of_g ON rl TO regress_exact_g USING (v = 'x');
SELECT seen();
ALTER TABLE rl ENABLE ROW LEVEL SECURITY;
SELECT seen();
SELECT seen();
ALTER POLICY of_g ON rl USING (v IN ('x', 'y'));
SELECT seen();
REVOKE regress_exact_g FROM regress_exact_r;
SELECT seen();
GRANT regress_exact_g TO regress_exact_r;
SELECT seen();
CREATE POLICY own ON rl USING (v = right(current_user, 1) OR v = 'z');
SELECT seen();
SELECT seen();
CREATE POLICY less ON rl AS RESTRICTIVE USING (v <> 'x');
SELECT seen();
ALTER POLICY less ON rl TO regress_exact_s;
SELECT seen();
DROP POLICY less ON rl;
DROP POLICY own ON rl;
SELECT seen();
ALTER ROLE regress_exact_s BYPASSRLS;
SELECT seen();
ALTER ROLE regress_exact_s NOBYPASSRLS;
SELECT seen();
\echo a policy that reads another table, one that reads a setting
CREATE TABLE a.allowed (v text);
INSERT INTO allowed VALUES ('y');
SELECT cachex.watch('a.allowed');
GRANT SELECT ON allowed TO PUBLIC;
CREATE POLICY listed ON rl TO regress_exact_s USING (v IN (SELECT v FROM allowed));
SELECT seen();
INSERT INTO allowed VALUES ('z');
SELECT seen();
ALTER POLICY listed ON rl USING (v = current_setting('exact.tenant', true));
SELECT seen();
SET exact.tenant = 'x';
SELECT seen();
SET exact.tenant = 'z';
SELECT seen();
SELECT seen();
SET exact.tenant = 'x';
SELECT seen();
\echo the owner: FORCE
ALTER TABLE rl OWNER TO regress_exact_s;
SELECT seen();
ALTER TABLE rl FORCE ROW LEVEL SECURITY;
SELECT seen();
ALTER TABLE rl NO FORCE ROW LEVEL SECURITY;
SELECT seen();
SET row_security = off;
SELECT seen();
RESET row_security;
SELECT seen();
ALTER TABLE rl DISABLE ROW LEVEL SECURITY;
SELECT seen();

\echo pg_database_owner, B6a
GRANT SELECT ON b.again TO pg_database_owner;
SELECT as_role('regress_exact_s', 'SELECT v FROM b.again');
SELECT format('ALTER DATABASE %I OWNER TO regress_exact_s', current_database()) AS give,
	format('ALTER DATABASE %I OWNER TO %I', current_database(), current_user) AS take_back \gset
:give;
SELECT as_role('regress_exact_s', 'SELECT v FROM b.again'), as_role('regress_exact_s', 'SELECT v FROM b.again');
:take_back;
SELECT as_role('regress_exact_s', 'SELECT v FROM b.again');

\echo who asks: current_user, session_user
SELECT as_role(r, 'SELECT current_user::text'), as_role(r, 'SELECT current_user::text') FROM unnest('{regress_exact_r,regress_exact_s}'::text[]) AS r;
SET ROLE regress_exact_r;
SELECT cx_same('SELECT current_user::text'), cx_same('SELECT user::text'), cx_same('SELECT current_role::text');
RESET ROLE;
GRANT USAGE ON SCHEMA a TO regress_exact_r;
SELECT cx_same('SELECT session_user = ''regress_exact_r'''), cx_same('SELECT session_user = ''regress_exact_r''');
SET SESSION AUTHORIZATION regress_exact_r;
SELECT cx_same('SELECT current_user::text');
SELECT cx_same('SELECT session_user = ''regress_exact_r'''), cx_same('SELECT session_user = ''regress_exact_r''');
RESET SESSION AUTHORIZATION;
SELECT cx_same('SELECT session_user = ''regress_exact_r''');
CREATE FUNCTION a.who() RETURNS boolean LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN session_user = 'regress_exact_r'; END $$;
SELECT as_role('regress_exact_r', 'SELECT who()'), as_role('regress_exact_r', 'SELECT who()');
SET SESSION AUTHORIZATION regress_exact_r;
SELECT cx_same('SELECT who()'), cx_same('SELECT who()');
RESET SESSION AUTHORIZATION;
SELECT as_role('regress_exact_r', 'SELECT who()');
\echo settings: of the user, of the server, by function and in SQL
CREATE FUNCTION a.tenant() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('exact.tenant', true) $$;
SELECT cx_same('SELECT tenant()'), cx_same('SELECT tenant()');
SET exact.tenant = 'y';
SELECT cx_same('SELECT tenant()'), cx_same('SELECT tenant()');
BEGIN;
SET LOCAL exact.tenant = '';
SELECT cx_same('SELECT tenant()');
SET LOCAL exact.tenant = 'local';
SELECT cx_same('SELECT tenant()');
ROLLBACK;
SELECT cx_same('SELECT tenant()');
SELECT cx_same($$SELECT current_setting('work_mem') <> ''$$);
SET work_mem = '7MB';
SELECT cx_same($$SELECT current_setting('work_mem')$$);
RESET work_mem;
SELECT cx_same($$SELECT current_setting('exact.' || 'tenant')$$), cx_same($$SELECT current_setting('no_such.setting', true)$$);
SET TimeZone = 'UTC';
SELECT cx_same($$SELECT timestamptz '2026-01-02 00:00+00'::text$$), cx_same($$SELECT timestamptz '2026-01-02 00:00+00'::text$$);
SET TimeZone = 'Asia/Tokyo';
SELECT cx_same($$SELECT timestamptz '2026-01-02 00:00+00'::text$$);
RESET TimeZone;
\echo those that count when a query is parsed; another session finds no other answer
SET TimeZone = 'UTC';
SELECT cx_same($$SELECT extract(epoch FROM timestamptz '2026-01-02 00:00')::bigint$$);
SET TimeZone = 'Asia/Tokyo';
SELECT cx_same($$SELECT extract(epoch FROM timestamptz '2026-01-02 00:00')::bigint$$);
\c
SET search_path = a, b, public;
SET TimeZone = 'Asia/Tokyo';
SELECT cx_same($$SELECT extract(epoch FROM timestamptz '2026-01-02 00:00')::bigint$$);
RESET TimeZone;
SET DateStyle = 'ISO, MDY';
SELECT cx_same($$SELECT date '01/02/2026' - date '2026-01-01'$$);
SET DateStyle = 'ISO, DMY';
SELECT cx_same($$SELECT date '01/02/2026' - date '2026-01-01'$$);
RESET DateStyle;
SELECT cx_same($$SELECT '{NULL}'::text[] = '{"NULL"}'$$);
SET array_nulls = off;
SELECT cx_same($$SELECT '{NULL}'::text[] = '{"NULL"}'$$);
RESET array_nulls;
SELECT cx_same($$SELECT count(*) FROM m WHERE NULL = NULL$$);
SET transform_null_equals = on;
SELECT cx_same($$SELECT count(*) FROM m WHERE NULL = NULL$$);
RESET transform_null_equals;

---- The watch ----

CREATE TABLE a.w (v int);
INSERT INTO w VALUES (1);
CREATE FUNCTION w_is() RETURNS text LANGUAGE sql AS $$ SELECT cx_same('SELECT sum(v) FROM w') $$;
SELECT w_is();
BEGIN;
SELECT cachex.watch('a.w');
SELECT w_is();
ROLLBACK;
SELECT w_is();
UPDATE w SET v = 2;
SELECT w_is();
SELECT cachex.watch('a.w');
SELECT w_is(), w_is();
\echo twice
SELECT cachex.watch('a.w');
SELECT w_is(), w_is();
UPDATE w SET v = 3;
SELECT w_is(), w_is();
\echo unwatch, and rolled back
BEGIN;
SELECT cachex.unwatch('a.w');
UPDATE w SET v = 4;
SELECT w_is();
ROLLBACK;
SELECT w_is();
UPDATE w SET v = 5;
SELECT w_is(), w_is();
SELECT cachex.unwatch('a.w');
SELECT w_is();
UPDATE w SET v = 6;
SELECT w_is();
SELECT cachex.watch('a.w');
SELECT w_is(), w_is();
\echo DISABLE TRIGGER, ENABLE, ENABLE ALWAYS; a write meanwhile
ALTER TABLE w DISABLE TRIGGER USER;
SELECT w_is();
UPDATE w SET v = 7;
SELECT w_is();
ALTER TABLE w ENABLE TRIGGER USER;
SELECT w_is();
SET session_replication_role = replica;
UPDATE w SET v = 8;
RESET session_replication_role;
SELECT w_is();
ALTER TABLE w ENABLE ALWAYS TRIGGER cachex_watch;
SELECT w_is(), w_is();
ALTER TABLE w DISABLE TRIGGER ALL;
UPDATE w SET v = 9;
ALTER TABLE w ENABLE ALWAYS TRIGGER cachex_watch;
SELECT w_is(), w_is();
ALTER TABLE w DISABLE TRIGGER cachex_watch;
SELECT w_is();
SELECT cachex.watch('a.w');
SELECT w_is(), w_is();
\echo the trigger under another name; dropped
ALTER TRIGGER cachex_watch ON w RENAME TO other;
SELECT w_is(), w_is();
UPDATE w SET v = 10;
SELECT w_is();
DROP TRIGGER other ON w;
SELECT w_is();
UPDATE w SET v = 11;
SELECT w_is();
SELECT cachex.watch('a.w');
SELECT w_is(), w_is();
\echo a row trigger of a watch with keys does not stand in for it
CREATE TABLE a.k (id int);
SELECT cachex.watch('a.k', 'exact', '{<id>}');
SELECT cx_same('SELECT count(*) FROM k'), cx_same('SELECT count(*) FROM k');
INSERT INTO k VALUES (1);
SELECT cx_same('SELECT count(*) FROM k');
DROP TRIGGER cachex_watch ON k;
SELECT cx_same('SELECT count(*) FROM k');

---- Errors that a loader catches: B4 ----

CREATE FUNCTION a.e1() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (SELECT count(*) FROM nosuch);
EXCEPTION WHEN undefined_table THEN RETURN 'none';
END $$;
CREATE FUNCTION a.e2() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (SELECT max(y) FROM uc);
EXCEPTION WHEN undefined_column THEN RETURN 'none';
END $$;
CREATE FUNCTION a.e3() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (SELECT count(*) FROM a.pr);
EXCEPTION WHEN insufficient_privilege THEN RETURN 'none';
END $$;
SELECT cx_same('SELECT e1()');
CREATE TABLE a.nosuch (x int);
SELECT cx_same('SELECT e1()');
CREATE TABLE a.uc (x int);
INSERT INTO uc VALUES (1);
SELECT cachex.watch('a.uc');
SELECT cx_same('SELECT e2()');
ALTER TABLE uc ADD y int DEFAULT 5;
SELECT cx_same('SELECT e2()'), cx_same('SELECT e2()');
CREATE TABLE a.pr (x int);
SELECT cachex.watch('a.pr');
SELECT as_role('regress_exact_r', 'SELECT e3()');
GRANT SELECT ON a.pr TO regress_exact_r;
SELECT as_role('regress_exact_r', 'SELECT e3()'), as_role('regress_exact_r', 'SELECT e3()');

---- B6b: ALTER DATABASE RENAME ----

SELECT current_database() AS this \gset
CREATE DATABASE regress_exact_db TEMPLATE template0;
\c regress_exact_db
CREATE EXTENSION cachex;
SELECT cachex.fetch('queries', 'name', 'SELECT current_database()');
SELECT cachex.fetch('queries', 'name', 'SELECT current_database()', mode => 'cached');
\c :this
ALTER DATABASE regress_exact_db RENAME TO regress_exact_db2;
\c regress_exact_db2
SELECT cachex.fetch('queries', 'name', 'SELECT current_database()');
\c :this
DROP DATABASE regress_exact_db2;

\echo B7 the time is as old as the entry
BEGIN;
SELECT cachex.fetch('exact', 'now', 'SELECT now()') = to_jsonb(now());
COMMIT;
SELECT (cachex.fetch('exact', 'now', 'SELECT now()') #>> '{}')::timestamptz < now();

SET client_min_messages = warning;
DROP SCHEMA a, b CASCADE;
DROP FUNCTION public.as_role;
DROP ROLE regress_exact_r, regress_exact_s, regress_exact_g;
SELECT cachex.drop_cache('exact');
SELECT cx_check();
