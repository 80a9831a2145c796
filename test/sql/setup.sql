-- The first file: the extension, and what the other files use.

-- Objects of somebody else in its place: it is not created around them.
-- (From 18 on the server names the line of the script.)
CREATE SCHEMA cachex;
\set SHOW_CONTEXT never
CREATE EXTENSION cachex;
\set SHOW_CONTEXT errors
DROP SCHEMA cachex;

CREATE EXTENSION cachex;

-- What is cached goes with the extension, at the commit.
SELECT cachex.put('default', 'k', '1');
BEGIN;
DROP EXTENSION cachex;
ROLLBACK;
SELECT cachex.get('default', 'k');
DROP EXTENSION cachex;
CREATE EXTENSION cachex;
SELECT cachex.get('default', 'k');

-- For what the sweeper may be in the middle of: waits for a condition, for ten
-- seconds at most.
CREATE FUNCTION cx_wait(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	holds boolean;
BEGIN
	FOR i IN 1..1000 LOOP
		EXECUTE 'SELECT ' || condition INTO holds;
		EXIT WHEN holds;
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN holds;
END $$;
SELECT cx_wait('true');

-- NULL, or what is wrong with the store, and does not pass.
CREATE FUNCTION cx_check_now() RETURNS text
LANGUAGE c AS '$libdir/cachex', 'cachex_check_store';
CREATE FUNCTION cx_check() RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN NOT cx_wait('cx_check_now() IS NULL') THEN cx_check_now() END
$$;
SELECT cx_check();

-- For what exact caches promise: fetches the query and runs it. Says whether
-- that is the same, errors included, and how the answer came about: by a hit;
-- loaded and kept; or loaded and not kept, with the counter that moved. The
-- query is its key too.
CREATE FUNCTION cx_counts(cache text) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER AS $$
	SELECT to_jsonb(s) FROM cachex.stats AS s WHERE s.cache = $1
$$;
CREATE FUNCTION cx_moved(before jsonb, after jsonb) RETURNS text
LANGUAGE sql AS $$
	SELECT string_agg(means, ' ' ORDER BY n, name)
	FROM jsonb_each_text(before) AS b (name, was)
	JOIN jsonb_each_text(after) AS a (name, value) USING (name),
	LATERAL (SELECT CASE
		WHEN name IN ('hits', 'negative_hits') THEN 1
		WHEN name = 'fills' THEN 2
		WHEN name = 'bypasses' OR name LIKE 'refused%' THEN 3
		WHEN name = 'load_errors' THEN 4 END,
		CASE name WHEN 'hits' THEN 'hit' WHEN 'negative_hits' THEN 'negative hit'
			WHEN 'fills' THEN 'kept' WHEN 'load_errors' THEN 'failed'
			ELSE name END) AS m (n, means)
	WHERE n IS NOT NULL AND value <> was
$$;
CREATE FUNCTION cx_same(query text, cache text DEFAULT 'exact')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := cx_counts(cache);
	how text;
	fetched text;
	direct text;
BEGIN
	BEGIN
		fetched := coalesce(cachex.fetch(cache, query, query)::text, 'NULL');
	EXCEPTION WHEN OTHERS THEN
		fetched := SQLERRM;
	END;
	how := coalesce(cx_moved(before, cx_counts(cache)), 'nothing');
	BEGIN
		EXECUTE format('SELECT to_jsonb(x) FROM (%s) AS q (x)', query)
			INTO direct;
		direct := coalesce(direct, 'NULL');
	EXCEPTION WHEN OTHERS THEN
		direct := SQLERRM;
	END;
	IF fetched = direct THEN
		RETURN format('same, %s: %s', how, fetched);
	END IF;
	RETURN format('DIFFERENT, %s: fetched %s, direct %s', how, fetched, direct);
END $$;
