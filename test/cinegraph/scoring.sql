-- The query that takes seconds: what films score, for a decade and a profile.
-- Each criterion is a rank among all films of all times, 0 to 100, so the
-- whole catalogue is read whatever the decade is. Nothing here knows of a
-- cache either.

CREATE VIEW cinegraph.criteria AS
WITH rated AS (
    -- few votes count less: a mean with 500 votes of 5 added
    SELECT film_id,
        ((sum(value * votes) FILTER (WHERE NOT critics) + 2500)
            / (sum(votes) FILTER (WHERE NOT critics) + 500))::float8 AS audience,
        avg(value) FILTER (WHERE critics) AS critics
    FROM cinegraph.rating
    GROUP BY film_id
), honoured AS (
    SELECT a.film_id, sum(f.prestige * CASE WHEN a.won THEN 3 ELSE 1 END)::float8 AS awards
    FROM cinegraph.award AS a JOIN cinegraph.festival AS f ON f.id = a.festival_id
    GROUP BY a.film_id
), career AS (
    SELECT c.person_id, sum(r.audience + coalesce(h.awards, 0) / 10) AS sum, count(*) AS films
    FROM cinegraph.credit AS c
        JOIN rated AS r USING (film_id)
        LEFT JOIN honoured AS h USING (film_id)
    GROUP BY c.person_id
), made AS (
    -- what those who made it have done besides; the director counts thrice
    SELECT c.film_id, sum(w.weight * coalesce((p.sum - r.audience - coalesce(h.awards, 0) / 10) / nullif(p.films - 1, 0), 0))
            / sum(w.weight) AS people
    FROM cinegraph.credit AS c
        JOIN career AS p USING (person_id)
        JOIN rated AS r USING (film_id)
        LEFT JOIN honoured AS h USING (film_id),
        LATERAL (SELECT CASE c.job WHEN 'director' THEN 3 WHEN 'writer' THEN 2 ELSE 1 END) AS w(weight)
    GROUP BY c.film_id
), among AS (
    -- the best western is something else than the best film that is a western
    SELECT film_id, avg(rank) AS genre
    FROM (SELECT film_id, percent_rank() OVER (PARTITION BY g.genre_id ORDER BY r.audience) AS rank
            FROM cinegraph.film_genre AS g JOIN rated AS r USING (film_id)) AS g
    GROUP BY film_id
)
SELECT film.id, film.title, film.decade, extract(year FROM film.released)::integer AS year,
    100 * percent_rank() OVER (ORDER BY r.audience NULLS FIRST) AS audience,
    100 * percent_rank() OVER (ORDER BY r.critics NULLS FIRST) AS critics,
    100 * percent_rank() OVER (ORDER BY h.awards NULLS FIRST) AS awards,
    100 * percent_rank() OVER (ORDER BY m.people NULLS FIRST) AS people,
    100 * percent_rank() OVER (ORDER BY a.genre NULLS FIRST) AS genre,
    100 * percent_rank() OVER (PARTITION BY film.decade ORDER BY film.gross / film.budget NULLS FIRST) AS money
FROM cinegraph.film
    LEFT JOIN rated AS r ON r.film_id = film.id
    LEFT JOIN honoured AS h ON h.film_id = film.id
    LEFT JOIN made AS m ON m.film_id = film.id
    LEFT JOIN among AS a ON a.film_id = film.id;

-- The best 1,000 films of a decade for a profile; key is scores:<decade>:<profile>.
CREATE FUNCTION cinegraph.scores(key text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text[] := regexp_match(key, '^scores:(\d{4}):(.+)$');
    weight jsonb;
    result jsonb;
BEGIN
    SELECT jsonb_object_agg(criterion, p.weight) INTO weight FROM cinegraph.profile AS p WHERE name = part[2];
    IF weight IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('no scores are known as "%s"', key);
    END IF;
    WITH scored AS (
        SELECT id, title, year, round((audience * (weight -> 'audience')::float8
                + critics * (weight -> 'critics')::float8 + awards * (weight -> 'awards')::float8
                + people * (weight -> 'people')::float8 + genre * (weight -> 'genre')::float8 + money * (weight -> 'money')::float8)::numeric, 2) AS score
        FROM cinegraph.criteria
        WHERE decade = part[1]::integer
    ), best AS (
        SELECT row_number() OVER (ORDER BY score DESC, id) AS rank, *,
            ARRAY(SELECT g.name FROM cinegraph.film_genre AS fg JOIN cinegraph.genre AS g ON g.id = fg.genre_id
                WHERE fg.film_id = scored.id ORDER BY g.name) AS genres
        FROM scored
        ORDER BY score DESC, id LIMIT 1000
    )
    SELECT jsonb_build_object('decade', part[1]::integer, 'profile', part[2], 'calculated_at', now(),
        'films', (SELECT coalesce(jsonb_agg(to_jsonb(best) ORDER BY rank), '[]') FROM best),
        'statistics', (SELECT jsonb_build_object('films', count(*), 'mean', round(avg(score), 2),
                'deviation', round(stddev(score), 2), 'highest', max(score), 'lowest', min(score),
                'median', percentile_disc(0.5) WITHIN GROUP (ORDER BY score)) FROM scored),
        'metadata', jsonb_build_object('weights', weight, 'catalogue', (SELECT count(*) FROM cinegraph.film)))
    INTO result;
    RETURN result;
END
$$;
