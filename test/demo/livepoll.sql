-- LivePoll with cachex: the caches, the page, the vote.

CREATE EXTENSION cachex;

-- A vote every 50 ms would make any entry that stands with whole tables
-- useless at once. A 'ttl' cache lets each entry live until its time is over,
-- or until somebody changes or invalidates it by its key or one of its tags.
SELECT cachex.create_cache('poll', ttl => '5 min', max_entries => 1000,
    consistency => 'ttl');
SELECT cachex.create_cache('trend', ttl => '1 min', max_entries => 100,
    consistency => 'ttl');
SELECT cachex.create_cache('chart', ttl => '30 s', max_entries => 50,
    consistency => 'ttl');

-- The page. It is one statement, hence one snapshot, which decides about cached
-- values as it does about rows: all parts that follow the votes show the same
-- votes. Trends and the hourly chart may be as old as their time to live.
CREATE VIEW livepoll.page AS
SELECT
    cachex.fetch('poll', 'statistics', 'TABLE livepoll.statistics',
        ttl => '5 s', tags => '{results}') AS statistics,
    cachex.fetch('poll', 'options', 'TABLE livepoll.option_list') AS options,
    cachex.fetch('poll', 'recent_activity_10',
        'TABLE livepoll.recent_activity') AS recent_activity,
    -- Whatever changes the result belongs in the key.
    cachex.fetch('trend', 'trends_5', 'SELECT livepoll.trend($1::integer)',
        params => '{5}') AS trend_5,
    cachex.fetch('trend', 'trends_60', 'SELECT livepoll.trend($1::integer)',
        params => '{60}') AS trend_60,
    cachex.fetch('trend', 'trends_1440', 'SELECT livepoll.trend($1::integer)',
        params => '{1440}') AS trend_1440,
    cachex.fetch('chart', 'pie_chart', 'TABLE livepoll.pie_chart',
        tags => '{results}') AS pie_chart,
    cachex.fetch('chart', 'hourly_chart', 'TABLE livepoll.hourly_chart')
        AS hourly_chart;

-- Any change of the tables invalidates what carries the tag, by whatever
-- statement it comes. It takes effect when the change does: at commit, for
-- those who see it, or never.
SELECT cachex.watch('livepoll.options', tags => '{results}');
SELECT cachex.watch('livepoll.vote_events', tags => '{results}');

-- A vote; returns the event. The two lists are cheap to keep up to date, so
-- they are not invalidated but changed in place. Neither call seeds a list
-- that is not there: a page will load the whole of it.
CREATE FUNCTION livepoll.cast_vote(option integer, language text)
RETURNS livepoll.vote_events LANGUAGE plpgsql AS $$
DECLARE
    count bigint;
    event livepoll.vote_events;
BEGIN
    UPDATE livepoll.options SET votes = votes + 1 WHERE id = option
    RETURNING votes INTO STRICT count;

    -- $1 is the list as it is now, and votes queue here until they commit.
    -- So the events below get their ids in the order of the commits, and the
    -- newest are first in the cached list as in the table.
    PERFORM cachex.update('poll', 'options', $expression$
            (SELECT jsonb_agg(CASE WHEN o -> 'id' = $2::jsonb
                    THEN jsonb_set(o, '{votes}', $3::jsonb) ELSE o END)
                FROM jsonb_array_elements($1) AS o)
        $expression$, params => ARRAY[option, count]::text[]);

    INSERT INTO livepoll.vote_events (option_id, language)
    VALUES (option, language) RETURNING * INTO event;

    PERFORM cachex.push('poll', 'recent_activity_10', to_jsonb(event),
        max_length => 10, only_if => 'present');
    RETURN event;
END
$$;

-- The first visitor after a start of the server finds these parts ready.
SELECT cachex.create_warmer('poll', 'front page', every => '5 min', query => $$
    SELECT 'statistics' AS key, value, interval '5 s' AS ttl,
        '{results}'::text[] AS tags
    FROM livepoll.statistics
    UNION ALL
    SELECT 'options', value, NULL, NULL FROM livepoll.option_list
    UNION ALL
    SELECT 'recent_activity_10', value, NULL, NULL FROM livepoll.recent_activity
$$);
