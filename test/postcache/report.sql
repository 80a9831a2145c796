-- What was measured; measure.sql has kept it.

\pset footer off

SELECT page, count(*) FILTER (WHERE phase = 'full') AS views,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY us / 1e3) FILTER (WHERE phase = 'without'))::numeric, 2) AS "p50 ms without",
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY us / 1e3) FILTER (WHERE phase = 'full'))::numeric, 2) AS "with",
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY us / 1e3) FILTER (WHERE phase = 'without'))::numeric, 2) AS "p99 ms without",
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY us / 1e3) FILTER (WHERE phase = 'full'))::numeric, 2) AS "with "
FROM postcache.view
GROUP BY page
ORDER BY page;

SELECT phase, views AS pages, round(views / seconds) AS "pages a second",
    round(100 * hits / nullif(hits + misses, 0), 2) AS "hit rate %", loads AS queries,
    CASE WHEN phase <> 'flood' THEN views - loads END AS "queries saved", round(evicted / seconds, 1) AS "evictions a second", entries, bytes / 1024 AS kb,
    users, most AS "most of a user"
FROM postcache.measured AS m, LATERAL (SELECT count(*) AS views FROM postcache.view AS v WHERE v.phase = m.phase) AS v
ORDER BY n;

SELECT cache, entries, bytes / 1024 AS kb, reason, n FROM postcache.cache_events WHERE n > 0;

SELECT count(*) AS users, sum(n) AS samples, min(n) AS least, round(min(rate), 1) AS "lowest hit rate %",
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY rate))::numeric, 1) AS "median %"
FROM (SELECT user_id, count(*) AS n, 100.0 * count(*) FILTER (WHERE hit) / count(*) AS rate
    FROM postcache.sample GROUP BY user_id HAVING count(*) >= 10) AS s;

SELECT format('Pages compared with the tables: %s, not one''s own or old: %s; created posts: %s, there for their first reader: %s',
    count(*), count(verdict), count(through), count(*) FILTER (WHERE through))
FROM postcache.trial
\g (tuples_only)
