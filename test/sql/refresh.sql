-- refresh: arguments, numbers, privileges; what workers do is in
-- test/t/refresh_jobs.pl.
SELECT cachex.create_cache('refreshed', consistency => 'ttl');
DO $$BEGIN PERFORM cachex.grant_cache('refreshed', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;
CREATE FUNCTION refresh_load(key text) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''loaded '' || key';
SELECT cachex.create_cache('with loader', consistency => 'ttl', loader => 'refresh_load(text)');
DO $$BEGIN PERFORM cachex.grant_cache('with loader', 'public', p) FROM unnest('{read,write}'::text[]) AS p; END$$;

-- arguments
SELECT cachex.refresh('no such', 'k', query => 'SELECT 1');
SELECT cachex.refresh('refreshed', NULL, query => 'SELECT 1');
SELECT cachex.refresh('refreshed', '', query => 'SELECT 1');
SELECT cachex.refresh('refreshed', 'k');
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1', max_attempts => 0);
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1', max_attempts => 101);
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1', max_attempts => NULL);
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1', scope => '');
SELECT cachex.refresh('with loader', 'k', params => ARRAY['x']);
BEGIN READ ONLY;
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1');
ROLLBACK;

-- one job a key, scope and loader; seen at once, and gone with the transaction
BEGIN;
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1') AS first \gset
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1') = :first AS same,
	cachex.refresh('refreshed', 'k', query => 'SELECT 2') = :first AS other_query,
	cachex.refresh('refreshed', 'k', query => 'SELECT 1', params => '{a}') = :first AS params,
	cachex.refresh('refreshed', 'k', query => 'SELECT 1', scope => 's') = :first AS scope,
	cachex.refresh('refreshed', 'l', query => 'SELECT 1') = :first AS key;
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1') = :first AS other_settings;
SELECT cache, scope, key, status, attempts, max_attempts, last_error,
	role = current_user::regrole AS mine, created IS NOT NULL AS created, started, finished, duration
FROM cachex.jobs WHERE cache = 'refreshed' ORDER BY id;
SELECT (cachex.lookup('refreshed', 'k')).status, (cachex.lookup('refreshed', 'm')).status,
	(cachex.lookup('refreshed', 'l', scope => 's')).status;
-- a role has its own
CREATE ROLE regress_refresh;
SET LOCAL ROLE regress_refresh;
SELECT (cachex.lookup('refreshed', 'k')).status;
SELECT count(*) FROM cachex.jobs;
SELECT cachex.refresh('refreshed', 'k', query => 'SELECT 1') = :first AS same;
SELECT key, role FROM cachex.jobs;
SAVEPOINT s;
SELECT * FROM cachex.job;
ROLLBACK TO s;
SELECT * FROM cachex.job_request;
ROLLBACK;
SELECT count(*) FROM cachex.jobs WHERE cache = 'refreshed';

-- it is run, and wait => true returns when it was
SELECT cachex.refresh('with loader', 'k', wait => true);
SELECT cachex.get('with loader', 'k'), cachex.fetch('with loader', 'k');
SELECT loads FROM cachex.stats WHERE cache = 'with loader';
SELECT cachex.refresh('with loader', 'l') > 0 AS asked;
SELECT cx_wait('cachex.get(''with loader'', ''l'') IS NOT NULL');
SELECT cachex.refresh('with loader', 'k', wait => true, query => 'SELECT 1/0');
BEGIN;
SELECT cachex.refresh('with loader', 'm', wait => true);
SELECT cachex.get('with loader', 'm');
COMMIT;
SELECT count(*) FROM cachex.jobs WHERE cache = 'with loader';
SELECT cachex.alter_cache('with loader', '{"enabled": false}');
SELECT cachex.refresh('with loader', 'k', wait => true);
SELECT cachex.alter_cache('with loader', '{"enabled": true}');

-- watches
CREATE TABLE refresh_source (id int, v text);
SELECT cachex.watch('refresh_source', 'with loader', action => 'refresh');
SELECT cachex.watch('refresh_source', 'refreshed', keys => ARRAY['<id>'], action => 'refresh');
SELECT cachex.watch('refresh_source', keys => ARRAY['<id>'], action => 'refresh');
SELECT cachex.watch('refresh_source', 'with loader', keys => ARRAY['<id>'], action => 'stale');
SELECT cachex.watch('refresh_source', 'with loader', keys => ARRAY['<id>'], action => 'refresh');
BEGIN;
INSERT INTO refresh_source SELECT i % 2, i FROM generate_series(1, 10) i;
UPDATE refresh_source SET v = 'x' WHERE id = 1;
SELECT key, status, count(*) FROM cachex.jobs
WHERE cache = 'with loader' AND status = 'pending' GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;

SELECT cachex.drop_cache('with loader'), cachex.drop_cache('refreshed');
SELECT count(*) FROM cachex.jobs WHERE cache IN ('with loader', 'refreshed');
DROP TABLE refresh_source;
