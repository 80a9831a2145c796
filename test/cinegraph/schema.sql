-- Cinegraph: films of a hundred years, what audiences, critics and festivals
-- thought of them, and who made them. Profiles say what counts how much: the
-- best films of a decade are others for who asks the critics and for who asks
-- the box office. Nothing here knows of a cache.
-- psql variable: films (100000).

\if :{?films} \else \set films 100000 \endif

CREATE SCHEMA cinegraph;

CREATE TABLE cinegraph.film (
    id       integer PRIMARY KEY,
    title    text NOT NULL,
    released date NOT NULL,
    decade   integer NOT NULL GENERATED ALWAYS AS (extract(year FROM released)::integer / 10 * 10) STORED,
    minutes  integer NOT NULL,
    budget   numeric(12, 2),
    gross    numeric(12, 2)
);

CREATE TABLE cinegraph.genre (
    id   integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE cinegraph.film_genre (
    film_id  integer NOT NULL,
    genre_id integer NOT NULL
);

CREATE TABLE cinegraph.person (
    id   integer PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE cinegraph.credit (
    film_id   integer NOT NULL,
    person_id integer NOT NULL,
    job       text NOT NULL
);

-- What each of several sources says: of critics and of audiences.
CREATE TABLE cinegraph.rating (
    film_id integer NOT NULL,
    source  text NOT NULL,
    critics boolean NOT NULL,
    value   numeric(4, 2) NOT NULL CHECK (value BETWEEN 0 AND 10),
    votes   integer NOT NULL
);

CREATE TABLE cinegraph.festival (
    id       integer PRIMARY KEY,
    name     text NOT NULL,
    prestige numeric(3, 1) NOT NULL
);

CREATE TABLE cinegraph.award (
    film_id     integer NOT NULL,
    festival_id integer NOT NULL,
    category    text NOT NULL,
    won         boolean NOT NULL
);

-- Weights add up to 1, or ought to: nothing here sees to it, a score does.
CREATE TABLE cinegraph.profile (
    name      text NOT NULL,
    criterion text NOT NULL
        CHECK (criterion IN ('audience', 'critics', 'awards', 'people', 'genre', 'money')),
    weight    numeric(4, 3) NOT NULL CHECK (weight BETWEEN 0 AND 1),
    PRIMARY KEY (name, criterion)
);

-- ---- data: the later the decade, the more films ----

SELECT setseed(0.5);

INSERT INTO cinegraph.film (id, title, released, minutes, budget, gross)
SELECT i, 'Film ' || i, date '1920-01-01' + floor(38350 * random() ^ 0.6)::integer,
    60 + floor(90 * random())::integer, round((1 + 80 * random() ^ 3)::numeric, 2),
    CASE WHEN i % 4 > 0 THEN round((400 * random() ^ 5)::numeric, 2) END
FROM generate_series(1, :films) AS i;

INSERT INTO cinegraph.genre
SELECT n, name FROM unnest('{Action,Adventure,Animation,Comedy,Crime,Documentary,Drama,Family,Fantasy,History,
    Horror,Music,Mystery,Romance,Science fiction,Thriller,War,Western}'::text[]) WITH ORDINALITY AS g(name, n);

INSERT INTO cinegraph.film_genre
SELECT DISTINCT film, 1 + floor(18 * random() ^ 1.5)::integer + 0 * g
FROM generate_series(1, :films) AS film, generate_series(1, 2) AS g;

INSERT INTO cinegraph.person
SELECT i, 'Person ' || i FROM generate_series(1, :films / 2) AS i;

INSERT INTO cinegraph.credit
SELECT film, 1 + floor(:films / 2 * random() ^ 2)::integer, (ARRAY['director', 'writer', 'cast', 'cast', 'cast'])[n]
FROM generate_series(1, :films) AS film, generate_series(1, 5) AS n;

-- the sources agree somewhat
INSERT INTO cinegraph.rating
SELECT film, source, critics, round((10 * (0.6 * sqrt(hashint4(film)::bigint + 2147483648) / 65536
        + 0.4 * random()))::numeric, 2), 10 + floor(200000 * random() ^ 8)::integer
FROM generate_series(1, :films) AS film,
    (VALUES ('IMDb', false, 0), ('Letterboxd', false, 3), ('Metacritic', true, 2), ('Tomatometer', true, 3))
        AS s(source, critics, every)
WHERE every = 0 OR film % every > 0;

INSERT INTO cinegraph.festival VALUES
    (1, 'Cannes', 10), (2, 'Venice', 9), (3, 'Berlin', 8.5), (4, 'Academy Awards', 9.5),
    (5, 'BAFTA', 7), (6, 'Toronto', 6.5), (7, 'Sundance', 6), (8, 'Locarno', 5.5);

INSERT INTO cinegraph.award
SELECT 1 + floor(:films * random())::integer, 1 + i % 8, (ARRAY['film', 'director', 'screenplay', 'cast'])[1 + i % 4],
    random() < 0.2
FROM generate_series(1, :films * 2 / 5) AS i;

INSERT INTO cinegraph.profile
SELECT p.name, c.criterion, p.weights[c.n]
FROM (VALUES
        ('balanced',  '{0.25, 0.2, 0.2, 0.15, 0.1, 0.1}'::numeric[]),
        ('critics',   '{0, 0.6, 0.3, 0.1, 0, 0}'),
        ('crowd',     '{0.5, 0, 0, 0.1, 0.1, 0.3}'),
        ('festivals', '{0, 0.2, 0.7, 0.1, 0, 0}'),
        ('auteurs',   '{0.1, 0.2, 0.1, 0.6, 0, 0}'),
        ('overdrive', '{0.9, 0.9, 0.5, 0.5, 0.5, 0.5}')) AS p(name, weights),
    unnest('{audience,critics,awards,people,genre,money}'::text[]) WITH ORDINALITY AS c(criterion, n);

ALTER TABLE cinegraph.film_genre ADD PRIMARY KEY (film_id, genre_id);
CREATE INDEX ON cinegraph.credit (film_id);
CREATE INDEX ON cinegraph.rating (film_id);
CREATE INDEX ON cinegraph.award (film_id);

VACUUM ANALYZE cinegraph.film, cinegraph.film_genre, cinegraph.person, cinegraph.credit,
    cinegraph.rating, cinegraph.award, cinegraph.profile;
