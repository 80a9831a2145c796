-- Cinegraph with cachex: scores are computed when somebody asks for that by
-- hand, and pages are cut from what is stored. After schema.sql and scoring.sql.
--
-- The functions that visitors call run as their owner and under settings of
-- their own (see the end), so that all of them share the entries.

CREATE EXTENSION IF NOT EXISTS cachex;

-- ---- caches ----

-- Scores stand until somebody has them computed again: in memory, and in a table
-- behind it, which has them after an eviction or a restart. What is invalidated by
-- hand stays to be seen as stale, for 24 days (the most there is) or a restart.
SELECT cachex.create_cache('scores', consistency => 'ttl', ttl => NULL, stale_for => '24 days',
    loader => 'cinegraph.scores(text)', persist => 'table', options => jsonb_build_object('validate',
        $$jsonb_array_length($1 -> 'films') > 0
            AND jsonb_array_length(jsonb_path_query_array($1, '$.films[*].score ? (@ >= 0 && @ <= 100)'))
                = jsonb_array_length($1 -> 'films')$$));

-- What there is to choose from; an exact cache follows the tables.
SELECT cachex.create_cache('choices', ttl => NULL);
SELECT cachex.watch('cinegraph.film'), cachex.watch('cinegraph.profile');

-- ---- what may be asked for ----

CREATE FUNCTION cinegraph.decades() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$
    SELECT cachex.fetch('choices', 'decades',
        'SELECT jsonb_agg(DISTINCT decade ORDER BY decade) FROM cinegraph.film')
$$;

CREATE FUNCTION cinegraph.profiles() RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS $$
    SELECT cachex.fetch('choices', 'profiles',
        'SELECT jsonb_agg(DISTINCT name ORDER BY name) FROM cinegraph.profile')
$$;

-- The key; an error where there is no such decade or profile.
CREATE FUNCTION cinegraph.scores_key(decade integer, profile text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT coalesce(cinegraph.decades() @> to_jsonb(decade), false) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('there is no decade %s', decade);
    ELSIF NOT coalesce(cinegraph.profiles() ? profile, false) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('there is no profile "%s"', profile);
    END IF;
    RETURN 'scores:' || decade || ':' || profile;
END
$$;

-- ---- pages ----

-- 100 of the 1,000 films. It never computes.
CREATE FUNCTION cinegraph.page(decade integer, profile text, page_no integer DEFAULT 1)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    key text := cinegraph.scores_key(decade, profile);
    scores jsonb;
BEGIN
    BEGIN
        scores := cachex.fetch('scores', key, mode => 'cached');
    EXCEPTION WHEN SQLSTATE 'CX001' THEN
        RETURN jsonb_build_object('status', 'not computed yet', 'decade', decade, 'profile', profile);
    END;
    RETURN scores - 'films' || jsonb_build_object('status', 'computed', 'page', page_no,
        'pages', (jsonb_array_length(scores -> 'films') + 99) / 100,
        'films', jsonb_path_query_array(scores, '$.films[$from to $to]',
            jsonb_build_object('from', 100 * (page_no - 1), 'to', 100 * page_no - 1)));
END
$$;

-- ---- refreshing, by hand ----

-- Returns the number of the job.
CREATE FUNCTION cinegraph.refresh(decade integer, profile text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN cachex.refresh('scores', cinegraph.scores_key(decade, profile), max_attempts => 3);
END
$$;

-- What is there, how old it is, and what its last job is doing or has done.
CREATE FUNCTION cinegraph.dashboard()
RETURNS TABLE (decade integer, profile text, status text, available boolean, age interval,
    calculated_at timestamptz, films integer, kb numeric, job bigint, job_status text, attempts integer,
    seconds numeric, last_error text)
LANGUAGE sql SECURITY DEFINER AS $$
    SELECT d::integer, p, e.status, e.value IS NOT NULL, e.age, (e.value ->> 'calculated_at')::timestamptz,
        jsonb_array_length(e.value -> 'films'), round(e.bytes / 1024.0, 1), j.id, j.status, j.attempts,
        round(extract(epoch FROM coalesce(j.finished, clock_timestamp()) - j.started), 1), j.last_error
    FROM jsonb_array_elements_text(cinegraph.decades()) AS d
        CROSS JOIN jsonb_array_elements_text(cinegraph.profiles()) AS p
        CROSS JOIN LATERAL cachex.lookup('scores', 'scores:' || d || ':' || p) AS e
        LEFT JOIN (SELECT DISTINCT ON (key) * FROM cachex.jobs WHERE cache = 'scores' ORDER BY key, id DESC) AS j
            ON j.key = 'scores:' || d || ':' || p
$$;

-- ---- who may do what, and how ----

-- An entry answers only under the settings that its loader had, of those that
-- can change a result; drivers set some of them in every session.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'cinegraph'::regnamespace AND prosecdef LOOP
        EXECUTE format($f$ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
            SET DateStyle = 'ISO, MDY' SET IntervalStyle = 'postgres' SET extra_float_digits = 1$f$, f);
    END LOOP;
END
$$;

-- A visitor sees pages; the films, the scoring and the jobs are not his.
CREATE ROLE cinegraph_visitor;
REVOKE ALL ON FUNCTION cinegraph.scores(text), cinegraph.refresh(integer, text), cinegraph.dashboard() FROM PUBLIC;
GRANT USAGE ON SCHEMA cinegraph TO cinegraph_visitor;
