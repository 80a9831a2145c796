-- Who an entry is: cache, scope, key and the effective role.
SELECT cachex.create_cache('ident', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('ident', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
CREATE ROLE regress_cachex_a;
CREATE ROLE regress_cachex_b;
CREATE ROLE regress_cachex_owner;

-- A scope is a part of it, not a prefix of the key.
SELECT cachex.put('ident', 'k', '"none"'), cachex.put('ident', 'k', '"s"', scope => 's'),
	cachex.put('ident', 'k', '"t"', scope => 't'),
	cachex.put('ident', 'sk', '"sk"'), cachex.put('ident', 'k', '"s:k"', scope => 's:k'),
	cachex.put('ident', 's:k', '"s:k without"');
SELECT cachex.get('ident', 'k'), cachex.get('ident', 'k', scope => 's'),
	cachex.get('ident', 'k', scope => 't'), cachex.get('ident', 'sk'),
	cachex.get('ident', 'k', scope => 's:k'), cachex.get('ident', 's:k'),
	cachex.get('ident', 's', scope => 'k'), cachex.get('ident', 'k', scope => 'u');
SELECT scope, key FROM cachex.entries('ident') ORDER BY scope COLLATE "C", key COLLATE "C";
SELECT scope, key, status FROM cachex.lookup('ident', 'k', scope => 's');
-- every function that takes a key takes one
SELECT cachex.get_as('ident', 'k', NULL::jsonb, scope => 's'),
	cachex.fetch('ident', 'k', 'SELECT 1', scope => 's'),
	cachex.fetch_as('ident', 'k', NULL::jsonb, 'SELECT 1', scope => 's'),
	cachex.update('ident', 'k', '$1 || ''"u"''', scope => 's'),
	cachex.push('ident', 'k', '"p"', scope => 's'),
	cachex.put_many('ident', '{"n": 1}', scope => 's'),
	cachex.incr('ident', 'n', scope => 's'),
	cachex.touch('ident', 'n', scope => 's'), cachex.touch('ident', 'n');
SELECT * FROM cachex.fetch_many('ident', '{k,n,m}', 'SELECT k AS key, 0 AS value FROM unnest($1) AS k', scope => 's');
SELECT cachex.take('ident', 'm', scope => 's'), cachex.take('ident', 'm');
SELECT cachex.get('ident', 'k'), cachex.get('ident', 'n');
-- the longest scope, and one of other characters
SELECT cachex.put('ident', 'k', '1', scope => repeat('s', 255)),
	cachex.put('ident', 'k', '2', scope => 'ключ'),
	cachex.get('ident', 'k', scope => repeat('s', 255)), cachex.get('ident', 'k', scope => 'ключ');

-- An entry belongs to the role that is effective when it is stored: another
-- one does not see it, cannot change it, and has one of its own.
SELECT cachex.clear('ident');
SELECT cx_wait($$entries = 0 FROM cachex.stats WHERE cache = 'ident'$$);
SET ROLE regress_cachex_a;
SELECT cachex.fetch('ident', 'who', 'SELECT current_user');
SELECT cachex.put('ident', 'k', '"a"', tags => '{t}');
SELECT cachex.put('ident', 'only a', '1');
SET ROLE regress_cachex_b;
SELECT cachex.get('ident', 'k'), (cachex.lookup('ident', 'k')).status,
	cachex.fetch('ident', 'who', 'SELECT current_user');
SELECT cachex.take('ident', 'k'), cachex.touch('ident', 'k'),
	cachex.put('ident', 'k', '"b"', only_if => 'present');
SELECT cachex.put('ident', 'k', '"b"', only_if => 'absent', tags => '{t}');
SELECT cachex.get('ident', 'k'), cachex.fetch('ident', 'who', 'SELECT current_user', mode => 'cached');
RESET ROLE;
SELECT cachex.get('ident', 'k'), cachex.fetch('ident', 'who', 'SELECT current_user') = to_jsonb(current_user) AS own;
SET ROLE regress_cachex_a;
SELECT cachex.get('ident', 'k'), cachex.fetch('ident', 'who', 'SELECT current_user', mode => 'cached');
-- nor is it listed to another
SELECT key, cachex.get('ident', key) FROM cachex.entries('ident') ORDER BY key;
SET ROLE regress_cachex_b;
SELECT key, cachex.get('ident', key) FROM cachex.entries('ident') ORDER BY key;
RESET ROLE;
GRANT pg_read_all_stats TO regress_cachex_b;
SET ROLE regress_cachex_b;
SELECT key, count(*) FROM cachex.entries('ident') GROUP BY key ORDER BY key;
RESET ROLE;

-- SET SESSION AUTHORIZATION and SECURITY DEFINER are roles as well; so is the
-- one that the rollback of a SET ROLE brings back.
SET SESSION AUTHORIZATION regress_cachex_a;
SELECT cachex.get('ident', 'k');
SET SESSION AUTHORIZATION regress_cachex_b;
SELECT cachex.get('ident', 'k');
RESET SESSION AUTHORIZATION;
CREATE FUNCTION get_as_definer() RETURNS jsonb LANGUAGE sql SECURITY DEFINER
AS $$ SELECT cachex.get('ident', 'k') $$;
ALTER FUNCTION get_as_definer OWNER TO regress_cachex_a;
SET ROLE regress_cachex_b;
SELECT cachex.get('ident', 'k'), get_as_definer(), cachex.get('ident', 'k');
BEGIN;
SET LOCAL ROLE regress_cachex_a;
SELECT cachex.get('ident', 'k');
ROLLBACK;
SELECT cachex.get('ident', 'k');
BEGIN;
SAVEPOINT s;
SET LOCAL ROLE regress_cachex_a;
SELECT cachex.put('ident', 'k', '"a again"');
RELEASE s;
SELECT cachex.get('ident', 'k');
COMMIT;
SELECT cachex.get('ident', 'k');
RESET ROLE;

-- Row-level security is obeyed: each role's loader sees its own rows.
CREATE TABLE secrets (owner name, secret text);
INSERT INTO secrets VALUES ('regress_cachex_a', 'of a'), ('regress_cachex_b', 'of b');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
GRANT SELECT ON secrets TO regress_cachex_a, regress_cachex_b;
SET ROLE regress_cachex_a;
SELECT cachex.fetch('ident', 'secrets', 'SELECT jsonb_agg(secret) FROM secrets');
SET ROLE regress_cachex_b;
SELECT cachex.fetch('ident', 'secrets', 'SELECT jsonb_agg(secret) FROM secrets');
SELECT cachex.fetch('ident', 'secrets', 'SELECT jsonb_agg(secret) FROM secrets', mode => 'cached');
RESET ROLE;
SELECT cachex.fetch('ident', 'secrets', 'SELECT jsonb_agg(secret) FROM secrets');
DROP TABLE secrets;

-- Invalidation reaches every role, whoever asks for it.
CREATE FUNCTION who_has(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	had text;
BEGIN
	SET LOCAL ROLE regress_cachex_a;
	had := concat('a ', (cachex.lookup('ident', key)).status);
	SET LOCAL ROLE regress_cachex_b;
	had := concat(had, ', b ', (cachex.lookup('ident', key)).status);
	RESET ROLE;
	RETURN had;
END $$;
CREATE FUNCTION give_all(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE regress_cachex_a;
	PERFORM cachex.put('ident', key, '1', tags => '{t}'), cachex.put('ident', key, '1', scope => 's');
	SET LOCAL ROLE regress_cachex_b;
	PERFORM cachex.put('ident', key, '1', tags => '{t}'), cachex.put('ident', key, '1', scope => 's');
	RESET ROLE;
END $$;
SELECT give_all('k'), give_all('l'), give_all('m');
SELECT who_has('k'), who_has('l'), who_has('m');
SET ROLE regress_cachex_a;
SELECT cachex.invalidate('ident', 'k');
RESET ROLE;
SELECT who_has('k'), who_has('l'), who_has('m');
SELECT cachex.invalidate_like('ident', '_') >= 4;
SELECT who_has('k'), who_has('l'), who_has('m');
SELECT give_all('k'), give_all('l'), give_all('m');
SELECT cachex.invalidate_tags('{t}');
SELECT who_has('k'), who_has('l'), who_has('m');
SELECT give_all('k'), give_all('l'), give_all('m');
SELECT cachex.clear('ident');
SELECT who_has('k'), who_has('l'), who_has('m');

-- A cache is its owner's to alter, drop, clear and reset; creating one takes
-- CREATE on the database. Members of the owning role may, too.
SET ROLE regress_cachex_owner;
SELECT cachex.create_cache('owned');
RESET ROLE;
DO $$
BEGIN
	EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_cachex_owner', current_database());
END $$;
SET ROLE regress_cachex_owner;
SELECT cachex.create_cache('owned', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('owned', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SELECT owner FROM cachex.caches WHERE name = 'owned';
SELECT cachex.alter_cache('owned', '{"ttl": "5 min"}');
SET ROLE regress_cachex_a;
SELECT cachex.put('owned', 'k', '1');
SELECT cachex.alter_cache('owned', '{"ttl": "1 s"}');
SELECT cachex.drop_cache('owned');
SELECT cachex.clear('owned');
SELECT cachex.clear('owned', scope => 's');
SELECT cachex.reset_stats('owned');
SELECT cachex.alter_cache('default', '{"ttl": "1 s"}');
SELECT cachex.drop_cache('default');
SELECT cachex.clear('default');
-- without a name: those that it may
SELECT cachex.clear(), cachex.reset_stats();
SELECT cachex.get('owned', 'k');
-- the table of definitions is no way around
UPDATE cachex.cache_definition SET ttl = '1 s';
INSERT INTO cachex.cache_definition (name, owner) VALUES ('mine', 'regress_cachex_a'::regrole);
SELECT name FROM cachex.caches WHERE name = 'owned';
SELECT cache FROM cachex.stats WHERE cache = 'owned';
RESET ROLE;
GRANT regress_cachex_owner TO regress_cachex_a;
SET ROLE regress_cachex_a;
SELECT cachex.clear('owned');
SELECT cachex.get('owned', 'k');
SELECT cachex.alter_cache('owned', '{"ttl": "1 min"}'), cachex.reset_stats('owned'), cachex.drop_cache('owned');
RESET ROLE;

-- Search paths: the calls need none, and what is in a path that the caller
-- chose is not mistaken for the extension's.
CREATE SCHEMA trap;
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
CREATE FUNCTION trap.int8(text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
CREATE TABLE trap.cache_definition (name text);
SET search_path = trap, pg_catalog;
SELECT cachex.create_cache('path', max_entries => 5, consistency => 'ttl');
SELECT cachex.alter_cache('path', '{"max_entries": 6}');
SELECT cachex.put('path', 'k', '1'), cachex.get('path', 'k');
SELECT count(*) FROM cachex.stats WHERE cache = 'path';
SET search_path = '';
SELECT cachex.get('path', 'k'), cachex.drop_cache('path');
RESET search_path;
DROP SCHEMA trap CASCADE;

SELECT cx_check();
SELECT cachex.drop_cache('ident');
DROP FUNCTION get_as_definer, who_has, give_all;
DO $$
BEGIN
	EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_cachex_owner', current_database());
END $$;
DROP ROLE regress_cachex_a, regress_cachex_b, regress_cachex_owner;
