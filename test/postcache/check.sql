-- Is what a user is shown his own, all of it, and of now? judge() reads pages
-- and tables under its caller's one snapshot: they have to be equal, however
-- many others write meanwhile.

SET ROLE postcache_owner;

-- NULL, or what is wrong with the list and one of the posts of the user who asks.
CREATE FUNCTION postcache.judge(which bigint) RETURNS text STABLE LANGUAGE plpgsql AS $$
DECLARE
    me   text := current_setting('app.user_id');
    list jsonb := postcache.list();
    post jsonb := postcache.post(which);
BEGIN
    IF list ->> 'user_id' <> me OR post ->> 'user_id' <> me
        OR EXISTS (SELECT FROM jsonb_array_elements(list -> 'posts') AS p WHERE p ->> 'user_id' <> me) THEN
        RETURN format('user %s is shown what is not his: post %s, list %s', me, post, list);
    END IF;
    IF list IS DISTINCT FROM postcache.list_data() THEN
        RETURN format('old list of user %s: %s', me, list);
    END IF;
    IF post IS DISTINCT FROM postcache.post_data(which) THEN
        RETURN format('old post of user %s: %s', me, post);
    END IF;
    RETURN NULL;
END
$$;

-- What users have seen: was it there for the first reader of what was created
-- (NULL: nothing was), is it right; and whether it was a hit, user by user.
CREATE TABLE postcache.trial (
    user_id bigint NOT NULL,
    through boolean,
    verdict text
);
CREATE UNLOGGED TABLE postcache.sample (
    user_id bigint NOT NULL,
    hit     boolean NOT NULL
);
GRANT INSERT ON postcache.trial, postcache.sample TO postcache_app;

RESET ROLE;
