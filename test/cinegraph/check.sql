-- What run.sh measures, and how it waits.

CREATE TABLE cinegraph.measured (
    n     integer GENERATED ALWAYS AS IDENTITY,
    phase text NOT NULL,
    ms    numeric NOT NULL
);

-- States that were seen while jobs were under way.
CREATE TABLE cinegraph.seen (
    key        text NOT NULL,
    status     text NOT NULL,
    job_status text,
    page       text NOT NULL,
    UNIQUE (key, status, job_status, page)
);

-- Runs of the scoring query since the start of the server.
CREATE VIEW cinegraph.runs AS
SELECT coalesce(sum(loads + load_errors), 0) AS runs FROM cachex.stats WHERE cache = 'scores';

CREATE TABLE cinegraph.counted (phase text PRIMARY KEY, runs bigint NOT NULL);

CREATE PROCEDURE cinegraph.measure_query(decade integer, profile text) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    PERFORM cinegraph.scores(format('scores:%s:%s', decade, profile));
    INSERT INTO cinegraph.measured (phase, ms)
    VALUES ('query', 1000 * extract(epoch FROM clock_timestamp() - started));
END
$$;

-- Until no job is left to be done; notes what a dashboard shows meanwhile.
CREATE PROCEDURE cinegraph.follow_jobs() LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '10 min';
    left_over bigint := 1;
BEGIN
    WHILE left_over > 0 LOOP
        IF clock_timestamp() > until THEN
            RAISE EXCEPTION 'jobs are left: %', (SELECT jsonb_agg(j) FROM cachex.jobs AS j);
        END IF;
        INSERT INTO cinegraph.seen
        SELECT d.decade || ':' || d.profile, d.status, d.job_status,
            cinegraph.page(d.decade, d.profile) ->> 'status'
        FROM cinegraph.dashboard() AS d WHERE d.job IS NOT NULL
        ON CONFLICT DO NOTHING;
        SELECT count(*) INTO left_over FROM cachex.jobs WHERE status IN ('pending', 'running');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END
$$;
