-- Bytes of stored entries that are not what was written: no value is taken for
-- one of another type, bytes that are missing are not read, and whoever fetches
-- gets what his query returns. Only a superuser can damage them, in the table
-- behind a cache with persist => 'table'; the server does not always notice.
SELECT cachex.create_cache('dv', consistency => 'ttl', persist => 'table', ttl => NULL);
CREATE TABLE dv_t AS SELECT i, repeat(i::text, 5) AS t, i % 2 = 0 AS even, i * 1.5 AS half, md5(i::text)::uuid AS u FROM generate_series(1, 20) AS i;
-- one of each kind that the table has: by value, of fixed and of variable length,
-- a row, an array, jsonb, rows of a query
CREATE FUNCTION dv_ask(kind text, mode text DEFAULT 'normal') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE kind
		WHEN 'int' THEN cachex.fetch_as('dv', kind, NULL::int, 'SELECT max(i) FROM dv_t', mode => mode)::text
		WHEN 'uuid' THEN cachex.fetch_as('dv', kind, NULL::uuid, 'SELECT u FROM dv_t WHERE i = 1', mode => mode)::text
		WHEN 'name' THEN cachex.fetch_as('dv', kind, NULL::name, 'SELECT t::name FROM dv_t WHERE i = 2', mode => mode)::text
		WHEN 'text' THEN cachex.fetch_as('dv', kind, NULL::text, 'SELECT string_agg(t, '','' ORDER BY i) FROM dv_t', mode => mode)
		WHEN 'jsonb' THEN cachex.fetch('dv', kind, 'SELECT current_setting(''app.dv'', true), max(t) FROM dv_t', mode => mode)::text
		WHEN 'rows' THEN (SELECT string_agg(r::text, '' ORDER BY i) FROM
			cachex.query('SELECT i, t, even, u FROM dv_t', cache => 'dv', mode => mode) AS r(i int, t text, even boolean, u uuid)) END;
EXCEPTION WHEN SQLSTATE 'CX001' THEN RETURN 'miss';
END $$;
CREATE TABLE dv_kind AS SELECT kind, NULL::text AS answer FROM unnest('{int,uuid,name,text,jsonb,rows}'::text[]) AS kind;
UPDATE dv_kind SET answer = dv_ask(kind, 'bypass');
SELECT count(DISTINCT answer), bool_and(answer <> 'miss') FROM dv_kind;
-- the rows as they should be, as a worker has stored them
CREATE FUNCTION dv_rows() RETURNS SETOF cachex.stored_entry LANGUAGE sql
	AS $$SELECT * FROM cachex.stored_entry WHERE cache = (SELECT id FROM cachex.cache_definition WHERE name = 'dv')$$;
SELECT count(dv_ask(kind)) FROM dv_kind;
SELECT cx_wait('(SELECT count(*) FROM dv_rows()) = 6');
CREATE TABLE dv_sound AS SELECT CASE WHEN key LIKE 'SELECT%' THEN 'rows' ELSE key END AS kind, s AS stored FROM dv_rows() AS s;
SELECT kind, (stored).type::regtype FROM dv_sound ORDER BY kind COLLATE "C";

-- Puts rows in the place of what is stored, has memory lose what it has, and
-- asks for all kinds. The lock is for a worker that copies what was loaded last:
-- it is through before, or finds that memory has lost it.
CREATE TABLE dv_seen (damage text, kind text, damaged boolean, cached text, fetched text);
CREATE PROCEDURE dv_try(damage text, damaged cachex.stored_entry[]) LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE cachex.stored_entry IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM cachex.stored_entry WHERE cache = (damaged[1]).cache;
	INSERT INTO cachex.stored_entry SELECT * FROM unnest(damaged);
	PERFORM cachex.alter_cache('dv', '{"max_entries": 0}');
	COMMIT;
	PERFORM cachex.alter_cache('dv', '{"max_entries": null}');
	COMMIT;
	INSERT INTO dv_seen SELECT damage, kind, d::text <> stored::text, dv_ask(kind, 'cached'), dv_ask(kind)
	FROM dv_sound JOIN unnest(damaged) AS d ON d.ident = (stored).ident;
	COMMIT;
END $$;
CREATE FUNCTION dv_damaged(change text) RETURNS cachex.stored_entry[] LANGUAGE plpgsql AS $$
DECLARE
	result cachex.stored_entry[];
BEGIN
	EXECUTE format('SELECT array_agg(jsonb_populate_record(stored, (SELECT to_jsonb(x) FROM (SELECT %s) AS x))) FROM dv_sound, LATERAL (SELECT (stored).*) AS e', change)
		INTO result;
	RETURN result;
END $$;

-- as they are: all are served
CALL dv_try('none', dv_damaged('type'));
SELECT count(*) FROM dv_seen JOIN dv_kind USING (kind) WHERE cached = answer AND fetched = answer;
-- another type, another layout
DO $$
DECLARE
	t regtype;
BEGIN
	FOREACH t IN ARRAY '{int4,int8,text,uuid,name,jsonb,numeric,record,int4[],dv_t,pg_class}'::regtype[] LOOP
		CALL dv_try('type ' || t, dv_damaged(format('CASE type WHEN %1$s THEN 16 ELSE %1$s END AS type', t::oid)));
		CALL dv_try('type and layout ' || t, dv_damaged(format('CASE type WHEN %1$s THEN 16 ELSE %1$s END AS type, 1 AS typhash', t::oid)));
	END LOOP;
	CALL dv_try('no type', dv_damaged('0 AS type'));
	CALL dv_try('unknown type', dv_damaged('4294967295 AS type'));
	CALL dv_try('layout', dv_damaged('typhash + 1 AS typhash'));
	CALL dv_try('large layout', dv_damaged('4294967295 AS typhash'));
END $$;
-- bytes that are missing, or too many
DO $$
BEGIN
	FOR n IN 0 .. 40 LOOP
		CALL dv_try(n || ' bytes', dv_damaged(format('substr(value, 1, least(%s, length(value) - 1)) AS value', n)));
		CALL dv_try('less ' || n, dv_damaged(format('substr(value, 1, greatest(length(value) - 1 - %s, 0)) AS value', n)));
		CALL dv_try(n || ' bytes of what was read', dv_damaged(format('substr(reads, 1, least(%s, length(reads) - 1)) AS reads', n)));
	END LOOP;
	CALL dv_try('more', dv_damaged($c$value || '\x00' AS value$c$));
	CALL dv_try('more', dv_damaged('value || value AS value'));
	CALL dv_try('nothing was read', dv_damaged('NULL AS reads'));
END $$;
-- other bytes
SELECT setseed(0.5);
DO $$
BEGIN
	FOR n IN 1 .. 150 LOOP
		CALL dv_try('byte of what was read', dv_damaged(format('set_byte(reads, %s %% length(reads), %s) AS reads', (random() * 1000)::int, (random() * 255)::int)));
		CALL dv_try('byte of the value', dv_damaged(format('set_byte(value, %s %% length(value), %s) AS value',
			(random() * (CASE WHEN n % 2 = 0 THEN 100 ELSE 10000 END))::int, (random() * 255)::int)));
	END LOOP;
END $$;

-- who asks for what is damaged finds nothing, who loads gets the answer
SELECT damage, kind, damaged, cached FROM dv_seen JOIN dv_kind USING (kind) WHERE cached <> CASE WHEN damaged THEN 'miss' ELSE answer END;
SELECT damage, kind, fetched FROM dv_seen JOIN dv_kind USING (kind) WHERE fetched <> answer;
SELECT count(*) > 2500 AS many, count(*) FILTER (WHERE damaged) > 2000 AS damaged FROM dv_seen;
SELECT cx_check();
SELECT cachex.drop_cache('dv');
DROP PROCEDURE dv_try(text, cachex.stored_entry[]);
DROP FUNCTION dv_ask(text, text), dv_rows(), dv_damaged(text);
DROP TABLE dv_t, dv_kind, dv_sound, dv_seen;
