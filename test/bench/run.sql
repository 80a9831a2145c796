-- What run.sh measures with: keys of 10 bytes, values of 100.
CREATE EXTENSION cachex;

CREATE FUNCTION key_of(i int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN 'k' || lpad(i::text, 9, '0');
-- Does not compress; 12 bytes are jsonb's own.
CREATE FUNCTION value_of(i int, size int = 100) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN (SELECT to_jsonb(left(string_agg(md5(i::text || j), ''), size - 12))
	FROM generate_series(1, size / 32 + 1) j);

-- The peers: a table like the hot entries, one like a million of them.
CREATE UNLOGGED TABLE kv_hot (k text PRIMARY KEY, v jsonb NOT NULL);
INSERT INTO kv_hot SELECT key_of(i), value_of(i) FROM generate_series(1, 1000) i;
CREATE UNLOGGED TABLE kv (k text PRIMARY KEY, v jsonb NOT NULL);
INSERT INTO kv SELECT key_of(i), to_jsonb(left(md5(i::text) || md5(i::text || 'a')
	|| md5(i::text || 'b'), 88)) FROM generate_series(1, 1000000) i;
CREATE FUNCTION kv_get(key text) RETURNS jsonb LANGUAGE plpgsql STABLE AS
'BEGIN RETURN (SELECT v FROM kv_hot WHERE k = key); END';
CREATE UNLOGGED TABLE kv_new (k text PRIMARY KEY, v jsonb NOT NULL);
CREATE FUNCTION kv_put(key text, value jsonb) RETURNS boolean LANGUAGE plpgsql AS
'BEGIN
	INSERT INTO kv_new VALUES (key, value)
	ON CONFLICT (k) DO UPDATE SET v = excluded.v;
	RETURN true;
END';
CREATE UNLOGGED TABLE kv_many (k text PRIMARY KEY, v jsonb NOT NULL);
CREATE UNLOGGED TABLE kv_expiring
	(k text PRIMARY KEY, v jsonb NOT NULL, expires_at timestamptz NOT NULL);

CREATE UNLOGGED TABLE client (k text PRIMARY KEY, v jsonb NOT NULL);
INSERT INTO client SELECT i, value_of(i) FROM generate_series(1, 1000) i;

-- The loops: one look-up a row.
SELECT setseed(0.5);
CREATE UNLOGGED TABLE hot AS
SELECT key_of(1 + (random() * 999)::int) AS k FROM generate_series(1, 200000);
CREATE UNLOGGED TABLE hot10k AS SELECT k FROM hot LIMIT 10000;
CREATE UNLOGGED TABLE one10k AS SELECT key_of(1) AS k FROM hot10k;
CREATE UNLOGGED TABLE missing AS SELECT replace(k, 'k', 'm') AS k FROM hot;
CREATE UNLOGGED TABLE cold AS
SELECT key_of(1 + (random() * 999999)::int) AS k FROM generate_series(1, 200000);
CREATE UNLOGGED TABLE fresh AS
SELECT i, 'n' || lpad(i::text, 7, '0') AS k, value_of(i) AS v
FROM generate_series(1, 50000) i;
CREATE INDEX ON fresh (i);

-- Long values: stored as they are, out of line.
CREATE UNLOGGED TABLE kv_long (k text PRIMARY KEY, v jsonb NOT NULL);
ALTER TABLE kv_long ALTER v SET STORAGE EXTERNAL;
INSERT INTO kv_long
SELECT s.name || i, value_of(i, s.bytes)
FROM (VALUES ('8KB', 8192, 64), ('64KB', 65536, 16), ('1MB', 1000000, 4))
	AS s(name, bytes, n), generate_series(1, s.n) i;
CREATE UNLOGGED TABLE ask_8kb AS
SELECT '8KB' || 1 + i % 64 AS k FROM generate_series(1, 8000) i;
CREATE UNLOGGED TABLE ask_64kb AS
SELECT '64KB' || 1 + i % 16 AS k FROM generate_series(1, 1600) i;
CREATE UNLOGGED TABLE ask_1mb AS
SELECT '1MB' || 1 + i % 4 AS k FROM generate_series(1, 200) i;
VACUUM ANALYZE;

-- Evaluates an expression for every fresh row, a transaction a thousand rows.
CREATE PROCEDURE in_batches(expression text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 0 .. 49 LOOP
		EXECUTE format('SELECT count(%s) FROM fresh WHERE i > $1 AND i <= $1 + 1000',
			expression) USING i * 1000;
		COMMIT;
	END LOOP;
END $$;

-- Puts the first n rows of kv.
CREATE PROCEDURE fill(cache text, n int, tags text[] = NULL) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 0 .. (n - 1) / 10000 LOOP
		PERFORM count(cachex.put(cache, k, v, tags => fill.tags)) FROM kv
		WHERE k > key_of(i * 10000) AND k <= key_of(least(n, (i + 1) * 10000));
		COMMIT;
	END LOOP;
END $$;

-- Milliseconds, commit and all, of one statement; the other half of the loop
-- is for the plans and is not counted.
CREATE PROCEDURE time_invalidate(tag text, INOUT ms float8 = 0)
LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz;
BEGIN
	FOREACH tag IN ARRAY ARRAY['nobody''s', tag] LOOP
		COMMIT;
		t := clock_timestamp();
		PERFORM cachex.invalidate_tags(ARRAY[tag]);
		COMMIT;
		ms := 1000 * extract(epoch FROM clock_timestamp() - t);
	END LOOP;
END $$;
CREATE PROCEDURE time_clear(cache text, INOUT ms float8 = 0)
LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz;
BEGIN
	FOREACH cache IN ARRAY ARRAY['empty', cache] LOOP
		COMMIT;
		t := clock_timestamp();
		PERFORM cachex.clear(cache);
		COMMIT;
		ms := 1000 * extract(epoch FROM clock_timestamp() - t);
	END LOOP;
END $$;
CREATE PROCEDURE time_truncate(INOUT ms float8 = 0) LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz;
BEGIN
	TRUNCATE kv_many;
	INSERT INTO kv_many SELECT * FROM kv LIMIT 100000;
	COMMIT;
	t := clock_timestamp();
	TRUNCATE kv_many;
	COMMIT;
	ms := 1000 * extract(epoch FROM clock_timestamp() - t);
END $$;

-- Waits until the memory of what a clear has left behind is free.
CREATE PROCEDURE await_empty(name text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 10000 LOOP
		IF (SELECT entries FROM cachex.stats WHERE cache = name) = 0 THEN
			RETURN;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RAISE 'cache "%" is not empty in time', name;
END $$;

-- Puts 100,000 entries that expire at once, and waits until they are gone:
-- from the last look that saw them all to the first that sees none.
CREATE PROCEDURE expire(INOUT began float8 = 0, INOUT ended float8 = 0)
LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	others bigint := (SELECT entries FROM cachex.memory());
	due timestamptz := date_trunc('second', clock_timestamp()) + interval '3 s';
BEGIN
	FOR i IN 0 .. 9 LOOP
		PERFORM count(cachex.put('expiring', k, v, expires_at => due)) FROM kv
		WHERE k > key_of(i * 10000) AND k <= key_of((i + 1) * 10000);
		COMMIT;
	END LOOP;
	PERFORM pg_sleep(extract(epoch FROM due - clock_timestamp()));
	LOOP
		COMMIT;
		n := (SELECT entries FROM cachex.memory()) - others;
		ended := extract(epoch FROM clock_timestamp());
		IF n >= 100000 THEN
			began := ended;
		END IF;
		EXIT WHEN n <= 0;
		IF began = 0 OR clock_timestamp() > due + interval '10 s' THEN
			RAISE 'the entries did not expire in time';
		END IF;
		PERFORM pg_sleep(0.0005);
	END LOOP;
END $$;
