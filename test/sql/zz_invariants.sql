-- The last file: after everything that the others did, each byte of the store
-- is accounted for and each entry can be reached exactly once.
SELECT cx_check();
SELECT cachex.clear();
SELECT cx_check();

-- Nobody has left a cache, or a transaction in doubt.
SELECT name FROM cachex.caches ORDER BY name;
SELECT in_doubt FROM cachex.memory();
