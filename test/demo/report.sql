-- The result of all runs.

\pset footer off
\pset null -

SELECT measure,
    round("without", digits) AS "without",
    round("with", digits) AS "with",
    round("with" / "without", CASE WHEN "with" < "without" THEN 3 ELSE 1 END) AS ratio,
    round(longer, digits) AS "with, longer"
FROM (SELECT line, measure, digits,
        max(value) FILTER (WHERE run = 'without') AS "without",
        max(value) FILTER (WHERE run = 'with') AS "with",
        max(value) FILTER (WHERE run = 'longer') AS longer
    FROM livepoll.measured, LATERAL (VALUES
        (1, 'page views', 0, views),
        (2, 'votes meanwhile', 0, votes),
        (3, 'loader queries a page view', 3, loads),
        (4, 'p50 of a page view, ms', 1, p50),
        (5, 'p95 of a page view, ms', 1, p95),
        (6, 'p99 of a page view, ms', 1, p99),
        (7, 'page views a second', 0, per_second),
        (8, 'hit rate, %', 2, hit_rate)) AS m(line, measure, digits, value)
    GROUP BY line, measure, digits) AS m
ORDER BY line;

SELECT format('Votes that were on the very next page: %s of %s', fresh, trials) AS freshness
FROM livepoll.freshness
\gset
\echo :freshness
\echo
\echo 'SELECT * FROM cachex.stats, a column a cache:'
\echo
SELECT s.name, stats.cache,
    -- of times the time of day, of other numbers three digits
    regexp_replace(s.value, '^.*T([0-9:]*).*|(\.\d{3})\d*$', '\1\2') AS value
FROM cachex.stats,
    json_each_text(row_to_json(stats)) WITH ORDINALITY AS s(name, value, line)
WHERE s.name <> 'cache'
ORDER BY line, cache
\crosstabview name cache value
