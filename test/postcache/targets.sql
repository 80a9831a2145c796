-- A line for each target that was missed.

SELECT format('not %s in phase "%s"', target, phase)
FROM postcache.measured, LATERAL (VALUES
        -- the flood is made of misses
        (phase = 'flood' OR hits >= 0.8 * (hits + misses), 'a hit rate of 80 %'),
        (most <= 1000, '1,000 entries of a user at most'),
        (phase <> 'flood' OR most = 1000, 'a user who has his 1,000 entries'),
        (phase <> 'flood' OR evicted > 0, 'an eviction')
    ) AS t(reached, target)
WHERE phase IN ('full', 'flood') AND reached IS NOT TRUE
UNION ALL
SELECT format('the flood took from user %s: %s', user_id, key)
FROM postcache.before_flood AS b
WHERE NOT EXISTS (SELECT FROM cachex.entries('posts') AS e WHERE (e.scope, e.key) = (b.user_id, b.key))
UNION ALL
SELECT 'wrong: ' || verdict FROM postcache.trial WHERE verdict IS NOT NULL
UNION ALL
SELECT format('%s of %s created posts were there for their first reader', count(*) FILTER (WHERE through), count(*))
FROM postcache.trial WHERE through IS NOT NULL
HAVING count(*) FILTER (WHERE through) < count(*) OR count(*) < 20
UNION ALL
SELECT format('%s pages were compared with the tables, not 100', count(*)) FROM postcache.trial HAVING count(*) < 100;
