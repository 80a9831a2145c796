-- What the pages are made of: a row for each part of a page, with its value and
-- the tags of events that change it. Loaders and warmers both read these, so
-- tags are said once. Keys of watches (civicq.sql) name the rest.

CREATE VIEW civicq.city_list_data AS
SELECT jsonb_agg(jsonb_build_object('id', id, 'name', name) ORDER BY population DESC) AS value
FROM civicq.city;

CREATE VIEW civicq.city_settings_data AS
SELECT city_id, to_jsonb(s) AS value FROM civicq.city_settings AS s;

CREATE VIEW civicq.ballot_list_data AS
SELECT id AS city_id,
    (SELECT coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('contests',
                (SELECT count(*) FROM civicq.contest WHERE ballot_id = b.id))
            ORDER BY b.held_on, b.id), '[]')
        FROM civicq.ballot AS b WHERE b.city_id = city.id) AS value,
    ARRAY['ballots:' || id] AS tags
FROM civicq.city;

CREATE VIEW civicq.ballot_data AS
SELECT id, city_id, to_jsonb(b) AS value, ARRAY['ballots:' || city_id] AS tags
FROM civicq.ballot AS b;

CREATE VIEW civicq.contest_list_data AS
SELECT id AS ballot_id, city_id,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'title', c.title) ORDER BY c.id), '[]')
        FROM civicq.contest AS c WHERE c.ballot_id = b.id) AS value,
    ARRAY['ballots:' || city_id] AS tags
FROM civicq.ballot AS b;

CREATE VIEW civicq.contest_data AS
SELECT c.id, c.active,
    to_jsonb(c) || jsonb_build_object('city_id', b.city_id, 'held_on', b.held_on) AS value,
    ARRAY['ballots:' || b.city_id] AS tags
FROM civicq.contest AS c JOIN civicq.ballot AS b ON b.id = c.ballot_id;

CREATE VIEW civicq.contest_statistics_data AS
SELECT id,
    (SELECT jsonb_build_object('votes', count(*), 'voters', count(DISTINCT voter_id))
        FROM civicq.vote WHERE contest_id = contest.id) AS value,
    ARRAY['statistics:' || id] AS tags
FROM civicq.contest;

CREATE VIEW civicq.candidate_list_data AS
SELECT id AS contest_id, active,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name) ORDER BY c.id), '[]')
        FROM civicq.candidate AS c WHERE c.contest_id = contest.id) AS value,
    ARRAY['candidates:' || id] AS tags
FROM civicq.contest;

CREATE VIEW civicq.candidate_data AS
SELECT id, contest_id, to_jsonb(c) AS value FROM civicq.candidate AS c;

CREATE VIEW civicq.responses_data AS
SELECT id AS candidate_id,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('video', v.id, 'question', v.question_id,
                'title', v.title, 'seconds', v.seconds) ORDER BY v.id DESC), '[]')
        FROM civicq.video AS v WHERE v.candidate_id = candidate.id) AS value
FROM civicq.candidate;

CREATE VIEW civicq.question_data AS
SELECT id,
    to_jsonb(q) || jsonb_build_object(
        'votes', (SELECT count(*) FROM civicq.vote WHERE question_id = q.id),
        'videos', (SELECT coalesce(jsonb_agg(v.id ORDER BY v.id), '[]')
            FROM civicq.video AS v WHERE v.question_id = q.id)) AS value
FROM civicq.question AS q
WHERE status <> 'rejected';

-- The newest first. No votes here: a vote leaves the lists alone.
CREATE FUNCTION civicq.question_list_data(city integer, page integer,
    OUT value jsonb, OUT tags text[])
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', q.id, 'contest', q.contest_id,
            'text', q.text, 'status', q.status) ORDER BY q.id DESC), '[]'),
        ARRAY['questions:' || city]
    FROM (SELECT * FROM civicq.question
        WHERE city_id = city AND status <> 'rejected'
        ORDER BY city_id DESC, id DESC LIMIT 20 OFFSET 20 * (page - 1)) AS q;
END;

-- The votes of today; to be submitted today counts as one.
CREATE VIEW civicq.trending_data AS
SELECT id AS city_id,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'text', t.text, 'score', t.score)
            ORDER BY t.score DESC, t.id DESC), '[]')
        FROM (SELECT q.id, q.text, score
            FROM (SELECT question_id, count(*) AS score
                FROM (SELECT question_id FROM civicq.vote
                    WHERE city_id = city.id AND day = current_date
                    UNION ALL
                    SELECT id FROM civicq.question
                    WHERE city_id = city.id AND day = current_date) AS today
                GROUP BY question_id) AS s
                JOIN civicq.question AS q ON q.id = s.question_id
            WHERE q.status <> 'rejected'
            ORDER BY score DESC, q.id DESC LIMIT 10) AS t) AS value,
    ARRAY['trending:' || id] AS tags
FROM civicq.city;

CREATE VIEW civicq.analytics_data AS
SELECT id AS city_id,
    (SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS n
        FROM civicq.question WHERE city_id = city.id GROUP BY status) AS q)
    || (SELECT jsonb_build_object('votes', count(*), 'voters', count(DISTINCT voter_id))
        FROM civicq.vote WHERE city_id = city.id) AS value
FROM civicq.city;

CREATE VIEW civicq.video_data AS
SELECT id, to_jsonb(v) - 'path' AS value FROM civicq.video AS v;

-- The address of a video is signed and good for six hours; so is its entry.
CREATE VIEW civicq.video_url_data AS
SELECT id, to_jsonb(path || '?until=' || extract(epoch FROM until)
        || '&signature=' || md5('secret' || path || until)) AS value, until AS expires_at
FROM civicq.video, date_trunc('second', now() + interval '6 h') AS until;
