-- What exact caches do not keep, by reason. Each line compares what fetch says
-- with what the query says: see cx_same in setup.sql.
\t on
\a
SELECT cachex.create_cache('exact');
CREATE SCHEMA rf;
SET search_path = rf, public;
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
SELECT cachex.watch('t');

-- What the counters say of two fetches, for queries whose results differ.
CREATE FUNCTION why(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := cx_counts('exact');
BEGIN
	PERFORM cachex.fetch('exact', 'why', query);
	PERFORM cachex.fetch('exact', 'why', query);
	RETURN cx_moved(before, cx_counts('exact'));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT why('SELECT count(*) FROM t');

---- Tables that are not watched ----

CREATE TABLE un (v int);
INSERT INTO un VALUES (1);
SELECT cx_same('SELECT sum(v) FROM un'), cx_same('SELECT sum(v) FROM un');
UPDATE un SET v = 2;
SELECT cx_same('SELECT sum(v) FROM un');
\echo beside one that is, and in a view, a subquery, a function, a nested fetch
CREATE VIEW unv AS SELECT v FROM un;
CREATE FUNCTION unf() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(v) FROM un); END $$;
SELECT cx_same(q) FROM unnest(ARRAY[
	'SELECT count(*) FROM t, un',
	'SELECT sum(v) FROM unv',
	'SELECT count(*) FROM t WHERE v IN (SELECT v FROM un)',
	'SELECT sum((SELECT max(v) FROM un)) FROM t',
	'SELECT unf()',
	'SELECT count(*) FROM t WHERE unf() = v',
	'SELECT cachex.fetch(''exact'', ''inner'', ''SELECT sum(v) FROM un'')',
	'SELECT sum(v) FROM un WHERE false']) AS q;
\echo a leaf whose trigger is gone; its neighbour, and the root
CREATE TABLE p (id int) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
SELECT cachex.watch('p');
CREATE FUNCTION p_is() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%-3s ', t) || cx_same(format('SELECT count(*) FROM %s', t)) FROM unnest('{p,p1,p2}'::text[]) AS t
$$;
SELECT p_is();
DROP TRIGGER cachex_watch ON p1;
SELECT p_is();
INSERT INTO p1 VALUES (1);
SELECT p_is();
\echo a leaf that this query does not read
SELECT cx_same('SELECT count(*) FROM p WHERE id = 2');
SELECT cachex.watch('p');
SELECT p_is();
\echo that of the root is gone
DROP TRIGGER cachex_watch ON p;
SELECT p_is();
INSERT INTO p VALUES (2);
SELECT p_is();
DROP TABLE p;
\echo of parent and child, one only
CREATE TABLE i (id int);
CREATE TABLE i1 () INHERITS (i);
SELECT cachex.watch('i1');
SELECT cx_same('SELECT count(*) FROM i'), cx_same('SELECT count(*) FROM i1'), cx_same('SELECT count(*) FROM ONLY i');
SELECT cachex.watch('i');
SELECT cx_same('SELECT count(*) FROM i'), cx_same('SELECT count(*) FROM i1'), cx_same('SELECT count(*) FROM ONLY i');
DROP TABLE i CASCADE;
\echo triggers of the user: not all writes, not before the statement, only for some
CREATE TABLE own (v int);
CREATE TRIGGER part BEFORE INSERT OR UPDATE OR DELETE ON own EXECUTE FUNCTION cachex.on_change();
SELECT cx_same('SELECT count(*) FROM own');
CREATE TRIGGER rest BEFORE TRUNCATE ON own EXECUTE FUNCTION cachex.on_change();
SELECT cx_same('SELECT count(*) FROM own');
ALTER TABLE own ENABLE ALWAYS TRIGGER part;
SELECT cx_same('SELECT count(*) FROM own');
ALTER TABLE own ENABLE ALWAYS TRIGGER rest;
SELECT cx_same('SELECT count(*) FROM own'), cx_same('SELECT count(*) FROM own');
INSERT INTO own VALUES (1);
SELECT cx_same('SELECT count(*) FROM own');
TRUNCATE own;
SELECT cx_same('SELECT count(*) FROM own');
ALTER TABLE own ENABLE REPLICA TRIGGER part;
SELECT cx_same('SELECT count(*) FROM own');
DROP TRIGGER part ON own;
CREATE TRIGGER part BEFORE INSERT OR UPDATE OF v OR DELETE ON own EXECUTE FUNCTION cachex.on_change();
ALTER TABLE own ENABLE ALWAYS TRIGGER part;
SELECT cx_same('SELECT count(*) FROM own');

---- Functions, in every place of a plan ----

-- vol() is volatile, pid() is the server's and depends on the session, and the
-- last one is a setting, which must count.
CREATE FUNCTION vol() RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION pid() RETURNS int STABLE LANGUAGE sql AS 'SELECT pg_backend_pid() * 0 + 1';
CREATE FUNCTION set() RETURNS int STABLE LANGUAGE sql AS $$ SELECT current_setting('exact.one')::int $$;
CREATE TABLE place (n int GENERATED ALWAYS AS IDENTITY, name text, query text);
INSERT INTO place (name, query) VALUES
	('target list', 'SELECT %s FROM t LIMIT 1'),
	('without a table', 'SELECT %s'),
	('row', 'SELECT (ROW(%s, 2)).f1'),
	('array', 'SELECT ARRAY[%s]'),
	('case', 'SELECT sum(CASE WHEN v = 1 THEN %s ELSE v END) FROM t'),
	('coalesce', 'SELECT sum(coalesce(nullif(v, 1), %s)) FROM t'),
	('greatest', 'SELECT sum(greatest(v, %s)) FROM t'),
	('any', 'SELECT count(*) FROM t WHERE v = ANY (ARRAY[%s, 2])'),
	('where', 'SELECT count(*) FROM t WHERE v > %s'),
	('where, constant', 'SELECT count(*) FROM t WHERE %s = 1'),
	('join', 'SELECT count(*) FROM t AS a JOIN t AS b ON a.v = b.v + %s'),
	('join, not equal', 'SELECT count(*) FROM t AS a JOIN t AS b ON a.v > b.v + %s'),
	('left join', 'SELECT count(b.v) FROM t AS a LEFT JOIN t AS b ON a.id = b.id AND a.v > %s'),
	('full join', 'SELECT count(b.v) FROM t AS a FULL JOIN t AS b ON a.v = b.v + %s'),
	('lateral', 'SELECT sum(x) FROM t, LATERAL (SELECT v + %s AS x OFFSET 0) AS s'),
	('semi-join', 'SELECT count(*) FROM t AS a WHERE EXISTS (SELECT FROM t AS b WHERE b.v = a.v + %s)'),
	('anti-join', 'SELECT count(*) FROM t AS a WHERE NOT EXISTS (SELECT FROM t AS b WHERE b.v = a.v + %s)'),
	('not in', 'SELECT count(*) FROM t WHERE v NOT IN (SELECT v + %s FROM t)'),
	('order by', 'SELECT v FROM t ORDER BY v * %s LIMIT 1'),
	('limit', 'SELECT count(*) FROM (SELECT FROM t LIMIT %s) AS s'),
	('offset', 'SELECT count(*) FROM (SELECT FROM t OFFSET %s) AS s'),
	('distinct', 'SELECT count(*) FROM (SELECT DISTINCT v * %s FROM t) AS s'),
	('distinct on', 'SELECT count(*) FROM (SELECT DISTINCT ON (v * %s) v FROM t) AS s'),
	('group by', 'SELECT count(*) FROM (SELECT FROM t GROUP BY v * %s) AS s'),
	('grouping sets', 'SELECT count(*) FROM (SELECT FROM t GROUP BY GROUPING SETS ((v * %s), ())) AS s'),
	('having', 'SELECT sum(v) FROM t HAVING count(*) > %s'),
	('aggregate', 'SELECT sum(%s) FROM t'),
	('aggregate, filter', 'SELECT sum(v) FILTER (WHERE v > %s) FROM t'),
	('aggregate, order', 'SELECT array_agg(v ORDER BY v * %s) FROM t'),
	('aggregate, within group', 'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY v * %s) FROM t'),
	('window', 'SELECT max(w) FROM (SELECT sum(v * %s) OVER (ORDER BY id) AS w FROM t) AS s'),
	('window, partition', 'SELECT max(w) FROM (SELECT sum(v) OVER (PARTITION BY v * %s) AS w FROM t) AS s'),
	('window, frame', 'SELECT max(w) FROM (SELECT sum(v) OVER (ORDER BY id ROWS BETWEEN %s PRECEDING AND CURRENT ROW) AS w FROM t) AS s'),
	('window, end of frame', 'SELECT max(w) FROM (SELECT sum(v) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND %s FOLLOWING) AS w FROM t) AS s'),
	('window, condition to stop', 'SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY id) AS n FROM t) AS s WHERE n <= %s'),
	('values', 'SELECT sum(x) FROM (VALUES (%s), (2)) AS s (x)'),
	('function scan', 'SELECT sum(x) FROM generate_series(0, %s) AS x'),
	('rows from', 'SELECT sum(x) FROM ROWS FROM (generate_series(0, 3), generate_series(0, %s)) AS s (x, y)'),
	('srf in target list', 'SELECT count(*) FROM (SELECT generate_series(0, %s) FROM t) AS s'),
	('subplan', 'SELECT sum((SELECT a.v + %s FROM t AS b WHERE b.id = a.id)) FROM t AS a'),
	('initplan', 'SELECT count(*) FROM t WHERE v > (SELECT %s)'),
	('array subquery', 'SELECT ARRAY(SELECT v + %s FROM t ORDER BY id)'),
	('cte', 'WITH c AS MATERIALIZED (SELECT %s AS x) SELECT x FROM c'),
	('cte, inlined', 'WITH c AS NOT MATERIALIZED (SELECT %s AS x) SELECT x FROM c'),
	('cte, recursive', 'WITH RECURSIVE c AS (SELECT 0 AS x UNION ALL SELECT x + %s FROM c WHERE x < 3) SELECT max(x) FROM c'),
	('cte, start of it', 'WITH RECURSIVE c AS (SELECT %s AS x UNION SELECT x + 1 FROM c WHERE x < 3) SELECT max(x) FROM c'),
	('union', 'SELECT count(*) FROM (SELECT 2 UNION SELECT %s) AS s'),
	('union all', 'SELECT sum(v) FROM (SELECT v FROM t UNION ALL SELECT v * %s FROM t) AS s'),
	('merged', 'SELECT v FROM (SELECT v FROM t UNION ALL SELECT v * %s FROM t) AS s ORDER BY v LIMIT 1'),
	('intersect', 'SELECT count(*) FROM (SELECT v FROM t INTERSECT SELECT v * %s FROM t) AS s'),
	('except', 'SELECT count(*) FROM (SELECT v FROM t EXCEPT SELECT v * %s FROM t) AS s'),
	('xmltable', 'SELECT sum(x) FROM XMLTABLE(''/r/i'' PASSING ''<r><i>5</i></r>'' COLUMNS x int PATH ''.'' DEFAULT %s) AS s'),
	('in a view', 'SELECT sum(x) FROM v_of'),
	('in a function', 'SELECT f_of()'),
	('in a function, declared as more', 'SELECT f_said()'),
	('in a default argument', 'SELECT d_of()'),
	('in an aggregate', 'SELECT a_of(v) FROM t'),
	('in an operator', 'SELECT 1 ### 1'),
	('in PL/pgSQL', 'SELECT l_of()'),
	('in PL/pgSQL, nested', 'SELECT m_of()');
-- those that take a function's name in their definition
CREATE FUNCTION places(f text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW v_of AS SELECT v * %s AS x FROM t', f);
	EXECUTE format('CREATE OR REPLACE FUNCTION f_of() RETURNS int LANGUAGE sql AS ''SELECT %s''', f);
	EXECUTE format('CREATE OR REPLACE FUNCTION f_said() RETURNS int STABLE LANGUAGE sql AS ''SELECT %s FROM t LIMIT 1''', f);
	EXECUTE format('CREATE FUNCTION d_of(int DEFAULT %s) RETURNS int IMMUTABLE LANGUAGE sql AS ''SELECT $1''', f);
	EXECUTE format('CREATE OR REPLACE FUNCTION tr(int, int) RETURNS int STABLE LANGUAGE plpgsql AS ''BEGIN RETURN $1 + $2 * %s; END''', f);
	EXECUTE 'CREATE OR REPLACE AGGREGATE a_of (int) (SFUNC = tr, STYPE = int, INITCOND = ''0'')';
	EXECUTE format('CREATE OR REPLACE FUNCTION op(int, int) RETURNS int STABLE LANGUAGE plpgsql AS ''BEGIN RETURN $1 + $2 * %s; END''', f);
	EXECUTE format('CREATE OR REPLACE FUNCTION l_of() RETURNS int STABLE LANGUAGE plpgsql AS ''DECLARE x int := %s; BEGIN IF x > 0 THEN RETURN x; END IF; END''', f);
	EXECUTE 'CREATE OR REPLACE FUNCTION m_of() RETURNS int STABLE LANGUAGE plpgsql AS ''DECLARE x int; BEGIN FOR i IN 1..l_of() LOOP x := i; END LOOP; RETURN x; END''';
	PERFORM FROM pg_operator WHERE oprname = '###';
	IF NOT FOUND THEN
		CREATE OPERATOR ### (FUNCTION = op, LEFTARG = int, RIGHTARG = int);
	END IF;
END $$;
CREATE FUNCTION in_places(f text) RETURNS TABLE (name text, said text) LANGUAGE sql AS $$
	SELECT name, cx_same(format(query, f)) FROM place ORDER BY n
$$;
\echo volatile
SELECT places('vol()');
SELECT * FROM in_places('vol()');
\echo unknown
DROP FUNCTION d_of;
SELECT places('pid()');
SELECT * FROM in_places('pid()');
\echo a setting: kept, and read again when it changes
DROP FUNCTION d_of;
SELECT places('set()');
SET exact.one = '1';
SELECT name, said FROM in_places('set()') WHERE said !~ '^same, kept';
SELECT name, said FROM in_places('set()') WHERE said !~ '^same, hit';
SET exact.one = '2';
SELECT name, said FROM in_places('set()') WHERE said !~ '^same, kept';
\echo with the plans that do without sorting, hashing, sequential scans
SET jit = off;
SET enable_hashjoin = off;
SET enable_hashagg = off;
SET enable_seqscan = off;
SELECT name, said FROM in_places('vol()') WHERE said !~ '^same, refused_volatile' AND name !~ '^in|xml';
SELECT name, said FROM in_places('pid()') WHERE said !~ '^same, refused_function' AND name !~ '^in|xml';
SET enable_mergejoin = off;
SET enable_memoize = on;
SELECT name, said FROM in_places('vol()') WHERE said !~ '^same, refused_volatile' AND name !~ '^in|xml';
SELECT name, said FROM in_places('pid()') WHERE said !~ '^same, refused_function' AND name !~ '^in|xml';
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_hashagg;
\echo conditions of an index: plain, only, bitmap, its order
CREATE TABLE ix (id int, p point);
INSERT INTO ix SELECT n, point(n, n) FROM generate_series(1, 5000) AS n;
CREATE INDEX ON ix (id);
CREATE INDEX ON ix USING gist (p);
ANALYZE ix;
SELECT cachex.watch('ix');
SELECT cx_same(format(q, f)) FROM unnest('{pid(),set()}'::text[]) AS f, unnest(ARRAY[
	'SELECT count(p) FROM ix WHERE id = %s', 'SELECT count(*) FROM ix WHERE id = %s',
	'SELECT p::text FROM ix ORDER BY p <-> point(%s, 1) LIMIT 1']) AS q;
SET exact.one = '3';
SELECT cx_same('SELECT p::text FROM ix ORDER BY p <-> point(set(), 1) LIMIT 1');
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT cx_same(format('SELECT count(p) FROM ix WHERE id = %s OR id = 7', f)) FROM unnest('{pid(),set()}'::text[]) AS f;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_seqscan;
RESET jit;
DROP TABLE ix;
\echo what is folded or not reached is not there
SELECT cx_same('SELECT CASE WHEN false THEN vol() ELSE 0 END');
SELECT cx_same('SELECT 1 FROM t WHERE id = 1 AND (true OR vol() = 1)');
\echo function_use says the same
SELECT f, u.cacheable, coalesce(u.reason, '-'), coalesce(u.because_of::text, '-') FROM unnest('{vol(),pid(),set(),f_of(),f_said(),l_of(),m_of(),unf(),d_of(int),a_of(int)}'::regprocedure[]) AS f, cachex.function_use(f) AS u;

\echo those of the server: volatile, and stable ones that are not known
SELECT q, why('SELECT ' || q) FROM unnest(ARRAY['random()', 'clock_timestamp()', 'gen_random_uuid()', 'timeofday()',
	'pg_advisory_lock_shared(1)', 'set_config(''exact.two'', ''1'', true)', 'pg_sleep(0)', 'txid_current_snapshot()',
	'pg_backend_pid()', 'inet_client_addr()', 'pg_postmaster_start_time()', 'current_query()',
	'pg_stat_get_numscans(''t''::regclass)', 'pg_relation_size(''t'')', 'has_table_privilege(''t'', ''SELECT'')',
	'pg_table_is_visible(''t''::regclass)', 'pg_get_viewdef(''unv''::regclass)', 'age(''3''::xid)',
	'pg_column_size(v) FROM t LIMIT 1', 'current_schemas(true)', 'pg_is_in_recovery()',
	'query_to_xml(''SELECT 1'', true, true, '''') IS NULL',
	'now()', 'current_date', 'version()', 'current_database()', 'current_user', 'current_schema', 'to_char(now(), ''YYYY'')']) AS q;
\echo a setting whose name is not known
CREATE FUNCTION any_setting(text) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN current_setting($1); END';
CREATE TABLE names (name text);
INSERT INTO names VALUES ('work_mem');
SELECT cachex.watch('names');
SELECT cx_same('SELECT any_setting(''work_mem'') IS NULL'), cx_same('SELECT current_setting(name) IS NULL FROM names');
\echo sequences
CREATE SEQUENCE seq;
SELECT nextval('seq');
SELECT why('SELECT nextval(''seq'')'), why('SELECT currval(''seq'')'), why('SELECT lastval()');
SELECT why('SELECT last_value FROM seq');
\echo functions that say STABLE and are not SQL or PL/pgSQL; that are IMMUTABLE and read a table
CREATE FUNCTION in_c() RETURNS name STABLE LANGUAGE internal AS 'current_user';
CREATE FUNCTION lies() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM un); END';
SELECT why('SELECT in_c()'), cachex.function_use('in_c()');
SELECT cx_same('SELECT lies() + v FROM t WHERE id = 1') ~ '^same';
\echo dynamic SQL
CREATE FUNCTION dyn(query text) RETURNS text STABLE LANGUAGE plpgsql AS $$
DECLARE r text;
BEGIN
	EXECUTE query INTO r;
	RETURN r;
END $$;
SELECT cx_same('SELECT dyn(''SELECT sum(v) FROM t'')'), cx_same('SELECT dyn(''SELECT sum(v) FROM t'')');
UPDATE t SET v = v + 1 WHERE id = 3;
SELECT cx_same('SELECT dyn(''SELECT sum(v) FROM t'')');
SELECT cx_same('SELECT dyn(''SELECT sum(v) FROM un'')'), cx_same('SELECT dyn(''SELECT vol()'')'), cx_same('SELECT dyn(''SELECT pid()'')');
SELECT cx_same('SELECT dyn(''SHOW work_mem'') IS NULL');
SET exact.one = '4';
SELECT cx_same($$SELECT dyn('SELECT current_setting(''exact.one'')')$$);
SET exact.one = '5';
SELECT cx_same($$SELECT dyn('SELECT current_setting(''exact.one'')')$$);

---- Relations that are no ordinary tables ----

\echo catalogs, statistics, the information schema, the cache itself
SELECT q, why('SELECT count(*) FROM ' || q) FROM unnest('{pg_class,pg_tables,pg_stat_user_tables,pg_stat_activity,information_schema.tables,pg_settings,pg_locks,cachex.stats,cachex.caches,cachex.dependencies}'::text[]) AS q;
SELECT why('SELECT obj_description(''t''::regclass, ''pg_class'')');
\echo temporary tables and views, and what hides a name
CREATE TEMP TABLE tmp (v int);
CREATE TEMP VIEW tmpv AS SELECT v FROM t;
SELECT cx_same('SELECT count(*) FROM tmp'), cx_same('SELECT count(*) FROM t, tmp'), cx_same('SELECT count(*) FROM tmpv');
SELECT cx_same('SELECT count(*) FROM t');
CREATE TEMP TABLE names (name text);
SELECT cx_same('SELECT count(*) FROM t');
SELECT cx_same('SELECT count(*) FROM names'), cx_same('SELECT count(*) FROM rf.names'), cx_same('SELECT 3');
DROP TABLE pg_temp.names;
DROP VIEW tmpv;
DROP TABLE tmp;
SELECT cx_same('SELECT count(*) FROM t');
\echo operators, collations and other names of temporary schemas
CREATE OPERATOR pg_temp.+ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR pg_temp.= (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
CREATE COLLATION pg_temp.c FROM "C";
CREATE TEXT SEARCH CONFIGURATION pg_temp.simple (COPY = pg_catalog.simple);
CREATE TEMP TABLE named (v int);
SELECT q, why('SELECT ' || q) FROM unnest(ARRAY['5 OPERATOR(pg_temp.+) 3', '5 OPERATOR(pg_temp.=) ANY (ARRAY[1, 5])',
	'NULLIF(''a'' COLLATE pg_temp.c, ''b'')', '''a'' COLLATE pg_temp.c < ''b''', 'to_tsvector(''pg_temp.simple'', ''a'')::text',
	'''pg_temp.named''::regclass::oid::bigint', '''pg_temp.+(int,int)''::regoperator::oid::bigint', '5 + 3']) AS q;
DROP OPERATOR pg_temp.+ (int, int), pg_temp.= (int, int);
DROP COLLATION pg_temp.c;
DROP TEXT SEARCH CONFIGURATION pg_temp.simple;
DROP TABLE named;
SELECT cx_same('SELECT count(*) FROM t');
\echo foreign tables, with a handler where there is one
CREATE FOREIGN DATA WRAPPER regress_exact_fdw;
CREATE SERVER regress_exact_server FOREIGN DATA WRAPPER regress_exact_fdw;
CREATE FOREIGN TABLE ft (v int) SERVER regress_exact_server;
SELECT cx_same('SELECT count(*) FROM ft');
DROP FOREIGN DATA WRAPPER regress_exact_fdw CASCADE;
CREATE FUNCTION from_file() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	PERFORM FROM pg_available_extensions WHERE name = 'file_fdw';
	IF NOT FOUND THEN
		RETURN 'refused_relation';
	END IF;
	CREATE EXTENSION file_fdw;
	CREATE SERVER regress_exact_file FOREIGN DATA WRAPPER file_fdw;
	CREATE FOREIGN TABLE file (v text) SERVER regress_exact_file OPTIONS (filename 'PG_VERSION');
	said := why('SELECT count(*) FROM file');
	DROP EXTENSION file_fdw CASCADE;
	RETURN said;
END $$;
SELECT from_file();

---- Queries ----

\echo TABLESAMPLE, system columns; tableoid is fine
SELECT q, why('SELECT ' || q) FROM unnest(ARRAY['count(*) FROM t TABLESAMPLE bernoulli (50)', 'count(*) FROM t TABLESAMPLE system (100) REPEATABLE (1)',
	'ctid FROM t LIMIT 1', 'xmin FROM t LIMIT 1', 'max(cmin::text) FROM t', 'count(*) FROM t WHERE xmax = ''0''',
	'v FROM t WHERE ctid = ''(0,1)''', 'count(*) FROM t WHERE ctid < ''(9,1)''', 'max(a.v) FROM t AS a JOIN t AS b ON a.ctid = b.ctid',
	'v FROM t ORDER BY ctid LIMIT 1', 'tableoid::regclass FROM t LIMIT 1', 't FROM t LIMIT 1', 'count(t) FROM t']) AS q;
\echo row locks, writes: errors
SELECT cachex.fetch('exact', 'lock', 'SELECT v FROM t WHERE id = 1 FOR UPDATE');
SELECT cachex.fetch('exact', 'lock', 'SELECT v FROM t WHERE id = 1 FOR SHARE');
SELECT cachex.fetch('exact', 'lock', 'WITH w AS (UPDATE t SET v = 0 RETURNING v) SELECT v FROM w');
SELECT cachex.fetch('exact', 'lock', 'UPDATE t SET v = 0');
CREATE FUNCTION locks() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT v FROM t WHERE id = 1 FOR UPDATE';
CREATE FUNCTION writes() RETURNS int VOLATILE LANGUAGE sql AS 'UPDATE t SET v = v RETURNING v';
SELECT why('SELECT locks()'), why('SELECT writes()');
\echo cursors: one of its own is fine, one from before is not
CREATE FUNCTION reads_cursor() RETURNS int STABLE LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'c';
	r int;
BEGIN
	FETCH c INTO r;
	RETURN r;
END $$;
CREATE FUNCTION own_cursor() RETURNS int STABLE LANGUAGE plpgsql AS $$
DECLARE
	c CURSOR FOR SELECT v FROM t ORDER BY id;
	r int;
BEGIN
	OPEN c;
	FETCH c INTO r;
	CLOSE c;
	RETURN r;
END $$;
SELECT cx_same('SELECT own_cursor()'), cx_same('SELECT own_cursor()');
UPDATE t SET v = 10 WHERE id = 1;
SELECT cx_same('SELECT own_cursor()');
BEGIN;
DECLARE c CURSOR FOR SELECT v FROM t ORDER BY id;
SELECT why('SELECT reads_cursor()');
COMMIT;
\echo an error that it catches, and one that it does not meet
CREATE FUNCTION catches(int) RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN 10 / $1;
EXCEPTION WHEN division_by_zero THEN RETURN -1;
END $$;
SELECT cx_same('SELECT catches(0)'), cx_same('SELECT catches(0)'), cx_same('SELECT catches(5)'), cx_same('SELECT catches(5)');
\echo values of caches inside
SELECT cachex.create_cache('timed', consistency => 'ttl');
SELECT cachex.fetch('timed', 'k', 'SELECT 1'), cachex.fetch_as('timed', 'a', 0, 'SELECT 2');
SELECT cx_same($$SELECT cachex.fetch('timed', 'k', 'SELECT 1')$$), cx_same($$SELECT cachex.fetch('timed', 'k', 'SELECT 1')$$);
SELECT cachex.put('timed', 'p', '7'), cachex.put('exact', 'p', '8');
SELECT cx_same($$SELECT cachex.get('timed', 'p')$$), cx_same($$SELECT cachex.get('exact', 'p')$$), cx_same($$SELECT cachex.get('exact', 'none')$$), cx_same($$SELECT (cachex.lookup('timed', 'p')).value$$);
SELECT cx_same($$SELECT cachex.get_as('timed', 'a', 0)$$), cx_same($$SELECT cachex.fetch_as('timed', 'a', 0, 'SELECT 2')$$);
SELECT cachex.drop_cache('timed');

---- Too many tables ----

DO $$
BEGIN
	FOR n IN 1..128 LOOP
		EXECUTE format('CREATE TABLE n%s (v int)', n);
		PERFORM cachex.watch(format('n%s', n)::regclass);
	END LOOP;
	-- a view counts as well
	EXECUTE 'CREATE VIEW n127s AS ' || (SELECT string_agg(format('SELECT v FROM n%s', n), ' UNION ALL ' ORDER BY n) FROM generate_series(1, 127) AS n);
	EXECUTE 'CREATE VIEW n128s AS ' || (SELECT string_agg(format('SELECT v FROM n%s', n), ' UNION ALL ' ORDER BY n) FROM generate_series(1, 128) AS n);
END $$;
SELECT cx_same('SELECT count(*) FROM n127s'), cx_same('SELECT count(*) FROM n127s'), cx_same('SELECT count(*) FROM n128s'), cx_same('SELECT count(*) FROM n128s');
INSERT INTO n1 VALUES (1);
INSERT INTO n127 VALUES (1);
INSERT INTO n128 VALUES (1);
SELECT cx_same('SELECT count(*) FROM n127s'), cx_same('SELECT count(*) FROM n128s');
DROP VIEW n127s, n128s;

---- Parallel plans ----

CREATE TABLE par (id int, v int);
INSERT INTO par SELECT n, n FROM generate_series(1, 20000) AS n;
ANALYZE par;
SELECT cachex.watch('par');
CREATE FUNCTION pf(int) RETURNS int STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$ BEGIN RETURN $1 * (SELECT max(v) FROM t WHERE id = 1); END $$;
CREATE FUNCTION pn(int) RETURNS int STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$ BEGIN RETURN $1 * (SELECT max(v) FROM un); END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION has_workers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		IF line ~ 'Gather' THEN RETURN true; END IF;
	END LOOP;
	RETURN false;
END $$;
SELECT has_workers('SELECT sum(v) FROM par'), has_workers('SELECT sum(pf(v)) FROM par WHERE id < 100');
SELECT cx_same('SELECT sum(v) FROM par'), cx_same('SELECT sum(v) FROM par');
SELECT cx_same('SELECT sum(pf(v)) FROM par WHERE id < 100'), cx_same('SELECT sum(pf(v)) FROM par WHERE id < 100');
UPDATE t SET v = v + 1 WHERE id = 1;
SELECT cx_same('SELECT sum(pf(v)) FROM par WHERE id < 100'), cx_same('SELECT sum(v) FROM par');
UPDATE par SET v = 0 WHERE id = 5;
SELECT cx_same('SELECT sum(pf(v)) FROM par WHERE id < 100'), cx_same('SELECT sum(v) FROM par');
\echo a function that reads what is not watched is found out
SELECT cx_same('SELECT sum(pn(v)) FROM par WHERE id < 5');
SELECT cx_same('SELECT sum(vol()) FROM par'), cx_same('SELECT sum(pid()) FROM par');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

---- What is said ----

\echo each reason once in a session
\c
SET search_path = rf, public;
SELECT cachex.fetch('exact', 'n', 'SELECT sum(v) FROM un');
SELECT cachex.fetch('exact', 'n', 'SELECT sum(v) FROM un');
SELECT cachex.fetch('exact', 'n', 'SELECT vol()');
SELECT cachex.fetch('queries', 'n', 'SELECT vol()');
SELECT cachex.fetch('exact', 'n', 'SELECT pid()');
SELECT cachex.fetch('exact', 'n', 'SELECT pg_backend_pid()') IS NULL;
SELECT cachex.fetch('exact', 'n', 'SELECT count(*) > 0 FROM pg_class');
SELECT cachex.fetch('exact', 'n', 'SELECT count(*) > 0 FROM pg_proc');
SELECT cachex.fetch('exact', 'n', 'SELECT ctid IS NULL FROM t LIMIT 1');
SELECT cachex.fetch('exact', 'n', 'SELECT catches(0)');
\echo and in the next one again
\c
SET search_path = rf, public;
SELECT cachex.fetch('exact', 'n', 'SELECT sum(v) FROM un');
SELECT cachex.fetch('exact', 'n', 'SELECT catches(0)');
\echo a cache of the other kind keeps all of these, and says nothing
\c
SET search_path = rf, public;
SELECT cachex.fetch('default', 'n1', 'SELECT sum(v) FROM un'), cachex.fetch('default', 'n2', 'SELECT vol()'), cachex.fetch('default', 'n3', 'SELECT catches(0)');
SELECT cachex.fetch('default', 'n1', 'SELECT sum(v) FROM un', mode => 'cached'), cachex.fetch('default', 'n2', 'SELECT vol()', mode => 'cached'), cachex.fetch('default', 'n3', 'SELECT catches(0)', mode => 'cached');
SELECT cachex.clear('default');

SET client_min_messages = warning;
DROP SCHEMA rf CASCADE;
SELECT cachex.drop_cache('exact');
SELECT cx_check();
