-- PostCache with cachex: two caches, three pages, what changes them. After
-- schema.sql.

CREATE EXTENSION IF NOT EXISTS cachex;
SET ROLE postcache_owner;

-- Whose an entry is, is part of its identity, and no call chooses it: the
-- setting does, and where it is not set there is an error.
SELECT cachex.create_cache('posts', ttl => '300 s', consistency => 'ttl',
    max_entries_per_scope => 1000, options => '{"scoped_by": "app.user_id"}');

-- What may be a minute old at once, while somebody computes it again.
SELECT cachex.create_cache('summaries', ttl => '300 s', stale_for => '60 s', consistency => 'ttl',
    max_entries_per_scope => 10, options => '{"scoped_by": "app.user_id"}');

SELECT cachex.grant_cache(cache, 'postcache_app', privilege)
FROM unnest('{posts,summaries}'::text[]) AS cache, unnest('{read,write}'::text[]) AS privilege;

-- ---- pages ----
-- Functions of the caller's, so what they compute is what row security shows
-- him. NULL: he has no such post, which is kept as well, for 60 s.

CREATE FUNCTION postcache.post(which bigint) RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('posts', 'post:' || which,
    'SELECT postcache.post_data($1::bigint)', ARRAY[which]::text[]);

-- The setting postcache.list_cache can be 'bypass': then lists are computed.
CREATE FUNCTION postcache.list() RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('posts', 'list', 'SELECT postcache.list_data()',
    mode => coalesce(nullif(current_setting('postcache.list_cache', true), ''), 'normal'));

CREATE FUNCTION postcache.summary() RETURNS jsonb LANGUAGE sql
RETURN cachex.fetch('summaries', 'summary', 'SELECT postcache.summary_data()');

-- ---- what changes them, whoever writes and by whatever statement ----

-- A post is created, changed or deleted: it and the list of its user; when it
-- moves to another user, those of both.
SELECT cachex.watch('postcache.post', 'posts', '{post:<id>,list}', scope => '<user_id>');
SELECT cachex.watch('postcache.post', 'summaries', '{summary}', action => 'stale', scope => '<user_id>');

-- The author is on every list: all that the user has.
SELECT cachex.watch('postcache.account', 'posts', scope => '<id>');

-- What is created is there for its first reader.
CREATE FUNCTION postcache.write_through() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cachex.put('posts', 'post:' || id, postcache.post_data(id)) FROM created
    WHERE user_id::text = current_setting('app.user_id', true);
    RETURN NULL;
END
$$;
CREATE TRIGGER write_through AFTER INSERT ON postcache.post REFERENCING NEW TABLE AS created
    FOR EACH STATEMENT EXECUTE FUNCTION postcache.write_through();

-- ---- bulk: whatever it touches, the user starts anew ----

CREATE FUNCTION postcache.replace_all(posts jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM postcache.post;
    INSERT INTO postcache.post (user_id, title, body)
    SELECT current_setting('app.user_id')::bigint, p ->> 'title', p ->> 'body' FROM jsonb_array_elements(posts) AS p;
    GET DIAGNOSTICS n = ROW_COUNT;
    PERFORM cachex.clear('posts', scope => current_setting('app.user_id'));
    RETURN n;
END
$$;

-- ---- for the administrators' page ----

CREATE VIEW postcache.cache_users AS
SELECT scope AS user_id, count(*) AS entries, sum(bytes) AS bytes,
    count(*) FILTER (WHERE status IN ('hit', 'negative')) AS fresh, min(created_at) AS oldest
FROM cachex.entries('posts')
GROUP BY scope;

-- What became of entries, and how often.
CREATE VIEW postcache.cache_events AS
SELECT cache, entries, bytes, reason, n
FROM cachex.stats, LATERAL (VALUES
    ('hit', hits + negative_hits), ('stale', stale_hits), ('miss', misses),
    ('evicted: no room', evicted), ('expired', expired), ('invalidated', invalidated), ('cleared', cleared),
    ('replaced', replaced), ('not kept: too large', too_large), ('not kept: beside a change', refused_doubt),
    ('not kept: own writes', refused_writes)
) AS e(reason, n)
WHERE cache IN ('posts', 'summaries');

RESET ROLE;
