-- Keeps what the server counted and pgbench logged in one run of page views.
-- Standard input is the log, a line a view.

SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS livepoll.measured (
    run text, views numeric, votes numeric, per_second numeric,
    p50 numeric, p95 numeric, p99 numeric,      -- milliseconds
    loads numeric, hit_rate numeric             -- loads are those of one view
);

CREATE TEMP TABLE log (
    client integer, n integer, us bigint, script integer, s bigint, s_us bigint
);
\copy log FROM pstdin (DELIMITER ' ')

INSERT INTO livepoll.measured
SELECT :'run', views,
    (SELECT count(*) FROM livepoll.vote_events
        WHERE created_at BETWEEN to_timestamp(start) AND to_timestamp(stop)),
    views / (stop - start), ms[1], ms[2], ms[3],
    loads / views, 100 * hits / nullif(hits + misses, 0)
FROM (SELECT count(*)::numeric AS views,
        percentile_cont('{0.5,0.95,0.99}'::float8[])
            WITHIN GROUP (ORDER BY us / 1e3)::numeric[] AS ms,
        min(s + (s_us - us) / 1e6) AS start, max(s + s_us / 1e6) AS stop
    FROM log) AS l,
    (SELECT sum(loads) AS loads, sum(misses) AS misses,
        sum(hits + negative_hits) AS hits
    FROM cachex.stats) AS c;
