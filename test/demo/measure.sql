-- Keeps what the server counted and pgbench logged in one run of page views.
-- Standard input is the log, a line a view.

CREATE TABLE IF NOT EXISTS livepoll.measured (
	run text, line integer, measure text, digits integer, value numeric
);

CREATE TEMP TABLE log (
	client integer, n integer, us bigint, script integer, s bigint, s_us bigint
);
\copy log FROM pstdin (DELIMITER ' ')

INSERT INTO livepoll.measured
SELECT :'run', m.*
FROM (SELECT count(*) AS views,
		percentile_cont('{0.5,0.95,0.99}'::float8[])
			WITHIN GROUP (ORDER BY us / 1000.0)::numeric[] AS ms,
		(max(s * 1000000 + s_us) - min(s * 1000000 + s_us - us)) / 1e6 AS seconds
	FROM log) AS l,
	(SELECT sum(loads) AS loads, sum(misses) AS misses,
		sum(hits + negative_hits) AS hits
	FROM cachex.stats) AS c,
	LATERAL (VALUES
		(1, 'page views', 0, views),
		(2, 'loader queries a page view', 3, loads / views),
		(3, 'p50 of a page view, ms', 1, ms[1]),
		(4, 'p95 of a page view, ms', 1, ms[2]),
		(5, 'p99 of a page view, ms', 1, ms[3]),
		(6, 'page views a second', 0, views / seconds),
		(7, 'hit rate, %', 2, 100 * hits / nullif(hits + misses, 0))
	) AS m(line, measure, digits, value);
