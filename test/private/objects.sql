-- The roles, and what they can read: for t/private_matrix.pl. Run by a
-- superuser, in a database with the extension.
SET client_min_messages = warning;

-- ---- who ----

CREATE ROLE m_owner;            -- of everything here
CREATE ROLE m_second;           -- owns a view and a function
CREATE ROLE m_reader;           -- may read it all
CREATE ROLE m_reader2;          -- the same
CREATE ROLE m_group;            -- may read most, and its members
CREATE ROLE m_member INHERIT IN ROLE m_group;
CREATE ROLE m_noinherit NOINHERIT IN ROLE m_group;
CREATE ROLE m_poor;             -- may read no table
CREATE ROLE m_viewer;           -- views, and no tables
CREATE ROLE m_columns;          -- one column
CREATE ROLE m_nousage;          -- tables in a schema that he may not use
CREATE ROLE m_noexec;           -- tables, and may call nothing
CREATE ROLE m_bypass BYPASSRLS; -- tables, and no policy counts
CREATE ROLE m_alice;            -- tables, and some rows of them
CREATE ROLE m_bob;              -- others
CREATE ROLE m_pool;             -- many users, who are in a setting
CREATE ROLE m_writer;           -- writes what he may not read
CREATE ROLE m_extra;            -- whose members and rights change
CREATE ROLE m_short;            -- dropped and created again

CREATE SCHEMA mx AUTHORIZATION m_owner;
CREATE SCHEMA hidden AUTHORIZATION m_owner;
GRANT USAGE ON SCHEMA mx TO PUBLIC;
GRANT USAGE ON SCHEMA hidden TO m_reader, m_reader2, m_group, m_viewer,
	m_columns, m_noexec, m_bypass, m_alice, m_bob, m_pool;

-- ---- tables ----

SET ROLE m_owner;
CREATE TABLE mx.plain (id int PRIMARY KEY, a text, b text, who text, uid text);
INSERT INTO mx.plain VALUES (1, 'a1', 'b1', 'm_alice', '1'), (2, 'a2', 'b2', 'm_bob', '2'),
	(3, 'a3', 'b3', 'm_owner', '3'), (4, 'a4', 'b4', 'm_second', '4');
CREATE TABLE mx.friends (who text, friend text);
INSERT INTO mx.friends VALUES ('m_alice', 'm_bob'), ('m_reader', 'm_owner');
CREATE TABLE mx.parts (LIKE mx.plain) PARTITION BY LIST (id);
CREATE TABLE mx.part1 PARTITION OF mx.parts FOR VALUES IN (1, 2);
CREATE TABLE mx.part2 PARTITION OF mx.parts DEFAULT;
CREATE TABLE mx.heirs (LIKE mx.plain);
CREATE TABLE mx.heir1 () INHERITS (mx.heirs);
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{mx.columns,mx.rls_on,mx.rls_off,mx.rls_forced,mx.rls_setting,mx.rls_function,
		mx.rls_unset,mx.rls_to,mx.rls_member,mx.rls_friends,mx.rls_restrict,mx.changing,mx.changing_rls,hidden.t}'::text[] LOOP
		EXECUTE format('CREATE TABLE %s (LIKE mx.plain)', t);
	END LOOP;
	FOREACH t IN ARRAY '{mx.columns,mx.rls_on,mx.rls_off,mx.rls_forced,mx.rls_setting,mx.rls_function,
		mx.rls_unset,mx.rls_to,mx.rls_member,mx.rls_friends,mx.rls_restrict,mx.changing,mx.changing_rls,hidden.t,mx.parts,mx.heir1}'::text[] LOOP
		EXECUTE format('INSERT INTO %s SELECT * FROM mx.plain', t);
	END LOOP;
END$$;
CREATE SEQUENCE mx.seq;
CREATE MATERIALIZED VIEW mx.stored AS SELECT * FROM mx.plain;

CREATE FUNCTION mx.uid() RETURNS text LANGUAGE sql STABLE
	AS 'SELECT current_setting(''app.user_id'', true)';
CREATE FUNCTION mx.uid_plpgsql() RETURNS text LANGUAGE plpgsql STABLE
	AS 'BEGIN RETURN current_setting(''app.user_id'', true); END';
CREATE FUNCTION mx.sees(w text) RETURNS boolean LANGUAGE plpgsql STABLE
	AS 'BEGIN RETURN w = current_user; END';

ALTER TABLE mx.rls_on ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_on USING (who = current_user);
CREATE POLICY p ON mx.rls_off USING (who = current_user);
ALTER TABLE mx.rls_forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_forced USING (mx.sees(who));
ALTER TABLE mx.rls_setting ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_setting USING (uid = current_setting('app.user_id', true));
ALTER TABLE mx.rls_function ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_function USING (uid = mx.uid() OR uid = (mx.uid_plpgsql()::int + 1)::text);
ALTER TABLE mx.rls_unset ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_unset USING (current_setting('app.z', true) IS NULL OR uid = current_setting('app.z', true));
ALTER TABLE mx.rls_to ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_to TO m_group USING (id < 3);
CREATE POLICY q ON mx.rls_to TO m_reader, m_alice USING (id > 3);
ALTER TABLE mx.rls_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_member USING (pg_has_role('m_group', 'USAGE'));
ALTER TABLE mx.rls_friends ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_friends USING (EXISTS (SELECT FROM mx.friends AS f
	WHERE f.who = current_user AND f.friend = rls_friends.who));
ALTER TABLE mx.rls_restrict ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.rls_restrict USING (true);
CREATE POLICY q ON mx.rls_restrict AS RESTRICTIVE USING (who <> current_user);
ALTER TABLE mx.changing_rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.changing_rls USING (who = current_user);
CREATE POLICY two ON mx.changing_rls TO m_viewer USING (id = 2);
ALTER TABLE mx.parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mx.parts USING (who = current_user OR id = 3);

GRANT SELECT ON ALL TABLES IN SCHEMA mx TO m_reader, m_reader2, m_group, m_noexec, m_bypass, m_alice, m_bob, m_pool;
GRANT SELECT ON ALL TABLES IN SCHEMA hidden TO m_reader, m_reader2, m_group, m_nousage, m_noexec, m_bypass;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA mx TO m_reader, m_reader2;
REVOKE ALL ON mx.part1, mx.heir1, mx.columns FROM m_reader, m_alice, m_bob;
GRANT SELECT (id, a) ON mx.columns TO m_columns, m_reader, m_alice;
GRANT SELECT (id, b) ON mx.columns TO m_bob;
GRANT SELECT (id, a, who) ON mx.plain TO m_columns;
REVOKE ALL ON mx.changing, mx.changing_rls FROM PUBLIC, m_alice, m_bob, m_group;
GRANT SELECT ON mx.changing_rls TO m_alice, m_bob;

-- ---- views ----

CREATE VIEW mx.v_plain AS SELECT * FROM mx.plain;
CREATE VIEW mx.v_rls AS SELECT * FROM mx.rls_on;
CREATE VIEW mx.v_forced AS SELECT * FROM mx.rls_forced;
CREATE VIEW mx.v_barrier WITH (security_barrier) AS SELECT * FROM mx.plain WHERE who = current_user;
CREATE VIEW mx.v_invoker WITH (security_invoker) AS SELECT * FROM mx.plain;
CREATE VIEW mx.v_invoker_rls WITH (security_invoker) AS SELECT * FROM mx.rls_on;
CREATE VIEW mx.v_user AS SELECT id, a, current_user::text AS u FROM mx.plain;
CREATE VIEW mx.v_session AS SELECT id, a, session_user::text AS u FROM mx.plain;
CREATE VIEW mx.v_has AS SELECT id, CASE WHEN has_table_privilege('mx.v_invoker', 'SELECT')
	AND pg_has_role('m_group', 'MEMBER') THEN a END AS a FROM mx.plain;
CREATE VIEW mx.v_setting AS SELECT * FROM mx.plain WHERE uid = current_setting('app.user_id', true);
CREATE VIEW mx.v_function AS SELECT * FROM mx.plain WHERE mx.sees(who);
CREATE VIEW mx.v_changing AS SELECT * FROM mx.changing;
CREATE VIEW mx.v_of_changing AS SELECT * FROM mx.v_changing;
CREATE VIEW mx.v_changing_rls AS SELECT * FROM mx.changing_rls;
CREATE VIEW mx.v_hidden AS SELECT * FROM hidden.t;
CREATE VIEW mx.v_invoker_of_view WITH (security_invoker) AS SELECT * FROM mx.v_rls;
GRANT SELECT ON mx.v_changing, mx.v_of_changing, mx.v_changing_rls TO m_reader, m_viewer;
GRANT SELECT ON mx.v_plain, mx.v_rls, mx.v_forced, mx.v_barrier, mx.v_invoker, mx.v_invoker_rls, mx.v_user,
	mx.v_session, mx.v_has, mx.v_setting, mx.v_function, mx.v_hidden, mx.v_invoker_of_view
	TO m_reader, m_reader2, m_viewer, m_alice, m_bob, m_pool, m_noexec, m_group;
GRANT SELECT ON mx.plain, mx.rls_on TO m_second;
GRANT CREATE ON SCHEMA mx TO m_second;
SET ROLE m_second;
CREATE VIEW mx.v_second AS SELECT * FROM mx.rls_on;
CREATE VIEW mx.v_over AS SELECT * FROM mx.plain WHERE id > 1;
GRANT SELECT ON mx.v_second, mx.v_over TO m_reader, m_viewer, m_alice, m_bob;

-- ---- functions ----

SET ROLE m_owner;
CREATE FUNCTION mx.f_inline(text) RETURNS text LANGUAGE sql STABLE AS $$SELECT 'x' || $1$$;
CREATE FUNCTION mx.f_rows() RETURNS TABLE (id int, a text) LANGUAGE sql STABLE
	AS 'SELECT id, a FROM mx.plain';
CREATE FUNCTION mx.f_rows_rls() RETURNS SETOF mx.rls_on LANGUAGE sql STABLE
	AS 'SELECT * FROM mx.rls_on';
CREATE FUNCTION mx.f_rows_atomic() RETURNS TABLE (id int, a text) LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT id, a FROM mx.plain WHERE who <> CURRENT_USER;
END;
CREATE FUNCTION mx.f_sql() RETURNS text LANGUAGE sql STABLE
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.plain$$;
CREATE FUNCTION mx.f_sql_rls() RETURNS text LANGUAGE sql STABLE
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.rls_on$$;
CREATE FUNCTION mx.f_sql_set() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.plain$$;
CREATE FUNCTION mx.f_sql_definer() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.rls_on$$;
CREATE FUNCTION mx.f_sql_definer_session() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.plain WHERE who <> session_user$$;
CREATE FUNCTION mx.f_plpgsql() RETURNS text LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN (SELECT string_agg(a, ',' ORDER BY id) FROM mx.plain); END$$;
CREATE FUNCTION mx.f_plpgsql_rls() RETURNS text LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN (SELECT string_agg(a, ',' ORDER BY id) FROM mx.rls_on); END$$;
CREATE FUNCTION mx.f_plpgsql_dynamic() RETURNS text LANGUAGE plpgsql STABLE
	AS $$DECLARE r text; BEGIN EXECUTE 'SELECT string_agg(a, '','' ORDER BY id) FROM mx.rls_on' INTO r; RETURN r; END$$;
CREATE FUNCTION mx.f_plpgsql_definer() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
	AS $$BEGIN RETURN current_user || (SELECT string_agg(a, ',' ORDER BY id) FROM mx.rls_forced); END$$;
CREATE FUNCTION mx.f_definer_session() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
	AS 'BEGIN RETURN session_user; END';
CREATE FUNCTION mx.f_changing() RETURNS text LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN (SELECT string_agg(a, ',' ORDER BY id) FROM mx.changing_rls); END$$;
CREATE FUNCTION mx.f_changing_definer() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM mx.changing_rls$$;
CREATE FUNCTION mx.f_fold() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'secret'$$;
CREATE FUNCTION mx.f_fold_plpgsql(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
	AS $$BEGIN RETURN 'secret of ' || $1; END$$;
CREATE FUNCTION mx.f_fold_outer() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT mx.f_fold() || '!'$$;
CREATE FUNCTION mx.f_fold_deep() RETURNS text LANGUAGE plpgsql IMMUTABLE
	AS $$BEGIN RETURN mx.f_fold_plpgsql('all'); END$$;
CREATE FUNCTION mx.f_unused(int) RETURNS text LANGUAGE plpgsql STABLE AS $$BEGIN RETURN 'u'; END$$;
CREATE FUNCTION mx.f_user() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
CREATE FUNCTION mx.f_user_plpgsql() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_user; END';
CREATE FUNCTION mx.f_session_plpgsql() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN session_user; END';
CREATE FUNCTION mx.f_has_plpgsql() RETURNS text LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN pg_has_role('m_group', 'USAGE')::text || has_schema_privilege('hidden', 'USAGE')::text; END$$;
CREATE FUNCTION mx.f_role_set() RETURNS text LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN current_setting('role') || current_setting('is_superuser'); END$$;
CREATE FUNCTION mx.f_default(text DEFAULT mx.f_fold_plpgsql('default')) RETURNS text LANGUAGE sql STABLE
	AS 'SELECT $1';
CREATE FUNCTION mx.f_step(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + $2';
CREATE AGGREGATE mx.total(int) (SFUNC = mx.f_step, STYPE = int);
CREATE FUNCTION mx.f_same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 = $2; END';
CREATE OPERATOR mx.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = mx.f_same);
CREATE TYPE mx.wrapped AS (v text);
CREATE FUNCTION mx.f_wrap(text) RETURNS mx.wrapped LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::mx.wrapped';
CREATE CAST (text AS mx.wrapped) WITH FUNCTION mx.f_wrap(text);
CREATE FUNCTION hidden.f() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'hidden'$$;
CREATE FUNCTION hidden.f_definer() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	AS $$SELECT string_agg(a, ',' ORDER BY id) FROM hidden.t$$;
CREATE FUNCTION mx.f_check(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 < 9; END';
CREATE DOMAIN mx.checked AS int CHECK (mx.f_check(VALUE));
CREATE DOMAIN mx.not_bobs AS int CHECK (VALUE > 0 AND current_user <> 'm_bob');
CREATE FUNCTION mx.f_caught() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (SELECT max(a) FROM hidden.t);
EXCEPTION WHEN insufficient_privilege THEN
	RETURN 'denied';
END $$;
CREATE FUNCTION mx.f_asks_first() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF has_table_privilege('hidden.t', 'SELECT') THEN
		RETURN mx.f_sql_definer();
	END IF;
END $$;
CREATE TYPE hidden.kind AS ENUM ('k', 'l');
CREATE DOMAIN hidden.small AS int CHECK (VALUE < 10);
CREATE COLLATION hidden.c FROM "C";
CREATE OPERATOR hidden.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = mx.f_same);
CREATE TEXT SEARCH CONFIGURATION hidden.words (COPY = pg_catalog.simple);
CREATE VIEW mx.v_calls AS SELECT id, mx.f_user() || mx.f_inline(a) AS a FROM mx.plain;
GRANT SELECT ON mx.v_calls TO m_reader, m_reader2, m_viewer, m_alice, m_noexec;
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace IN ('mx'::regnamespace, 'hidden'::regnamespace)
		AND proowner = 'm_owner'::regrole AND proname <> ALL ('{uid,uid_plpgsql,sees,f_caught,f_asks_first}') LOOP
		EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO m_reader, m_reader2, m_group, m_poor, m_nousage, m_bypass, m_alice, m_pool', f);
	END LOOP;
	-- what is inside is checked by itself
	GRANT EXECUTE ON FUNCTION mx.f_fold_outer(), mx.f_fold_deep(), mx.f_default(text) TO m_noexec;
END$$;
RESET ROLE;

-- ---- caches, and all their tables watched ----

SELECT cachex.create_cache(format('%s_%s%s', s, k, t), consistency => k, shared => s = 'shared',
	ttl => CASE t WHEN '' THEN '1 hour' ELSE '1 us' END::interval,
	negative_ttl => CASE t WHEN '' THEN '1 hour' ELSE '1 us' END::interval,
	stale_for => CASE t WHEN '' THEN '0' ELSE '1 hour' END::interval)
FROM unnest('{private,shared}'::text[]) s, unnest('{ttl,exact}'::text[]) k, unnest('{"",_stale,_sync_stale}'::text[]) t;
SELECT cachex.create_cache(format('%s_%s_%s', s, k, p), consistency => k, shared => s = 'shared', persist => p)
FROM unnest('{private,shared}'::text[]) s, unnest('{ttl,exact}'::text[]) k, unnest('{table,snapshot}'::text[]) p
WHERE s = 'private' OR p = 'snapshot';
SELECT cachex.grant_cache(name, 'public', p) FROM cachex.caches, unnest('{read,write}'::text[]) p
WHERE name ~ '^(private|shared)_';
SELECT cachex.create_cache('inner_private');
SELECT cachex.grant_cache('inner_private', 'public', p) FROM unnest('{read,write}'::text[]) p;
SELECT cachex.watch(c.oid::regclass) FROM pg_class AS c
WHERE relnamespace IN ('mx'::regnamespace, 'hidden'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition;
CREATE FUNCTION mx.f_nested() RETURNS jsonb LANGUAGE sql STABLE
	AS $$SELECT cachex.fetch('inner_private', 'k', 'SELECT jsonb_agg(a ORDER BY id) FROM mx.rls_on')$$;
CREATE FUNCTION mx.f_nested_definer() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
	AS $$SELECT cachex.fetch('inner_private', 'd', 'SELECT jsonb_agg(a ORDER BY id) FROM mx.rls_on')$$;
ALTER FUNCTION mx.f_nested_definer() OWNER TO m_alice;

-- ---- caches with a loader, caches of some ----

CREATE FUNCTION mx.load(key text) RETURNS jsonb LANGUAGE plpgsql STABLE
	AS $$BEGIN RETURN (SELECT jsonb_agg(key || a ORDER BY id) FROM mx.rls_on); END$$;
CREATE FUNCTION mx.load_plain(key text) RETURNS jsonb LANGUAGE sql STABLE
	AS $$SELECT jsonb_agg(key || a ORDER BY id) FROM mx.plain$$;
REVOKE EXECUTE ON FUNCTION mx.load(text), mx.load_plain(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mx.load(text), mx.load_plain(text) TO m_reader, m_alice, m_poor, m_nousage, m_group;
SELECT cachex.create_cache(format('%s_%s_%s', s, k, f), consistency => k, shared => s = 'shared', loader => format('mx.%s(text)', f)::regprocedure),
	cachex.grant_cache(format('%s_%s_%s', s, k, f), 'public', 'read'), cachex.grant_cache(format('%s_%s_%s', s, k, f), 'public', 'write')
FROM unnest('{private,shared}'::text[]) s, unnest('{ttl,exact}'::text[]) k, unnest('{load,load_plain}'::text[]) f;
SELECT cachex.create_cache(format('%s_%s_some', s, k), consistency => k, shared => s = 'shared'),
	cachex.grant_cache(format('%s_%s_some', s, k), 'm_reader', 'read'), cachex.grant_cache(format('%s_%s_some', s, k), 'm_reader', 'write'),
	cachex.grant_cache(format('%s_%s_some', s, k), 'm_alice', 'read'), cachex.grant_cache(format('%s_%s_some', s, k), 'm_bob', 'write'),
	cachex.grant_cache(format('%s_%s_some', s, k), 'm_group', 'read'), cachex.grant_cache(format('%s_%s_some', s, k), 'pg_database_owner', 'read')
FROM unnest('{private,shared}'::text[]) s, unnest('{ttl,exact}'::text[]) k;

-- ---- tables that put their rows ----

CREATE TABLE mx.put_plain (id int PRIMARY KEY, v text, who text DEFAULT current_user, secret text DEFAULT 'secret');
CREATE TABLE mx.put_rls (LIKE mx.put_plain INCLUDING ALL);
ALTER TABLE mx.put_rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY r ON mx.put_rls FOR SELECT USING (who = 'm_owner' AND current_user IN ('m_alice', 'm_writer') OR who = current_user AND who <> 'm_writer');
CREATE POLICY w ON mx.put_rls FOR INSERT WITH CHECK (true);
GRANT INSERT ON mx.put_plain, mx.put_rls TO m_writer, m_owner, m_alice, m_columns;
GRANT SELECT ON mx.put_plain TO m_reader, m_alice;
GRANT SELECT ON mx.put_rls TO m_reader, m_alice, m_writer, m_bypass;
GRANT SELECT (id, v) ON mx.put_plain TO m_columns;
SELECT cachex.watch(t, format('%s_%s', s, k), keys => '{<id>}', action => 'put')
FROM unnest('{private,shared}'::text[]) s, unnest('{ttl,exact}'::text[]) k, unnest('{mx.put_plain,mx.put_rls}'::regclass[]) t;
ALTER TABLE mx.put_plain OWNER TO m_owner;
ALTER TABLE mx.put_rls OWNER TO m_owner;

SELECT lo_from_bytea(4711, 'large');
GRANT SELECT ON LARGE OBJECT 4711 TO m_reader;
CREATE OPERATOR hidden.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = text_lt);
CREATE OPERATOR CLASS hidden.o FOR TYPE text USING btree AS OPERATOR 1 hidden.<<<, OPERATOR 3 =, FUNCTION 1 bttextcmp(text, text);
CREATE TYPE hidden.wrapped AS (v text);
CREATE FUNCTION mx.f_hidden_wrap(text) RETURNS hidden.wrapped LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::hidden.wrapped';
CREATE CAST (text AS hidden.wrapped) WITH FUNCTION mx.f_hidden_wrap(text);
CREATE FUNCTION mx.f_record() RETURNS SETOF record LANGUAGE sql STABLE AS 'SELECT ''k''::text, 1';
REVOKE EXECUTE ON FUNCTION reverse(text), bit_xor(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reverse(text), bit_xor(int) TO m_reader, m_group, m_alice;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE template1 TO m_reader;
