-- Values that are served though they are not fresh: by whom, for how long, and
-- when never. A life of a microsecond is over when the next statement runs, so
-- nothing here sleeps but where the end of staleness itself is waited for.

-- Refreshes are one caller's here, not a worker's.
ALTER SYSTEM SET cachex.databases = '';
SELECT pg_reload_conf();
-- a session that begins now has it
\c
SHOW cachex.databases;

CREATE TABLE src (id int PRIMARY KEY, n int);
INSERT INTO src VALUES (1, 1);
SELECT cachex.create_cache('st', stale_for => '1 hour', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('st', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
SELECT cachex.create_cache('strict', consistency => 'ttl');
SELECT name, stale_for FROM cachex.caches WHERE name IN ('st', 'strict') ORDER BY 1;

-- What a statement returns, or its SQLSTATE, and what it counts.
CREATE FUNCTION counted(statement text, cache text DEFAULT 'st')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := cx_counts(cache);
	result text;
BEGIN
	BEGIN
		EXECUTE statement INTO result;
	EXCEPTION WHEN OTHERS THEN
		result := SQLSTATE;
	END;
	RETURN coalesce(result, 'NULL') || ' (' || coalesce((
		SELECT string_agg(name || ' ' || (a.value::numeric - b.value::numeric), ', ' ORDER BY name)
		FROM jsonb_each_text(before) AS b (name, value)
		JOIN jsonb_each_text(cx_counts(cache)) AS a (name, value) USING (name)
		WHERE name IN ('hits', 'stale_hits', 'negative_hits', 'misses', 'bypasses', 'loads',
				'load_errors', 'refreshes', 'fills', 'refused_invalid', 'loads_deduped')
			AND a.value <> b.value), 'nothing') || ')';
END $$;
-- What a reader gets who allows so much, without a load: the value, or
-- nothing.
CREATE FUNCTION served(cache text, key text, stale_for interval DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce(cachex.fetch(cache, key, mode => 'cached', stale_for => stale_for,
		query => 'SELECT n FROM src')::text, 'NULL');
EXCEPTION WHEN SQLSTATE 'CX001' THEN
	RETURN '-';
END $$;

-- ---- after the expiry ----

SELECT cachex.fetch('st', 'k', 'SELECT n FROM src', ttl => '1 us');
UPDATE src SET n = 2;
SELECT counted($$SELECT cachex.get('st', 'k')$$);
SELECT counted($$SELECT cachex.get_as('st', 'k', NULL::jsonb)$$);
SELECT counted($$SELECT cachex.fetch('st', 'k', 'SELECT n FROM src', mode => 'cached')$$);
SELECT counted($$SELECT status FROM cachex.lookup('st', 'k')$$);
SELECT status, value, age > '0', ttl < '0', stale_until - expires_at AS kept, cache_control
FROM cachex.lookup('st', 'k');
SELECT status FROM cachex.entries('st');
SELECT hit_rate = round(100.0 * (hits + stale_hits + negative_hits)
	/ (hits + stale_hits + negative_hits + misses), 2) AS counts_in_hit_rate
FROM cachex.stats WHERE cache = 'st';
-- The one caller refreshes it, and gets what he has loaded.
SELECT counted($$SELECT cachex.fetch('st', 'k', 'SELECT n FROM src')$$);
SELECT counted($$SELECT cachex.fetch('st', 'k', 'SELECT n FROM src')$$);
SELECT status, cache_control FROM cachex.lookup('st', 'k');
SELECT stale_until - expires_at AS kept FROM cachex.lookup('st', 'k');

-- Another query is a miss, stale or not.
SELECT cachex.fetch('st', 'other', 'SELECT n FROM src', ttl => '1 us');
SELECT counted($$SELECT cachex.fetch('st', 'other', 'SELECT n + 40 FROM src')$$);
-- A value that was put is stale as well, and a fetch refreshes it.
SELECT cachex.put('st', 'put', '"put"', ttl => '1 us');
SELECT counted($$SELECT cachex.get('st', 'put')$$);
SELECT counted($$SELECT cachex.fetch('st', 'put', 'SELECT n FROM src')$$);
-- A transaction that has written anything refreshes nothing.
SELECT cachex.put('st', 'put', '"put"', ttl => '1 us');
BEGIN;
UPDATE src SET n = n;
SELECT counted($$SELECT cachex.fetch('st', 'put', 'SELECT n FROM src')$$);
COMMIT;

-- ---- who gets how much ----

-- An entry is kept for the longest of what the cache and its first caller
-- say; a row of the loader decides alone. A reader gets at most what he
-- allows; without a word of his, what the row or the cache says.
CREATE FUNCTION matrix(cache text) RETURNS TABLE (filler text, "get" text, "null" text, "0" text,
	"1 us" text, "1 day" text, kept interval) LANGUAGE plpgsql AS $$
DECLARE
	say text;
BEGIN
	FOREACH filler IN ARRAY '{default,0,30 min,2 hours,row: 0,row: -1 s,row: 10 min,row: 2 hours,row: infinite}'::text[] LOOP
		say := CASE WHEN filler LIKE 'row: %' THEN ', interval ' || quote_literal(
				replace(substr(filler, 6), 'infinite', '178000000 years')) || ' AS stale_for' END;
		PERFORM cachex.fetch(cache, filler, 'SELECT 7 AS value' || coalesce(say, ''), ttl => '1 us',
			stale_for => CASE WHEN say IS NULL THEN nullif(filler, 'default')::interval ELSE '5 hours' END,
			mode => 'refresh');
		"get" := coalesce(cachex.get(cache, filler)::text, '-');
		say := 'SELECT 7 AS value' || coalesce(say, '');
		"null" := matrix_read(cache, filler, say, NULL);
		"0" := matrix_read(cache, filler, say, '0');
		"1 us" := matrix_read(cache, filler, say, '1 us');
		"1 day" := matrix_read(cache, filler, say, '1 day');
		SELECT stale_until - expires_at INTO kept FROM cachex.lookup(cache, filler);
		RETURN NEXT;
	END LOOP;
END $$;
CREATE FUNCTION matrix_read(cache text, key text, query text, allowed interval)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN cachex.fetch(cache, key, query, mode => 'cached', stale_for => allowed);
EXCEPTION WHEN SQLSTATE 'CX001' THEN
	RETURN '-';
END $$;
SELECT * FROM matrix('st');
SELECT * FROM matrix('strict');
DROP FUNCTION matrix, matrix_read;
SELECT cachex.fetch('st', 'k', 'SELECT 1', stale_for => '-1 s');

-- Filled by a generous caller, it is of no use to strict ones: they load.
SELECT cachex.fetch('strict', 'k', 'SELECT n FROM src', ttl => '1 us', stale_for => '1 hour');
UPDATE src SET n = 3;
SELECT counted($$SELECT cachex.get('strict', 'k')$$, 'strict');
SELECT counted($$SELECT cachex.fetch('strict', 'k', 'SELECT n FROM src', mode => 'cached', stale_for => '1 hour')$$, 'strict');
SELECT counted($$SELECT cachex.fetch('strict', 'k', 'SELECT n FROM src')$$, 'strict');

-- alter_cache is obeyed at once; what is there is kept as long as it was to be.
SELECT cachex.fetch('st', 'altered', 'SELECT n FROM src', ttl => '1 us');
SELECT cachex.alter_cache('st', '{"stale_for": "0"}');
SELECT served('st', 'altered'), cachex.get('st', 'altered'), served('st', 'altered', '1 min');
SELECT cachex.alter_cache('st', '{"stale_for": "1 day"}');
SELECT served('st', 'altered'), stale_until - expires_at AS kept FROM cachex.lookup('st', 'altered');
SELECT cachex.alter_cache('st', '{"stale_for": null}');
SELECT cachex.alter_cache('st', '{"stale_for": "-1 s"}');
SELECT cachex.create_cache('negative', stale_for => '-1 s');
SELECT cachex.alter_cache('st', '{"stale_for": "1 hour"}');

-- ---- its end ----

-- At that instant it is a miss for every reader; before it, it is served.
CREATE FUNCTION watch_it_end(cache text, key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := (cachex.lookup(cache, key)).stale_until;
	before timestamptz; after timestamptz;
	got jsonb; looked text; fetched text;
BEGIN
	IF until IS NULL OR until > clock_timestamp() + '5 s'::interval THEN
		RETURN 'nothing to watch';
	END IF;
	LOOP
		before := clock_timestamp();
		got := cachex.get(cache, key);
		looked := (cachex.lookup(cache, key)).status;
		fetched := served(cache, key);
		after := clock_timestamp();
		IF before >= until AND (got IS NOT NULL OR looked <> 'miss' OR fetched <> '-') THEN
			RETURN format('%s after its end: %s %s %s', before - until, got, looked, fetched);
		END IF;
		IF after < until AND (got IS NULL OR looked <> 'stale' OR fetched = '-') THEN
			RETURN format('%s before its end: %s %s %s', until - after, got, looked, fetched);
		END IF;
		EXIT WHEN before >= until + '50 ms'::interval;
	END LOOP;
	RETURN NULL;
END $$;
-- (long enough for the next statement to find it)
SELECT cachex.alter_cache('st', '{"stale_for": "2 s"}');
SELECT cachex.fetch('st', 'ends', 'SELECT n FROM src', ttl => '1 us');
SELECT watch_it_end('st', 'ends');
-- invalidated, of a life that is long
SELECT cachex.fetch('st', 'ends', 'SELECT n FROM src', ttl => '1 day');
SELECT cachex.invalidate('st', 'ends');
SELECT watch_it_end('st', 'ends');
SELECT counted($$SELECT cachex.fetch('st', 'ends', 'SELECT n FROM src')$$);
SELECT cachex.alter_cache('st', '{"stale_for": "1 hour"}');

-- ---- after an invalidation ----

CREATE FUNCTION fill(cache text DEFAULT 'st') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.fetch(cache, 'k', 'SELECT n FROM src', tags => '{t}', mode => 'refresh');
	PERFORM cachex.fetch(cache, 'k', 'SELECT n FROM src', tags => '{t}', scope => 's', mode => 'refresh');
END $$;
SELECT fill(), cachex.get('st', 'k') AS fresh;
SELECT cachex.invalidate('st', 'k');
SELECT counted($$SELECT cachex.get('st', 'k')$$), counted($$SELECT cachex.get('st', 'k', scope => 's')$$),
	served('st', 'k', '0');
SELECT fill();
SELECT cachex.invalidate_tags('{t}');
SELECT counted($$SELECT cachex.get('st', 'k')$$), served('st', 'k', '0');
SELECT fill();
SELECT cachex.invalidate('st', 'k', scope => 's');
SELECT counted($$SELECT cachex.get('st', 'k', scope => 's')$$), counted($$SELECT cachex.get('st', 'k')$$);
SELECT fill();
SELECT cachex.clear('st', scope => 's');
SELECT counted($$SELECT cachex.get('st', 'k', scope => 's')$$), counted($$SELECT cachex.get('st', 'k')$$);
SELECT fill();
SELECT cachex.invalidate_like('st', 'k%');
SELECT counted($$SELECT cachex.get('st', 'k')$$), served('st', 'k', '0');
-- a watch with keys
SELECT cachex.watch('src', 'st', keys => '{k}');
SELECT fill();
UPDATE src SET n = 4;
SELECT counted($$SELECT cachex.get('st', 'k')$$), served('st', 'k', '0');
SELECT counted($$SELECT cachex.fetch('st', 'k', 'SELECT n FROM src')$$);

-- How old it may get counts from when it was last known to be fresh: when it
-- was stored, or a later hit.
SELECT fill();
SELECT cachex.invalidate('st', 'k');
SELECT status, stale_until - created_at AS kept FROM cachex.lookup('st', 'k');
SELECT fill();
SELECT cx_wait($$(SELECT status = 'hit' AND age > '600 ms' FROM cachex.lookup('st', 'k'))$$);
SELECT cachex.invalidate('st', 'k');
SELECT status, stale_until - created_at BETWEEN '1 hour 300 ms' AND '1 hour' + age AS kept
FROM cachex.lookup('st', 'k');
-- and is never beyond the expiry and that
SELECT cachex.fetch('st', 'k', 'SELECT n FROM src', mode => 'refresh', ttl => '1 us');
SELECT cachex.invalidate('st', 'k');
SELECT status, stale_until - expires_at <= '1 hour' AS kept FROM cachex.lookup('st', 'k');

-- An exact cache: strict callers load, whatever others allow.
SELECT cachex.create_cache('ex', stale_for => '1 hour');
SELECT counted($$SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src')$$, 'ex');
UPDATE src SET n = 5;
SELECT counted($$SELECT cachex.get('ex', 'k')$$, 'ex');
SELECT status, value, stale_until - created_at AS kept FROM cachex.lookup('ex', 'k');
SELECT served('ex', 'k', '0'), served('ex', 'k', '1 us'), served('ex', 'k');
SELECT counted($$SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src', stale_for => '0')$$, 'ex');
UPDATE src SET n = 6;
SELECT counted($$SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src')$$, 'ex');
SELECT counted($$SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src')$$, 'ex');
SELECT cachex.invalidate_tags('{nothing}'), served('ex', 'k', '0');
-- What was computed from a stale value is kept by no exact cache.
CREATE FUNCTION inner_value() RETURNS jsonb LANGUAGE sql STABLE AS
	$$SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src')$$;
SELECT cachex.fetch('ex', 'k', 'SELECT n FROM src');
UPDATE src SET n = 7;
SELECT counted($$SELECT cachex.fetch('ex', 'outer', 'SELECT inner_value()')$$, 'ex');
SELECT counted($$SELECT cachex.fetch('ex', 'outer', 'SELECT inner_value()')$$, 'ex');
DROP FUNCTION inner_value;

-- ---- never ----

-- what a statement leaves to a reader who allows anything
CREATE FUNCTION left_by(statement text, cache text DEFAULT 'st') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fill(cache);
	EXECUTE statement;
	RETURN served(cache, 'k', '1 day');
END $$;
SELECT left_by('SELECT 1');
-- this transaction's own
SELECT left_by($$SELECT cachex.invalidate('st', 'k')$$);
SELECT left_by($$SELECT cachex.invalidate_tags('{t}')$$);
SELECT left_by($$SELECT cachex.invalidate_like('st', 'k')$$);
SELECT left_by($$SELECT cachex.clear('st')$$);
SELECT left_by($$SELECT cachex.take('st', 'k')$$);
SELECT left_by($$SELECT cachex.put('st', 'k', '"own"', ttl => '1 us')$$);
SELECT left_by('UPDATE src SET n = n', 'ex');
SELECT left_by('CREATE TEMP TABLE own_definition ()', 'ex');
DROP TABLE own_definition;
BEGIN;
SELECT fill('ex');
SAVEPOINT a;
UPDATE src SET n = n;
ROLLBACK TO a;
SELECT served('ex', 'k', '1 day');
COMMIT;

-- others' that have ended; served once more before, to see that it was there
CREATE PROCEDURE ended_by(statement text, cache text DEFAULT 'st') LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fill(cache);
	COMMIT;
	EXECUTE statement;
	COMMIT;
	RAISE NOTICE '% leaves % of %', statement, served(cache, 'k', '1 day'), cache;
END $$;
CALL ended_by($$SELECT cachex.invalidate('st', 'k')$$);
CALL ended_by($$UPDATE src SET n = n$$, 'ex');
CALL ended_by($$SELECT cachex.clear('st')$$);
CALL ended_by($$SELECT cachex.clear()$$);
-- whether or not the sweeper was there before
CREATE PROCEDURE clear_many() LANGUAGE plpgsql AS $$
DECLARE
	keys text[] := (SELECT array_agg('many ' || i) FROM generate_series(1, 20000) AS i);
	before bigint;
BEGIN
	PERFORM cachex.fetch_many('st', keys, 'SELECT k AS key, 1 AS value FROM unnest($1) AS k', ttl => '1 us');
	COMMIT;
	before := (SELECT count(cachex.get('st', k)) FROM unnest(keys) AS k);
	PERFORM cachex.clear('st');
	COMMIT;
	RAISE NOTICE 'of % a clear leaves %', before, (SELECT count(cachex.get('st', k)) FROM unnest(keys) AS k);
END $$;
CALL clear_many();
DROP PROCEDURE clear_many;
CALL ended_by($$SELECT cachex.drop_cache('st'), cachex.create_cache('st', stale_for => '1 hour', consistency => 'ttl'), cachex.grant_cache('st', 'public', 'read'), cachex.grant_cache('st', 'public', 'write')$$);
CALL ended_by($$SELECT cachex.alter_cache('st', '{"version": 1}')$$);
CALL ended_by($$ALTER TABLE src ADD COLUMN x int$$);
CALL ended_by($$ALTER TABLE src DROP COLUMN x$$, 'ex');
CALL ended_by($$TRUNCATE src$$);
INSERT INTO src VALUES (1, 1);
CALL ended_by($$TRUNCATE src$$, 'ex');
INSERT INTO src VALUES (1, 8);
CALL ended_by($$CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1'$$, 'ex');
CALL ended_by($$DROP FUNCTION nothing()$$, 'ex');
CALL ended_by($$SELECT cachex.alter_cache('st', '{"consistency": "exact"}')$$);
SELECT cachex.alter_cache('st', '{"consistency": "ttl"}');

-- privileges and roles
CREATE ROLE regress_stale_a;
CREATE ROLE regress_stale_b;
CALL ended_by($$GRANT regress_stale_b TO regress_stale_a$$);
CALL ended_by($$ALTER ROLE regress_stale_b CREATEDB$$, 'ex');
GRANT SELECT ON src TO regress_stale_a;
SET ROLE regress_stale_a;
SELECT cachex.fetch('st', 'k', 'SELECT n FROM src', ttl => '1 us'), served('st', 'k');
SET ROLE regress_stale_b;
SELECT served('st', 'k', '1 day') AS of_another_role;
RESET ROLE;
REVOKE SELECT ON src FROM regress_stale_a;
SET ROLE regress_stale_a;
SELECT served('st', 'k', '1 day');
SELECT counted($$SELECT cachex.fetch('st', 'k', 'SELECT n FROM src')$$);
RESET ROLE;
DROP ROLE regress_stale_a, regress_stale_b;

-- a setting that the loader reads
CREATE FUNCTION of_tenant(allowed interval DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN cachex.fetch('st', 'tenant', mode => 'cached', stale_for => allowed,
		query => $q$SELECT current_setting('my.tenant')$q$);
EXCEPTION WHEN SQLSTATE 'CX001' THEN
	RETURN '-';
END $$;
SET my.tenant = 'one';
SELECT cachex.fetch('st', 'tenant', $$SELECT current_setting('my.tenant')$$, ttl => '1 us');
SELECT of_tenant('1 day');
SET my.tenant = 'two';
SELECT of_tenant('1 day');
SET my.tenant = 'one';
SELECT of_tenant('1 day');

-- SERIALIZABLE runs the query; a snapshot that is kept gets nothing newer
-- (specs/stale_strict)
SELECT fill('ex');
UPDATE src SET n = 9;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cachex.get('ex', 'k'), cachex.fetch('ex', 'k', 'SELECT n FROM src', stale_for => '1 day');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT served('st', 'put'), cachex.get('st', 'put');
COMMIT;

-- ---- a loader that fails ----

CREATE FUNCTION broken() RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT n FROM src) = 0 THEN
		RAISE EXCEPTION 'the source is down';
	END IF;
	RETURN (SELECT n FROM src);
END $$;
SELECT cachex.fetch('st', 'f', 'SELECT broken()', ttl => '1 us');
UPDATE src SET n = 0;
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()')$$);
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()')$$);
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()', stale_for => '0')$$);
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()', mode => 'refresh')$$);
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()', mode => 'bypass')$$);
SELECT cachex.fetch('st', 'f', 'SELECT broken()');
-- in a block, in a transaction
BEGIN;
SELECT cachex.fetch('st', 'f', 'SELECT broken()');
SELECT cachex.fetch('st', 'f', 'SELECT broken()');
COMMIT;
-- an error behind the loader; the claim is not kept to the end of the transaction
SELECT cachex.fetch('st', 'g', $$SELECT 1 AS value, array_fill('t'::text, ARRAY[n]) AS tags FROM src$$, ttl => '1 us');
UPDATE src SET n = 100;
BEGIN;
SELECT cachex.fetch('st', 'g', $$SELECT 1 AS value, array_fill('t'::text, ARRAY[n]) AS tags FROM src$$);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
COMMIT;
-- what ends the statement does so
UPDATE src SET n = 0;
SELECT cachex.fetch('st', 'slow', 'SELECT 1 FROM src, pg_sleep(n)', ttl => '1 us');
UPDATE src SET n = 100;
SET statement_timeout = '100 ms';
SELECT cachex.fetch('st', 'slow', 'SELECT 1 FROM src, pg_sleep(n)');
RESET statement_timeout;
SELECT served('st', 'slow') = '-' AS of_another_query, cachex.get('st', 'slow') AS still_there;
-- after its end the error is the caller's
SELECT cachex.alter_cache('st', '{"stale_for": "100 ms"}');
UPDATE src SET n = 1;
SELECT cachex.fetch('st', 'f', 'SELECT broken()', ttl => '1 us', mode => 'refresh');
UPDATE src SET n = 0;
SELECT cx_wait($$(cachex.lookup('st', 'f')).status = 'miss'$$);
SELECT counted($$SELECT cachex.fetch('st', 'f', 'SELECT broken()')$$);
SELECT cachex.alter_cache('st', '{"stale_for": "1 hour"}');
UPDATE src SET n = 10;

-- ---- modes ----

SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', ttl => '1 us');
UPDATE src SET n = 11;
SELECT counted($$SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', mode => 'bypass')$$);
SELECT counted($$SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', mode => 'cached')$$);
SELECT counted($$SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', mode => 'cached', stale_for => '0')$$);
SELECT counted($$SELECT cachex.fetch('st', 'm', mode => 'cached', stale_for => '0')$$);
SELECT counted($$SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', mode => 'refresh', ttl => '1 us')$$);
SELECT counted($$SELECT cachex.fetch('st', 'm', 'SELECT n FROM src', mode => 'cached')$$);
SET cachex.enabled = off;
SELECT counted($$SELECT cachex.get('st', 'm')$$);
RESET cachex.enabled;

-- ---- values of all kinds ----

-- nothing; other types; rows
SELECT cachex.fetch('st', 'none', 'SELECT n FROM src WHERE n < 0', ttl => '1 us');
SELECT counted($$SELECT cachex.get('st', 'none', otherwise => '"other"')$$);
SELECT status, value FROM cachex.lookup('st', 'none');
SELECT counted($$SELECT cachex.fetch('st', 'none', 'SELECT n FROM src WHERE n < 0', mode => 'cached')$$);
SELECT cachex.fetch_as('st', 'typed', NULL::src, 'SELECT src FROM src', ttl => '1 us');
SELECT counted($$SELECT cachex.get_as('st', 'typed', NULL::src)$$);
SELECT status, value FROM cachex.lookup('st', 'typed');
UPDATE src SET n = 12;
SELECT counted($$SELECT cachex.fetch_as('st', 'typed', NULL::src, 'SELECT src FROM src')$$);
SELECT * FROM cachex.query('SELECT n FROM src', cache => 'st', ttl => '1 us') AS t(n int);
UPDATE src SET n = 13;
SELECT * FROM cachex.query('SELECT n FROM src', cache => 'st', mode => 'cached') AS t(n int);
SELECT * FROM cachex.query_as(0, 'SELECT n FROM src', cache => 'st', mode => 'cached');
SELECT counted($$SELECT string_agg(t.n::text, ',') FROM cachex.query('SELECT n FROM src', cache => 'st') AS t(n int)$$);
SELECT counted($$SELECT string_agg(t.n::text, ',') FROM cachex.query('SELECT n FROM src', cache => 'st') AS t(n int)$$);
SELECT * FROM cachex.query('SELECT 10 / n FROM src', cache => 'st', ttl => '1 us') AS t(n int);
UPDATE src SET n = 0;
SELECT counted($$SELECT t.n FROM cachex.query('SELECT 10 / n FROM src', cache => 'st') AS t(n int)$$);
UPDATE src SET n = 14;
-- fetch_many is strict
SELECT * FROM cachex.fetch_many('st', '{many}', 'SELECT k AS key, n AS value FROM src, unnest($1) AS k', ttl => '1 us');
UPDATE src SET n = 15;
SELECT cachex.get('st', 'many');
SELECT counted($$SELECT value FROM cachex.fetch_many('st', '{many}', 'SELECT k AS key, n AS value FROM src, unnest($1) AS k')$$);

-- All that an entry can have, with and without, of all lengths: what was put
-- comes back, fresh and stale.
CREATE VIEW samples AS
SELECT len || '-' || bits AS key, to_jsonb(repeat('v', (3 ^ len)::int)) AS value,
	CASE WHEN bits & 1 > 0 THEN jsonb_build_object('m', repeat('m', bits * 900)) END AS metadata,
	CASE WHEN bits & 2 > 0 THEN ARRAY[repeat('t', 200), 'short'] END AS tags,
	CASE WHEN bits & 4 > 0 THEN repeat('s', 255) END AS scope,
	CASE WHEN bits & 8 > 0 THEN interval '1 us' ELSE '1 day' END AS ttl,
	CASE WHEN bits & 8 > 0 THEN 'stale' ELSE 'hit' END AS status
FROM generate_series(0, 11) AS len, generate_series(0, 15) AS bits;
SELECT count(*) FROM samples AS s
WHERE cachex.put('st', s.key, s.value, ttl => s.ttl, tags => s.tags, scope => s.scope, metadata => s.metadata);
CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM samples AS s, cachex.lookup('st', s.key, scope => s.scope) AS e
	WHERE (e.status, e.value, e.metadata, e.tags, e.expires_at - e.created_at, e.stale_until - e.expires_at)
		IS DISTINCT FROM (s.status, s.value, s.metadata, s.tags, s.ttl, interval '1 hour')
$$;
SELECT differ();
-- and when it was noted that they are fresh
SELECT cx_wait($$(SELECT status = 'hit' AND age > '600 ms' FROM cachex.lookup('st', '0-0'))$$);
SELECT differ(), differ();
-- with what was read
SELECT cachex.fetch('st', 'full', $$SELECT repeat('v', 20000) || n || current_setting('my.tenant') AS value, '{a,b}'::text[] AS tags FROM src$$,
	ttl => '1 us', scope => 's') IS NOT NULL;
SELECT status, length(value #>> '{}'), right(value #>> '{}', 5), tags FROM cachex.lookup('st', 'full', scope => 's');

-- The longest times: nothing is stale for longer than 24 days; never is never.
CREATE FUNCTION life(key text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', status, CASE WHEN expires_at < 'infinity' THEN expires_at - created_at END,
		CASE WHEN stale_until < 'infinity' THEN (stale_until - expires_at)::text ELSE stale_until::text END)
	FROM cachex.lookup('st', key)
$$;
SELECT cachex.alter_cache('st', '{"stale_for": "1000 days"}');
SELECT cachex.put('st', 'long', '1', ttl => '1 us'), cachex.put('st', 'both', '1', ttl => '1000 days'),
	cachex.put('st', 'ever', '1', expires_at => 'infinity'), cachex.put('st', 'ever too', '1', ttl => '178000000 years'),
	cachex.put('st', 'instant', '1', expires_at => '294276-12-31 23:59:59+00');
SELECT life('long'), life('both'), life('ever'), life('ever too');
SELECT status, value FROM cachex.lookup('st', 'instant');
SELECT cachex.invalidate('st', 'ever');
SELECT status, stale_until - created_at AS kept FROM cachex.lookup('st', 'ever');
SELECT cachex.alter_cache('st', '{"stale_for": "178000000 years"}');
SELECT cachex.put('st', 'long', '1', ttl => '1 us');
SELECT life('long');
SELECT cachex.alter_cache('st', '{"stale_for": "1 us"}');
SELECT cachex.put('st', 'short', '1', ttl => '1 us');
SELECT status FROM cachex.lookup('st', 'short');
SELECT cachex.alter_cache('st', '{"stale_for": "1 hour"}');

-- ---- changes ----

-- A stale entry keeps what it has; to whoever changes it, it is not there.
SELECT cachex.put('st', 'meta', '[5]', ttl => '1 us', tags => '{a}', metadata => '{"m": 1}', cost => '3 s');
SELECT status, value, tags, metadata, round(load_ms) AS load_ms, version > 0 AS version, etag IS NOT NULL AS etag
FROM cachex.lookup('st', 'meta');
SELECT bool_and(cachex.put('st', 'old ' || what, '[5]', ttl => '1 us'))
FROM unnest('{update,push,incr,take,touch,absent,present,version,moved}'::text[]) AS what;
SELECT (cachex.lookup('st', 'old version')).version AS version, (cachex.lookup('st', 'old moved')).version AS moved \gset
SELECT cachex.invalidate('st', 'old moved');
SELECT cachex.update('st', 'old update', '$1 || ''6''') AS update,
	cachex.push('st', 'old push', '6') AS push,
	cachex.incr('st', 'old incr') AS incr,
	cachex.take('st', 'old take') AS take,
	cachex.touch('st', 'old touch') AS touch,
	cachex.put('st', 'old absent', '6', only_if => 'absent') AS absent,
	cachex.put('st', 'old present', '6', only_if => 'present') AS present,
	cachex.put('st', 'old version', '6', if_version => :version) AS version,
	cachex.put('st', 'old moved', '6', if_version => :moved) AS moved;
SELECT key, status, value FROM unnest('{update,push,incr,take,touch,absent,present,version,moved}'::text[]) AS what,
	cachex.lookup('st', 'old ' || what);
-- What changes a fresh one keeps how long it may be stale.
SELECT cachex.alter_cache('st', '{"stale_for": "2 hours"}');
SELECT cachex.put('st', 'c', '[1]'), cachex.put('st', 'd', '1');
SELECT cachex.alter_cache('st', '{"stale_for": "3 hours"}');
SELECT cachex.push('st', 'c', '2'), cachex.incr('st', 'd'), cachex.touch('st', 'd', ttl => '1 us');
SELECT key, status, stale_until - expires_at AS kept FROM unnest('{c,d}'::text[]) AS k, cachex.lookup('st', k);
SELECT cachex.alter_cache('st', '{"stale_for": "1 hour"}');

-- purge and the sweeper leave what may be served
SELECT cachex.put('st', 'kept', '1', ttl => '1 us');
SELECT cachex.purge('st') >= 0, cachex.get('st', 'kept');

-- ---- early refresh ----

-- The nearer its end and the longer its loader takes, the likelier: for a
-- life of an hour, beta 100 and a cost of 36 s it is exp(-1), 368 of 1000.
-- The bounds are 5.5 standard deviations away.
CREATE FUNCTION early(cost interval) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM generate_series(1, 1000) AS i
	WHERE cachex.put('early', 'e' || i, '0', cost => cost)
$$;
CREATE FUNCTION refreshed() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	was bigint := (SELECT refreshes FROM cachex.stats WHERE cache = 'early');
	n bigint;
BEGIN
	PERFORM cachex.fetch('early', 'e' || i, 'SELECT 1') FROM generate_series(1, 1000) AS i;
	n := (SELECT refreshes FROM cachex.stats WHERE cache = 'early') - was;
	RETURN CASE WHEN n = 0 THEN 'none' WHEN n BETWEEN 284 AND 452 THEN 'as many as it should'
		WHEN n > 980 THEN 'nearly all' ELSE n::text END;
END $$;
SELECT cachex.create_cache('early', consistency => 'ttl', options => '{"beta": 100}');
SELECT early('36 s');
SELECT refreshed();
-- these are the loader's now, which takes no time
SELECT count(*) BETWEEN 284 AND 452 FROM generate_series(1, 1000) AS i WHERE cachex.get('early', 'e' || i) = '1';
SELECT early('0.1 s');
SELECT refreshed();
SELECT early('10 days');
SELECT counted($$SELECT cachex.fetch('early', 'e1', 'SELECT 1', mode => 'cached')$$, 'early');
SELECT counted($$SELECT cachex.get('early', 'e1')$$, 'early');
SELECT refreshed();
SELECT early('10 days');
SELECT cachex.alter_cache('early', '{"beta": 0}');
SELECT refreshed();
SELECT cachex.alter_cache('early', '{"beta": 100.5}');
SELECT cachex.alter_cache('early', '{"beta": "NaN"}');
SELECT cachex.alter_cache('early', '{"beta": null}');

-- ---- jitter ----

SELECT cachex.create_cache('jitter', ttl => '100 min', negative_ttl => '100 s', consistency => 'ttl',
	options => '{"jitter": 0.25}');
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('jitter', 'p' || i, '1');
SELECT count(cachex.fetch('jitter', 'f' || i, 'SELECT 1', ttl => '10 min')) FROM generate_series(1, 100) AS i;
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('jitter', 'n' || i, NULL);
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('jitter', 'x' || i, '1',
	expires_at => '2121-02-03 04:05:06+00');
SELECT kind, count(DISTINCT life) > 90 AS differ, max(life) <= ttl AND min(life) >= 0.75 * ttl AS within,
	max(life) - min(life) > 0.2 * ttl AS spread
FROM (SELECT kind, v.ttl, extract(epoch FROM expires_at - created_at) AS life
	FROM (VALUES ('p', 6000), ('f', 600), ('n', 100)) AS v (kind, ttl), generate_series(1, 100) AS i,
		cachex.lookup('jitter', kind || i)) AS l GROUP BY kind, ttl ORDER BY kind;
SELECT DISTINCT expires_at = '2121-02-03 04:05:06+00' FROM generate_series(1, 100) AS i, cachex.lookup('jitter', 'x' || i);
SELECT cachex.alter_cache('jitter', '{"jitter": 1}');
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('jitter', 'p' || i, '1');
SELECT cachex.alter_cache('jitter', '{"jitter": 0}');
SELECT cachex.put('jitter', 'exact', '1');
SELECT expires_at - created_at FROM cachex.lookup('jitter', 'exact');
SELECT cachex.alter_cache('jitter', '{"jitter": 1.1}');
SELECT cachex.alter_cache('jitter', '{"jitter": -0.1}');

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches WHERE name IN ('st', 'strict', 'ex', 'early', 'jitter');
DROP FUNCTION counted, served, watch_it_end, fill, left_by, of_tenant, broken, differ, life, early, refreshed;
DROP VIEW samples;
DROP PROCEDURE ended_by;
DROP TABLE src;
ALTER SYSTEM RESET cachex.databases;
SELECT pg_reload_conf();
