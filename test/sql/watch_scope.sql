-- watch with a scope: the keys, and the row that is put, are those of the
-- scope that the row names.
CREATE TABLE ws (id int PRIMARY KEY, owner text, v text);
SELECT cachex.create_cache('ws', consistency => 'ttl', options => '{"scoped_by": "ws.owner"}');
CREATE FUNCTION ws_put(owner text, VARIADIC keys text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('ws.owner', owner, false), cachex.put('ws', k, to_jsonb(owner)) FROM unnest(keys) AS k;
END $$;
-- What is there, by scope.
CREATE FUNCTION ws_there() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(scope || ' ' || key, ', ' ORDER BY scope, key) FROM cachex.entries('ws') WHERE status = 'hit'
$$;
SELECT cachex.watch('ws', 'ws', keys => '{k:<id>,list}', scope => '<owner>');
INSERT INTO ws VALUES (1, 'a', 'x'), (2, 'b', 'y');
SELECT ws_put('a', 'k:1', 'k:2', 'list'), ws_put('b', 'k:1', 'k:2', 'list');
UPDATE ws SET v = 'z' WHERE id = 1;
SELECT ws_there();
-- a row that moves is in both scopes
SELECT ws_put('a', 'k:1', 'k:2', 'list'), ws_put('b', 'k:1', 'k:2', 'list'), ws_put('c', 'k:1', 'list');
UPDATE ws SET owner = 'b' WHERE id = 1;
SELECT ws_there();
-- no entry is in such a scope
INSERT INTO ws VALUES (3, NULL, 'n'), (4, '', 'e'), (5, repeat('o', 256), 'l');
DELETE FROM ws WHERE id > 2;
SELECT ws_there();
-- rolled back
SELECT ws_put('b', 'list');
BEGIN;
DELETE FROM ws WHERE id = 2;
SELECT cachex.get('ws', 'list') IS NULL AS own;
ROLLBACK;
SELECT cachex.get('ws', 'list');
-- without rows to look at: the cache
TRUNCATE ws;
SELECT ws_there();
SELECT cachex.unwatch('ws');

-- neither keys nor tags: the scope
SELECT cachex.watch('ws', 'ws', scope => '<owner>');
SELECT ws_put('a', 'k:1', 'k:2'), ws_put('b', 'k:1', 'k:2'), ws_put('c', 'k:1');
INSERT INTO ws SELECT i, 'a' FROM generate_series(1, 3) AS i;
SELECT ws_there();
SELECT ws_put('a', 'k:1');
UPDATE ws SET owner = 'c' WHERE id = 2;
SELECT ws_there();
SELECT cachex.unwatch('ws');

-- the row is put into its scope, whatever the setting says
SELECT cachex.watch('ws', 'ws', keys => '{row:<id>}', action => 'put', scope => '<owner>'),
	cachex.watch('ws', 'ws', keys => '{list}', scope => '<owner>');
SELECT ws_put('b', 'list'), ws_put('d', 'list');
RESET ws.owner;
INSERT INTO ws VALUES (10, 'd', 'new'), (11, NULL, 'nobody''s');
SELECT ws_there();
SET ws.owner = 'd';
SELECT cachex.get('ws', 'row:10');
UPDATE ws SET owner = 'b' WHERE id = 10;
SELECT ws_there();
SET ws.owner = 'b';
SELECT cachex.get('ws', 'row:10');
SELECT cachex.unwatch('ws');

-- so many keys that they are not named one by one: their scopes end, no others;
-- and so many scopes that the cache does
SELECT cachex.watch('ws', 'ws', keys => '{k:<id>,list}', scope => '<owner>');
SELECT ws_put('a', 'k:1', 'list'), ws_put('b', 'k:20000', 'list', 'other'), ws_put('c', 'list');
INSERT INTO ws SELECT i, CASE WHEN i < 20000 THEN 'a' ELSE 'b' END FROM generate_series(100, 20000) AS i;
-- after so many changes others miss as long as somebody has an older snapshot, be it autovacuum
SELECT cx_wait($$ws_there() LIKE '%c list'$$);
SELECT ws_there();
SELECT ws_put('c', 'list'), ws_put('nobody', 'list');
UPDATE ws SET owner = 'o' || id WHERE id > 100;
SELECT ws_there();
SELECT cachex.unwatch('ws');
TRUNCATE ws;
-- rows are put all the same
SELECT cachex.watch('ws', 'ws', keys => '{row:<id>}', action => 'put', scope => '<owner>');
SELECT ws_put('a', 'list'), ws_put('b', 'list'), ws_put('d', 'list');
INSERT INTO ws SELECT i, CASE WHEN i > 10300 THEN 'b' ELSE 'a' END FROM generate_series(100, 10302) AS i;
SELECT cx_wait($$ws_there() LIKE '%b row:10302, d list'$$);
SELECT count(*) > 150 FROM cachex.entries('ws') WHERE scope = 'a' AND status = 'hit';
SELECT cachex.unwatch('ws');
TRUNCATE ws;

-- triggers of five arguments stay what they were; a sixth is the scope
SELECT cachex.watch('ws', 'ws', keys => '{k:<id>}');
SELECT DISTINCT tgnargs FROM pg_trigger WHERE tgrelid = 'ws'::regclass AND tgnargs > 0;
SELECT cachex.watch('ws', 'ws', keys => '{k:<id>}', scope => '<owner>');
SELECT DISTINCT tgnargs FROM pg_trigger WHERE tgrelid = 'ws'::regclass AND tgnargs > 0 ORDER BY 1;
SELECT cachex.unwatch('ws');
CREATE TRIGGER by_hand AFTER INSERT ON ws FOR EACH ROW EXECUTE FUNCTION cachex.on_change('ws', '{k:<id>}', '', 'invalidate', '', '<owner>');
SELECT ws_put('a', 'k:7'), ws_put('b', 'k:7');
INSERT INTO ws VALUES (7, 'a', 'x');
SELECT ws_there();
DROP TRIGGER by_hand ON ws;

-- mistakes
SELECT cachex.watch('ws', 'ws', keys => '{k}', scope => '');
SELECT cachex.watch('ws', 'ws', keys => '{k}', scope => '<nobody>');
SELECT cachex.watch('ws', 'ws', keys => '{k}', scope => '<owner');
SELECT cachex.watch('ws', tags => '{t}', scope => '<owner>');
SELECT cachex.watch('ws', 'ws', keys => '{k}', action => 'refresh', scope => '<owner>');
SELECT cachex.watch('ws', 'ws', keys => '{k}', action => 'put');
SELECT cachex.alter_cache('ws', '{"loader": "lower(text)"}');
SELECT cachex.watch('ws', 'ws', keys => '{k}', action => 'refresh');
SELECT cx_check();
SELECT cachex.drop_cache('ws');
DROP TABLE ws;
DROP FUNCTION ws_put, ws_there;
