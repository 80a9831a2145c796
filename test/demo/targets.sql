-- A line for each target that was missed.

SELECT format('run "%s": not %s', cached.run, target)
FROM livepoll.measured AS uncached, livepoll.measured AS cached,
    LATERAL (VALUES
        (cached.loads <= 0.2 * uncached.loads, '80 % fewer loader queries a page view'),
        (cached.hit_rate > 90, 'a hit rate over 90 %'),
        (cached.per_second >= 2 * uncached.per_second, 'twice as many page views a second'),
        (cached.p50 <= 0.5 * uncached.p50, 'half the time a page view')
    ) AS t(reached, target)
WHERE uncached.run = 'without' AND cached.run <> 'without' AND reached IS NOT TRUE
UNION ALL
SELECT format('%s of %s votes, of 200 at least, were on the next page', fresh, trials)
FROM livepoll.freshness
WHERE fresh < trials OR trials < 200
UNION ALL
SELECT format('the warmer filled %s keys', last_entries)
FROM cachex.warmers
WHERE last_entries IS DISTINCT FROM 3;
