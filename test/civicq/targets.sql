-- A line for each target that was missed.

SELECT 'not ' || target
FROM civicq.measured, LATERAL (VALUES
        (hits / seconds >= 4000, '4,000 hits a second'),
        (hits >= 0.8 * (hits + misses), 'a hit rate of 80 %'),
        (keys >= 50000, '50,000 keys in the cache'),
        (votes / seconds >= 40, '40 of the 50 votes a second')
    ) AS t(reached, target)
WHERE phase = 'full' AND reached IS NOT TRUE
UNION ALL
SELECT format('%s of %s pages after a vote, of 100 at least, were fresh', fresh, trials)
FROM civicq.freshness
WHERE fresh < trials OR trials < 100
UNION ALL
SELECT format('the warmer "%s" of %s failed: %s', name, cache, last_error)
FROM cachex.warmers
WHERE last_error IS NOT NULL OR last_entries IS NULL;
