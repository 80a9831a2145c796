-- Keeps what the server counted in one run of page views. Standard input is a
-- line a view, microseconds and page.

SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS civicq.measured (
    n integer GENERATED ALWAYS AS IDENTITY,
    phase text, seconds numeric, views numeric, hits numeric, misses numeric, votes numeric,
    keys bigint,    -- entries that answer, not all that occupy memory
    memory numeric
);
CREATE TABLE IF NOT EXISTS civicq.view (phase text, us bigint, page text);

INSERT INTO civicq.measured (phase, seconds, hits, misses, votes, keys, memory)
SELECT :'phase', :to - :from, hits, misses,
    (SELECT count(*) FROM civicq.vote
        WHERE cast_at BETWEEN to_timestamp(:from) AND to_timestamp(:to)),
    (SELECT count(*) FROM cachex.entries() WHERE status IN ('hit', 'negative')),
    (SELECT used FROM cachex.memory())
FROM (SELECT sum(hits + negative_hits) AS hits, sum(misses) AS misses FROM cachex.stats) AS c;

CREATE TEMP TABLE log (us bigint, page text);
\copy log FROM pstdin
INSERT INTO civicq.view SELECT :'phase', us, page FROM log;
UPDATE civicq.measured SET views = (SELECT count(*) FROM log) WHERE phase = :'phase';
