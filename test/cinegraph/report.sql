-- What was measured.

\pset footer off
SELECT CASE phase WHEN 'query' THEN 'the scoring query alone' WHEN 'cached' THEN 'pages'
        WHEN 'first' THEN 'the first page after the restart' WHEN 'restart' THEN 'pages after a restart'
        WHEN 'crash first' THEN 'the first page after the crash' ELSE 'pages after a crash' END AS measured, count(*) AS n,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::numeric, 2) AS "p50 ms",
    round((percentile_cont(0.99) WITHIN GROUP (ORDER BY ms))::numeric, 2) AS "p99 ms", round(max(ms), 2) AS "max ms",
    (SELECT runs FROM cinegraph.counted WHERE counted.phase = m.phase) AS "runs of the query"
FROM cinegraph.measured AS m
GROUP BY phase
ORDER BY min(n);

SELECT decade, profile, status, date_trunc('second', age) AS age, films, kb, job_status, attempts, seconds, last_error
FROM cinegraph.dashboard() WHERE available OR job IS NOT NULL ORDER BY job;

SELECT s.key, string_agg(DISTINCT format('%s (job %s)', status, job_status), ', ') AS "seen while jobs were under way"
FROM cinegraph.seen AS s GROUP BY key ORDER BY key;
