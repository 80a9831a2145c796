-- Every bad argument of every function: SQLSTATE, message, detail and hint.
-- None of them stores or loses anything, which is checked at the end.
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error: ' || statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	-- a row of the table of definitions has an id that is never the same
	IF detail LIKE 'Failing row%' THEN
		detail := '';
	END IF;
	RETURN concat_ws(E'\n    ', state || ' ' || message, nullif(detail, ''),
					 nullif(hint, ''));
END $$;

-- Calls every function that takes a cache and a key, with those two.
CREATE FUNCTION err_of_all(cache text, key text) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT split_part(call, '(', 1) || ': '
		|| err(format('SELECT cachex.' || call, cache, key))
	FROM unnest(ARRAY['get(%L, %L)', 'get_as(%L, %L, 1)', 'lookup(%L, %L)',
		'fetch(%L, %L, ''SELECT 1'')', 'fetch_as(%L, %L, 1, ''SELECT 1'')',
		'put(%L, %L, ''1'')', 'update(%L, %L, ''$1'')', 'push(%L, %L, ''1'')',
		'incr(%L, %L)', 'take(%L, %L)', 'touch(%L, %L)',
		'invalidate(%L, %L)']) AS call
$$;

SELECT cachex.create_cache('errors', consistency => 'ttl');
SELECT cachex.put('errors', 'text', '"text"', tags => '{t}'),
	cachex.put('errors', 'half', '1.5'),
	cachex.put('errors', 'biggest', '9223372036854775807'),
	cachex.put('errors', 'beyond', '1e30'),
	cachex.put('errors', 'object', '{}');
SELECT cachex.fetch_as('errors', 'typed', NULL::int, 'SELECT 1');
CREATE TABLE state AS
SELECT key, status, version, expires_at FROM cachex.entries('errors');

-- Caches and keys that are not: in every function that takes both.
SELECT err_of_all(NULL, 'k');
SELECT err_of_all('', 'k');
SELECT err_of_all('nowhere', 'k');
SELECT err_of_all(repeat('c', 64), 'k');
SELECT err_of_all('errors', NULL);
SELECT err_of_all('errors', '');
SELECT err_of_all('errors', repeat('k', 1025));

-- The same for those that take a cache only.
SELECT split_part(call, '(', 1) || ' ' || coalesce(quote_literal(cache), 'NULL')
	|| ': ' || err(format('SELECT cachex.' || call, cache))
FROM unnest(ARRAY['alter_cache(%L, ''{}'')', 'drop_cache(%L)',
	'fetch_many(%L, ''{a}'', ''SELECT key, 1 FROM unnest($1) AS key'')',
	'put_many(%L, ''{"a": 1}'')', 'invalidate_like(%L, ''%%'')',
	'clear(%L)', 'purge(%L)', 'entries(%L)', 'reset_stats(%L)'])
	WITH ORDINALITY AS c(call, n),
	unnest(ARRAY['nowhere', '', NULL]) WITH ORDINALITY AS d(cache, m)
WHERE cache IS NOT NULL OR n <= 5
ORDER BY n, m;

-- Scopes.
SELECT err($$SELECT cachex.get('errors', 'k', scope => '')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', scope => repeat('s', 256))$$);
SELECT err($$SELECT cachex.put_many('errors', '{"a": 1}', scope => '')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT 1', scope => '')$$);
SELECT err($$SELECT cachex.clear('errors', '')$$);
SELECT err($$SELECT cachex.clear(scope => 's')$$);

-- create_cache
SELECT err($$SELECT cachex.create_cache(NULL)$$);
SELECT err($$SELECT cachex.create_cache('')$$);
SELECT err($$SELECT cachex.create_cache(repeat('c', 64))$$);
SELECT err($$SELECT cachex.create_cache('errors')$$);
SELECT err($$SELECT cachex.create_cache('default')$$);
SELECT err($$SELECT cachex.create_cache('queries')$$);
SELECT err($$SELECT cachex.create_cache('bad', ttl => '0')$$);
SELECT err($$SELECT cachex.create_cache('bad', ttl => '-1 s')$$);
SELECT err($$SELECT cachex.create_cache('bad', negative_ttl => '0')$$);
SELECT err($$SELECT cachex.create_cache('bad', negative_ttl => NULL)$$);
SELECT err($$SELECT cachex.create_cache('bad', max_entries => -1)$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => '-1')$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => '')$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => 'much')$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => '1 furlong')$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => 'nan')$$);
SELECT err($$SELECT cachex.create_cache('bad', max_memory => '1e300')$$);
SELECT err($$SELECT cachex.create_cache('bad', consistency => 'eventual')$$);
SELECT err($$SELECT cachex.create_cache('bad', consistency => NULL)$$);
SELECT err($$SELECT cachex.create_cache('bad', options => '{"scoped_bye": true}')$$);
SELECT err($$SELECT cachex.create_cache('bad', options => '[]')$$);
SELECT err($$SELECT cachex.create_cache('bad', options => '1')$$);
CREATE FUNCTION of_two(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION of_integer(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION of_set(text) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
SELECT err($$SELECT cachex.create_cache('bad', loader => 'of_two')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 'of_two(text, text)')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 'of_integer(int)')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 'of_set(text)')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 'min(text)')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 'of_nothing(text)')$$);
SELECT err($$SELECT cachex.create_cache('bad', loader => 0)$$);

-- alter_cache
SELECT err($$SELECT cachex.alter_cache('errors', NULL)$$);
SELECT err($$SELECT cachex.alter_cache('errors', '[]')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '1')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"size": 1}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"name": "other"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"ttl": "soon"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"ttl": "0"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"ttl": ["1 h"]}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"ttl": {"hours": 1}}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"negative_ttl": "-1 s"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"negative_ttl": null}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"max_entries": -1}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"max_entries": "many"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"max_entries": 1e30}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"max_memory": -1}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"max_memory": "1 furlong"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"consistency": "eventual"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"consistency": null}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"enabled": null}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"enabled": "perhaps"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"version": null}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"loader": "of_nothing(text)"}')$$);
SELECT err($$SELECT cachex.alter_cache('errors', '{"loader": "of_set(text)"}')$$);
-- one of them being right changes nothing
SELECT err($$SELECT cachex.alter_cache('errors', '{"ttl": "7 min", "zeal": 1}')$$);

-- drop_cache: what is built in stays
SELECT err($$SELECT cachex.drop_cache('default')$$);
SELECT err($$SELECT cachex.drop_cache('queries')$$);

-- put
SELECT err($$SELECT cachex.put('errors', 'k', '1', ttl => '1 h', expires_at => 'infinity')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', only_if => 'maybe')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', only_if => '')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', cost => '-1 s')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', tags => ARRAY['a', NULL])$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', tags => '{""}')$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', tags => ARRAY[repeat('t', 256)])$$);
SELECT err($$SELECT cachex.put('errors', 'k', '1', tags => array_fill('t'::text, '{65}'))$$);

-- put_many
SELECT err($$SELECT cachex.put_many('errors', NULL)$$);
SELECT err($$SELECT cachex.put_many('errors', '[1]')$$);
SELECT err($$SELECT cachex.put_many('errors', '1')$$);
SELECT err($$SELECT cachex.put_many('errors', '{"": 1}')$$);
SELECT err($$SELECT cachex.put_many('errors', jsonb_build_object(repeat('k', 1025), 1, 'a', 1))$$);
SELECT err($$SELECT cachex.put_many('errors', '{"a": 1}', tags => '{""}')$$);

-- update
SELECT err($$SELECT cachex.update('errors', 'text', NULL)$$);
SELECT err($$SELECT cachex.update('errors', 'text', '')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '$1 +')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '$1) FROM pg_class --')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '1); DROP TABLE state; SELECT (1')$$);
SELECT err($$SELECT cachex.update('errors', 'text', 'generate_series(1, 3)')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '$1 || $2')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '$1', params => '{a}')$$);
SELECT err($$SELECT cachex.update('errors', 'text', '($1::text::int)')$$);
SELECT err($$SELECT cachex.update('errors', 'typed', '$1')$$);

-- push
SELECT err($$SELECT cachex.push('errors', 'k', NULL)$$);
SELECT err($$SELECT cachex.push('errors', 'k', '1', max_length => -1)$$);
SELECT err($$SELECT cachex.push('errors', 'k', '1', only_if => 'maybe')$$);
SELECT err($$SELECT cachex.push('errors', 'text', '1')$$);
SELECT err($$SELECT cachex.push('errors', 'object', '1')$$);
SELECT err($$SELECT cachex.push('errors', 'typed', '1')$$);

-- incr
SELECT err($$SELECT cachex.incr('errors', 'k', by => NULL)$$);
SELECT err($$SELECT cachex.incr('errors', 'k', initial => NULL)$$);
SELECT err($$SELECT cachex.incr('errors', 'k', by => 1, initial => 9223372036854775807)$$);
SELECT err($$SELECT cachex.incr('errors', 'text')$$);
SELECT err($$SELECT cachex.incr('errors', 'half')$$);
SELECT err($$SELECT cachex.incr('errors', 'object')$$);
SELECT err($$SELECT cachex.incr('errors', 'biggest')$$);
SELECT err($$SELECT cachex.incr('errors', 'beyond')$$);
SELECT err($$SELECT cachex.incr('errors', 'typed')$$);

-- take and touch
SELECT err($$SELECT cachex.take('errors', 'typed')$$);
SELECT err($$SELECT cachex.touch('errors', 'text', ttl => '1 h', expires_at => 'infinity')$$);

-- get and get_as: a value of another type
SELECT err($$SELECT cachex.get('errors', 'typed')$$);
SELECT err($$SELECT cachex.get_as('errors', 'typed', NULL::text)$$);
SELECT err($$SELECT cachex.get_as('errors', 'text', NULL::text)$$);
SELECT err($$SELECT cachex.get_as('errors', 'text', NULL)$$);

-- fetch: arguments
SELECT err($$SELECT cachex.fetch('errors', 'k')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1', mode => 'hasty')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1', mode => 'cached')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', mode => 'cached')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1', tags => '{""}')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1', tags => ARRAY[NULL])$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT $1', params => '{{a},{b}}')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT $1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT $1, $2', params => '{a}')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1', params => '{a}')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT $1::int', params => '{a}')$$);

-- fetch: loaders
SELECT err($$SELECT cachex.fetch('errors', 'k', '')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', ';')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELEC 1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1; SELECT 2')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'INSERT INTO state VALUES (1) RETURNING 1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'UPDATE state SET key = NULL RETURNING 1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'DELETE FROM state RETURNING 1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'WITH d AS (DELETE FROM state RETURNING 1) SELECT count(*) FROM d')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1 INTO other')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'CREATE TABLE other ()')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'TRUNCATE state')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'COPY state TO STDOUT')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'COMMIT')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'EXPLAIN SELECT 1')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'DO ''BEGIN END''')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT key FROM state LIMIT 1 FOR UPDATE')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT (SELECT key FROM state LIMIT 1 FOR SHARE)')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'VALUES (1), (2)')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1 / 0')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT none FROM state')$$);
-- a function that it calls cannot write either
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS
	'DELETE FROM state RETURNING 1';
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT writes()')$$);
CREATE FUNCTION puts() RETURNS boolean LANGUAGE sql AS
	$$SELECT cachex.put('errors', 'text', '0')$$;
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT puts()')$$);
CREATE FUNCTION invalidates() RETURNS void LANGUAGE sql AS
	$$SELECT cachex.invalidate('errors', 'text')$$;
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT invalidates()')$$);
CREATE SEQUENCE numbers;
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT nextval(''numbers'')')$$);
DROP SEQUENCE numbers;
SELECT err($$SELECT cachex.update('errors', 'text', 'to_jsonb(writes())')$$);

-- fetch: what a loader says of its value
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1 AS value, ARRAY[NULL]::text[] AS tags')$$);
SELECT err($$SELECT cachex.fetch('errors', 'k', 'SELECT 1 AS value, ''{""}''::text[] AS tags')$$);

-- fetch_as
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int)$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int, 'SELECT 1, 2')$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int, 'SELECT ''a''::text')$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int, 'SELECT 1::bigint')$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int, 'SELECT generate_series(1, 2)')$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL::int, 'SELECT 1', mode => 'hasty')$$);
SELECT err($$SELECT cachex.fetch_as('errors', 'k', NULL, 'SELECT 1')$$);

-- fetch_many
SELECT err($$SELECT cachex.fetch_many('errors', NULL, 'SELECT 1')$$);
SELECT err($$SELECT cachex.fetch_many('errors', ARRAY['a', NULL], 'SELECT 1')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{""}', 'SELECT 1')$$);
SELECT err($$SELECT cachex.fetch_many('errors', ARRAY[repeat('k', 1025)], 'SELECT 1')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT 1 AS value')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT 1 AS key, 1 AS value')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT NULL::text AS key, 1 AS value')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT ''a'' AS key')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT ''a'' AS key, $2 AS value')$$);
SELECT err($$SELECT cachex.fetch_many('errors', '{a}', 'SELECT key, 1 AS value FROM unnest($1) AS key; SELECT 1')$$);

-- params is for queries
CREATE FUNCTION loads(text) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb($1)';
SELECT cachex.create_cache('errors with loader', loader => 'loads(text)');
SELECT err($$SELECT cachex.fetch('errors with loader', 'k', params => '{a}')$$);

-- patterns and tags
SELECT err($$SELECT cachex.invalidate_like('errors', NULL)$$);
SELECT err($$SELECT cachex.invalidate_like('errors', 'a\')$$);
SELECT err($$SELECT cachex.invalidate_like('errors', repeat('%', 1025))$$);
SELECT err($$SELECT * FROM cachex.entries('errors', 'a\')$$);
SELECT err($$SELECT * FROM cachex.entries('errors', repeat('%', 1025))$$);
SELECT err($$SELECT cachex.invalidate_tags(NULL)$$);
SELECT err($$SELECT cachex.invalidate_tags('{t,""}')$$);
SELECT err($$SELECT cachex.invalidate_tags(ARRAY['t', NULL])$$);
SELECT err($$SELECT cachex.invalidate_tags(ARRAY[repeat('t', 256)])$$);

-- Read-only transactions read, and change nothing.
BEGIN READ ONLY;
SELECT cachex.get('errors', 'text');
SELECT status FROM cachex.lookup('errors', 'text');
SELECT cachex.fetch('errors', 'text', 'SELECT 1');
SELECT err(call) FROM unnest(ARRAY[
	$$SELECT cachex.put('errors', 'text', '1')$$,
	$$SELECT cachex.put_many('errors', '{"text": 1}')$$,
	$$SELECT cachex.update('errors', 'text', '$1')$$,
	$$SELECT cachex.push('errors', 'list', '1')$$,
	$$SELECT cachex.incr('errors', 'n')$$,
	$$SELECT cachex.take('errors', 'text')$$,
	$$SELECT cachex.touch('errors', 'text')$$,
	$$SELECT cachex.invalidate('errors', 'text')$$,
	$$SELECT cachex.invalidate_tags('{t}')$$,
	$$SELECT cachex.invalidate_like('errors', '%')$$,
	$$SELECT cachex.clear('errors')$$,
	$$SELECT cachex.clear()$$,
	$$SELECT cachex.create_cache('bad')$$,
	$$SELECT cachex.alter_cache('errors', '{"ttl": "1 min"}')$$,
	$$SELECT cachex.drop_cache('errors')$$]) AS call;
COMMIT;

-- An error that ends a transaction takes back what was staged before it.
BEGIN;
SELECT cachex.put('errors', 'text', '0');
SELECT cachex.invalidate('errors', 'half');
SELECT cachex.fetch('errors', 'k', 'SELECT 1 / 0');
COMMIT;

-- Nothing was stored, nothing lost.
SELECT key, status, version, expires_at FROM cachex.entries('errors')
EXCEPT TABLE state;
TABLE state EXCEPT
SELECT key, status, version, expires_at FROM cachex.entries('errors');
SELECT ttl, negative_ttl, max_entries, max_memory, consistency, enabled,
	version, loader FROM cachex.caches WHERE name = 'errors';
SELECT name FROM cachex.caches WHERE name LIKE 'bad%';
SELECT key, cachex.get('errors', key) FROM state WHERE key <> 'typed' ORDER BY key;

SELECT cachex.drop_cache('errors'), cachex.drop_cache('errors with loader');
DROP TABLE state;
DROP FUNCTION err_of_all, err, of_two, of_integer, of_set, writes, puts,
	invalidates, loads;
