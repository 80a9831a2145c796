-- What was measured; measure.sql has kept it.

\pset footer off

SELECT coalesce(page, 'all') AS page, count(*) AS views,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY us / 1e3))::numeric, 2) AS "p50 ms",
    round((percentile_cont(0.95) WITHIN GROUP (ORDER BY us / 1e3))::numeric, 2) AS "p95 ms",
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY us / 1e3))::numeric, 2) AS "p99 ms"
FROM civicq.view
WHERE phase = 'full'
GROUP BY ROLLUP (page)
ORDER BY views;

SELECT phase, views AS pages, round(seconds, 1) AS seconds,
    round(views / seconds) AS "pages a second", round(hits / seconds) AS "hits a second",
    round(100 * hits / nullif(hits + misses, 0), 2) AS "hit rate %",
    ms[1] AS "p50 ms", ms[2] AS "p95 ms", ms[3] AS "p99 ms",
    round(votes / seconds, 1) AS "votes a second", keys, round(memory / 1024 / 1024) AS "memory MB"
FROM civicq.measured, LATERAL (SELECT ARRAY(SELECT round(p::numeric, 2) FROM unnest(
        percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY us / 1e3)) AS p) AS ms
    FROM civicq.view WHERE view.phase = measured.phase) AS v
ORDER BY n;

SELECT cache, entries, bytes / 1024 AS kb, hits + negative_hits AS hits, misses, hit_rate,
    load_ms_p50, load_ms_p95, invalidated, refused_doubt AS doubt, evicted
FROM cachex.stats WHERE hits + misses > 0 ORDER BY cache;

SELECT format('Pages compared with the tables after a committed vote: %s, fresh: %s', trials, fresh)
    AS line FROM civicq.freshness
UNION ALL SELECT 'Alert: ' || alert FROM civicq.cache_alerts
\g (tuples_only)
