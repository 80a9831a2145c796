-- Named caches: rows of a table, so created, altered and dropped as everything
-- else in a transaction. What other sessions see is in the isolation tests.
CREATE FUNCTION settings(cache text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', 'ttl', coalesce(ttl::text, 'never'), 'negative', negative_ttl,
		'entries', coalesce(max_entries::text, '-'), 'memory', coalesce(nullif(max_memory, cachex.public_memory())::text, '-'),
		consistency, CASE WHEN enabled THEN 'enabled' ELSE 'disabled' END,
		'version', version, 'loader', coalesce(loader, '-'))
	FROM cachex.caches WHERE name = cache
$$;
CREATE SCHEMA "Load";
CREATE FUNCTION "Load"."ers"(key text) RETURNS text LANGUAGE sql AS 'SELECT upper(key)';

-- What is not said, and what can be said.
SELECT cachex.create_cache('plain');
SELECT settings('plain');
SELECT cachex.create_cache('all', ttl => '10 min', max_entries => 100, max_memory => '2MB',
	negative_ttl => '5 s', consistency => 'ttl', loader => '"Load".ers(text)', options => '{}');
SELECT settings('all');
SELECT owner = current_user::regrole FROM cachex.caches WHERE name = 'all';
SELECT cachex.create_cache('never', ttl => NULL, max_entries => 0, max_memory => '0');
SELECT settings('never');
-- memory as for server settings
SELECT cachex.create_cache('size ' || size, max_memory => size)
FROM unnest('{100,1kB,1.5MB,2 GB,1TB}'::text[]) AS size;
SELECT name, max_memory FROM cachex.caches WHERE name LIKE 'size %' ORDER BY max_memory;
-- any name, up to 63 bytes
SELECT cachex.create_cache(name) FROM unnest(ARRAY['Ünïcödé "quoted"; --', repeat('n', 63), ' ']) AS name;
SELECT cachex.put(name, 'k', to_jsonb(name)), cachex.get(name, 'k') = to_jsonb(name) AS same
FROM unnest(ARRAY['Ünïcödé "quoted"; --', repeat('n', 63), ' ']) AS name;
SELECT cachex.drop_cache(name) FROM cachex.caches
WHERE name LIKE 'size %' OR name LIKE 'Ün%' OR name LIKE 'nnn%' OR name = ' ';

-- Altered: what is named changes, null unsets.
SELECT cachex.alter_cache('all', '{}');
SELECT cachex.alter_cache('all', '{"ttl": "90 s", "max_memory": "3MB"}');
SELECT settings('all');
SELECT cachex.alter_cache('all', '{"ttl": null, "max_entries": null, "max_memory": null, "loader": null}');
SELECT settings('all');
SELECT cachex.alter_cache('all', '{"ttl": "1 h", "negative_ttl": "1 min", "max_entries": 7,
	"max_memory": 4096, "consistency": "exact", "enabled": false, "version": 3,
	"loader": "\"Load\".ers(text)"}');
SELECT settings('all');
SELECT cachex.alter_cache('all', '{"max_entries": "8", "version": "4", "enabled": "on"}');
SELECT settings('all');
SELECT cachex.drop_cache('all');

-- New settings hold for what is stored from then on.
SELECT cachex.create_cache('c', ttl => '1 h', consistency => 'ttl');
SELECT cachex.put('c', 'before', '1');
SELECT cachex.alter_cache('c', '{"ttl": "1 min"}');
SELECT cachex.put('c', 'after', '1');
SELECT key, round(extract(epoch FROM expires_at - created_at)) AS seconds
FROM cachex.entries('c') ORDER BY key;

-- Disabled: neither read nor filled, but invalidated; it comes back as it was.
SELECT cachex.alter_cache('c', '{"enabled": false}');
SELECT cachex.get('c', 'before'), (cachex.lookup('c', 'before')).status,
	cachex.fetch('c', 'before', 'SELECT 2'), cachex.fetch('c', 'filled', 'SELECT 2');
SELECT cachex.invalidate('c', 'after');
SELECT cachex.alter_cache('c', '{"enabled": true}');
SELECT cachex.get('c', 'before'), cachex.get('c', 'after'), cachex.get('c', 'filled');

-- Another version: nothing of the others is seen, also when it comes back:
-- what was invalidated meanwhile must not.
SELECT cachex.put('c', 'k', '"v0"');
SELECT cachex.alter_cache('c', '{"version": 1}');
SELECT cachex.get('c', 'k');
SELECT cachex.put('c', 'k', '"v1"');
SELECT cachex.invalidate('c', 'k');
SELECT cachex.alter_cache('c', '{"version": 0}');
SELECT cachex.get('c', 'k');

-- Another consistency empties it.
SELECT cachex.put('c', 'k', '1');
SELECT cachex.alter_cache('c', '{"consistency": "ttl"}');
SELECT cachex.get('c', 'k');
SELECT cachex.alter_cache('c', '{"consistency": "exact"}');
SELECT cachex.get('c', 'k');

-- All of that is undone by a rollback.
SELECT cachex.alter_cache('c', '{"consistency": "ttl"}');
SELECT cachex.put('c', 'k', '"kept"');
BEGIN;
SELECT cachex.alter_cache('c', '{"ttl": "1 s", "max_entries": 0, "version": 9, "enabled": false}');
SELECT settings('c'), cachex.get('c', 'k');
ROLLBACK;
SELECT settings('c'), cachex.get('c', 'k');
BEGIN;
SAVEPOINT s;
SELECT cachex.alter_cache('c', '{"consistency": "exact", "max_entries": 0}');
ROLLBACK TO s;
SELECT cachex.alter_cache('c', '{"max_entries": 5}');
COMMIT;
SELECT settings('c'), cachex.get('c', 'k');

-- A cache that is created can be used at once; if it is not committed,
-- neither it nor its entries were there.
BEGIN;
SELECT cachex.create_cache('new', consistency => 'ttl');
SELECT cachex.put('new', 'k', '1'), cachex.get('new', 'k');
ROLLBACK;
SELECT cachex.get('new', 'k');
SELECT cachex.create_cache('new', consistency => 'ttl');
SELECT cachex.get('new', 'k');
BEGIN;
SAVEPOINT s;
SELECT cachex.create_cache('newer', consistency => 'ttl');
SELECT cachex.put('newer', 'k', '1');
ROLLBACK TO s;
SELECT cachex.create_cache('newer', consistency => 'ttl');
SELECT cachex.get('newer', 'k'), cachex.put('newer', 'k', '2');
COMMIT;
SELECT cachex.get('newer', 'k');
-- after an error too
BEGIN;
SELECT cachex.create_cache('new');
COMMIT;

-- A cache that is dropped takes its entries along at the commit, and one of
-- the same name has none of them.
SELECT cachex.put('new', 'k', '"old"', tags => '{t}');
BEGIN;
SELECT cachex.drop_cache('new');
SELECT cachex.drop_cache('new', if_exists => true);
SAVEPOINT s;
SELECT cachex.get('new', 'k');
ROLLBACK;
SELECT cachex.get('new', 'k');
BEGIN;
SELECT cachex.drop_cache('new');
SELECT cachex.create_cache('new', consistency => 'ttl', max_entries => 3);
SELECT cachex.get('new', 'k'), cachex.put('new', 'l', '"new"');
ROLLBACK;
SELECT cachex.get('new', 'k'), cachex.get('new', 'l');
BEGIN;
SELECT cachex.drop_cache('new');
SELECT cachex.create_cache('new', consistency => 'ttl', max_entries => 3);
SELECT cachex.put('new', 'l', '"new"');
COMMIT;
SELECT cachex.get('new', 'k'), cachex.get('new', 'l');
SELECT max_entries, puts FROM cachex.stats JOIN cachex.caches ON name = cache WHERE cache = 'new';
SELECT cachex.drop_cache('new'), cachex.drop_cache('new', if_exists => true);
SELECT cachex.get('new', 'k');

-- What is put and dropped in one transaction leaves nothing behind.
BEGIN;
SELECT cachex.put('newer', 'k', '3');
SELECT cachex.drop_cache('newer');
COMMIT;
SELECT cachex.create_cache('newer', consistency => 'ttl');
SELECT cachex.get('newer', 'k');
SELECT cachex.drop_cache('newer');

-- Dropping gives the memory back.
SELECT cachex.create_cache('large', consistency => 'ttl');
SELECT cx_wait('entries = (SELECT sum(entries) FROM cachex.stats) FROM cachex.memory()');
SELECT used AS before FROM cachex.memory() \gset
SELECT count(*) FROM generate_series(1, 100) AS i WHERE cachex.put('large', 'k' || i, to_jsonb(repeat('x', 100000)));
SELECT used - :before > 10000000 AS more FROM cachex.memory();
SELECT cachex.drop_cache('large');
SELECT cx_wait(format('used <= %s FROM cachex.memory()', :before)) AS as_before;

-- More caches than are in use at once, over time: numbers come back.
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		PERFORM cachex.create_cache('passing', consistency => 'ttl');
		COMMIT;
		IF NOT cachex.put('passing', 'k', to_jsonb(i)) OR cachex.get('passing', 'k') <> to_jsonb(i) THEN
			RAISE 'cache % cannot be used', i;
		END IF;
		PERFORM cachex.drop_cache('passing');
		COMMIT;
		-- the sweeper may be slower than this loop
		IF i % 100 = 0 THEN
			PERFORM cachex.purge();
		END IF;
	END LOOP;
END $$;

-- The table itself can be written, too: what holds is what its rows say.
INSERT INTO cachex.cache_definition (name, owner, consistency) VALUES ('row', 10, 'ttl');
SELECT cachex.put('row', 'k', '1'), cachex.get('row', 'k');
UPDATE cachex.cache_definition SET max_entries = 0 WHERE name = 'row';
SELECT cachex.get('row', 'k'), cachex.put('row', 'k', '1');
UPDATE cachex.cache_definition SET name = 'renamed', max_entries = NULL WHERE name = 'row';
SELECT cachex.put('renamed', 'k', '2'), cachex.get('renamed', 'k');
SELECT cachex.get('row', 'k');
DELETE FROM cachex.cache_definition WHERE name = 'renamed';
SELECT cachex.get('renamed', 'k');
COPY cachex.cache_definition (name, owner, consistency) FROM STDIN;
copied	10	ttl
\.
SELECT cachex.put('copied', 'k', '1'), cachex.get('copied', 'k');
BEGIN;
TRUNCATE cachex.cache_definition;
SELECT name FROM cachex.caches ORDER BY name;
ROLLBACK;
SELECT cachex.get('copied', 'k');
SELECT cachex.drop_cache('copied');

-- default and queries are there without a row, until they are altered.
SELECT name, settings(name), owner = 10 AS of_the_superuser FROM cachex.caches
WHERE name IN ('default', 'queries') ORDER BY name;
SELECT cachex.put('default', 'k', '"kept"');
SELECT name FROM cachex.cache_definition WHERE name IN ('default', 'queries');
BEGIN;
SELECT cachex.alter_cache('default', '{"ttl": "1 min"}');
ROLLBACK;
SELECT cachex.alter_cache('default', '{"ttl": "1 min"}');
SELECT cachex.alter_cache('default', '{"max_entries": 9}');
SELECT cachex.alter_cache('queries', '{"ttl": "2 min"}');
SELECT name, settings(name), owner = 10 AS of_the_superuser FROM cachex.caches
WHERE name IN ('default', 'queries') ORDER BY name;
SELECT cachex.get('default', 'k');
SELECT cachex.put('default', 'l', '1');
SELECT ttl <= '1 min' FROM cachex.lookup('default', 'l');
-- dropping one that was altered makes it as it was at first, and empty
SELECT cachex.drop_cache('default'), cachex.drop_cache('queries');
SELECT settings('default');
SELECT cachex.get('default', 'k');
SELECT cachex.put('default', 'k', '1'), cachex.get('default', 'k');

SELECT cx_check();
SELECT cachex.clear();
SELECT cachex.drop_cache(name) FROM cachex.caches WHERE name IN ('c', 'plain', 'never') ORDER BY name;
SELECT name FROM cachex.caches ORDER BY name;
DROP FUNCTION settings;
DROP SCHEMA "Load" CASCADE;
