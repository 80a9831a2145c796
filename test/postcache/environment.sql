-- How long things live, and who computes stale ones: for a superuser.
-- psql variable: environment (development, test, production).

SELECT format('ALTER ROLE postcache_app SET cachex.%s = %s', setting, value)
FROM (VALUES
        ('development', 'ttl_factor', '0.1'), ('development', 'synchronous', 'off'),
        ('test', 'ttl_factor', '1'), ('test', 'synchronous', 'on'),
        ('production', 'ttl_factor', '2'), ('production', 'synchronous', 'off')) AS s(environment, setting, value)
WHERE environment = :'environment'
\gexec
