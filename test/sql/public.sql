-- What everybody may do, and what he is told.
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', state || ' ' || message, nullif(hint, ''));
END $$;

-- ---- privileges ----

-- A new function is everybody's unless it is revoked: does it check who calls?
SELECT p.oid::regprocedure FROM pg_proc p
WHERE pronamespace = 'cachex'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";
-- these are not, and whose they are
SELECT p.oid::regprocedure, ARRAY(SELECT a.grantee::regrole::text FROM aclexplode(p.proacl) AS a
	WHERE a.grantee <> p.proowner ORDER BY 1)
FROM pg_proc p
WHERE pronamespace = 'cachex'::regnamespace AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";
-- nothing else runs with another one's rights
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'cachex'::regnamespace AND prosecdef;
SELECT c.relkind, c.relname, c.relrowsecurity, a.grantee, a.privilege_type
FROM pg_class c LEFT JOIN LATERAL (SELECT CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, privilege_type
	FROM aclexplode(c.relacl) WHERE grantee <> c.relowner) AS a(grantee, privilege_type) ON true
WHERE c.relnamespace = 'cachex'::regnamespace AND c.relkind NOT IN ('i', 'c')
ORDER BY c.relkind, c.relname COLLATE "C", 4, 5;
SELECT CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, privilege_type
FROM pg_namespace n, aclexplode(n.nspacl) WHERE nspname = 'cachex' AND grantee <> nspowner;
-- views show what they do with the rights of who reads them, or say why not
SELECT c.relname, c.reloptions FROM pg_class c WHERE relnamespace = 'cachex'::regnamespace AND relkind = 'v'
ORDER BY c.relname COLLATE "C";

-- ---- a role without any privilege ----

CREATE ROLE regress_pub;
CREATE ROLE regress_pub_owner;
CREATE ROLE regress_pub_stats IN ROLE pg_monitor;
GRANT CREATE ON SCHEMA public TO regress_pub;
DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_pub_owner', current_database()); END$$;
CREATE TABLE theirs (k int, v int);
CREATE VIEW their_view AS SELECT * FROM theirs;
CREATE FUNCTION answer() RETURNS int STABLE LANGUAGE sql AS 'SELECT 42';
SET ROLE regress_pub_owner;
SELECT cachex.create_cache('pub', consistency => 'ttl');
SELECT cachex.put('pub', 'secret key', '1', tags => '{secret tag}', scope => 'secret scope');
SELECT cachex.create_warmer('pub', 'secret warmer', 'SELECT ''k'' AS key, 1 AS value', every => '1 day');
RESET ROLE;
SELECT cachex.put('default', 'key of another', '1');
SELECT cachex.refresh('default', 'job of another', query => 'SELECT 1 AS value, true AS ignore') > 0;

SET ROLE regress_pub;
CREATE TABLE mine (k int);
SELECT call, err('SELECT cachex.' || call) FROM unnest(ARRAY[
	-- caches
	$$create_cache('c')$$, $$alter_cache('pub', '{"ttl": "1 h"}')$$, $$alter_cache('default', '{"ttl": "1 h"}')$$,
	$$drop_cache('pub')$$, $$grant_cache('pub', 'regress_pub', 'read')$$, $$grant_cache('default', 'regress_pub', 'read')$$,
	$$revoke_cache('default', 'public', 'read')$$,
	-- reading
	$$get('pub', 'k')$$, $$get_as('pub', 'k', 1)$$, $$lookup('pub', 'k')$$, $$fetch('pub', 'k', 'SELECT 1')$$,
	$$fetch('pub', 'k', 'SELECT 1', mode => 'cached')$$, $$fetch_as('pub', 'k', 1, 'SELECT 1')$$,
	$$fetch_many('pub', '{k}', 'SELECT k AS key, 1 AS value FROM unnest($1) AS k')$$,
	$$query_as(1, 'SELECT 1', cache => 'pub')$$,
	$$get('default', 'key of another')$$, $$query_as(1, 'SELECT 1')$$,
	-- writing
	$$put('pub', 'k', '1')$$, $$put_many('pub', '{"k": 1}')$$, $$update('pub', 'k', '$1')$$, $$push('pub', 'k', '1')$$,
	$$incr('pub', 'k')$$, $$take('pub', 'k')$$, $$touch('pub', 'k')$$,
	$$put('default', 'k', '1')$$,
	-- invalidating
	$$invalidate('pub', 'k')$$, $$invalidate_tags('{t}')$$, $$invalidate_like('pub', '%')$$, $$clear('pub')$$,
	$$clear('pub', 's')$$, $$clear('default')$$, $$clear()$$, $$purge('pub')$$, $$purge()$$,
	$$invalidate('default', 'k')$$, $$invalidate_table('mine')$$, $$invalidate_table('theirs')$$,
	$$invalidate_table('their_view')$$, $$invalidate_table('pg_class')$$, $$invalidate_table('cachex.job')$$,
	-- tables
	$$watch('mine')$$, $$watch('mine', 'pub')$$, $$watch('mine', 'default', keys => '{<k>}')$$, $$watch('mine', tags => '{t}')$$,
	$$watch('theirs')$$, $$unwatch('theirs')$$, $$unwatch('mine')$$, $$on_change()$$, $$definition_changed()$$,
	$$warmers_changed()$$, $$new_cache_id()$$, $$function_use('answer()')$$,
	-- background
	$$create_warmer('pub', 'w', 'SELECT 1')$$, $$create_warmer('default', 'w', 'SELECT 1')$$, $$drop_warmer('pub', 'secret warmer')$$,
	$$warm('pub')$$, $$warm()$$, $$refresh('pub', 'k', query => 'SELECT 1')$$,
	$$refresh('default', 'own', query => 'SELECT 1 AS value, true AS ignore')$$,
	-- observing
	$$entries('pub')$$, $$entries('default')$$, $$reset_stats('pub')$$, $$reset_stats()$$, $$memory()$$, $$public_memory()$$,
	$$stats_of_caches()$$, $$dependencies_found()$$, $$running_warmer()$$, $$warm_epoch('pub')$$]) AS call;
-- tables of the extension
SELECT name, err('SELECT FROM cachex.' || name), err('DELETE FROM cachex.' || name)
FROM unnest('{cache_definition,stored_entry,stored_invalidation,warmer_definition,warmer_run,warmer_request,job,job_request,job_request_id_seq}'::text[]) AS name;
-- trigger functions that are not his
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION cachex.definition_changed();
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION cachex.warmers_changed();
CREATE FUNCTION cachex.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
-- nor are they for other tables
CREATE TRIGGER t AFTER INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION cachex.definition_changed();
INSERT INTO theirs VALUES (1, 1);
DROP TRIGGER t ON theirs;
CREATE TRIGGER t AFTER INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION cachex.warmers_changed();
INSERT INTO theirs VALUES (1, 1);
DROP TRIGGER t ON theirs;

-- ---- who may write to a table may invalidate it ----

CREATE FUNCTION may_invalidate(rel text, privilege text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format('GRANT %s ON %s TO regress_pub', privilege, rel);
	SET LOCAL ROLE regress_pub;
	found := err(format('SELECT cachex.invalidate_table(%L)', rel));
	RESET ROLE;
	EXECUTE format('REVOKE %s ON %s FROM regress_pub', privilege, rel);
	RETURN privilege || ': ' || found;
END $$;
SELECT may_invalidate('theirs', p) FROM unnest('{SELECT,REFERENCES,TRIGGER,SELECT (v),INSERT,UPDATE,DELETE,TRUNCATE,INSERT (v),UPDATE (v)}'::text[]) AS p;

-- ---- what is shown to whom ----

SELECT cachex.put('default', 'key of superuser', '1', tags => '{tag of superuser}');
CREATE FUNCTION shown(role name) RETURNS TABLE (what text, rows text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	RETURN QUERY SELECT 'stats', string_agg(cache, ', ' ORDER BY cache) FROM cachex.stats WHERE cache IN ('pub', 'default', 'queries')
	UNION ALL SELECT 'caches', string_agg(name, ', ' ORDER BY name) FROM cachex.caches WHERE name IN ('pub', 'default', 'queries')
	UNION ALL SELECT 'entries', string_agg(cache || ' ' || key, ', ' ORDER BY cache, key COLLATE "C") FROM cachex.entries() WHERE status <> 'dead'
		AND key LIKE '% %'
	UNION ALL SELECT 'tags', string_agg(name, ', ' ORDER BY name) FROM cachex.dependencies WHERE kind = 'tag' AND name LIKE '%ag%'
	UNION ALL SELECT 'warmers', string_agg(w.cache || ' ' || w.name || ': ' || w.query, ', ') FROM cachex.warmers w
	UNION ALL SELECT 'jobs', string_agg(j.cache || ' ' || j.key, ', ' ORDER BY j.key) FROM cachex.jobs j;
	RESET ROLE;
END $$;
SELECT * FROM shown('regress_pub');
SELECT * FROM shown('regress_pub_owner');
SELECT * FROM shown('regress_pub_stats');
-- either privilege shows the numbers, and none of them keys of others
SELECT cachex.grant_cache('pub', 'regress_pub', 'read');
SELECT * FROM shown('regress_pub');
SELECT cachex.revoke_cache('pub', 'regress_pub', 'read'), cachex.grant_cache('pub', 'regress_pub', 'write');
SELECT * FROM shown('regress_pub') WHERE what IN ('stats', 'entries');
-- of his own entries everything, and the owner sees those of others in his cache
SET ROLE regress_pub;
SELECT cachex.put('pub', 'key of pub', '1', tags => '{my tag}');
RESET ROLE;
SELECT * FROM shown('regress_pub') WHERE what IN ('entries', 'tags');
SELECT * FROM shown('regress_pub_owner') WHERE what IN ('entries', 'tags');
-- the owner of the database sees numbers, not keys
SELECT cachex.revoke_cache('pub', 'regress_pub', 'write');
DO $$BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO regress_pub', current_database()); END$$;
SELECT * FROM shown('regress_pub');
SET ROLE regress_pub;
SELECT err($$SELECT cachex.invalidate_tags('{t}')$$), err('SELECT cachex.purge()'), err($$SELECT cachex.purge('pub')$$);
RESET ROLE;
DO $$BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), session_user); END$$;
-- what an error of a job says is for its role: the owner of the cache sees that there was one
INSERT INTO cachex.job (id, cache, key, session, role, loader, max_attempts, created, status, last_error)
VALUES (-1, 'pub', 'failed', 'regress_pub'::regrole, 'regress_pub'::regrole, 1, 1, now(), 'failed', 'a row of pub');
SET ROLE regress_pub;
SELECT key, last_error FROM cachex.jobs WHERE id = -1;
SET ROLE regress_pub_owner;
SELECT key, last_error FROM cachex.jobs WHERE id = -1;
SET ROLE regress_pub_stats;
SELECT key, last_error FROM cachex.jobs WHERE id = -1;
RESET ROLE;
-- entries of a shared cache are nobody's: its owner's and the monitors' to see
SELECT cachex.alter_cache('pub', '{"shared": true}');
SELECT cachex.grant_cache('pub', 'regress_pub', 'read'), cachex.grant_cache('pub', 'regress_pub', 'write');
SET ROLE regress_pub;
SELECT cachex.put('pub', 'key of all', '1', tags => '{shared tag}');
RESET ROLE;
SELECT * FROM shown('regress_pub') WHERE what IN ('entries', 'tags');
SELECT * FROM shown('regress_pub_owner') WHERE what IN ('entries', 'tags');
SELECT * FROM shown('regress_pub_stats') WHERE what IN ('tags');

DROP TABLE mine, theirs CASCADE;
-- the jobs are gone before other tests count theirs
DO $$
BEGIN
	FOR i IN 1 .. 1200 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM cachex.jobs WHERE status IN ('pending', 'running'));
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
DELETE FROM cachex.job;
SELECT cachex.drop_cache('pub'), cachex.invalidate_like('default', 'key of %') > 0;
DROP FUNCTION err, answer, may_invalidate, shown;
REVOKE CREATE ON SCHEMA public FROM regress_pub;
DO $$BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM regress_pub_owner', current_database()); END$$;
DROP ROLE regress_pub, regress_pub_owner, regress_pub_stats;
