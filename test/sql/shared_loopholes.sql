-- Ways for a role to be served what another one has loaded into a shared cache,
-- although it could not load it itself.
\set VERBOSITY terse
CREATE ROLE regress_sl_boss;
CREATE ROLE regress_sl_alice IN ROLE regress_sl_boss, pg_read_all_settings;
CREATE ROLE regress_sl_bob;
CREATE SCHEMA sl;
GRANT USAGE ON SCHEMA sl TO PUBLIC;
GRANT ALL ON SCHEMA sl TO regress_sl_boss;

SELECT cachex.create_cache('sl', consistency => 'ttl', shared => true);
SELECT cachex.grant_cache('sl', 'public', 'read');
SELECT cachex.grant_cache('sl', 'public', 'write');

-- What both are served, and who computes it, of a loader that alice runs first.
CREATE FUNCTION sl.both(loader text) RETURNS TABLE (alice text, bob text)
LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL SESSION AUTHORIZATION regress_sl_alice;
	alice := cachex.fetch('sl', loader, loader) #>> '{}';
	-- as in another session
	DISCARD PLANS;
	SET LOCAL SESSION AUTHORIZATION regress_sl_bob;
	BEGIN
		bob := cachex.fetch('sl', loader, loader) #>> '{}';
	EXCEPTION WHEN insufficient_privilege OR check_violation THEN
		bob := 'error ' || sqlstate;
	END;
	SET LOCAL SESSION AUTHORIZATION DEFAULT;
	RETURN NEXT;
END
$$;

-- Without any of that it is served.
SELECT * FROM sl.both('SELECT 42');
SELECT hits, misses, not_shared FROM cachex.stats WHERE cache = 'sl';

-- A function that changes the role: not everybody may.
CREATE TABLE sl.secret AS SELECT 'of the boss' AS v;
ALTER TABLE sl.secret OWNER TO regress_sl_boss;
CREATE FUNCTION sl.as_boss() RETURNS text LANGUAGE plpgsql STABLE
SET role = 'regress_sl_boss' AS $$ BEGIN RETURN (SELECT v FROM sl.secret); END $$;
SELECT * FROM sl.both('SELECT sl.as_boss()');

-- A function that runs as its owner can see the session's user all the same.
CREATE TABLE sl.rows_of AS VALUES ('regress_sl_alice', 'a'), ('regress_sl_bob', 'b');
ALTER TABLE sl.rows_of OWNER TO regress_sl_boss;
CREATE FUNCTION sl.mine(setting text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
AS $$ SELECT column2 FROM sl.rows_of WHERE column1 = current_setting(setting) $$;
ALTER FUNCTION sl.mine(text) OWNER TO regress_sl_boss;
SELECT * FROM sl.both('SELECT sl.mine(''session_authorization'')');

-- A setting that not everybody may read.
SELECT alice <> '' AS alice, bob
FROM sl.both('SELECT current_setting(''hba_file'')');
SELECT alice <> '' AS alice, bob
FROM sl.both('SELECT current_setting(''HBA_File'')');

-- A function that the query of another function calls through a view.
CREATE FUNCTION sl.guarded() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'guarded'::text $$;
REVOKE ALL ON FUNCTION sl.guarded() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sl.guarded() TO regress_sl_alice;
CREATE VIEW sl.calls AS SELECT sl.guarded() AS x;
GRANT SELECT ON sl.calls TO PUBLIC;
CREATE FUNCTION sl.reads() RETURNS text LANGUAGE plpgsql STABLE
AS $$ BEGIN RETURN (SELECT x FROM sl.calls); END $$;
SELECT * FROM sl.both('SELECT sl.reads()');

-- A body that has been read as other settings have it.
CREATE FUNCTION sl.backslash() RETURNS text LANGUAGE plpgsql STABLE AS $q$ BEGIN RETURN 'a\' || sl.guarded() /* ' */; END $q$;
\c -
SET SESSION AUTHORIZATION regress_sl_alice;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = on;
SELECT cachex.fetch('sl', 'off', 'SELECT 1 WHERE false AND sl.backslash() IS NULL');
RESET standard_conforming_strings;
RESET backslash_quote;
SELECT cachex.fetch('sl', 'backslash', 'SELECT sl.backslash()');
\c -
SET SESSION AUTHORIZATION regress_sl_bob;
SELECT cachex.get('sl', 'backslash'), cachex.fetch('sl', 'backslash', 'SELECT sl.backslash()');
RESET SESSION AUTHORIZATION;

-- What a function that says IMMUTABLE has read when a plan was made that is kept.
CREATE TABLE sl.read_early AS SELECT 'of alice' AS v;
GRANT SELECT ON sl.read_early TO regress_sl_alice;
CREATE FUNCTION sl.imm() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT v FROM sl.read_early $$;
CREATE FUNCTION sl.calls_imm() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE x text; BEGIN x := sl.imm(); RETURN x; END $$;
\c -
SET SESSION AUTHORIZATION regress_sl_alice;
SELECT count(sl.calls_imm()) FROM generate_series(1, 8);
SELECT cachex.fetch('sl', 'calls_imm', 'SELECT sl.calls_imm()');
\c -
SET SESSION AUTHORIZATION regress_sl_bob;
SELECT cachex.get('sl', 'calls_imm'), cachex.fetch('sl', 'calls_imm', 'SELECT sl.calls_imm()');
RESET SESSION AUTHORIZATION;

-- Conditions of domains that PL/pgSQL evaluates, of variables, results, arguments
-- and rows: by a function that not everybody can call, or by the user's name.
CREATE FUNCTION sl.checks(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 IS NOT NULL; END $$;
REVOKE ALL ON FUNCTION sl.checks(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sl.checks(text) TO regress_sl_alice;
CREATE DOMAIN sl.guarded_word AS text CHECK (sl.checks(VALUE));
CREATE DOMAIN sl.not_bob AS text CHECK (current_user <> 'regress_sl_bob');
CREATE DOMAIN sl.not_empty AS text NOT NULL CHECK (length(VALUE) > 0);
CREATE TABLE sl.words AS SELECT 1 AS id, 'w'::sl.not_bob AS word;
GRANT SELECT ON sl.words TO PUBLIC;
CREATE FUNCTION sl.w_guarded() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE w sl.guarded_word := 'w'; BEGIN RETURN w; END $$;
CREATE FUNCTION sl.w_variable() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE w sl.not_bob := 'w'; BEGIN RETURN w; END $$;
CREATE FUNCTION sl.w_list() RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE w sl.not_bob[] := '{w}'; BEGIN RETURN cardinality(w); END $$;
CREATE FUNCTION sl.w_column() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE w sl.words.word%TYPE := 'w'; BEGIN RETURN w; END $$;
CREATE FUNCTION sl.w_returned() RETURNS sl.not_bob LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 'w'; END $$;
CREATE FUNCTION sl.w_taken(w sl.not_bob) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN w; END $$;
CREATE FUNCTION sl.w_takes() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN sl.w_taken('w'); END $$;
CREATE FUNCTION sl.w_row() RETURNS text LANGUAGE sql STABLE AS $$ SELECT (jsonb_populate_record(NULL::sl.words, '{"word": "w"}')).word $$;
CREATE FUNCTION sl.w_standard() RETURNS text LANGUAGE sql STABLE SET work_mem = '1MB' RETURN 'w'::sl.not_bob;
SELECT l, b.* FROM unnest('{guarded,variable,list,column,returned,takes,row,standard}'::text[]) AS l, sl.both(format('SELECT sl.w_%s()', l)) AS b;
SELECT * FROM sl.both($$SELECT (jsonb_populate_record(t, '{"word": "z"}')).word FROM sl.words AS t$$);
-- Others are the same for all: an entry is served.
CREATE FUNCTION sl.w_plain() RETURNS sl.not_empty LANGUAGE plpgsql STABLE AS $$ DECLARE w sl.not_empty := 'w'; BEGIN RETURN w; END $$;
SELECT hits FROM cachex.stats WHERE cache = 'sl' \gset
SELECT * FROM sl.both('SELECT sl.w_plain()');
SELECT hits - :hits AS hits FROM cachex.stats WHERE cache = 'sl';
-- Until that changes.
\c -
ALTER DOMAIN sl.not_empty ADD CHECK (current_user <> 'regress_sl_bob');
SELECT * FROM sl.both('SELECT sl.w_plain() /* 2 */');
ALTER DOMAIN sl.not_empty DROP CONSTRAINT not_empty_check1;
SELECT * FROM sl.both('SELECT sl.w_plain() /* 3 */');
SELECT hits - :hits AS hits FROM cachex.stats WHERE cache = 'sl';

-- A cast to json, which the server finds by itself.
CREATE TYPE sl.mood AS ENUM ('good');
CREATE FUNCTION sl.mood_json(sl.mood) RETURNS json LANGUAGE plpgsql STABLE
AS $$ BEGIN RETURN to_json(current_user::text); END $$;
CREATE CAST (sl.mood AS json) WITH FUNCTION sl.mood_json(sl.mood);
CREATE TABLE sl.moods AS SELECT 'good'::sl.mood AS m;
GRANT SELECT ON sl.moods TO PUBLIC;
SELECT * FROM sl.both('SELECT m FROM sl.moods');
SELECT * FROM sl.both('SELECT to_json(m) FROM sl.moods');
DROP CAST (sl.mood AS json);
SELECT * FROM sl.both('SELECT m FROM sl.moods AS again');

-- A type that only one session has.
CREATE DOMAIN public.sl_word AS text;
CREATE FUNCTION sl.word() RETURNS text LANGUAGE plpgsql STABLE
AS $$ DECLARE w sl_word := '1'; BEGIN RETURN w; END $$;
\c -
CREATE DOMAIN pg_temp.sl_word AS boolean;
SET SESSION AUTHORIZATION regress_sl_bob;
SELECT cachex.fetch('sl', 'word', 'SELECT sl.word()');
\c -
SET SESSION AUTHORIZATION regress_sl_alice;
SELECT cachex.fetch('sl', 'word', 'SELECT sl.word()');
RESET SESSION AUTHORIZATION;
DROP DOMAIN public.sl_word;

-- A catalog that a role may no longer read.
GRANT SELECT (rolname) ON pg_authid TO regress_sl_bob;
SET ROLE regress_sl_bob;
SELECT cachex.fetch('sl', 'catalog', $$SELECT rolname FROM pg_authid WHERE rolname = 'regress_sl_bob'$$);
RESET ROLE;
REVOKE SELECT (rolname) ON pg_authid FROM regress_sl_bob;
SET ROLE regress_sl_bob;
SELECT cachex.fetch('sl', 'catalog', $$SELECT rolname FROM pg_authid WHERE rolname = 'regress_sl_bob'$$);
RESET ROLE;

-- The owner of the database is a member of pg_database_owner, and no longer.
SELECT cachex.create_cache('sl_owned');
SELECT cachex.grant_cache('sl_owned', 'pg_database_owner', 'read');
CREATE PROCEDURE sl.give_database(role name) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), role);
END
$$;
SELECT current_user AS me \gset
CALL sl.give_database('regress_sl_bob');
SET ROLE regress_sl_bob;
SELECT cachex.get('sl_owned', 'k');
RESET ROLE;
CALL sl.give_database(:'me');
SET ROLE regress_sl_bob;
SELECT cachex.get('sl_owned', 'k');
RESET ROLE;

-- lookup() tells that a job is under way for this role.
CREATE FUNCTION sl.loader(key text) RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT to_jsonb(key) $$;
GRANT EXECUTE ON FUNCTION sl.loader(text) TO PUBLIC;
SELECT cachex.alter_cache('sl', '{"loader": "sl.loader(text)"}');
SET client_min_messages = error;
BEGIN;
SET LOCAL ROLE regress_sl_alice;
SELECT cachex.refresh('sl', 'job') IS NOT NULL AS asked;
SELECT status FROM cachex.lookup('sl', 'job');
ROLLBACK;
RESET client_min_messages;

SELECT cachex.drop_cache('sl'), cachex.drop_cache('sl_owned');
SET client_min_messages = warning;
DROP SCHEMA sl CASCADE;
DROP OWNED BY regress_sl_alice, regress_sl_bob, regress_sl_boss;
DROP ROLE regress_sl_alice, regress_sl_bob, regress_sl_boss;
