-- CivicQ with cachex: the caches, the pages, the events, the warmers. After
-- schema.sql and data.sql.

CREATE EXTENSION IF NOT EXISTS cachex;

-- ---- caches: one for each kind of page, with its time to live ----

SELECT cachex.create_cache(name, ttl => ttl::interval, negative_ttl => '60 s',
    consistency => 'ttl')
FROM (VALUES
    ('ballot', '1 hour'),
    ('ballot_list', '5 min'),
    ('contest', '1 hour'),
    ('contest_list', '5 min'),
    ('question', '15 min'),
    ('question_list', '5 min'),
    ('trending', '15 min'),
    ('candidate', '30 min'),
    ('candidate_list', '30 min'),
    ('city_settings', '1 day'),
    ('city_list', '1 hour'),
    ('analytics', '1 hour'),
    ('video', '1 hour'),
    ('video_url', '6 hours')) AS c(name, ttl);

-- What changes rarely needs neither times nor tags: an exact cache follows the
-- tables that a loader has read, whatever it reads. Votes would make it useless.
SELECT cachex.create_cache('ballot_exact', ttl => NULL);
SELECT cachex.create_cache('settings_exact', ttl => NULL);

-- ---- pages ----
-- A function whose body is one expression becomes part of the statement that
-- calls it, so all parts of a page are of the same snapshot.
-- NULL: not found; that is kept as well, for 60 s.

CREATE FUNCTION civicq.question_page(question integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('question', question::text,
    'SELECT value FROM civicq.question_data WHERE id = $1::integer', ARRAY[question]::text[]);

CREATE FUNCTION civicq.question_list_page(city integer, page integer DEFAULT 1)
RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('question_list', 'city:' || city || ':page:' || page,
    'SELECT * FROM civicq.question_list_data($1::integer, $2::integer)',
    ARRAY[city, page]::text[]);

CREATE FUNCTION civicq.trending_page(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('trending', 'city:' || city,
    'SELECT value, tags FROM civicq.trending_data WHERE city_id = $1::integer',
    ARRAY[city]::text[]);

-- Three parts with three reasons to change. Where the first is NULL, all is.
CREATE FUNCTION civicq.contest_page(contest integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('contest', contest::text,
        'SELECT value, tags FROM civicq.contest_data WHERE id = $1::integer',
        ARRAY[contest]::text[])
    || jsonb_build_object(
        'statistics', cachex.fetch('contest', 'statistics:' || contest,
            'SELECT value, tags FROM civicq.contest_statistics_data WHERE id = $1::integer',
            ARRAY[contest]::text[]),
        'candidates', cachex.fetch('candidate_list', contest::text,
            'SELECT value, tags FROM civicq.candidate_list_data WHERE contest_id = $1::integer',
            ARRAY[contest]::text[]));

CREATE FUNCTION civicq.candidate_page(candidate integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('candidate', candidate::text,
        'SELECT value FROM civicq.candidate_data WHERE id = $1::integer',
        ARRAY[candidate]::text[])
    || jsonb_build_object(
        'responses', cachex.fetch('video', 'responses:' || candidate,
            'SELECT value FROM civicq.responses_data WHERE candidate_id = $1::integer',
            ARRAY[candidate]::text[]));

CREATE FUNCTION civicq.video_page(video integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('video', 'video:' || video,
        'SELECT value FROM civicq.video_data WHERE id = $1::integer', ARRAY[video]::text[])
    || jsonb_build_object(
        'url', cachex.fetch('video_url', video::text,
            'SELECT value, expires_at FROM civicq.video_url_data WHERE id = $1::integer',
            ARRAY[video]::text[]));

CREATE FUNCTION civicq.ballot_list_page(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('ballot_list', 'city:' || city,
    'SELECT value, tags FROM civicq.ballot_list_data WHERE city_id = $1::integer',
    ARRAY[city]::text[]);

CREATE FUNCTION civicq.ballot_page(ballot integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('ballot', ballot::text,
        'SELECT value, tags FROM civicq.ballot_data WHERE id = $1::integer',
        ARRAY[ballot]::text[])
    || jsonb_build_object(
        'contests', cachex.fetch('contest_list', ballot::text,
            'SELECT value, tags FROM civicq.contest_list_data WHERE ballot_id = $1::integer',
            ARRAY[ballot]::text[]));

CREATE FUNCTION civicq.city_settings(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('city_settings', city::text,
    'SELECT value FROM civicq.city_settings_data WHERE city_id = $1::integer',
    ARRAY[city]::text[]);

CREATE FUNCTION civicq.city_list() RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('city_list', 'all', 'TABLE civicq.city_list_data');

CREATE FUNCTION civicq.analytics(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('analytics', 'city:' || city,
    'SELECT value FROM civicq.analytics_data WHERE city_id = $1::integer', ARRAY[city]::text[]);

-- The same ballots and settings, exact.
CREATE FUNCTION civicq.ballots_exact(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('ballot_exact', 'city:' || city,
    'SELECT value FROM civicq.ballot_list_data WHERE city_id = $1::integer', ARRAY[city]::text[]);

CREATE FUNCTION civicq.settings_exact(city integer) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('settings_exact', city::text,
    'SELECT value FROM civicq.city_settings_data WHERE city_id = $1::integer',
    ARRAY[city]::text[]);

-- ---- events ----
-- They take effect at commit, whoever writes and by whatever statement.

-- A question is submitted or moderated: it, the lists and what trends in its
-- city. The key also ends a "not found" that was kept before.
SELECT cachex.watch('civicq.question', 'question', '{<id>}',
    '{questions:<city_id>,trending:<city_id>}');

-- A vote is cast: its question, what trends, the statistics of its contest.
SELECT cachex.watch('civicq.vote', 'question', '{<question_id>}',
    '{trending:<city_id>,statistics:<contest_id>}');

-- A video is uploaded: it, the candidate's responses, the question.
SELECT cachex.watch('civicq.video', 'video', '{video:<id>,responses:<candidate_id>}');
SELECT cachex.watch('civicq.video', 'video_url', '{<id>}');
SELECT cachex.watch('civicq.video', 'question', '{<question_id>}');

-- A candidate is updated. Responses change only when a candidate comes or goes.
SELECT cachex.watch('civicq.candidate', 'candidate', '{<id>}', '{candidates:<contest_id>}');
SELECT cachex.watch('civicq.candidate', 'video', '{responses:<id>}', columns => '{id}');

-- A ballot is imported: all ballots and contests of the city.
SELECT cachex.watch('civicq.ballot', 'ballot', '{<id>}', '{ballots:<city_id>}');
SELECT cachex.watch('civicq.ballot', 'contest_list', '{<id>}', columns => '{id}');

-- A contest knows its ballot but not its city, so a trigger of our own looks
-- that up. (When a ballot is deleted with its contests, it is no longer there;
-- then the watch above has named the city.)
CREATE FUNCTION civicq.contest_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cachex.invalidate_tags(ARRAY(SELECT 'ballots:' || city_id
        FROM civicq.ballot WHERE id IN (OLD.ballot_id, NEW.ballot_id)));
    RETURN NULL;
END
$$;
CREATE TRIGGER contest_changed AFTER INSERT OR UPDATE OR DELETE ON civicq.contest
    FOR EACH ROW EXECUTE FUNCTION civicq.contest_changed();
-- The keys are for "not found"; updates have their tag.
SELECT cachex.watch('civicq.contest', 'contest', '{<id>,statistics:<id>}', columns => '{id}');
-- The list of candidates shows a contest only by its id: new ones and those
-- that go matter, updates do not. on_change() is what a watch is made of.
CREATE TRIGGER contest_new AFTER INSERT ON civicq.contest
    REFERENCING NEW TABLE AS new_contests
    FOR EACH STATEMENT EXECUTE FUNCTION
    cachex.on_change('candidate_list', '{<id>}', '', 'invalidate', '');
CREATE TRIGGER contest_gone AFTER DELETE ON civicq.contest
    REFERENCING OLD TABLE AS old_contests
    FOR EACH STATEMENT EXECUTE FUNCTION
    cachex.on_change('candidate_list', '{<id>}', '', 'invalidate', '');

-- Settings of a city change; a city comes, goes or is renamed.
SELECT cachex.watch('civicq.city_settings', 'city_settings', '{<city_id>}');
SELECT cachex.watch('civicq.city', 'city_list');

-- ---- warmers: at server start, every so often, and whenever warm() asks ----

SELECT cachex.create_warmer('city_list', 'cities', every => '1 hour',
    query => $$SELECT 'all' AS key, value FROM civicq.city_list_data$$);

-- Popular cities.
CREATE VIEW civicq.popular_city AS
SELECT id AS city_id FROM civicq.city ORDER BY population DESC LIMIT 10;

SELECT cachex.create_warmer('city_settings', 'popular cities', every => '1 hour', query => $$
    SELECT city_id::text AS key, value
    FROM civicq.city_settings_data JOIN civicq.popular_city USING (city_id)$$);
SELECT cachex.create_warmer('ballot_list', 'popular cities', every => '5 min', query => $$
    SELECT 'city:' || city_id AS key, value, tags
    FROM civicq.ballot_list_data JOIN civicq.popular_city USING (city_id)$$);
SELECT cachex.create_warmer('trending', 'popular cities', every => '5 min', query => $$
    SELECT 'city:' || city_id AS key, value, tags
    FROM civicq.trending_data JOIN civicq.popular_city USING (city_id)$$);
SELECT cachex.create_warmer('question_list', 'popular cities', every => '5 min', query => $$
    SELECT 'city:' || city_id || ':page:' || page AS key, list.value, list.tags
    FROM civicq.popular_city, generate_series(1, 5) AS page,
        civicq.question_list_data(city_id, page) AS list$$);

-- Active contests and their candidates.
SELECT cachex.create_warmer('contest', 'active', every => '10 min', query => $$
    SELECT id::text AS key, value, tags FROM civicq.contest_data WHERE active
    UNION ALL
    SELECT 'statistics:' || id, s.value, s.tags
    FROM civicq.contest_statistics_data AS s JOIN civicq.contest USING (id) WHERE active$$);
SELECT cachex.create_warmer('candidate_list', 'active contests', every => '10 min', query => $$
    SELECT contest_id::text AS key, value, tags FROM civicq.candidate_list_data WHERE active$$);
SELECT cachex.create_warmer('candidate', 'active contests', every => '10 min', query => $$
    SELECT c.id::text AS key, c.value
    FROM civicq.candidate_data AS c JOIN civicq.contest ON contest.id = c.contest_id
    WHERE active$$);

-- ---- for the administrators' page ----

CREATE VIEW civicq.cache_statistics AS
SELECT bool_and(s.available) AS available,
    sum(s.entries) AS keys, sum(hits + negative_hits) AS hits, sum(misses) AS misses,
    round(100 * sum(hits + negative_hits)
        / nullif(sum(hits + negative_hits + misses), 0), 2) AS hit_rate,
    m.used AS memory, round(100.0 * m.used / m.available, 1) AS memory_percent,
    sum(evicted) AS evicted,
    round(sum(load_ms_avg * loads) / nullif(sum(loads), 0), 3) AS load_ms_avg,
    max(load_ms_p95) AS load_ms_p95, max(hit_us_p50) AS hit_us_p50,
    sum(evicted) / greatest(1, extract(epoch FROM now() - min(stats_reset)) / 60) AS evicted_a_minute
FROM cachex.stats AS s, cachex.memory() AS m
GROUP BY m.used, m.available;

CREATE VIEW civicq.cache_alerts AS
SELECT alert
FROM civicq.cache_statistics, LATERAL (VALUES
    (available IS NOT TRUE, 'the cache is not available'),
    (hit_rate < 70, format('the hit rate is %s %%', hit_rate)),
    (memory_percent > 80, format('%s %% of the memory is used', memory_percent)),
    (load_ms_p95 > 500, format('a page in 20 takes over %s ms to compute', load_ms_p95)),
    (evicted_a_minute > 100, format('%s evictions a minute', evicted_a_minute::integer))
) AS a(raised, alert)
WHERE raised;
