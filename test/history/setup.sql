-- What the workloads read and write. All tables have rows 1 to 20 where nothing
-- else is said: a worker of that number has a row of its own.
CREATE SCHEMA hist;

-- Watches a table unless that has happened, as it may have through its parent.
CREATE FUNCTION hist.watch(rel regclass) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger t
            JOIN pg_proc p ON p.oid = t.tgfoid
            JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE t.tgrelid = rel AND n.nspname = 'cachex') THEN
        PERFORM cachex.watch(rel);
    END IF;
END $f$;

-- The truth, planned when it is asked for, under the caller's snapshot.
CREATE FUNCTION hist.direct(query text) RETURNS jsonb STABLE LANGUAGE plpgsql AS $f$
DECLARE
    answer jsonb;
BEGIN
    EXECUTE query INTO answer;
    RETURN answer;
END $f$;

-- The same after having heard of all DDL. The size of a relation takes and
-- releases a lock, which is when a backend listens.
CREATE TABLE hist.listen ();
CREATE FUNCTION hist.heard(query text) RETURNS jsonb STABLE LANGUAGE plpgsql AS $f$
DECLARE
    answer jsonb;
BEGIN
    PERFORM pg_relation_size('hist.listen');
    EXECUTE query INTO answer;
    RETURN answer;
END $f$;

-- account: transfers keep the total
CREATE TABLE hist.account (id int PRIMARY KEY, branch int, balance bigint);
INSERT INTO hist.account SELECT i, i % 4, 1000 FROM generate_series(1, 40) AS i;

-- version: only grows
CREATE TABLE hist.version (id int PRIMARY KEY, v bigint, tag text);
INSERT INTO hist.version SELECT i, 0, 't' || i % 4 FROM generate_series(1, 20) AS i;

-- slow: loaders that take their time
CREATE TABLE hist.slow (id int PRIMARY KEY, v bigint);
INSERT INTO hist.slow SELECT i, 0 FROM generate_series(1, 20) AS i;

-- item: comes and goes
CREATE TABLE hist.item (id int PRIMARY KEY, cat int, body text);
INSERT INTO hist.item SELECT i, i % 4, 'first' FROM generate_series(1, 10) AS i;

-- part: two levels of partitions
CREATE TABLE hist.part (k int, v bigint) PARTITION BY RANGE (k);
CREATE TABLE hist.part_a PARTITION OF hist.part FOR VALUES FROM (0) TO (100);
CREATE TABLE hist.part_b PARTITION OF hist.part FOR VALUES FROM (100) TO (200);
CREATE TABLE hist.part_c PARTITION OF hist.part FOR VALUES FROM (200) TO (300)
    PARTITION BY RANGE (k);
CREATE TABLE hist.part_c1 PARTITION OF hist.part_c FOR VALUES FROM (200) TO (250);
CREATE TABLE hist.part_c2 PARTITION OF hist.part_c FOR VALUES FROM (250) TO (300);
INSERT INTO hist.part SELECT i * 5, 0 FROM generate_series(0, 59) AS i;

-- swap: partitions come and go
CREATE TABLE hist.swap (k int, v bigint) PARTITION BY RANGE (k);
CREATE TABLE hist.swap_a PARTITION OF hist.swap FOR VALUES FROM (0) TO (100);
CREATE TABLE hist.swap_x PARTITION OF hist.swap FOR VALUES FROM (100) TO (200);
INSERT INTO hist.swap SELECT i * 10, 0 FROM generate_series(0, 19) AS i;

-- heir: inheritance
CREATE TABLE hist.heir (id int, v bigint);
CREATE TABLE hist.heir_child (extra int) INHERITS (hist.heir);
INSERT INTO hist.heir SELECT i, 0 FROM generate_series(1, 20) AS i;
INSERT INTO hist.heir_child SELECT i, 0, 1 FROM generate_series(11, 30) AS i;

-- shed: gets truncated
CREATE TABLE hist.shed (id bigint GENERATED ALWAYS AS IDENTITY, v bigint);
INSERT INTO hist.shed (v) SELECT i FROM generate_series(1, 20) AS i;

-- view: views of a table that gets altered
CREATE TABLE hist.base (id int PRIMARY KEY, v bigint, w int);
INSERT INTO hist.base SELECT i, 0, i FROM generate_series(1, 20) AS i;
CREATE VIEW hist.shown AS SELECT id, v, 0::bigint AS number FROM hist.base;
CREATE VIEW hist.shown_again AS SELECT id, v + number AS v FROM hist.shown;

-- func: functions that get replaced
CREATE TABLE hist.fact (id int PRIMARY KEY, v bigint);
INSERT INTO hist.fact SELECT i, 0 FROM generate_series(1, 20) AS i;
CREATE FUNCTION hist.number() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION hist.fixed() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION hist.scaled(i int) RETURNS bigint STABLE LANGUAGE sql
    AS 'SELECT v + 0 FROM hist.fact WHERE id = i';
CREATE FUNCTION hist.total() RETURNS numeric STABLE LANGUAGE plpgsql
    AS 'BEGIN RETURN (SELECT sum(v) + 0 FROM hist.fact) + hist.number(); END';

-- matview
CREATE TABLE hist.source (id int PRIMARY KEY, v bigint);
INSERT INTO hist.source SELECT i, 0 FROM generate_series(1, 20) AS i;
CREATE MATERIALIZED VIEW hist.mat AS SELECT id, v FROM hist.source;
CREATE UNIQUE INDEX ON hist.mat (id);

-- fk: changes of one table that reach others
CREATE TABLE hist.owner (id int PRIMARY KEY);
CREATE TABLE hist.owned (id int PRIMARY KEY, v bigint,
    owner int REFERENCES hist.owner ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE hist.lent (id int PRIMARY KEY,
    owner int REFERENCES hist.owner ON DELETE SET NULL ON UPDATE CASCADE);
INSERT INTO hist.owner SELECT i FROM generate_series(1, 20) AS i;
INSERT INTO hist.owned SELECT i, 0, (i + 1) / 2 FROM generate_series(1, 40) AS i;
INSERT INTO hist.lent SELECT i, i FROM generate_series(1, 20) AS i;

-- nested: a loader that asks the cache
CREATE TABLE hist.inner_part (id int PRIMARY KEY, v bigint);
CREATE TABLE hist.outer_part (id int PRIMARY KEY, v bigint);
INSERT INTO hist.inner_part SELECT i, 0 FROM generate_series(1, 20) AS i;
INSERT INTO hist.outer_part SELECT i, 0 FROM generate_series(1, 20) AS i;
CREATE FUNCTION hist.nested(i int) RETURNS bigint STABLE LANGUAGE plpgsql AS $f$
BEGIN
    RETURN 100000 * cachex.fetch('h_nested', 'inner' || i,
            'SELECT v AS value FROM hist.inner_part WHERE id = $1::int',
            ARRAY[i::text])::bigint
        + (SELECT v FROM hist.outer_part WHERE id = i);
END $f$;

-- self: statements that read what they change. Volatile: sees the rows that
-- its statement has changed so far; stable: does not.
CREATE TABLE hist.counter (id int, x bigint);
INSERT INTO hist.counter SELECT i, 0 FROM generate_series(1, 20) AS i;
DO $do$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['volatile', 'stable'] LOOP
        EXECUTE format($create$
CREATE FUNCTION hist.self_%1$s(n bigint) RETURNS bigint %1$s LANGUAGE plpgsql AS $f$
DECLARE
    cached text;
    truth text;
BEGIN
    SELECT cachex.fetch('h_self', '0:0', 'SELECT sum(x) AS value FROM hist.counter')::text,
        (SELECT to_jsonb(sum(x)) FROM hist.counter)::text
    INTO cached, truth;
    IF cached IS DISTINCT FROM truth THEN
        RAISE EXCEPTION USING ERRCODE = 'HX001', MESSAGE =
            format('%1$s function: cached %%s, direct %%s', cached, truth);
    END IF;
    RETURN n;
END $f$ $create$, kind);
    END LOOP;
END $do$;

-- Parents first: watching one may take care of its children.
SELECT hist.watch(c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = 'hist'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname <> 'listen'
ORDER BY (SELECT count(*) FROM pg_partition_ancestors(c.oid)), c.oid;
