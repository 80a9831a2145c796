-- A schema before pg_catalog that has, for every function and operator there,
-- one of the same name and types that raises an error; and one of better
-- matching types where callers leave a choice.  Nothing of cachex calls any:
-- not its script, its views, functions, triggers, nor its workers.
\pset format unaligned
\pset tuples_only on
SELECT current_database() AS home \gset
CREATE DATABASE regress_hostile TEMPLATE template0;
\c regress_hostile
SET client_min_messages = warning;
SET check_function_bodies = off;
CREATE SCHEMA hostile;
DO $$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT DISTINCT proname, pg_get_function_identity_arguments(oid) AS args, pg_get_function_result(oid) AS result
		FROM pg_catalog.pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND prorettype <> 'trigger'::regtype
			AND prorettype <> 'event_trigger'::regtype AND prorettype <> 'cstring'::regtype
			AND NOT 'internal'::regtype = ANY (proargtypes) AND NOT 'cstring'::regtype = ANY (proargtypes)
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
				f.proname, f.args, f.result, format('BEGIN RAISE EXCEPTION ''hostile function %s''; END', f.proname));
		EXCEPTION WHEN OTHERS THEN
			NULL;	-- of types that no function of plpgsql can have
		END;
	END LOOP;
	FOR f IN SELECT o.oprname, o.oprleft, o.oprright, p.proname
		FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
		WHERE oprnamespace = 'pg_catalog'::regnamespace
	LOOP
		BEGIN
			EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.%I%s, RIGHTARG = %s)',
				f.oprname, f.proname, CASE WHEN f.oprleft <> 0 THEN ', LEFTARG = ' || f.oprleft::regtype ELSE '' END,
				f.oprright::regtype);
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
	FOR f IN SELECT unnest('{count,sum,min,max,string_agg,array_agg,jsonb_agg}'::text[]) AS name
	LOOP
		EXECUTE format('CREATE FUNCTION hostile.%I(anyelement) RETURNS int LANGUAGE plpgsql AS %L', f.name,
			'BEGIN RAISE EXCEPTION ''hostile aggregate''; END');
	END LOOP;
END $$;
-- a literal without a type prefers text
CREATE FUNCTION hostile.pg_has_role(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hostile choice''; END';
CREATE FUNCTION hostile.round(double precision, int) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hostile choice''; END';
CREATE FUNCTION hostile.pg_extension_config_dump(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hostile choice''; END';
-- names of types and relations
CREATE DOMAIN hostile.regrole AS int;
CREATE DOMAIN hostile.oid AS int CHECK (VALUE > 2147483646);
CREATE DOMAIN hostile.jsonb AS text CHECK (VALUE = 'hostile');
CREATE TABLE hostile.pg_roles (oid text);
CREATE TABLE hostile.pg_class (oid text);
CREATE TABLE hostile.pg_db_role_setting (setrole text);
SELECT count(*) > 1500 FROM pg_catalog.pg_proc WHERE pronamespace = 'hostile'::regnamespace;
SELECT count(*) > 500 FROM pg_catalog.pg_operator WHERE oprnamespace = 'hostile'::regnamespace;

-- ---- the script ----

SET search_path = hostile, pg_catalog;
-- it is what is meant
SELECT 1 + 1;
SELECT lower('A');
CREATE EXTENSION cachex;
RESET search_path;
-- nothing of it is made of anything of that schema
SELECT pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, refobjsubid)
FROM pg_depend
WHERE classid IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_class'::regclass, 'pg_proc'::regclass, 'pg_trigger'::regclass)
	AND objid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace)
	AND (refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace)
		OR refobjid IN (SELECT oid FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace)
		OR refobjid IN (SELECT oid FROM pg_type WHERE typnamespace = 'hostile'::regnamespace AND typtype = 'd'));
SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'cachex';
-- the same under privileges that everything gets by default
DROP EXTENSION cachex;
CREATE ROLE regress_hostile;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_hostile, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_hostile, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_hostile, PUBLIC;
CREATE EXTENSION cachex;
SELECT relname, relacl FROM pg_class WHERE relnamespace = 'cachex'::regnamespace AND relkind IN ('r', 'S')
	AND EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner);
-- (17 and later have one privilege more)
SELECT relname, bool_or(grantee = 0), count(*) FILTER (WHERE privilege_type <> 'MAINTAIN') FROM pg_class, aclexplode(relacl)
WHERE relnamespace = 'cachex'::regnamespace AND relkind = 'v' AND grantee <> relowner GROUP BY relname ORDER BY relname;
SELECT privilege_type FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'cachex' AND grantee <> nspowner;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_hostile, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM regress_hostile, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_hostile, PUBLIC;
-- and what is there already is not taken over
\set SHOW_CONTEXT never
DROP EXTENSION cachex;
CREATE SCHEMA cachex;
CREATE EXTENSION cachex;
DROP SCHEMA cachex;
CREATE EXTENSION cachex SCHEMA hostile;
CREATE EXTENSION cachex;

-- ---- everything else ----

CREATE TABLE public.t (k int, at timestamptz, v numeric);
CREATE FUNCTION public.load(key text) RETURNS numeric STABLE LANGUAGE sql SET search_path = pg_catalog
	AS 'SELECT sum(v) FROM public.t WHERE k = key::int';
CREATE FUNCTION public.wait_for_jobs() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	FOR i IN 1 .. 1200 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM cachex.jobs WHERE status IN ('pending', 'running'));
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
CREATE TABLE public.statement (n serial, sql text);
INSERT INTO public.statement (sql) SELECT trim(s) FROM unnest(string_to_array($$
	TRUNCATE public.t;
	INSERT INTO public.t VALUES (1, '2020-01-01 00:00+00', 1.5), (2, NULL, 2.5);
	SELECT cachex.create_cache('h', consistency => 'ttl', ttl => '1 h', max_memory => '1MB', loader => 'public.load(pg_catalog.text)'::pg_catalog.regprocedure,
		options => '{"validate": "$1 IS NOT NULL AND jsonb_typeof($1) <> ''boolean''", "beta": 1, "jitter": 0.1}'::pg_catalog.jsonb);
	SELECT cachex.create_cache('e', stale_for => '1 h');
	SELECT cachex.create_cache('p', consistency => 'ttl', persist => 'table');
	SELECT cachex.alter_cache('h', '{"ttl": "2 h", "max_entries": 100, "stale_for": "1 h"}'::pg_catalog.jsonb);
	SELECT cachex.alter_cache('default', '{"max_entries": 1000}'::pg_catalog.jsonb);
	SELECT cachex.grant_cache('h', 'public', 'read'), cachex.grant_cache('h', 'regress_hostile', 'write');
	SELECT cachex.revoke_cache('h', 'public', 'read');
	SELECT cachex.watch('public.t', 'h', keys => '{k:<k>,<at>}', tags => '{tag <v>}', columns => '{v}');
	SELECT cachex.watch('public.t', 'h', keys => '{<k>}', action => 'refresh');
	SELECT cachex.watch('public.t', 'p', keys => '{row <k>}', action => 'put');
	SELECT cachex.put('h', 'k:1', '1'::pg_catalog.jsonb, tags => '{tag}', ttl => '1 h', metadata => '{"a": 1}'::pg_catalog.jsonb, scope => 's', cost => '1 s');
	SELECT cachex.put('h', 'k:1', '1'::pg_catalog.jsonb, only_if => 'absent'), cachex.put('h', 'list', '[]'::pg_catalog.jsonb), cachex.put('h', 'b', '1'::pg_catalog.jsonb);
	SELECT cachex.put('h', '2020-01-01 00:00:00+00', '1'::pg_catalog.jsonb), cachex.put('h', 'tagged', '1'::pg_catalog.jsonb, tags => '{tag 1.5}');
	SELECT cachex.put('h', 'bad', 'true'::pg_catalog.jsonb);
	SELECT cachex.put('p', 'stored', '1'::pg_catalog.jsonb, tags => '{t}');
	SELECT cachex.put_many('h', '{"a": 1, "b": "2"}'::pg_catalog.jsonb);
	SELECT cachex.get('h', 'k:1'), cachex.get_as('h', 'a', NULL::pg_catalog.jsonb), cachex.get('h', 'no', otherwise => '0'::pg_catalog.jsonb);
	SELECT status, value, tags FROM cachex.lookup('h', 'k:1', scope => 's');
	SELECT cachex.fetch('h', '1'), cachex.fetch('h', 'q', 'SELECT v AS value, k FROM public.t LIMIT 1');
	SELECT cachex.fetch('e', 'rows', 'SELECT t FROM public.t LIMIT 1'), cachex.fetch('e', 'rows', 'SELECT t FROM public.t LIMIT 1');
	SELECT cachex.fetch_as('h', 'typed', NULL::pg_catalog.numeric, 'SELECT v FROM public.t LIMIT 1');
	SELECT * FROM cachex.fetch_many('h', '{1,2}');
	SELECT * FROM cachex.fetch_many('h', '{x,y}', 'SELECT k AS key, k AS value FROM pg_catalog.unnest($1) AS k');
	SELECT * FROM cachex.query('SELECT k, v FROM public.t') AS q(k int, v numeric);
	SELECT * FROM cachex.query_as(NULL::public.t, 'SELECT * FROM public.t LIMIT 1');
	SELECT cachex.update('h', 'a', '$2', params => '{3}', initial => '0'::pg_catalog.jsonb);
	SELECT cachex.push('h', 'list', '1'::pg_catalog.jsonb, max_length => 2), cachex.incr('h', 'n', by => 2), cachex.touch('h', 'n', ttl => '1 h');
	SELECT cachex.take('h', 'n');
	SELECT cachex.function_use('public.load(pg_catalog.text)'::pg_catalog.regprocedure);
	SELECT cachex.create_warmer('h', 'w', 'SELECT key, value FROM (VALUES (''w'' || 1, 1 + 1)) AS q (key, value)', every => '1 day', required => true, replace => true);
	SELECT cachex.warm('h', '{w}', wait => true);
	SELECT cachex.get('h', 'w1');
	SELECT cachex.warm('h');
	SELECT cache, name, warmed, last_error, every FROM cachex.warmers;
	SELECT cachex.refresh('h', '2') IS NOT NULL, cachex.refresh('h', 'j', query => 'SELECT v FROM public.t LIMIT 1') IS NOT NULL;
	SELECT cachex.refresh('h', '2', wait => true);
	SELECT public.wait_for_jobs();
	INSERT INTO public.t VALUES (3, '2020-01-01 00:00+00', 3.5);
	SELECT public.wait_for_jobs();
	SELECT (cachex.lookup('h', k)).status FROM (VALUES ('2020-01-01 00:00:00+00'), ('k:1'), ('tagged')) AS q (k);
	UPDATE public.t SET v = 4.5;
	SELECT (cachex.lookup('h', k)).status FROM (VALUES ('2020-01-01 00:00:00+00'), ('k:1'), ('tagged')) AS q (k);
	SELECT cachex.get('p', 'row 3');
	SELECT public.wait_for_jobs();
	DELETE FROM public.t WHERE k OPERATOR(pg_catalog.=) 3;
	SELECT cachex.get('p', 'row 3');
	SELECT public.wait_for_jobs();
	SELECT kind, name, changed_by FROM cachex.dependencies WHERE name OPERATOR(pg_catalog.=) 'public.t';
	SELECT cachex.invalidate('h', 'a'), cachex.invalidate('h', 'k:1', scope => 's'), cachex.invalidate_tags('{tag}'), cachex.invalidate_table('public.t');
	SELECT cachex.invalidate_like('h', '%b%');
	SELECT cache, enabled, hits OPERATOR(pg_catalog.>) 0 FROM cachex.stats WHERE cache OPERATOR(pg_catalog.=) 'h';
	SELECT name, owner OPERATOR(pg_catalog.=) '10', ttl, readers, writers, validate FROM cachex.caches WHERE name OPERATOR(pg_catalog.=) 'h';
	SELECT scope, key, status FROM cachex.entries('h', 'lis%');
	SELECT DISTINCT key, status, CASE WHEN last_error OPERATOR(pg_catalog.!~) 'was not kept' THEN last_error END FROM cachex.jobs ORDER BY key;
	SELECT entries OPERATOR(pg_catalog.>) 0 FROM cachex.memory();
	SELECT cachex.new_cache_id() IS NOT NULL;
	SELECT cachex.purge('h') IS NOT NULL, cachex.reset_stats('h'), cachex.clear('h', 's'), cachex.clear('p');
	SELECT cachex.unwatch('public.t');
	SELECT cachex.drop_warmer('h', 'w');
	SELECT cachex.drop_cache('h'), cachex.drop_cache('e'), cachex.drop_cache('p'), cachex.drop_cache('p', if_exists => true)
$$, ';')) AS s;
SELECT count(*) > 45 FROM public.statement;
-- every function is among them, but those that only triggers and views call
SELECT DISTINCT proname FROM pg_proc p WHERE pronamespace = 'cachex'::regnamespace
	AND NOT EXISTS (SELECT FROM public.statement WHERE sql ~ ('cachex\.' || proname || '\('))
ORDER BY 1;
-- workers begin with this
ALTER DATABASE regress_hostile SET search_path = hostile, pg_catalog;
SET search_path = hostile, pg_catalog;
SELECT sql FROM public.statement ORDER BY n \gexec

-- with no path at all, and temporary things in front
CREATE TEMP TABLE cache_definition (name int);
CREATE TEMP TABLE job (id text);
CREATE TEMP TABLE job_request (id text);
CREATE TEMP TABLE pg_roles (oid text);
CREATE TEMP TABLE t (k text);
CREATE DOMAIN pg_temp.regrole AS int;
CREATE DOMAIN pg_temp.xid8 AS int;
SET search_path = '';
SELECT sql FROM public.statement ORDER BY n \gexec

-- what writes to a watched table without any path: a subscription does
SET search_path = pg_catalog;
SELECT cachex.create_cache('s', consistency => 'ttl'), cachex.watch('public.t', 's', keys => '{<at>|<v>}');
SELECT cachex.put('s', '2020-01-01 00:00:00+00|4.5', '1');
SET session_replication_role = replica;
SET search_path = '';
UPDATE public.t SET v = 9 WHERE k OPERATOR(pg_catalog.=) 1;
RESET session_replication_role;
SELECT cachex.get('s', '2020-01-01 00:00:00+00|4.5');
\c :home
DROP DATABASE regress_hostile;
DROP ROLE regress_hostile;
