-- Keeps what the server counted in one run of page views. Standard input is a
-- line a view, microseconds and page.

SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS postcache.measured (
    n integer GENERATED ALWAYS AS IDENTITY,
    phase text, seconds numeric, hits numeric, misses numeric, loads numeric, evicted numeric,
    entries bigint, bytes bigint, users bigint,
    most bigint    -- entries of one user
);
CREATE TABLE IF NOT EXISTS postcache.view (phase text, us bigint, page text);

INSERT INTO postcache.measured (phase, seconds, hits, misses, loads, evicted, entries, bytes, users, most)
SELECT :'phase', :seconds, sum(hits + stale_hits + negative_hits), sum(misses), sum(loads), sum(evicted), sum(entries), sum(bytes),
    (SELECT count(*) FROM postcache.cache_users), (SELECT max(entries) FROM postcache.cache_users)
FROM cachex.stats WHERE cache IN ('posts', 'summaries');

CREATE TEMP TABLE log (us bigint, page text);
\copy log FROM pstdin
INSERT INTO postcache.view SELECT :'phase', us, page FROM log;
