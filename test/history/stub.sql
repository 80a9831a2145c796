-- In place of the extension, to test the test. Without a limit every answer is
-- computed; with hist.stub_ttl = '50 ms' answers are as old as that, and the
-- test has to notice.
CREATE SCHEMA cachex;
CREATE UNLOGGED TABLE cachex.kept (ask text PRIMARY KEY, answer jsonb,
    at timestamptz DEFAULT clock_timestamp());

CREATE FUNCTION cachex.create_cache(name text, consistency text) RETURNS void
LANGUAGE sql AS '';
CREATE FUNCTION cachex.watch(rel regclass) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION cachex.clear(cache text) RETURNS void LANGUAGE sql AS '';

-- Every call counts as a hit.
CREATE VIEW cachex.stats AS
SELECT relname::text AS cache, n_tup_ins AS hits, 0 AS negative_hits, 0 AS misses
FROM pg_stat_xact_user_tables WHERE false
UNION ALL
SELECT 'stub', (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0, 0;

CREATE FUNCTION cachex.compute(query text, params text[]) RETURNS jsonb
STABLE LANGUAGE plpgsql AS $f$
DECLARE
    answer jsonb;
BEGIN
    EXECUTE replace(query, '$1', coalesce(quote_literal(params[1]), '$1'))
    INTO answer;
    RETURN answer;
END $f$;

CREATE FUNCTION cachex.answer(query text, params text[]) RETURNS jsonb
VOLATILE LANGUAGE plpgsql AS $f$
DECLARE
    wanted text := concat(query, params);
    k jsonb;
BEGIN
    SELECT answer INTO k FROM cachex.kept
    WHERE ask = wanted
        AND at > clock_timestamp() - current_setting('hist.stub_ttl')::interval;
    IF FOUND THEN
        RETURN k;
    END IF;
    k := cachex.compute(query, params);
    IF NOT current_setting('transaction_read_only')::boolean THEN
        INSERT INTO cachex.kept VALUES (wanted, k) ON CONFLICT (ask)
        DO UPDATE SET answer = k, at = clock_timestamp();
    END IF;
    RETURN k;
END $f$;

-- plpgsql, so that the caller's snapshot is in effect where the query runs
CREATE FUNCTION cachex.fetch(cache text, key text, query text DEFAULT NULL,
    params text[] DEFAULT NULL, ttl interval DEFAULT NULL,
    tags text[] DEFAULT NULL, mode text DEFAULT 'normal',
    scope text DEFAULT NULL) RETURNS jsonb STABLE LANGUAGE plpgsql AS $f$
BEGIN
    query := format('SELECT to_jsonb(value) FROM (%s) AS d', query);
    IF current_setting('hist.stub_ttl', true) <> '' THEN
        RETURN cachex.answer(query, params);
    END IF;
    RETURN cachex.compute(query, params);
END $f$;

CREATE FUNCTION cachex.query(query text, params text[] DEFAULT NULL,
    ttl interval DEFAULT NULL, tags text[] DEFAULT NULL,
    cache text DEFAULT 'queries', mode text DEFAULT 'normal')
RETURNS SETOF record STABLE LANGUAGE plpgsql AS $f$
BEGIN
    RETURN QUERY EXECUTE replace(query, '$1', coalesce(quote_literal(params[1]), '$1'));
END $f$;

CREATE FUNCTION cachex.query_as(row_type anyelement, query text,
    params text[] DEFAULT NULL, ttl interval DEFAULT NULL,
    tags text[] DEFAULT NULL, cache text DEFAULT 'queries',
    mode text DEFAULT 'normal')
RETURNS SETOF anyelement STABLE LANGUAGE plpgsql AS $f$
BEGIN
    RETURN QUERY EXECUTE replace(query, '$1', coalesce(quote_literal(params[1]), '$1'));
END $f$;
