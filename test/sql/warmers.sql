-- Definitions of warmers; when they run is in test/t/warmer_*.pl.
SELECT cachex.create_cache('warmed', consistency => 'ttl');
CREATE TABLE warm_source (id int, v text, tags text[]);

SELECT cachex.create_warmer('warmed', 'full', $$
	SELECT id::text AS key, v AS value, interval '5 min' AS ttl, tags,
		id::text AS scope
	FROM public.warm_source$$, every => '1 hour');
SELECT cachex.create_warmer(name => 'least', cache => 'warmed',
	query => 'TABLE pg_temp.none');
SELECT cachex.create_warmer('warmed', 'least',
	'WITH x AS (VALUES (''a''::varchar, 1)) SELECT column1 AS key, column2 AS value FROM x');
SELECT cache, name, query, every, runs, failures FROM cachex.warmers
WHERE name = 'least';

-- Names
SELECT cachex.create_warmer('warmed', 'full', 'SELECT ''a'' AS key, 1 AS value');
SELECT cachex.create_warmer('no such', 'w', 'SELECT ''a'' AS key, 1 AS value');
SELECT cachex.create_warmer('warmed', '', 'SELECT ''a'' AS key, 1 AS value');
SELECT cachex.create_warmer('warmed', NULL, 'SELECT ''a'' AS key, 1 AS value');
SELECT cachex.create_warmer('warmed', repeat('x', 64), 'SELECT ''a'' AS key, 1 AS value');

-- Intervals
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', '0');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', '-1 day');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', '0.999 s');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', '101 years');

-- Columns
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT 1 AS value');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT 1 AS key, 1 AS value');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value, 60 AS ttl');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value, 1 AS other');

-- Kinds
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', required => NULL);
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value', replace => NULL);
BEGIN;
SELECT (cachex.lookup('warmed', 'none')).status;
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value',
	required => true, replace => true);
SELECT name, required, replace, warmed FROM cachex.warmers WHERE name <> 'full' ORDER BY name;
SELECT (cachex.lookup('warmed', 'none')).status;
SAVEPOINT s;
-- others do not see it yet
SELECT cachex.warm('warmed', '{w}', wait => true);
ROLLBACK TO s;
SELECT (cachex.lookup('warmed', 'none')).status;
ROLLBACK;
SELECT (cachex.lookup('warmed', 'none')).status;

-- Queries
SELECT cachex.create_warmer('warmed', 'w', NULL);
SELECT cachex.create_warmer('warmed', 'w', 'SELEC');
SELECT cachex.create_warmer('warmed', 'w', 'DELETE FROM public.warm_source');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT 1; SELECT 2');
SELECT cachex.create_warmer('warmed', 'w', 'SELECT $1 AS key, 1 AS value');
SELECT cachex.create_warmer('warmed', 'w',
	'WITH d AS (DELETE FROM public.warm_source RETURNING v) SELECT v AS key, v AS value FROM d');
-- the search_path is not the session's
SELECT cachex.create_warmer('warmed', 'w', 'SELECT v AS key, v AS value FROM warm_source');

-- Transactions
BEGIN READ ONLY;
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value');
ROLLBACK;
BEGIN;
SELECT cachex.create_warmer('warmed', 'w', 'SELECT ''a'' AS key, 1 AS value');
SELECT name FROM cachex.warmers ORDER BY name;
ROLLBACK;
SELECT name FROM cachex.warmers ORDER BY name;

-- Asking for runs
SELECT cachex.warm('warmed', '{no such}');
SELECT cachex.warm('no such');
SELECT cachex.warm('warmed', '{no such}', true);
SELECT cachex.warm('warmed', wait => NULL);
SELECT cachex.warm('warmed', '{}', true);
SELECT cachex.warm('warmed', '{least}', true);
SELECT cachex.get('warmed', 'a');
BEGIN;
SELECT cachex.warm('warmed');
SELECT cachex.warm(names => '{least}');
SELECT cachex.warm('warmed', '{}');
ROLLBACK;

SELECT cachex.drop_warmer('warmed', 'full'), cachex.drop_warmer('warmed', 'full');
SELECT cachex.drop_warmer('no such', 'full');
SELECT cachex.drop_cache('warmed');
SELECT name FROM cachex.warmers;
DROP TABLE warm_source;
