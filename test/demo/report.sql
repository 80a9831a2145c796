-- The result of all runs.

\pset footer off
\pset null -

SELECT measure,
	round("without", digits) AS "without",
	round("with", digits) AS "with",
	round("with" / "without", CASE WHEN "with" < "without" THEN 4 ELSE 1 END) AS ratio,
	round(longer, digits) AS "with, longer"
FROM (SELECT line, measure, digits,
		max(value) FILTER (WHERE run = 'without') AS "without",
		max(value) FILTER (WHERE run = 'with') AS "with",
		max(value) FILTER (WHERE run = 'longer') AS longer
	FROM livepoll.measured
	GROUP BY line, measure, digits) AS m
ORDER BY line;

-- Every name in the view stats with its value in each cache.
\echo 'SELECT * FROM cachex.stats, a column a cache:'
SELECT s.name AS "cache", s.value, stats.cache
FROM cachex.stats,
	json_each_text(row_to_json(stats)) WITH ORDINALITY AS s(name, value, line)
WHERE s.name <> 'cache'
ORDER BY line
\crosstabview "cache" cache value
