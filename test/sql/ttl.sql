-- Time to live: exact on read, absolute or relative, its own for negative
-- entries; no fixed sleeps: the clock is read before and after each look.
SELECT cachex.create_cache('hour', consistency => 'ttl');
SELECT cachex.create_cache('ever', ttl => NULL, negative_ttl => '5 min',
	consistency => 'ttl');
SELECT cachex.create_cache('odd', ttl => '1 mon 2 days 03:00:00.5',
	negative_ttl => '1 us', consistency => 'ttl');

CREATE FUNCTION life(cache text, key text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN status = 'miss' THEN status
		WHEN expires_at = 'infinity' THEN 'never'
		ELSE (expires_at - created_at)::text END
	FROM cachex.lookup(cache, key)
$$;

-- The cache's own, unless the call says another.
SELECT cachex.put('hour', 'own', '1'), cachex.put('hour', 'null', NULL),
	cachex.put('hour', 'json null', 'null'),
	cachex.put('hour', 'other', '1', ttl => '90 s'),
	cachex.put('hour', 'null other', NULL, ttl => '90 s'),
	cachex.put_many('hour', '{"many": 1}'),
	cachex.put_many('hour', '{"many other": 1}', ttl => '2 days'),
	cachex.incr('hour', 'n'), cachex.incr('hour', 'n other', ttl => '3 min'),
	cachex.push('hour', 'list', '1'),
	cachex.update('hour', 'updated', '$1', initial => '1');
SELECT cachex.fetch('hour', 'fetched', 'SELECT 1'),
	cachex.fetch('hour', 'fetched null', 'SELECT 1 WHERE false'),
	cachex.fetch('hour', 'fetched other', 'SELECT 1', ttl => '10 s'),
	cachex.fetch('hour', 'fetched null other', 'SELECT NULL', ttl => '10 s');
SELECT key, life('hour', key) FROM cachex.entries('hour') ORDER BY key;

-- Months have 30 days, as an interval compared with another.
SELECT cachex.put('odd', 'own', '1');
SELECT life('odd', 'own') = ('32 days 03:00:00.5'::interval)::text;

-- NULL is never; so is infinity.
SELECT cachex.put('ever', 'own', '1'), cachex.put('ever', 'null', NULL),
	cachex.put('hour', 'infinity', '1', expires_at => 'infinity'),
	cachex.put('hour', 'beyond', '1', ttl => '178000000 years');
SELECT cache, key, status, expires_at, ttl, cache_control
FROM (VALUES ('ever', 'own'), ('hour', 'infinity'), ('hour', 'beyond')) v(c, k),
	cachex.lookup(c, k);
SELECT life('ever', 'null');

-- An instant is kept to the microsecond.
SELECT cachex.put('hour', 'instant', '1', expires_at => '2121-02-03 04:05:06.789012+00');
SELECT expires_at = '2121-02-03 04:05:06.789012+00' FROM cachex.lookup('hour', 'instant');

-- A life that is over already: not stored, and an old value goes.
CREATE FUNCTION put_over_an_old_one(ttl interval, expires_at timestamptz)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.put('hour', 'over', '"old"');
	RETURN cachex.put('hour', 'over', '"new"', ttl => ttl, expires_at => expires_at)
		|| ' ' || coalesce(cachex.get('hour', 'over')::text, 'nothing');
END $$;
SELECT put_over_an_old_one('0', NULL);
SELECT cachex.get('hour', 'over');
SELECT put_over_an_old_one('-1 us', NULL);
SELECT put_over_an_old_one('-178000000 years', NULL);
SELECT put_over_an_old_one(NULL, 'epoch');
SELECT put_over_an_old_one(NULL, '-infinity');
SELECT put_over_an_old_one(NULL, clock_timestamp());
SELECT put_over_an_old_one('1 us', NULL) IN ('true "new"', 'true nothing');
DROP FUNCTION put_over_an_old_one;
SELECT cachex.put_many('hour', '{"own": 2, "many": 2, "absent": 2}', ttl => '0');
SELECT cachex.get('hour', key) FROM unnest('{own,many,absent}'::text[]) AS key;
SELECT cachex.incr('hour', 'absent', ttl => '0'), cachex.get('hour', 'absent');
SELECT cachex.fetch('hour', 'fetched', 'SELECT 1', mode => 'refresh', ttl => '0');
SELECT status FROM cachex.lookup('hour', 'fetched');
SELECT cachex.put('hour', 'touched', '1');
SELECT cachex.touch('hour', 'touched', ttl => '0');
SELECT status FROM cachex.lookup('hour', 'touched');

-- touch gives another life, the cache's own without arguments; update and
-- push keep the one there is; incr too, whatever its ttl says.
SELECT cachex.put('hour', 'k', '1', ttl => '5 min'),
	cachex.put('hour', 'l', '[]', ttl => '5 min');
SELECT expires_at AS k_before FROM cachex.lookup('hour', 'k') \gset
SELECT expires_at AS l_before FROM cachex.lookup('hour', 'l') \gset
SELECT cachex.update('hour', 'k', 'to_jsonb($1::int + 1)'),
	cachex.incr('hour', 'k', ttl => '1 day'), cachex.push('hour', 'l', '1');
SELECT expires_at = :'k_before' FROM cachex.lookup('hour', 'k');
SELECT expires_at = :'l_before' FROM cachex.lookup('hour', 'l');
SELECT cachex.touch('hour', 'k', ttl => '1 day');
SELECT value, ttl > '23 h', created_at < now() FROM cachex.lookup('hour', 'k');
SELECT cachex.touch('hour', 'k', expires_at => 'infinity');
SELECT value, expires_at FROM cachex.lookup('hour', 'k');
SELECT cachex.touch('hour', 'k');
SELECT ttl BETWEEN '59 min' AND '1 h' FROM cachex.lookup('hour', 'k');
SELECT cachex.put('hour', 'null', NULL), cachex.touch('hour', 'null');
SELECT status, ttl BETWEEN '40 s' AND '60 s' AS the_negative_one FROM cachex.lookup('hour', 'null');
SELECT cachex.touch('hour', 'absent');

-- cachex.ttl_factor shortens what this session stores, but no instants.
SET cachex.ttl_factor = 0.5;
SELECT cachex.put('hour', 'half', '1'), cachex.put('hour', 'half too', '1', ttl => '10 s'),
	cachex.put('ever', 'half', '1'),
	cachex.put('hour', 'instant', '1', expires_at => '2121-02-03 04:05:06.789012+00');
SELECT life('hour', 'half'), life('hour', 'half too'), life('ever', 'half');
SELECT expires_at = '2121-02-03 04:05:06.789012+00' FROM cachex.lookup('hour', 'instant');
SET cachex.ttl_factor = 0;
SELECT cachex.put('hour', 'none', '1'), cachex.get('hour', 'none');
RESET cachex.ttl_factor;

-- At its instant it is gone for every reader, not at the next sweep; before
-- it, it is not. NULL = as it should be.
CREATE FUNCTION watch_it_expire(key text, expiry timestamptz)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before timestamptz; after timestamptz;
	got jsonb; got_as jsonb; fetched jsonb; looked text;
BEGIN
	LOOP
		before := clock_timestamp();
		got := cachex.get('hour', key);
		got_as := cachex.get_as('hour', key, NULL::jsonb);
		looked := (cachex.lookup('hour', key)).status;
		BEGIN
			fetched := cachex.fetch('hour', key, mode => 'cached');
		EXCEPTION WHEN SQLSTATE 'CX001' THEN
			fetched := NULL;
		END;
		after := clock_timestamp();
		IF before >= expiry AND
			(got IS NOT NULL OR got_as IS NOT NULL OR fetched IS NOT NULL OR looked <> 'miss') THEN
			RETURN format('%s after its expiry: %s %s %s %s', before - expiry, got,
				got_as, fetched, looked);
		END IF;
		IF after < expiry AND
			(got IS NULL OR got_as IS NULL OR fetched IS NULL OR looked <> 'hit') THEN
			RETURN format('%s before its expiry: %s %s %s %s', expiry - after, got,
				got_as, fetched, looked);
		END IF;
		EXIT WHEN before >= expiry + '50 ms'::interval;
	END LOOP;
	RETURN NULL;
END $$;
SELECT clock_timestamp() + '300 ms' AS expiry \gset
SELECT cachex.put('hour', 'expires', '1', expires_at => :'expiry');
SELECT watch_it_expire('expires', :'expiry');
-- its own transaction's as well
BEGIN;
SELECT clock_timestamp() + '300 ms' AS expiry \gset
SELECT cachex.put('hour', 'expires', '2', expires_at => :'expiry');
SELECT watch_it_expire('expires', :'expiry');
COMMIT;
SELECT status FROM cachex.lookup('hour', 'expires');

-- What has expired is absent to whoever changes it.
CREATE FUNCTION wait_until(instant timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WHILE clock_timestamp() < instant LOOP
		PERFORM pg_sleep(0.002);
	END LOOP;
END $$;
SELECT clock_timestamp() + '20 ms' AS expiry \gset
SELECT bool_or(cachex.put('hour', 'old ' || what, '[5]', expires_at => :'expiry')) IN (true, false)
FROM unnest('{update,push,incr,take,touch,absent,present}'::text[]) AS what;
SELECT wait_until(:'expiry');
SELECT cachex.update('hour', 'old update', '$1 || ''6''') AS update,
	cachex.push('hour', 'old push', '6') AS push,
	cachex.incr('hour', 'old incr') AS incr,
	cachex.take('hour', 'old take') AS take,
	cachex.touch('hour', 'old touch') AS touch,
	cachex.put('hour', 'old absent', '6', only_if => 'absent') AS absent,
	cachex.put('hour', 'old present', '6', only_if => 'present') AS present;
SELECT key, cachex.get('hour', key) FROM unnest(
	'{old update,old push,old incr,old take,old touch,old absent,old present}'::text[]) AS key;

-- purge frees it, if the sweeper was not faster; each is counted once in any
-- case. Memory is given back by whole seconds.
SELECT cachex.create_cache('purged', consistency => 'ttl');
SELECT clock_timestamp() + '20 ms' AS expiry \gset
BEGIN;
SELECT count(*) AS stored FROM generate_series(1, 1000) AS i
WHERE cachex.put('purged', 'k' || i, to_jsonb(i), expires_at => :'expiry') \gset
SELECT cachex.put('purged', 'stays', '1');
COMMIT;
SELECT wait_until(date_trunc('second', :'expiry'::timestamptz) + '1 s');
SELECT cachex.purge('purged') <= :stored;
SELECT cachex.purge('purged');
SELECT entries, expired = :stored AS all_expired FROM cachex.stats WHERE cache = 'purged';
SELECT cachex.get('purged', 'stays');

-- What a loader has read from another server, or a file: whose it is, and for
-- whom, is said by definitions, and a change of them ends what loaders have left.
CREATE FOREIGN DATA WRAPPER regress_ttl_fdw;
CREATE SERVER regress_ttl_server FOREIGN DATA WRAPPER regress_ttl_fdw;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_ttl_server OPTIONS (x '1');
CREATE PROCEDURE outlives(command text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cachex.fetch('hour', 'loaded', 'SELECT 1'), cachex.put('hour', 'written', '1');
	COMMIT;
	EXECUTE command;
	COMMIT;
	RAISE INFO '%: loaded %, written %', command,
		(cachex.lookup('hour', 'loaded')).status, (cachex.lookup('hour', 'written')).status;
END $$;
CALL outlives('ANALYZE pg_foreign_server');
CALL outlives($$ALTER USER MAPPING FOR CURRENT_USER SERVER regress_ttl_server OPTIONS (SET x '2')$$);
CALL outlives($$ALTER SERVER regress_ttl_server OPTIONS (ADD x '1')$$);
CALL outlives($$ALTER FOREIGN DATA WRAPPER regress_ttl_fdw OPTIONS (ADD x '1')$$);
CALL outlives('DROP USER MAPPING FOR CURRENT_USER SERVER regress_ttl_server');
CALL outlives('DROP FOREIGN DATA WRAPPER regress_ttl_fdw CASCADE');
DROP PROCEDURE outlives;

SELECT cx_check();
SELECT cachex.drop_cache(name) FROM cachex.caches
WHERE name IN ('hour', 'ever', 'odd', 'purged');
DROP FUNCTION life, watch_it_expire, wait_until;
