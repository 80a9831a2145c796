-- Functions that are labelled PARALLEL SAFE and call cachex in a parallel worker:
-- it does not know what its transaction has written, so it is served nothing and
-- keeps nothing, and it holds no memory when it ends.
CREATE TABLE par (id int PRIMARY KEY, v int);
INSERT INTO par SELECT i, i FROM generate_series(1, 3) AS i;
SELECT cachex.watch('par');
SELECT cachex.create_cache('par_exact'), cachex.create_cache('par_ttl', consistency => 'ttl');
CREATE FUNCTION par_fetch(cache text, key text) RETURNS jsonb PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_object('worker', pg_backend_pid() <> current_setting('app.leader')::int,
		'sum', cachex.fetch(cache, key, 'SELECT sum(v) FROM par'));
END $$;
CREATE FUNCTION par_get(cache text, key text) RETURNS jsonb PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
	RETURN cachex.get(cache, key);
END $$;
SELECT set_config('app.leader', pg_backend_pid()::text, false) <> '' AS known;
SELECT cachex.fetch(c, 'before', 'SELECT sum(v) FROM par') FROM unnest('{par_exact,par_ttl}'::text[]) AS c;
-- (the setting has another name from 16 on)
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

BEGIN;
UPDATE par SET v = v + 100;
SELECT par_fetch('par_exact', 'before'), par_fetch('par_exact', 'new');
SELECT par_fetch('par_ttl', 'new');
ROLLBACK;
SELECT cachex.get(c, 'new') FROM unnest('{par_exact,par_ttl}'::text[]) AS c;
SELECT par_fetch('par_exact', 'new');

-- a value of another type, and a long one: errors and endings there leave no reference
SELECT length(cachex.fetch_as('par_ttl', 'text', NULL::text, 'SELECT repeat(''x'', 100000)'));
SELECT par_get('par_ttl', 'text');
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT cachex.drop_cache('par_exact'), cachex.drop_cache('par_ttl');
SELECT cx_check();
DROP FUNCTION par_fetch(text, text), par_get(text, text);
DROP TABLE par;
