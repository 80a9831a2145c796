-- Is what a page shows ever old? Votes and, after each commit, compares the
-- next page with the tables. Page and tables are read under one snapshot, so
-- they have to be equal however many others vote meanwhile.

CREATE TABLE livepoll.trial (
	id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	vote       boolean NOT NULL,    -- the vote itself is on the page
	options    boolean NOT NULL,
	activity   boolean NOT NULL,
	statistics boolean NOT NULL,
	pie_chart  boolean NOT NULL
);

CREATE PROCEDURE livepoll.check_freshness(seconds integer) LANGUAGE plpgsql AS $$
DECLARE
	until CONSTANT timestamptz := clock_timestamp() + make_interval(secs => seconds);
	mine livepoll.vote_events;
	result record;
BEGIN
	WHILE clock_timestamp() < until LOOP
		mine := livepoll.cast_vote(1 + floor(20 * random())::integer, 'en');
		COMMIT;
		SELECT (mine.id < newest - 9 OR p.recent_activity @> jsonb_build_array(to_jsonb(mine))) AS vote,
			p.options = (TABLE livepoll.option_list) AS options,
			p.recent_activity = (TABLE livepoll.recent_activity) AS activity,
			p.statistics -> 'votes' = (SELECT value -> 'votes' FROM livepoll.statistics) AS statistics,
			p.pie_chart = (TABLE livepoll.pie_chart) AS pie_chart
		INTO result
		FROM livepoll.page AS p,
			(SELECT max(id) AS newest FROM livepoll.vote_events) AS e;
		INSERT INTO livepoll.trial (vote, options, activity, statistics, pie_chart)
		VALUES (result.vote, result.options, result.activity, result.statistics, result.pie_chart);
		COMMIT;
	END LOOP;
END
$$;
