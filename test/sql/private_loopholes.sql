-- Ways to be served, by a cache that is not shared, what was loaded for somebody
-- else behind the same role, or what the role can no longer read.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_pl_app;
CREATE ROLE regress_pl_boss;
CREATE SCHEMA pl;
GRANT USAGE ON SCHEMA pl TO PUBLIC;

SELECT cachex.create_cache('pl', consistency => 'ttl');
SELECT cachex.create_cache('pl_exact', consistency => 'exact');
SELECT cachex.grant_cache(c, 'public', p) FROM unnest('{pl,pl_exact}'::text[]) AS c, unnest('{read,write}'::text[]) AS p;

-- What the loader returns through a cache of each kind.
CREATE FUNCTION pl.through(loader text, OUT ttl text, OUT exact text) LANGUAGE plpgsql AS $$
BEGIN
	ttl := cachex.fetch('pl', loader, loader) #>> '{}';
	exact := cachex.fetch('pl_exact', loader, loader) #>> '{}';
EXCEPTION WHEN insufficient_privilege THEN
	ttl := 'error ' || sqlstate;
END
$$;
-- The same after it has been planned and its plan has been kept.
CREATE FUNCTION pl.warmed(loader text, OUT ttl text, OUT exact text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.fetch('pl', loader, loader, mode => 'bypass') FROM generate_series(1, 8);
	SELECT * FROM pl.through(loader) INTO ttl, exact;
END
$$;
-- What is there for the current role.
CREATE FUNCTION pl.has(loader text, OUT ttl text, OUT exact text) LANGUAGE sql AS $$
	SELECT cachex.get('pl', loader) #>> '{}', cachex.get('pl_exact', loader) #>> '{}'
$$;
CREATE TABLE pl.secret AS SELECT 1 AS id, 'topsecret' AS v;
GRANT SELECT ON pl.secret TO regress_pl_app;
SELECT cachex.watch('pl.secret');

-- Without any of that it is kept.
SET ROLE regress_pl_app;
SELECT * FROM pl.through('SELECT v FROM pl.secret');
SELECT * FROM pl.has('SELECT v FROM pl.secret');
RESET ROLE;

-- Row security by functions that say IMMUTABLE and read a setting: the planner
-- has called them before the executor could be watched.
CREATE FUNCTION pl.uid_p() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN current_setting('app.uid', true); END $$;
CREATE FUNCTION pl.uid_q() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT current_setting('app.uid', true) $$;
CREATE FUNCTION pl.uid_b() RETURNS text LANGUAGE sql IMMUTABLE RETURN current_setting('app.uid', true);
CREATE FUNCTION pl.uid_r() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT pl.uid_p() $$;
CREATE FUNCTION pl.uid_w() RETURNS text LANGUAGE sql STABLE AS $$ SELECT pl.uid_p() || '' $$;
CREATE FUNCTION pl.make(name text, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE pl.%I (uid text, v text)', name);
	EXECUTE format('INSERT INTO pl.%I VALUES (''7'', ''of 7''), (''8'', ''of 8'')', name);
	EXECUTE format('ALTER TABLE pl.%I ENABLE ROW LEVEL SECURITY', name);
	EXECUTE format('CREATE POLICY p ON pl.%I USING (%s)', name, condition);
	EXECUTE format('GRANT SELECT ON pl.%I TO PUBLIC', name);
	PERFORM cachex.watch(format('pl.%I', name)::regclass);
END
$$;
SELECT pl.make('of_p', 'uid = pl.uid_p()'), pl.make('of_q', 'uid = pl.uid_q()'), pl.make('of_b', 'uid = pl.uid_b()'),
	pl.make('of_r', 'uid IN (SELECT * FROM pl.uid_r())'), pl.make('of_w', 'uid = pl.uid_w()');
\c -
SET SESSION AUTHORIZATION regress_pl_app;
SET app.uid = '7';
SELECT t, f.* FROM unnest('{of_p,of_q,of_b,of_r,of_w}'::text[]) AS t, pl.through('SELECT v FROM pl.' || t) AS f;
SELECT t, f.* FROM unnest('{of_p,of_q,of_b,of_r,of_w}'::text[]) AS t, pl.warmed('SELECT max(v) FROM pl.' || t) AS f;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
SET app.uid = '8';
SELECT t, f.* FROM unnest('{of_p,of_q,of_b,of_r,of_w}'::text[]) AS t, pl.through('SELECT v FROM pl.' || t) AS f;
SELECT t, f.* FROM unnest('{of_p,of_q,of_b,of_r,of_w}'::text[]) AS t, pl.through('SELECT max(v) FROM pl.' || t) AS f;
-- Through views, functions, and a statement that was prepared before.
\c -
CREATE VIEW pl.view_p WITH (security_barrier) AS SELECT v FROM pl.of_p WHERE uid = pl.uid_p();
GRANT SELECT ON pl.view_p TO PUBLIC;
CREATE FUNCTION pl.of_view() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT v FROM pl.view_p); END $$;
CREATE FUNCTION pl.of_prepared() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE 'EXECUTE prepared' INTO r; RETURN r; END $$;
SET SESSION AUTHORIZATION regress_pl_app;
SET app.uid = '7';
PREPARE prepared AS SELECT v FROM pl.of_p;
EXECUTE prepared;
SELECT f.* FROM unnest('{of_view,of_prepared}'::text[]) AS t, pl.warmed(format('SELECT pl.%s()', t)) AS f;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
SET app.uid = '8';
PREPARE prepared AS SELECT v FROM pl.of_p;
SELECT f.* FROM unnest('{of_view,of_prepared}'::text[]) AS t, pl.through(format('SELECT pl.%s()', t)) AS f;

-- What an IMMUTABLE function has read when a plan was made: nobody knows that it
-- was that table.
\c -
CREATE FUNCTION pl.imm() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT v FROM pl.secret WHERE id = 1';
CREATE FUNCTION pl.imm_p() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT v FROM pl.secret WHERE id = 1); END';
CREATE FUNCTION pl.imm_d() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ DECLARE r text; BEGIN EXECUTE 'TABLE pl.secret' INTO r, r; RETURN r; END $$;
CREATE FUNCTION pl.imm_f() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN pl.imm(); END';
CREATE FUNCTION pl.in_expression() RETURNS text LANGUAGE plpgsql STABLE AS 'DECLARE x text; BEGIN x := pl.imm(); RETURN x; END';
CREATE FUNCTION pl.in_query() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT pl.imm_f() FROM generate_series(1, 1)); END';
SET SESSION AUTHORIZATION regress_pl_app;
SELECT t, f.* FROM unnest('{imm,imm_p,imm_d,imm_f,in_expression,in_query}'::text[]) AS t, pl.warmed(format('SELECT pl.%s()', t)) AS f;
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON pl.secret FROM regress_pl_app;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
SELECT t, f.* FROM unnest('{imm,imm_p,imm_d,imm_f,in_expression,in_query}'::text[]) AS t, pl.through(format('SELECT pl.%s()', t)) AS f;
RESET SESSION AUTHORIZATION;
GRANT SELECT ON pl.secret TO regress_pl_app;

-- Plain ones are believed, others are not, whatever the form.
CREATE TABLE pl.bodies (n serial, language text, body text);
INSERT INTO pl.bodies (language, body) SELECT 'sql', unnest(ARRAY[
	'SELECT $1 * 2', 'SELECT lower(''X'')', 'SELECT extract(year FROM date ''2020-01-01'')',
	'SELECT substring(upper(''abc'') FROM 2 FOR 1) || trim(both ''x'' FROM ''xax'')',
	'SELECT CASE WHEN $1 IS DISTINCT FROM 2 THEN 1 END',
	'SELECT string_agg(x::text, '','' ORDER BY x) FROM unnest(ARRAY[1, $1]) AS x',
	'SELECT sum(x) FROM (SELECT y * 2 AS x FROM generate_series(1, $1) AS y) AS z',
	'SELECT count(*) FROM unnest(ARRAY[1, 2]) AS a (x) JOIN pg_catalog.generate_series(1, 2) AS b (y) ON a.x = b.y, LATERAL generate_series(x, y) AS c WHERE x > 0',
	'SELECT (SELECT $1 + (VALUES (1)))']);
INSERT INTO pl.bodies (language, body) SELECT 'plpgsql', unnest(ARRAY[
	'BEGIN RETURN lower(''X''); END',
	'DECLARE r text := ''''; BEGIN FOR i IN 1..a LOOP r := r || i; END LOOP; RETURN r; END',
	'BEGIN RETURN (SELECT max(x) FROM unnest(ARRAY[1, 2]) AS x); END',
	'BEGIN IF a = 2 THEN RAISE ''no''; END IF; RETURN format(''%s'', a); END']);
INSERT INTO pl.bodies (language, body) SELECT 'sql', unnest(ARRAY[
	'SELECT v FROM pl.secret', 'SELECT v FROM unnest(ARRAY[1]) AS x, pl.secret',
	'SELECT v FROM unnest(ARRAY[1]) AS x (y) CROSS JOIN pl.secret', 'SELECT v FROM ONLY (pl.secret)',
	'SELECT v FROM (pl.secret JOIN unnest(ARRAY[1]) AS x ON true)', 'SELECT v FROM (SELECT * FROM pl.secret) AS x',
	'SELECT substring((SELECT v FROM pl.secret) FROM 1)', 'SELECT 1 WHERE EXISTS (TABLE pl.secret)',
	'SELECT current_user::text', 'SELECT session_user::text', 'SELECT current_setting(''work_mem'')',
	'SELECT pg_backend_pid()::text', 'SELECT query_to_xml(''TABLE pl.secret'', true, true, '''')::text', 'SELECT pl.in_query()', 'SELECT cachex.get(''pl'', ''k'')::text',
	'WITH x AS (SELECT 1) SELECT * FROM x']);
INSERT INTO pl.bodies (language, body) SELECT 'plpgsql', unnest(ARRAY[
	'BEGIN RETURN (SELECT v FROM pl.secret); END',
	'DECLARE r text; BEGIN EXECUTE ''SELECT 1'' INTO r; RETURN r; END',
	'DECLARE c CURSOR FOR SELECT v FROM pl.secret; r text; BEGIN OPEN c; FETCH c INTO r; CLOSE c; RETURN r; END',
	'BEGIN RETURN pl.imm(); END', 'BEGIN RETURN current_role; END']);
DO $$
DECLARE b pl.bodies;
BEGIN
	FOR b IN TABLE pl.bodies LOOP
		EXECUTE format('CREATE FUNCTION pl.f%s(a int DEFAULT 1) RETURNS text LANGUAGE %s IMMUTABLE AS %L', b.n, b.language, b.body);
	END LOOP;
END
$$;
SELECT count(pl.through(format('SELECT pl.f%s()', n))) FROM pl.bodies;
SELECT n, h.ttl IS NOT NULL AS ttl, h.exact IS NOT NULL AS exact, left(body, 70) AS body FROM pl.bodies, pl.has(format('SELECT pl.f%s()', n)) AS h ORDER BY n;
CREATE FUNCTION pl.std() RETURNS text LANGUAGE sql IMMUTABLE RETURN (SELECT v FROM pl.secret);
SELECT * FROM pl.through('SELECT pl.std()');
SELECT * FROM pl.has('SELECT pl.std()');
SELECT cacheable, reason, because_of FROM cachex.function_use('pl.in_query()');

-- A cursor that was opened before: nobody knows what its query reads. WITH HOLD
-- it needs no executor any more.
CREATE FUNCTION pl.fetch_of(c refcursor) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	d CURSOR FOR SELECT 1;
	x text;
BEGIN
	OPEN d;
	FETCH c INTO x;
	CLOSE d;
	RETURN x;
END
$$;
CREATE FUNCTION pl.fetch_run(c text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE x text; BEGIN EXECUTE 'FETCH ' || c INTO x; RETURN x; END $$;
CREATE FUNCTION pl.own_cursor() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	c CURSOR FOR SELECT v FROM pl.secret;
	x text;
BEGIN
	OPEN c;
	FETCH NEXT FROM c INTO x;
	CLOSE c;
	RETURN x;
END
$$;
GRANT SELECT ON pl.secret TO regress_pl_app;
SET SESSION AUTHORIZATION regress_pl_app;
BEGIN;
DECLARE c1 SCROLL CURSOR FOR SELECT v FROM pl.secret;
DECLARE h1 SCROLL CURSOR WITH HOLD FOR SELECT v FROM pl.secret;
SELECT pl.through($$SELECT pl.fetch_of('c1')$$);
FETCH ABSOLUTE 0 c1;
SELECT pl.through($$SELECT pl.fetch_run('c1')$$);
FETCH ABSOLUTE 0 c1;
SELECT pl.through($$SELECT cursor_to_xml('c1', 1, true, false, '')::text ~ 'topsecret'$$);
COMMIT;
SELECT pl.through($$SELECT pl.fetch_of('h1')$$);
FETCH ABSOLUTE 0 h1;
SELECT pl.through($$SELECT pl.fetch_run('h1')$$);
CLOSE h1;
SELECT pl.through('SELECT pl.own_cursor()');
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON pl.secret FROM regress_pl_app;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
SELECT q, h.* FROM unnest(ARRAY[$$SELECT pl.fetch_of('c1')$$, $$SELECT pl.fetch_run('c1')$$, $$SELECT cursor_to_xml('c1', 1, true, false, '')::text ~ 'topsecret'$$,
	$$SELECT pl.fetch_of('h1')$$, $$SELECT pl.fetch_run('h1')$$, 'SELECT pl.own_cursor()']) AS q, pl.has(q) AS h;
RESET SESSION AUTHORIZATION;
GRANT SELECT ON pl.secret TO regress_pl_app;
SET SESSION AUTHORIZATION regress_pl_app;
SELECT pl.through('SELECT pl.own_cursor()'), pl.has('SELECT pl.own_cursor()');
RESET SESSION AUTHORIZATION;

-- What belongs to the session: a temporary table, the client's address, its
-- process, what is asked for by a name that is not known.
CREATE FUNCTION pl.who() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT uid FROM ctx); END $$;
CREATE FUNCTION pl.address() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT coalesce(host(inet_client_addr()), '7') $$;
CREATE FUNCTION pl.named(setting text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting(setting, true); END $$;
CREATE FUNCTION pl.shown() RETURNS text LANGUAGE plpgsql AS $$ DECLARE x text; BEGIN EXECUTE 'SHOW app.uid' INTO x; RETURN x; END $$;
SELECT pl.make('of_who', 'uid = pl.who()'), pl.make('of_address', 'uid = pl.address()'), pl.make('of_here', 'uid = ''7'' AND inet_client_addr() IS NULL'),
	pl.make('of_pid', 'uid = CASE WHEN pg_backend_pid() > 0 THEN ''7'' END'), pl.make('of_named', 'uid = pl.named(''app.uid'')'),
	pl.make('of_set', 'uid = current_setting(''app.'' || lower(''UID''), true)'), pl.make('of_shown', 'uid = pl.shown()'), pl.make('of_volatile', 'random() < 2');
ALTER FUNCTION pl.named(text) VOLATILE;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
CREATE TEMPORARY TABLE ctx AS SELECT '7'::text AS uid;
SET app.uid = '7';
SELECT t, f.* FROM unnest('{who,address,here,pid,named,set,shown,volatile}'::text[]) AS t, pl.through(format('SELECT min(v) FROM pl.of_%s', t)) AS f;
\c -
SET SESSION AUTHORIZATION regress_pl_app;
CREATE TEMPORARY TABLE ctx AS SELECT '8'::text AS uid;
SET app.uid = '8';
SELECT t, f.* FROM unnest('{who,address,here,pid,named,set,shown,volatile}'::text[]) AS t, pl.has(format('SELECT min(v) FROM pl.of_%s', t)) AS f;
SELECT f.* FROM pl.through('SELECT min(v) FROM pl.of_who') AS f;
-- No cache keeps what comes from temporary tables; without row security a ttl
-- cache keeps the rest.
SELECT q, f.* FROM unnest(ARRAY['SELECT uid FROM ctx', 'SELECT pl.who()', 'SELECT pg_backend_pid() > 0', 'SELECT pl.named(''app.uid'')']) AS q, pl.through(q) AS f;
SELECT q, f.* FROM unnest(ARRAY['SELECT uid FROM ctx', 'SELECT pl.who()', 'SELECT pg_backend_pid() > 0', 'SELECT pl.named(''app.uid'')']) AS q, pl.has(q) AS f;
-- A function that is VOLATILE for no reason may have read rows with row security.
RESET SESSION AUTHORIZATION;
CREATE FUNCTION pl.loads() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT v FROM pl.of_ok) || now(); END $$;
SELECT pl.make('of_ok', 'uid = current_setting(''app.uid'', true)');
SET SESSION AUTHORIZATION regress_pl_app;
SELECT ttl LIKE 'of 8%' AS ttl, exact LIKE 'of 8%' AS exact FROM pl.through('SELECT pl.loads()');
SELECT ttl LIKE 'of 8%' AS ttl, exact FROM pl.has('SELECT pl.loads()');
RESET SESSION AUTHORIZATION;

-- Another role, for the time of a function or for longer: whether that is allowed,
-- the user of the session decides.
CREATE TABLE pl.of_boss AS SELECT 'of the boss' AS v;
ALTER TABLE pl.of_boss OWNER TO regress_pl_boss;
SELECT cachex.watch('pl.of_boss');
CREATE FUNCTION pl.as_boss() RETURNS text LANGUAGE plpgsql STABLE SET role = regress_pl_boss AS $$ BEGIN RETURN (SELECT v FROM pl.of_boss); END $$;
CREATE FUNCTION pl.boss_says() RETURNS text LANGUAGE plpgsql STABLE SET role = regress_pl_boss AS $$ BEGIN RETURN 'to members only'; END $$;
CREATE FUNCTION pl.sneaks() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	PERFORM set_config('role', 'regress_pl_boss', true);
	r := (SELECT v FROM pl.of_boss);
	PERFORM set_config('role', 'regress_pl_app', true);
	RETURN r;
END
$$;
CREATE FUNCTION pl.becomes(role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text := (SELECT v FROM pl.of_boss);
BEGIN
	PERFORM set_config('role', role, true);
	RETURN r;
END
$$;
GRANT USAGE ON SCHEMA pl TO regress_pl_boss;
SET ROLE regress_pl_app;
SELECT pl.through('SELECT pl.as_boss()'), pl.through('SELECT pl.boss_says()'), pl.through('SELECT pl.sneaks()');
SELECT pl.through('SELECT pl.boss_says()');
SET ROLE regress_pl_boss;
BEGIN;
SELECT * FROM cachex.fetch_many('pl', '{become}', $$SELECT k AS key, pl.becomes('regress_pl_app') AS value FROM unnest($1) AS k$$);
ROLLBACK;
RESET ROLE;
SET SESSION AUTHORIZATION regress_pl_app;
SELECT q, f.* FROM unnest(ARRAY['SELECT pl.as_boss()', 'SELECT pl.boss_says()', 'SELECT pl.sneaks()', 'become']) AS q, pl.has(q) AS f;
SELECT * FROM pl.through('SELECT pl.boss_says()');
RESET SESSION AUTHORIZATION;
-- What a function does as its owner is kept.
CREATE FUNCTION pl.of_definer() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$ BEGIN RETURN (SELECT v FROM pl.of_boss); END $$;
ALTER FUNCTION pl.of_definer() OWNER TO regress_pl_boss;
SET SESSION AUTHORIZATION regress_pl_app;
SELECT pl.through('SELECT pl.of_definer()');
SELECT pl.has('SELECT pl.of_definer()');
RESET SESSION AUTHORIZATION;

-- An IMMUTABLE function in the default of an argument, which the planner puts in and folds.
CREATE FUNCTION pl.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION pl.rate() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT v FROM pl.secret WHERE id = 1';
CREATE FUNCTION pl.with_default(x int, r text DEFAULT pl.rate()) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN x || r; END';
CREATE FUNCTION pl.with_sum(x int, y int DEFAULT pl.twice(1)) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN x + y; END';
SET ROLE regress_pl_app;
SELECT pl.warmed('SELECT pl.with_default(1)'), pl.has('SELECT pl.with_default(1)');
SELECT pl.warmed('SELECT pl.with_sum(1)::text'), pl.has('SELECT pl.with_sum(1)::text');
RESET ROLE;

SELECT cachex.drop_cache('pl'), cachex.drop_cache('pl_exact');
SET client_min_messages = warning;
DROP SCHEMA pl CASCADE;
DROP OWNED BY regress_pl_app, regress_pl_boss;
DROP ROLE regress_pl_app, regress_pl_boss;
