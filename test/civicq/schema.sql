-- CivicQ: citizens ask the candidates of an election, and vote for questions;
-- candidates answer by video. Nothing here knows of a cache.
-- psql variables: questions (40000), contests (1000), cities (50).

\if :{?questions} \else \set questions 40000 \endif
\if :{?contests} \else \set contests 1000 \endif
\if :{?cities} \else \set cities 50 \endif

CREATE SCHEMA civicq;

CREATE TABLE civicq.city (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    population integer NOT NULL
);

CREATE TABLE civicq.city_settings (
    city_id    integer PRIMARY KEY REFERENCES civicq.city ON DELETE CASCADE,
    moderation text NOT NULL DEFAULT 'after' CHECK (moderation IN ('before', 'after')),
    languages  text[] NOT NULL DEFAULT '{en}',
    per_page   integer NOT NULL DEFAULT 20
);

CREATE TABLE civicq.ballot (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    city_id  integer NOT NULL REFERENCES civicq.city ON DELETE CASCADE,
    title    text NOT NULL,
    held_on  date NOT NULL
);

CREATE TABLE civicq.contest (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ballot_id integer NOT NULL REFERENCES civicq.ballot ON DELETE CASCADE,
    title     text NOT NULL,
    seats     integer NOT NULL DEFAULT 1,
    active    boolean NOT NULL DEFAULT true
);

CREATE TABLE civicq.candidate (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contest_id integer NOT NULL REFERENCES civicq.contest ON DELETE CASCADE,
    name       text NOT NULL,
    statement  text NOT NULL
);

CREATE TABLE civicq.question (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contest_id integer NOT NULL REFERENCES civicq.contest ON DELETE CASCADE,
    city_id    integer NOT NULL REFERENCES civicq.city ON DELETE CASCADE,
    author_id  integer NOT NULL,
    text       text NOT NULL,
    status     text NOT NULL DEFAULT 'submitted'
               CHECK (status IN ('submitted', 'approved', 'rejected')),
    day        date NOT NULL DEFAULT current_date,
    UNIQUE (id, contest_id, city_id)
);

-- Who changes a vote knows the question; contest and city stand beside it, and
-- the foreign key sees to it that they are the question's.
CREATE TABLE civicq.vote (
    question_id integer NOT NULL,
    voter_id    integer NOT NULL,
    contest_id  integer NOT NULL,
    city_id     integer NOT NULL,
    day         date NOT NULL DEFAULT current_date,
    cast_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE civicq.video (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    question_id  integer NOT NULL REFERENCES civicq.question ON DELETE CASCADE,
    candidate_id integer NOT NULL REFERENCES civicq.candidate ON DELETE CASCADE,
    title        text NOT NULL,
    path         text NOT NULL,
    seconds      integer NOT NULL
);

-- ---- data: cities, contests and questions with low numbers are the popular ones ----

SELECT setseed(0.5);

INSERT INTO civicq.city (name, population)
SELECT 'City ' || i, 2000000 / i FROM generate_series(1, :cities) AS i;

INSERT INTO civicq.city_settings (city_id) SELECT id FROM civicq.city;

INSERT INTO civicq.ballot (city_id, title, held_on)
SELECT id, election || ' election of City ' || id, current_date + 30
FROM civicq.city, (VALUES ('Council'), ('School board')) AS e(election)
ORDER BY id;

INSERT INTO civicq.contest (ballot_id, title, active)
SELECT 1 + (i - 1) * 2 * :cities / :contests, 'Contest ' || i, i % 3 > 0
FROM generate_series(1, :contests) AS i;

INSERT INTO civicq.candidate (contest_id, name, statement)
SELECT 1 + (i - 1) / 5, 'Candidate ' || i, repeat('What I stand for. ', 10)
FROM generate_series(1, :contests * 5) AS i;

INSERT INTO civicq.question (contest_id, city_id, author_id, text, status, day)
SELECT c.id, b.city_id, 1 + i % 9973, 'Question ' || i || ': ' || repeat('what will you do? ', 10),
    ('{submitted,approved,approved,approved,rejected}'::text[])[1 + i % 5],
    current_date - (30 * random())::integer
FROM (SELECT i, 1 + floor(:contests * random() ^ 1.5) AS contest
        FROM generate_series(1, :questions) AS i) AS q
    JOIN civicq.contest AS c ON c.id = q.contest
    JOIN civicq.ballot AS b ON b.id = c.ballot_id
ORDER BY i;

INSERT INTO civicq.vote
SELECT q.id, v.i, q.contest_id, q.city_id, d.day, d.day
FROM (SELECT i, 1 + floor(:questions * random() ^ 2) AS question
        FROM generate_series(1, :questions * 5) AS i) AS v
    JOIN civicq.question AS q ON q.id = v.question,
    LATERAL (SELECT current_date - (30 * random() + 0 * v.i)::integer) AS d(day);

INSERT INTO civicq.video (question_id, candidate_id, title, path, seconds)
SELECT q.id, (q.contest_id - 1) * 5 + 1 + q.id % 5, 'Answer to question ' || q.id,
    '/videos/' || md5(q.id::text) || '.mp4', 20 + q.id % 100
FROM civicq.question AS q
WHERE q.id % 2 = 0;

ALTER TABLE civicq.vote ADD PRIMARY KEY (question_id, voter_id);
ALTER TABLE civicq.vote ADD FOREIGN KEY (question_id, contest_id, city_id)
    REFERENCES civicq.question (id, contest_id, city_id) ON DELETE CASCADE;
CREATE INDEX ON civicq.vote (city_id, day) INCLUDE (question_id);
CREATE INDEX ON civicq.vote (contest_id) INCLUDE (voter_id);
CREATE INDEX ON civicq.ballot (city_id);
CREATE INDEX ON civicq.contest (ballot_id);
CREATE INDEX ON civicq.candidate (contest_id);
CREATE INDEX ON civicq.question (city_id, id);
CREATE INDEX ON civicq.question (city_id, day);
CREATE INDEX ON civicq.question (contest_id);
CREATE INDEX ON civicq.video (question_id);
CREATE INDEX ON civicq.video (candidate_id);

-- ---- what users do ----

CREATE FUNCTION civicq.submit_question(contest integer, author integer, question text)
RETURNS integer LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO civicq.question (contest_id, city_id, author_id, text)
    SELECT c.id, b.city_id, author, question
    FROM civicq.contest AS c JOIN civicq.ballot AS b ON b.id = c.ballot_id
    WHERE c.id = contest
    RETURNING id;
END;

CREATE FUNCTION civicq.moderate_question(which integer, verdict text)
RETURNS void LANGUAGE sql
BEGIN ATOMIC
    UPDATE civicq.question SET status = verdict WHERE id = which;
END;

CREATE FUNCTION civicq.cast_vote(which integer, voter integer)
RETURNS civicq.vote LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO civicq.vote (question_id, voter_id, contest_id, city_id)
    SELECT id, voter, contest_id, city_id FROM civicq.question WHERE id = which
    RETURNING *;
END;

CREATE FUNCTION civicq.upload_video(which integer, heading text, length integer)
RETURNS civicq.video LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO civicq.video (question_id, candidate_id, title, path, seconds)
    SELECT which, min(c.id), heading, '/videos/' || md5(heading) || '.mp4', length
    FROM civicq.question AS q JOIN civicq.candidate AS c USING (contest_id)
    WHERE q.id = which
    RETURNING *;
END;

-- contests: an array of {"title": ..., "candidates": [name, ...]}
CREATE FUNCTION civicq.import_ballot(city integer, name text, day date, contests jsonb)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    new_ballot integer;
BEGIN
    INSERT INTO civicq.ballot (city_id, title, held_on)
    VALUES (city, name, day) RETURNING id INTO new_ballot;
    INSERT INTO civicq.contest (ballot_id, title)
    SELECT new_ballot, c ->> 'title' FROM jsonb_array_elements(contests) AS c;
    INSERT INTO civicq.candidate (contest_id, name, statement)
    SELECT contest.id, candidate, ''
    FROM civicq.contest
        JOIN jsonb_array_elements(contests) AS c ON c ->> 'title' = contest.title,
        jsonb_array_elements_text(c -> 'candidates') AS candidate
    WHERE contest.ballot_id = new_ballot;
    RETURN new_ballot;
END
$$;

ANALYZE civicq.city, civicq.city_settings, civicq.ballot, civicq.contest,
    civicq.candidate, civicq.question, civicq.video;
VACUUM ANALYZE civicq.vote;
