-- A line for each target that was missed.

SELECT format('with the cache (%s): not %s', cached.run, target)
FROM livepoll.measured AS uncached, livepoll.measured AS cached,
	LATERAL (VALUES
		(cached.loads <= 0.2 * uncached.loads, '80 % fewer loader queries a page view'),
		(cached.hit_rate > 90, 'a hit rate over 90 %'),
		(cached.per_second >= 2 * uncached.per_second, 'twice as many page views a second'),
		(cached.p50 <= 0.5 * uncached.p50, 'half the time a page view')
	) AS t(reached, target)
WHERE uncached.run = 'without' AND cached.run <> 'without' AND reached IS NOT TRUE
UNION ALL
SELECT format('%s of %s pages did not show the vote before them', missed, trials)
FROM (SELECT count(*) AS trials,
		count(*) FILTER (WHERE (vote AND options AND activity AND statistics AND pie_chart)
			IS NOT TRUE) AS missed
	FROM livepoll.trial) AS f
WHERE missed > 0 OR trials < 200;
