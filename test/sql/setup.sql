-- The first file: the extension, and what the other files use.

-- Objects of somebody else in its place: it is not created around them.
CREATE SCHEMA cachex;
CREATE EXTENSION cachex;
DROP SCHEMA cachex;

CREATE EXTENSION cachex;

-- What is cached goes with the extension, at the commit.
SELECT cachex.put('default', 'k', '1');
BEGIN;
DROP EXTENSION cachex;
ROLLBACK;
SELECT cachex.get('default', 'k');
DROP EXTENSION cachex;
CREATE EXTENSION cachex;
SELECT cachex.get('default', 'k');

-- NULL, or what is wrong with the store.
CREATE FUNCTION cx_check() RETURNS text
LANGUAGE c AS '$libdir/cachex', 'cachex_check_store';
SELECT cx_check();
