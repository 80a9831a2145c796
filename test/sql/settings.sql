-- No setting makes the cache return what the query would not return: every
-- setting that a session can change is changed, and each time queries whose
-- results hang on settings are asked with the cache and without it. Those of
-- the fingerprint must miss what was kept under another value, the others must
-- change no result.
SET client_min_messages = error;
SELECT cachex.create_cache('s', ttl => NULL, consistency => 'ttl');

CREATE SCHEMA settings_a;
CREATE SCHEMA settings_b;
CREATE FUNCTION settings_a.who() RETURNS text LANGUAGE sql STABLE AS 'SELECT ''a''::text';
CREATE FUNCTION settings_b.who() RETURNS text LANGUAGE sql STABLE AS 'SELECT ''b''::text';
CREATE TABLE settings_a.words (word text);
INSERT INTO settings_a.words VALUES ('b'), ('A'), ('a'), ('B'), ('_'), ('10'), ('9'), (NULL);
CREATE TABLE settings_b.words AS SELECT 'of b'::text AS word;
CREATE TABLE settings_a.events (id int, at timestamptz, d date, lasts interval, f float8, b bytea, m money, x xml);
INSERT INTO settings_a.events VALUES
	(1, '2026-01-02 03:04:05.678+00', '2026-03-02', '1 year -2 days 3:04:05.6', 0.1::float8 + 0.2, '\x00ff5c61', 1234.5, '<a b="c">d</a>'),
	(2, '1900-06-01 00:00+00', '0044-03-15 BC', '-90 min', 'NaN', '', -0.01, NULL);

-- Each returns one text.
CREATE TABLE corpus (id serial PRIMARY KEY, query text NOT NULL);
INSERT INTO corpus (query) VALUES
	-- literals, which are read when a query is parsed
	($$SELECT (timestamptz '2026-01-02 00:00')::text || (date '03/02/2026' - date '2026-01-01')$$),
	($$SELECT (timestamptz '2026-01-02 00:00 IST')::text || (time with time zone '00:00 EST')::text$$),
	($$SELECT (interval '-1-2 +3 -4:05:06')::text || (interval '1 2:03')::text$$),
	-- stored values as text
	('SELECT string_agg(concat_ws(''|'', at, d, lasts, f, b, m, x), '';'' ORDER BY id) FROM events'),
	('SELECT string_agg(e::text, '';'' ORDER BY id) FROM events e'),
	('SELECT jsonb_agg(to_jsonb(e) ORDER BY id)::text FROM events e'),
	('SELECT json_agg(array[lasts] ORDER BY id)::text FROM events'),
	-- parts of times, and times from texts
	($$SELECT string_agg(concat_ws(' ', date_trunc('day', at), extract(hour FROM at), at::date, at::time, at::timestamp, d::timestamptz), ';' ORDER BY id) FROM events$$),
	($$SELECT string_agg(w::timestamptz::text, ';') FROM unnest('{03/02/2026 12:00,2026-07-01 5:00 IST,2026-01-01 00:00 Europe/Paris}'::text[]) w$$),
	($$SELECT (at + interval '1 month' * 5)::text || age(at)::text IS NULL || (at > '2026-01-02 02:00')::text FROM events WHERE id = 1$$),
	($$SELECT string_agg(to_char(at, 'TMDay TMMonth HH24 TZ OF'), ';' ORDER BY id) || to_char(-1234567.891, 'L9G999G999D99') FROM events$$),
	-- numbers
	('SELECT concat_ws('' '', 1 / 3::float8, (1 / 3::float4), 7 / 2, 7.0 / 2, -7 % 3, 1e400::numeric, ''1.5''::float8::text, 10.005::numeric(5,2)::text)'),
	($$SELECT '$1,234.56'::money::text || ('12.5'::money * 3)::text || (100::money / 7)::text || to_number('1,234.5', '9G999D9')::text$$),
	-- text: literals, patterns, order, quoting
	($$SELECT 'a\tb' || E'\\x' || length('\\') || E'it\'s'$$),
	($$SELECT concat_ws(' ', 'a%b' LIKE 'a\%b', 'aXb' ~ 'a.b', regexp_replace('aAbB', '[a-z]+', '<\&>', 'gi'), 'a' SIMILAR TO '(a|b)', 'ABC' ILIKE 'a_c')$$),
	('SELECT string_agg(word, '','' ORDER BY word) || upper(''aäß'') || lower(''AÄ'') || initcap(''a-b'') FROM words'),
	($$SELECT concat_ws(' ', quote_ident('select'), quote_ident('a'), quote_literal('a\b'), format('%I %L', 'plain', 'x\y'), 'events'::regclass::text, 'int4'::regtype::text)$$),
	-- names along the path
	('SELECT who() || (SELECT count(*) FROM words)'),
	('SELECT to_regclass(''words'')::oid::regclass::text || current_schema()'),
	-- NULL
	($$SELECT concat_ws(' ', (NULL = NULL) IS NULL, '{a,NULL,null}'::text[]::text, array_length('{NULL}'::int[], 1), ('{1,NULL}'::int[])[2] IS NULL, coalesce(NULLIF('', ''), 'null'))$$),
	-- text search
	($$SELECT to_tsvector('The cats were running')::text || plainto_tsquery('the cats')::text || ts_headline('the cats', 'cat'::tsquery)$$),
	-- XML
	($$SELECT xmlforest('\x00ff'::bytea AS b, timestamptz '2026-01-02 00:00+00' AS t, interval '90 min' AS i)::text || xml_is_well_formed('a')::text$$),
	($$SELECT coalesce((xpath('/a/@b', '<a b="c"/>'::xml))[1]::text, '') || 'text <b/>'::xml::text$$),
	($$SELECT table_to_xml('events', true, false, '')::text$$),
	-- binary
	($$SELECT concat_ws(' ', '\x00ff'::bytea, 'a\\b'::bytea, encode('\x00ff', 'escape'), '\x61'::bytea || 'b', bit '101'::text, B'1'::int)$$),
	-- what a query reads by name
	($$SELECT current_setting('work_mem') || current_setting('application_name') || current_setting('DateStyle')$$),
	-- ranges, arrays, records, enums of settings in them
	($$SELECT tstzrange('2026-01-01', '2026-01-02')::text || array['2026-01-01'::timestamptz]::text || row(date '2026-01-02', 0.1::float8, '\x00'::bytea)::text || daterange('2026-01-01', NULL)::text$$),
	-- what has to do with plans
	('SELECT string_agg(w.word || e.id, '','' ORDER BY w.word COLLATE "C", e.id) FROM words w JOIN events e ON e.id > 0 WHERE w.word IN (SELECT word FROM words)'),
	('WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT sum(n) || '' '' || percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM r');


CREATE FUNCTION without(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE query INTO result;
	RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;

CREATE FUNCTION through_query(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce((SELECT t.x FROM cachex.query(query, cache => 's') AS t(x text)), 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;

CREATE FUNCTION through_fetch(key text, query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce(cachex.fetch_as('s', key, NULL::text, query), 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;

-- What has been tried, and what came of it.
CREATE TABLE trials (setting text, value text, taken boolean, changes boolean);
CREATE TABLE differences (setting text, value text, query text, through text, cached text, direct text);
CREATE TABLE baseline (id int, result text);

-- Left out, with the reason.
CREATE TABLE left_out (pattern text, reason text);
INSERT INTO left_out VALUES
	('cachex.%', 'our own'),
	('role', 'who the user is, a part of the identity'),
	('session\_authorization', 'likewise'),
	('transaction\_%', 'cannot be changed in a transaction that has run a query'),
	('%\_timeout', 'ends statements and sessions'),
	('exit\_on\_error', 'ends the session'),
	('max\_stack\_depth', 'makes deep queries fail'),
	('%\_mem\_limit', 'likewise'),
	('temp\_file\_limit', 'likewise'),
	('ignore\_%', 'for damaged databases'),
	('zero\_damaged\_pages', 'likewise'),
	('allow\_system\_table\_mods', 'for damaged catalogs'),
	('restrict\_nonsystem\_relation\_kind', 'makes views fail, for pg_dump'),
	('debug\_discard\_caches', 'hours'),
	('wal\_consistency\_checking', 'gigabytes'),
	('trace\_%', 'gigabytes of log'),
	('log\_%', 'likewise'),
	('debug\_print\_%', 'likewise'),
	('client\_min\_messages', 'likewise'),
	('seed', 'of random numbers'),
	('data\_sync\_retry', 'for damaged disks'),
	('backtrace\_functions', 'for developers'),
	('local\_preload\_libraries', 'cannot be set in a session'),
	('default\_tablespace', 'must exist'),
	('temp\_tablespaces', 'likewise'),
	('vacuum\_%', 'not of queries'),
	('dynamic\_library\_path', 'where code is loaded from, once'),
	('jit%', 'minutes of compiling, and not everywhere there');

-- Values of settings that are strings; of the others no result can hang.
CREATE TABLE strings (setting text, value text);
INSERT INTO strings
SELECT s, v FROM (VALUES
	('DateStyle', '{"ISO, MDY","ISO, DMY","ISO, YMD","SQL, DMY","SQL, MDY","Postgres, DMY","German"}'::text[]),
	('TimeZone', '{UTC,Asia/Tokyo,America/New_York,Asia/Kathmandu,+5:30,EST5EDT}'),
	('timezone_abbreviations', '{Default,India,Australia}'),
	('search_path', '{settings_b,"settings_b, settings_a","public, settings_a",settings_a,"pg_catalog, settings_a"}'),
	('default_text_search_config', '{pg_catalog.simple,pg_catalog.english,pg_catalog.german}'),
	('lc_messages', '{C,POSIX,C.UTF-8,de_DE.UTF-8}'),
	('lc_monetary', '{C,POSIX,C.UTF-8,de_DE.UTF-8,en_US.UTF-8}'),
	('lc_numeric', '{C,POSIX,C.UTF-8,de_DE.UTF-8}'),
	('lc_time', '{C,POSIX,C.UTF-8,de_DE.UTF-8}'),
	('client_encoding', '{LATIN1,SQL_ASCII}'),
	('application_name', '{other}'),
	('default_table_access_method', '{heap}'),
	('plpgsql.extra_warnings', '{all}')) AS n(s, vs), unnest(vs) AS v;

-- The values to be tried of a setting.
CREATE FUNCTION values_of(s pg_settings) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT unnest('{on,off}'::text[]) WHERE s.vartype = 'bool'
	UNION
	SELECT unnest(s.enumvals) WHERE s.vartype = 'enum'
	UNION
	SELECT v FROM (VALUES (s.min_val), (s.max_val), ('0'), ('1'), ('16')) AS n(v)
	WHERE s.vartype IN ('integer', 'real') AND v IS NOT NULL
		AND v::numeric BETWEEN s.min_val::numeric AND s.max_val::numeric
	UNION
	SELECT value FROM strings WHERE lower(setting) = lower(s.name)
$$;

-- Has all of the corpus in the cache as it is without any setting, then makes
-- the setting and compares, twice: what is there, and what was just stored.
-- Nothing is written before the end: who has written fills nothing.
CREATE FUNCTION try(setting text, value text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c record;
	direct text;
	cached text;
	found public.differences[] = '{}';
	changes boolean = false;
BEGIN
	FOR c IN SELECT * FROM public.corpus ORDER BY id LOOP
		PERFORM public.through_query(c.query), public.through_fetch(c.id::text, c.query);
	END LOOP;
	BEGIN
		PERFORM set_config(setting, value, true);
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO public.trials VALUES (setting, value, false, false);
		RETURN;
	END;
	FOR c IN SELECT id, query, result FROM public.corpus NATURAL JOIN public.baseline ORDER BY id LOOP
		direct := public.without(c.query);
		changes := changes OR direct IS DISTINCT FROM c.result;
		FOR again IN 1..2 LOOP
			cached := public.through_query(c.query);
			IF cached IS DISTINCT FROM direct THEN
				found := found || row(setting, value, c.query, 'query ' || again, cached, direct)::public.differences;
			END IF;
			cached := public.through_fetch(c.id::text, c.query);
			IF cached IS DISTINCT FROM direct THEN
				found := found || row(setting, value, c.query, 'fetch_as ' || again, cached, direct)::public.differences;
			END IF;
		END LOOP;
	END LOOP;
	INSERT INTO public.trials VALUES (setting, value, true, changes);
	INSERT INTO public.differences SELECT * FROM unnest(found);
END $$;

SET search_path = settings_a, public;
INSERT INTO baseline SELECT id, without(query) FROM corpus;

-- A transaction for each, which takes the setting back.
DO $$
DECLARE
	s record;
BEGIN
	FOR s IN SELECT name, value FROM pg_settings p, values_of(p) AS value
		WHERE context IN ('user', 'superuser')
			AND NOT EXISTS (SELECT FROM left_out WHERE name LIKE pattern)
		ORDER BY name, value
	LOOP
		PERFORM try(s.name, s.value);
		COMMIT;
	END LOOP;
END $$;

-- What the cache returned and the query did not.
SELECT DISTINCT ON (setting, value, query) * FROM differences
ORDER BY setting, value, query, through LIMIT 20;

-- It was kept and found, almost everything was tried, and these were seen to
-- change results (locales are not everywhere).
SELECT hits > 10000 AS hits, loader_changed > 100 AS loader_changed,
	load_errors < loads AS loads FROM cachex.stats WHERE cache = 's';
SELECT count(DISTINCT setting) > 110 AS settings, count(*) > 300 AS trials
FROM trials WHERE taken;
SELECT string_agg(DISTINCT setting, ', ') FROM trials
WHERE changes AND setting NOT LIKE 'lc\_%';
-- None of the queries is an error as it is.
SELECT * FROM baseline WHERE result ~ '^[0-9A-Z]{5} ';

SELECT cachex.drop_cache('s');
DROP FUNCTION without, through_query, through_fetch, values_of, try;
DROP TABLE corpus, trials, differences, baseline, left_out, strings;
DROP SCHEMA settings_a, settings_b CASCADE;
RESET search_path;
RESET client_min_messages;
