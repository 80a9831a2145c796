-- Is what a page shows ever old? Votes and, after each commit, compares the
-- next page with the tables. Both are read under one snapshot, so they have to
-- be equal, however many others vote meanwhile.

CREATE TABLE livepoll.trial (
    vote       boolean,     -- the vote just cast is on the page,
    options    boolean,     -- and these parts say what the tables say
    activity   boolean,
    statistics boolean,
    pie_chart  boolean
);

CREATE VIEW livepoll.freshness AS
SELECT count(*) AS trials,
    count(*) FILTER (WHERE vote AND options AND activity AND statistics
        AND pie_chart) AS fresh
FROM livepoll.trial;

CREATE PROCEDURE livepoll.check_freshness(seconds integer) LANGUAGE plpgsql AS $$
DECLARE
    stop CONSTANT timestamptz := clock_timestamp() + make_interval(secs => seconds);
    event livepoll.vote_events;
    trial livepoll.trial;
BEGIN
    WHILE clock_timestamp() < stop LOOP
        event := livepoll.cast_vote(1 + floor(20 * random())::integer, 'en');
        COMMIT;

        SELECT page.recent_activity @> to_jsonb(ARRAY[event])
                -- ten others may have been faster than this statement
                OR event.id <= (SELECT max(id) - 10 FROM livepoll.vote_events),
            page.options = (TABLE livepoll.option_list),
            page.recent_activity = (TABLE livepoll.recent_activity),
            page.statistics -> 'votes' = (SELECT value -> 'votes' FROM livepoll.statistics),
            page.pie_chart = (TABLE livepoll.pie_chart)
        INTO trial
        FROM livepoll.page;
        COMMIT;

        INSERT INTO livepoll.trial VALUES (trial.*);
        COMMIT;
        -- 20 votes a second are cast beside this; do not add many.
        PERFORM pg_sleep(0.04);
    END LOOP;
END
$$;
