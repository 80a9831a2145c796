-- LivePoll: a poll with 20 options and two million votes of the last 30 days.
-- Nothing here knows of a cache.

CREATE SCHEMA livepoll;

CREATE TABLE livepoll.options (
    id    integer PRIMARY KEY,
    text  text NOT NULL,
    votes bigint NOT NULL DEFAULT 0     -- kept by cast_vote()
);

CREATE TABLE livepoll.vote_events (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    option_id  integer NOT NULL,
    language   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO livepoll.options (id, text)
SELECT i, 'Option ' || i FROM generate_series(1, 20) AS i;

-- Some options and languages are more popular than others.
SELECT setseed(0.5);
INSERT INTO livepoll.vote_events (option_id, language, created_at)
SELECT 1 + floor(20 * random() ^ 1.5),
    ('{en,es,de,fr,pt}'::text[])[1 + floor(5 * random() ^ 2)],
    now() - i * interval '30 days' / 2e6
FROM generate_series(2e6::integer, 1, -1) AS i;

UPDATE livepoll.options AS o
SET votes = (SELECT count(*) FROM livepoll.vote_events AS e WHERE e.option_id = o.id);

ALTER TABLE livepoll.vote_events ADD PRIMARY KEY (id);
ALTER TABLE livepoll.vote_events ADD FOREIGN KEY (option_id) REFERENCES livepoll.options;
-- Trends and charts read a span of time from the index alone.
CREATE INDEX ON livepoll.vote_events (created_at) INCLUDE (option_id);

-- What a page shows, each a query of its own that returns one jsonb.

CREATE VIEW livepoll.statistics AS
SELECT jsonb_build_object(
        'options', count(*),
        'votes', sum(votes),
        'leader', (SELECT id FROM livepoll.options ORDER BY votes DESC, id LIMIT 1),
        'last_minute', (SELECT count(*) FROM livepoll.vote_events
                        WHERE created_at > now() - interval '1 min')) AS value
FROM livepoll.options;

CREATE VIEW livepoll.option_list AS
SELECT jsonb_agg(to_jsonb(o) ORDER BY id) AS value
FROM livepoll.options AS o;

CREATE VIEW livepoll.recent_activity AS
SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY id DESC), '[]') AS value
FROM (SELECT * FROM livepoll.vote_events ORDER BY id DESC LIMIT 10) AS e;

CREATE VIEW livepoll.pie_chart AS
SELECT jsonb_agg(jsonb_build_object('text', text, 'votes', votes,
        'percent', round(100.0 * votes / nullif(total, 0), 1)) ORDER BY votes DESC, id) AS value
FROM (SELECT *, sum(votes) OVER () AS total FROM livepoll.options) AS o;

CREATE VIEW livepoll.hourly_chart AS
SELECT jsonb_object_agg(hour, votes) AS value
FROM (SELECT date_bin('1 hour', created_at, 'epoch') AS hour, count(*) AS votes
    FROM livepoll.vote_events
    WHERE created_at > now() - interval '1 day'
    GROUP BY hour) AS h;

CREATE FUNCTION livepoll.trend(minutes integer) RETURNS jsonb STABLE LANGUAGE sql
RETURN (SELECT jsonb_object_agg(option_id, votes)
    FROM (SELECT option_id, count(*) AS votes
        FROM livepoll.vote_events
        WHERE created_at > now() - make_interval(mins => minutes)
        GROUP BY option_id) AS t);

VACUUM ANALYZE livepoll.options, livepoll.vote_events;
