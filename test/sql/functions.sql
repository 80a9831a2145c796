-- Which functions leave a result that an exact cache may keep. What PL/pgSQL
-- evaluates without the executor is read from the functions' text.
\set VERBOSITY terse
CREATE SCHEMA fu;
SET search_path = fu, public;

-- What is said of a function by name and arguments.
CREATE FUNCTION fu.judge(VARIADIC functions regprocedure[])
RETURNS TABLE (function regprocedure, verdict text, because_of name)
LANGUAGE sql AS $$
	SELECT f, coalesce(u.reason, CASE WHEN u.cacheable THEN 'ok' END),
		(SELECT proname FROM pg_proc WHERE oid = nullif(u.because_of, f))
	FROM unnest(functions) WITH ORDINALITY AS x (f, n),
		cachex.function_use(f) AS u
	ORDER BY n
$$;

-- With what else is found out.
CREATE FUNCTION fu.use(regprocedure, OUT cacheable boolean, OUT reason text,
	OUT because_of regprocedure, OUT settings text[], OUT user_code boolean)
LANGUAGE c STABLE STRICT AS '$libdir/cachex', 'cachex_function_use';

---- The server's own ----

-- No volatile one, and every immutable one that is no procedure.
SELECT p.oid::regprocedure FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 'v' AND u.cacheable;
SELECT p.oid::regprocedure FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 'i' AND p.prokind <> 'p'
	AND NOT u.cacheable;
SELECT DISTINCT u.reason FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 'v' AND p.prokind <> 'p';
SELECT DISTINCT u.reason, u.because_of = p.oid AS itself
FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 's' AND NOT u.cacheable;

-- All that are SQL code, and at least these many others.
SELECT p.oid::regprocedure FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 's' AND NOT u.cacheable
	AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql');
SELECT count(*) >= 200 FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 's' AND u.cacheable;

-- No stable one outside this list of names, whatever the server's version.
SELECT p.oid::regprocedure FROM pg_proc p, cachex.function_use(p.oid) u
WHERE p.oid < 16384 AND p.provolatile = 's' AND u.cacheable
	AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'sql')
	AND p.proname !~ '^(date|time|timestamp|timestamptz|timetz|interval)(_|$)'
	AND p.proname !~ '^(json|jsonb|row_to_json|array_to_json|to_json)'
	AND p.proname !~ '^(to_(char|date|number|timestamp|reg(collation|namespace|oper|operator|proc|procedure)))$'
	AND p.proname !~ '^reg((collation|config|dictionary|namespace|oper|operator|proc|procedure)in|(class|collation|config|dictionary|namespace|oper|operator|proc|procedure|type)out)$'
	AND p.proname !~ '^(any\w*|array|record|range|multirange|domain|enum|cash|xml)_(in|out)$'
	AND p.proname !~ '^(enum_(first|last|range)|array_to_string|concat|concat_ws|format|format_type)$'
	AND p.proname !~ '(tsquery|tsvector)$|^ts_(headline|parse|token_type|match_tt|match_tq)$|^get_current_ts_config$'
	AND p.proname !~ '^(now|extract|generate_series|in_range|make_timestamptz|timezone|statement_timestamp|transaction_timestamp)$'
	AND p.proname !~ '^(convert|convert_from|convert_to|length|money|numeric|oidvectortypes|pg_char_to_encoding|pg_encoding_to_char)$'
	AND p.proname !~ '^(pg_collation_for|pg_typeof|version|getdatabaseencoding|getpgusername|current_(database|schema|user))$'
	AND p.proname !~ '^(xml|xml_is_well_formed|table_to_xml|table_to_xml_and_xmlschema|table_to_xmlschema)$';

-- Uncacheable, with all their overloads.
SELECT name, bool_or(u.cacheable) AS cacheable
FROM unnest('{pg_backend_pid,inet_client_addr,inet_server_port,
	pg_current_snapshot,txid_current,pg_current_xact_id_if_assigned,
	pg_get_viewdef,pg_get_functiondef,pg_get_expr,has_table_privilege,
	has_column_privilege,pg_has_role,pg_table_is_visible,row_security_active,
	session_user,pg_client_encoding,pg_my_temp_schema,pg_is_other_temp_schema,
	current_query,current_setting,current_schemas,pg_cursor,
	pg_sequence_parameters,pg_sequence_last_value,pg_relation_size,
	pg_column_size,pg_column_compression,lo_get,lo_open,query_to_xml,
	cursor_to_xml,schema_to_xml,database_to_xml,pg_trigger_depth,
	pg_conf_load_time,pg_postmaster_start_time,pg_timezone_abbrevs,
	pg_stat_get_numscans,pg_show_all_settings,mxid_age,textsend,record_send,
	regroleout,to_regrole,to_regclass,to_regtype,regclassin,regtypein,random,setseed,nextval,currval,lastval,
	clock_timestamp,timeofday,gen_random_uuid,pg_sleep,set_config,
	pg_advisory_lock,pg_read_file,pg_lock_status}'::text[]) AS name
JOIN pg_proc p ON proname = name AND pronamespace = 'pg_catalog'::regnamespace,
	cachex.function_use(p.oid) u
GROUP BY name HAVING bool_or(u.cacheable);
SELECT * FROM fu.judge('age(xid)', 'current_setting(text)', 'random()',
	'pg_backend_pid()', 'session_user()', 'textsend(text)');

-- Cacheable.
SELECT * FROM fu.judge('now()', 'date(timestamptz)', 'to_char(timestamptz,text)',
	'age(timestamptz)', 'age(timestamp,timestamp)', 'timestamptz_in(cstring,oid,integer)',
	'jsonb_agg(anyelement)', 'jsonb_build_object("any")', 'concat_ws(text,"any")',
	'to_tsvector(text)', 'array_out(anyarray)', 'record_in(cstring,oid,integer)',
	'enum_range(anyenum)', 'current_user()', 'current_database()',
	'regclassout(regclass)', 'pg_typeof("any")', 'obj_description(oid,name)',
	'generate_series(timestamptz,timestamptz,interval)', 'lower(text)',
	'count()', 'row_number()');

-- All that is behind operators and casts is: code is not asked for those.
SELECT o.oid::regoperator FROM pg_operator o, cachex.function_use(o.oprcode) u
WHERE o.oid < 16384 AND o.oprcode <> 0 AND NOT u.cacheable;
SELECT castfunc::regprocedure FROM pg_cast c, cachex.function_use(c.castfunc) u
WHERE c.oid < 16384 AND castfunc <> 0 AND NOT u.cacheable
	AND casttarget <> 'regclass'::regtype; -- a word that is looked for

-- Code that reads tables runs in some of them.
SELECT p.oid::regprocedure FROM pg_proc p, fu.use(p.oid) u
WHERE p.oid IN ('now()'::regprocedure, 'lower(text)'::regprocedure,
	'obj_description(oid,name)'::regprocedure,
	'table_to_xml(regclass,boolean,boolean,text)'::regprocedure)
	AND u.user_code
ORDER BY proname;

-- One that does not exist.
SELECT * FROM cachex.function_use(1::oid);

---- Those of this extension ----

SELECT p.proname, u.reason FROM pg_proc p, cachex.function_use(p.oid) u
WHERE pronamespace = 'cachex'::regnamespace AND proname IN
	('get', 'get_as', 'lookup', 'fetch', 'fetch_as', 'fetch_many', 'put',
	'incr', 'invalidate', 'create_cache')
ORDER BY u.cacheable DESC, p.proname;
-- Somebody else's with such a name is not.
CREATE FUNCTION cachex.get(int) RETURNS text LANGUAGE c AS '$libdir/cachex', 'cachex_check_store';
CREATE FUNCTION fu.get(int) RETURNS text LANGUAGE c AS '$libdir/cachex', 'cachex_check_store';
SELECT * FROM fu.judge('cachex.get(int)', 'fu.get(int)');
DROP FUNCTION cachex.get(int);
ALTER EXTENSION cachex ADD FUNCTION fu.get(int);
SELECT * FROM fu.judge('fu.get(int)');
ALTER EXTENSION cachex DROP FUNCTION fu.get(int);

---- PL/pgSQL ----

-- A function with one statement, or whatever is given.
CREATE FUNCTION fu.define(name text, body text, options text DEFAULT 'STABLE')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION fu.%s LANGUAGE plpgsql %s AS %L',
		name, options, body);
END $$;
SELECT fu.define('tried(a int) RETURNS text', 'BEGIN RETURN a; END');
-- What is said of a body that returns the expression.
CREATE FUNCTION fu.try(expression text, OUT verdict text, OUT because_of name,
	OUT itself boolean, OUT settings text[])
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fu.define('tried(a int) RETURNS text',
		'BEGIN RETURN ' || expression || '; END');
	SELECT coalesce(u.reason, 'ok'), (SELECT proname FROM pg_proc
			WHERE oid = nullif(u.because_of, 'fu.tried(int)'::regprocedure)),
		u.because_of = 'fu.tried(int)'::regprocedure, nullif(u.settings, '{}')
	FROM fu.use('fu.tried(int)'::regprocedure) u
	INTO verdict, because_of, itself, settings;
END $$;

-- Volatile unless told otherwise; without its text being asked.
SELECT fu.define('plain() RETURNS int', 'BEGIN RETURN 1; END', '');
SELECT * FROM fu.judge('fu.plain()');
ALTER FUNCTION fu.plain() STABLE;
SELECT * FROM fu.judge('fu.plain()');
ALTER FUNCTION fu.plain() IMMUTABLE;
SELECT * FROM fu.judge('fu.plain()');

SELECT expression, t.* FROM unnest(ARRAY[
	'a + 1', 'upper(''x'') || lower(''Y'')', 'now()', 'date(now())',
	'left(''abc'', 2) || "char"(65)', 'interval(6) ''1 s''',
	'timestamp(0) ''now''', 'extract(year FROM age(now()))',
	'coalesce(a, greatest(1, 2))', 'a IN (1, 2) AND (a BETWEEN 1 AND 2)',
	'(SELECT count(*) FROM pg_class)', 'current_user', 'substring(''x'' FROM 1)',
	'random()', 'RANDOM /* x */ ()', '"random"()', 'pg_catalog.random()',
	'nosuch.random()', '1 + (2 * random())::int', 'U&"random"()', 'nextval(''s'')',
	'clock_timestamp()', 'gen_random_uuid()', 'pg_sleep(1)', 'pg_backend_pid()',
	'txid_current()', '''random()''', 'a -- random()' || E'\n', '$x$random()$x$',
	'random', '"Random"', 'a.random', 'session_user::text', 'system_user',
	'age(''1''::xid)', 'treat(''s'' AS nextval)', '(SELECT 1 FROM t TABLESAMPLE system (1))'
	]) expression, fu.try(expression) t;

-- The type of a name is not known: one bad function is enough. A schema helps.
CREATE FUNCTION fu.upper(int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT ''x''';
SELECT * FROM fu.try('upper(''x'')');
SELECT * FROM fu.try('pg_catalog.upper(''x'')');
SELECT * FROM fu.try('fu.upper(''x'')');
DROP FUNCTION fu.upper(int);
SELECT * FROM fu.try('upper(''x'')');

-- A name before the dot that is no schema says nothing; it may become one.
CREATE SCHEMA fu1;
CREATE FUNCTION fu1.lower(int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT NULL';
SELECT * FROM fu.try('fu2.lower(''x'')');
CREATE SCHEMA fu2;
SELECT * FROM fu.judge('fu.tried(int)');
DROP SCHEMA fu2;
ALTER SCHEMA fu1 RENAME TO fu2;
SELECT * FROM fu.judge('fu.tried(int)');
DROP FUNCTION fu2.lower(int);
DROP SCHEMA fu2;

-- A function as if it were a column.
CREATE TYPE fu.pair AS (x int, y int);
CREATE FUNCTION fu.z(fu.pair) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
SELECT * FROM fu.try('(row(1, 2)::fu.pair).z');
SELECT * FROM fu.try('(row(1, 2)::fu.pair).x');
SELECT * FROM fu.try('r.z');
DROP FUNCTION fu.z(fu.pair);

-- Settings: a constant name only.
SELECT expression, t.* FROM unnest(ARRAY[
	'current_setting(''work_mem'')', 'pg_catalog.current_setting(''a.b'', true)',
	'current_setting(''work_'' || ''mem'')', 'current_setting(a)',
	'current_setting(''a.b'', random() > 1)', 'current_setting',
	'set_config(''a.b'', ''x'', true)'
	]) expression, fu.try(expression) t;

-- Somebody else's function of that name.
SELECT fu.define('current_setting(int) RETURNS text', 'BEGIN RETURN random(); END');
SELECT * FROM fu.try('current_setting(''a.b'')');
DROP FUNCTION fu.current_setting(int);

-- They come from everything that is called, each once, also from what is kept.
SELECT fu.define('settings1() RETURNS text',
	'BEGIN RETURN current_setting(''a.b'') || settings2() || session_user; END');
SELECT fu.define('settings2() RETURNS text',
	'BEGIN RETURN current_setting(''a.b'') || current_setting(''a.c'', true); END');
SELECT settings, user_code FROM fu.use('fu.settings1()'::regprocedure);
SELECT settings, user_code FROM fu.use('fu.settings1()'::regprocedure);
SELECT settings, user_code FROM fu.use('fu.settings2()'::regprocedure);

-- Cursors from elsewhere; the call stack.
SELECT fu.define('cursor_of(c refcursor) RETURNS text',
	'DECLARE x text; BEGIN FETCH c INTO x; RETURN x; END');
SELECT fu.define('own_cursor() RETURNS text', 'DECLARE x text; c CURSOR FOR SELECT 1;
	BEGIN OPEN c; FETCH c INTO x; RETURN x; END');
SELECT fu.define('first_rows() RETURNS text',
	'BEGIN RETURN (SELECT 1 FETCH FIRST ROW ONLY); END');
SELECT fu.define('stack() RETURNS text',
	'DECLARE x text; BEGIN GET DIAGNOSTICS x = PG_CONTEXT; RETURN x; END');
SELECT * FROM fu.judge('fu.cursor_of(refcursor)', 'fu.own_cursor()',
	'fu.first_rows()', 'fu.stack()');

-- Through other functions, and in circles.
SELECT fu.define('f1(int) RETURNS float', 'BEGIN RETURN f2($1); END');
SELECT fu.define('f2(int) RETURNS float', 'BEGIN RETURN f3($1); END');
SELECT fu.define('f3(int) RETURNS float',
	'BEGIN RETURN CASE WHEN $1 < 1 THEN 0 ELSE f1($1 - 1) END; END');
SELECT * FROM fu.judge('fu.f1(int)', 'fu.f2(int)', 'fu.f3(int)');
SELECT fu.define('f3(int) RETURNS float', 'BEGIN RETURN f1($1) + random(); END');
SELECT * FROM fu.judge('fu.f1(int)', 'fu.f2(int)', 'fu.f3(int)');
SELECT fu.define('f3(int) RETURNS float', 'BEGIN RETURN f1($1); END');
SELECT * FROM fu.judge('fu.f1(int)', 'fu.f2(int)', 'fu.f3(int)');
ALTER FUNCTION fu.f3(int) VOLATILE;
SELECT * FROM fu.judge('fu.f1(int)', 'fu.f2(int)', 'fu.f3(int)');

-- The default of an argument is evaluated where it is called.
SELECT fu.define('with_default(a float DEFAULT random()) RETURNS float', 'BEGIN RETURN a; END');
SELECT * FROM fu.judge('fu.with_default(float)');
SELECT * FROM fu.try('with_default()');

-- The age of a transaction number, which comes from an argument here.
SELECT fu.define('id_age(xid) RETURNS int', 'BEGIN RETURN age($1); END');
SELECT fu.define('time_age(timestamp) RETURNS interval', 'BEGIN RETURN age($1); END');
SELECT * FROM fu.judge('fu.id_age(xid)', 'fu.time_age(timestamp)');

-- What cannot be read: a string that does not end; strings read otherwise.
SET check_function_bodies = off;
SELECT * FROM fu.try('''x');
RESET check_function_bodies;
SELECT fu.define('strings() RETURNS text', 'BEGIN RETURN ''a\''; END');
SELECT * FROM fu.judge('fu.strings()');
SELECT fu.define('strings() RETURNS text', 'BEGIN RETURN ''a''; END',
	'STABLE SET standard_conforming_strings = off');
SELECT * FROM fu.judge('fu.strings()');
-- The answer goes with the setting.
SET escape_string_warning = off;
SELECT fu.define('strings() RETURNS text', $$BEGIN RETURN 'a\' || random() /* ' */; END$$);
SELECT * FROM fu.judge('fu.strings()');
SET standard_conforming_strings = off;
SELECT * FROM fu.judge('fu.strings()');
RESET standard_conforming_strings;
SELECT * FROM fu.judge('fu.strings()');
RESET escape_string_warning;

-- Operators.
SELECT fu.define('plus(int, text) RETURNS int', 'BEGIN RETURN 1; END');
CREATE OPERATOR fu.+ (LEFTARG = int, RIGHTARG = text, FUNCTION = fu.plus);
SELECT * FROM fu.try('a + 1');
ALTER FUNCTION fu.plus(int, text) VOLATILE;
SELECT * FROM fu.try('a + 1');
SELECT * FROM fu.try('a - 1');
CREATE OPERATOR fu.- (LEFTARG = int, RIGHTARG = text, FUNCTION = fu.plus);
SELECT * FROM fu.judge('fu.tried(int)');
DROP OPERATOR fu.- (int, text);
SELECT * FROM fu.judge('fu.tried(int)');
DROP OPERATOR fu.+ (int, text);
-- One that CASE and IN use.
CREATE OPERATOR fu.= (LEFTARG = int, RIGHTARG = text, FUNCTION = fu.plus);
SELECT * FROM fu.try('CASE a WHEN 1 THEN 2 END');
DROP OPERATOR fu.= (int, text);

-- Casts, which an assignment does without a sign.
CREATE FUNCTION fu.to_pair(int) RETURNS fu.pair LANGUAGE sql AS 'SELECT row($1, 0)::fu.pair';
CREATE CAST (int AS fu.pair) WITH FUNCTION fu.to_pair(int) AS ASSIGNMENT;
SELECT * FROM fu.try('a');
DROP CAST (int AS fu.pair);
SELECT * FROM fu.judge('fu.tried(int)');
CREATE CAST (int AS fu.pair) WITH FUNCTION fu.to_pair(int) AS ASSIGNMENT;
SELECT * FROM fu.judge('fu.tried(int)');
ALTER FUNCTION fu.to_pair(int) STABLE;
SELECT * FROM fu.judge('fu.tried(int)');

---- SQL ----

-- The planner puts simple ones into an expression, so they are read as well.
CREATE FUNCTION fu.sql_plain() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION fu.sql_stable() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM pg_class';
CREATE FUNCTION fu.sql_pid() RETURNS int LANGUAGE sql STABLE AS 'SELECT pg_backend_pid()';
CREATE FUNCTION fu.sql_pid_std() RETURNS int LANGUAGE sql STABLE RETURN pg_backend_pid();
CREATE FUNCTION fu.sql_setting_std() RETURNS text LANGUAGE sql STABLE RETURN current_setting('a.b', true);
CREATE FUNCTION fu.sql_any_setting_std(text) RETURNS text LANGUAGE sql STABLE RETURN current_setting($1);
-- These reach the executor as they are.
CREATE FUNCTION fu.sql_definer() RETURNS int LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT pg_backend_pid()';
CREATE FUNCTION fu.sql_set() RETURNS int LANGUAGE sql STABLE SET work_mem = '1MB' AS 'SELECT pg_backend_pid()';
CREATE FUNCTION fu.sql_rows() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT pg_backend_pid()';
SELECT * FROM fu.judge('fu.sql_plain()', 'fu.sql_stable()', 'fu.sql_pid()',
	'fu.sql_pid_std()', 'fu.sql_setting_std()', 'fu.sql_any_setting_std(text)',
	'fu.sql_definer()', 'fu.sql_set()', 'fu.sql_rows()');
SELECT p.proname, u.settings, u.user_code FROM pg_proc p, fu.use(p.oid) u
WHERE pronamespace = 'fu'::regnamespace AND proname LIKE 'sql\_%' AND u.cacheable
ORDER BY proname;
SELECT * FROM fu.try('sql_pid()');
SELECT * FROM fu.try('sql_pid_std()');

---- Others ----

-- The language's functions are known by what they promise.
CREATE FUNCTION fu.c_volatile() RETURNS text LANGUAGE internal AS 'timeofday';
CREATE FUNCTION fu.c_stable() RETURNS text LANGUAGE internal STABLE AS 'pgsql_version';
CREATE FUNCTION fu.c_immutable() RETURNS text LANGUAGE internal IMMUTABLE AS 'pgsql_version';
CREATE FUNCTION fu.check_stable() RETURNS text LANGUAGE c STABLE AS '$libdir/cachex', 'cachex_check_store';
CREATE FUNCTION fu.check_immutable() RETURNS text LANGUAGE c IMMUTABLE AS '$libdir/cachex', 'cachex_check_store';
SELECT * FROM fu.judge('fu.c_volatile()', 'fu.c_stable()', 'fu.c_immutable()',
	'fu.check_stable()', 'fu.check_immutable()');

-- Aggregates, by what they consist of.
SELECT fu.define('step(int, int) RETURNS int', 'BEGIN RETURN $1 + $2; END', 'IMMUTABLE');
SELECT fu.define('last_step(int) RETURNS int', 'BEGIN RETURN $1; END', 'IMMUTABLE');
CREATE AGGREGATE fu.total(int) (SFUNC = fu.step, STYPE = int, FINALFUNC = fu.last_step);
CREATE AGGREGATE fu.core_total(int) (SFUNC = int4pl, STYPE = int, INITCOND = 0);
SELECT * FROM fu.judge('fu.total(int)', 'fu.core_total(int)');
ALTER FUNCTION fu.step(int, int) VOLATILE;
SELECT * FROM fu.judge('fu.total(int)');
ALTER FUNCTION fu.step(int, int) IMMUTABLE;
SELECT fu.define('last_step(int) RETURNS int', 'BEGIN RETURN $1 + random(); END', 'IMMUTABLE');
SELECT * FROM fu.judge('fu.total(int)');
ALTER FUNCTION fu.last_step(int) VOLATILE;
SELECT * FROM fu.judge('fu.total(int)');

-- Never: procedures and triggers.
CREATE PROCEDURE fu.proc() LANGUAGE sql AS 'SELECT 1';
SELECT fu.define('trig() RETURNS trigger', 'BEGIN RETURN NULL; END');
SELECT * FROM fu.judge('fu.proc()', 'fu.trig()');

RESET search_path;
\set VERBOSITY default
SET client_min_messages = warning;
DROP SCHEMA fu CASCADE;
RESET client_min_messages;
