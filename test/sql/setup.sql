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
