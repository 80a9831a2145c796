-- Is what a page shows ever old? compare() says for each page that follows the
-- votes whether it shows what the tables say. It is STABLE and so reads page and
-- tables under its caller's one snapshot: they have to be equal, however many
-- others write meanwhile.

CREATE TABLE civicq.trial (
    question     boolean,
    trending     boolean,
    contest      boolean,
    lists        boolean,
    candidate    boolean,
    ballots      boolean
);

CREATE VIEW civicq.freshness AS
SELECT count(*) AS trials,
    count(*) FILTER (WHERE question AND trending AND contest AND lists AND candidate
        AND ballots) AS fresh
FROM civicq.trial;

CREATE FUNCTION civicq.compare(question integer, contest integer, city integer,
    OUT question_fresh boolean, OUT trending_fresh boolean, OUT contest_fresh boolean,
    OUT lists_fresh boolean, OUT candidate_fresh boolean, OUT ballots_fresh boolean)
LANGUAGE sql STABLE AS $$
    SELECT civicq.question_page(question)
            IS NOT DISTINCT FROM (SELECT value FROM civicq.question_data WHERE id = question),
        civicq.trending_page(city)
            = (SELECT value FROM civicq.trending_data WHERE city_id = city),
        civicq.contest_page(contest)
            = (SELECT value FROM civicq.contest_data WHERE id = contest)
            || jsonb_build_object(
                'statistics', (SELECT value FROM civicq.contest_statistics_data
                    WHERE id = contest),
                'candidates', (SELECT value FROM civicq.candidate_list_data
                    WHERE contest_id = contest)),
        civicq.question_list_page(city)
            = (SELECT value FROM civicq.question_list_data(city, 1)),
        civicq.candidate_page(contest * 5 - 4)
            = (SELECT value FROM civicq.candidate_data WHERE id = contest * 5 - 4)
            || jsonb_build_object('responses', (SELECT value FROM civicq.responses_data
                WHERE candidate_id = contest * 5 - 4)),
        civicq.ballots_exact(city)
            = (SELECT value FROM civicq.ballot_list_data WHERE city_id = city)
$$;
