-- A line for each target that was missed.

SELECT 'the scoring query alone does not take 1.5 s' WHERE NOT EXISTS (
    SELECT FROM cinegraph.measured WHERE phase = 'query' HAVING percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) >= 1500)
UNION ALL
SELECT format('pages "%s": p99 of %s views is %s ms', phase, count(*), percentile_disc(0.99) WITHIN GROUP (ORDER BY ms))
FROM (VALUES ('cached'), ('restart'), ('crash')) AS p(phase) LEFT JOIN cinegraph.measured AS m USING (phase)
GROUP BY phase
HAVING count(m) < 1000 OR percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) >= 100
UNION ALL
SELECT format('"%s": %s runs of the scoring query, not %s', phase, runs, wanted)
FROM (VALUES ('missing', 0), ('refreshed', 6), ('cached', 6), ('restart', 0), ('crash', 0)) AS p(phase, wanted)
    LEFT JOIN cinegraph.counted USING (phase)
WHERE runs IS DISTINCT FROM wanted
UNION ALL
SELECT format('%s: job %s after %s attempts: %s', key, status, attempts, last_error)
FROM cachex.jobs
WHERE CASE WHEN key LIKE '%:overdrive' THEN status <> 'failed' OR attempts <> 3
        OR coalesce(last_error, '') NOT LIKE '%violates the validation of cache "scores"' ELSE status <> 'done' END
    OR duration >= '1 min'
UNION ALL
SELECT format('jobs for %s keys, not 4', count(DISTINCT key)) FROM cachex.jobs HAVING count(DISTINCT key) <> 4
UNION ALL
SELECT format('%s keys were seen "loading" with a job that runs, not 4', count(DISTINCT key))
FROM cinegraph.seen WHERE (status, job_status, page) = ('loading', 'running', 'not computed yet')
HAVING count(DISTINCT key) <> 4
UNION ALL
SELECT format('%s has scores that are not between 0 and 100', key) FROM cachex.entries('scores') AS e,
    LATERAL (SELECT min(score), max(score), count(score) FROM jsonb_path_query((cachex.lookup('scores', key)).value,
        '$.films[*].score') AS j, LATERAL (SELECT j::numeric AS score) AS s) AS s
WHERE (min >= 0 AND max <= 100 AND count = 1000) IS NOT TRUE
UNION ALL
SELECT format('scores of %s keys are there at the end, not of 3', count(*)) FROM cinegraph.dashboard()
WHERE available AND status = 'hit' AND films = 1000
HAVING count(*) <> 3;
