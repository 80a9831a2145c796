-- update, push, incr, take, touch, only_if and if_version: what each returns
-- and leaves. That two sessions cannot get in between is in the isolation
-- tests.
SELECT cachex.create_cache('atomic', consistency => 'ttl');

-- update: $1 is the value now, params follow it; nothing there is initial,
-- and without that nothing happens.
SELECT cachex.put('atomic', 'doc', '{"n": 1, "tags": ["x"]}');
SELECT cachex.update('atomic', 'doc', '$1 || jsonb_build_object(''n'', ($1->>''n'')::int + $2::int)', '{41}');
SELECT cachex.update('atomic', 'doc', 'jsonb_set($1, $2, $3::jsonb) -- to the end', '{"{tags,1}","\"y\""}');
SELECT cachex.get('atomic', 'doc');
SELECT cachex.update('atomic', 'absent', '$1') IS NULL AS absent,
	cachex.update('atomic', 'initial', 'to_jsonb($1::int + 1)', initial => '10'),
	cachex.update('atomic', 'initial', 'to_jsonb($1::int + 1)', initial => '10');
SELECT status FROM cachex.lookup('atomic', 'absent');
-- any type that becomes jsonb, a sub-select, and SQL NULL
SELECT cachex.update('atomic', 'initial', '$1::int * 2'),
	cachex.update('atomic', 'initial', '(SELECT array_agg(i) FROM generate_series(1, $2::int) AS i)', '{3}'),
	cachex.update('atomic', 'initial', '$2', ARRAY[NULL]);
SELECT status FROM cachex.lookup('atomic', 'initial');
-- the rest of the entry stays
SELECT cachex.put('atomic', 'rest', '1', tags => '{t,u}', metadata => '{"m": 1}',
	ttl => '5 min', cost => '2 s');
SELECT cachex.update('atomic', 'rest', 'to_jsonb(2)');
SELECT value, tags, metadata, round(load_ms), ttl < '5 min' AS ttl_kept
FROM cachex.lookup('atomic', 'rest');
SELECT cachex.touch('atomic', 'rest', ttl => '1 day');
SELECT value, tags, metadata, round(load_ms), ttl > '23 h' AS touched
FROM cachex.lookup('atomic', 'rest');
-- its tags still stand for it
SELECT cachex.invalidate_tags('{u}');
SELECT cachex.get('atomic', 'rest');

-- push: newest first, cut to a length; the list is made where there is none.
SELECT cachex.push('atomic', 'list', '1'), cachex.push('atomic', 'list', '"two"'),
	cachex.push('atomic', 'list', '[3]'), cachex.push('atomic', 'list', '{"four": 4}'),
	cachex.push('atomic', 'list', 'null');
SELECT cachex.get('atomic', 'list');
SELECT cachex.push('atomic', 'list', '6', max_length => 3);
SELECT cachex.get('atomic', 'list');
SELECT cachex.push('atomic', 'list', '7', max_length => 100);
SELECT cachex.push('atomic', 'list', '8', max_length => 1);
SELECT cachex.get('atomic', 'list');
SELECT cachex.push('atomic', 'list', '9', max_length => 0);
SELECT cachex.get('atomic', 'list');
-- a page that nobody has asked for yet gets no list with one element
SELECT cachex.push('atomic', 'cold', '1', only_if => 'present');
SELECT status FROM cachex.lookup('atomic', 'cold');
SELECT cachex.push('atomic', 'cold', '1', only_if => 'absent'),
	cachex.push('atomic', 'cold', '2', only_if => 'absent'),
	cachex.push('atomic', 'cold', '3', only_if => 'present');
SELECT cachex.get('atomic', 'cold');

-- incr: by, down too; initial is what the first one adds to.
SELECT cachex.incr('atomic', 'n'), cachex.incr('atomic', 'n', 10),
	cachex.incr('atomic', 'n', -20), cachex.incr('atomic', 'n', 0),
	cachex.incr('atomic', 'other', initial => 100), cachex.incr('atomic', 'other', initial => 100);
SELECT cachex.put('atomic', 'whole', '5.00'), cachex.incr('atomic', 'whole'),
	cachex.put('atomic', 'least', '-9223372036854775807'), cachex.incr('atomic', 'least', -1);
SELECT cachex.get('atomic', 'n'), cachex.get('atomic', 'whole'), cachex.get('atomic', 'least');
SELECT cachex.incr('atomic', 'least', -1);
SELECT cachex.get('atomic', 'least');
DO $$
BEGIN
	FOR i IN 1..1000 LOOP
		PERFORM cachex.incr('atomic', 'thousand', i);
		COMMIT;
	END LOOP;
END $$;
SELECT cachex.get('atomic', 'thousand');

-- take: once.
SELECT cachex.put('atomic', 'token', '"secret"');
SELECT cachex.take('atomic', 'token'), cachex.take('atomic', 'token');
SELECT cachex.take('atomic', 'token');
SELECT status FROM cachex.lookup('atomic', 'token');
SELECT cachex.put('atomic', 'null', NULL);
SELECT cachex.take('atomic', 'null');
SELECT status FROM cachex.lookup('atomic', 'null');

-- touch: only what is there.
SELECT cachex.touch('atomic', 'absent'), cachex.touch('atomic', 'n');

-- put only_if; a negative entry is one.
SELECT cachex.put('atomic', 'lock', '1', only_if => 'present') AS present,
	cachex.put('atomic', 'lock', '1', only_if => 'absent') AS absent;
SELECT cachex.put('atomic', 'lock', '2', only_if => 'absent') AS absent,
	cachex.put('atomic', 'lock', '3', only_if => 'present') AS present;
SELECT cachex.get('atomic', 'lock');
SELECT cachex.put('atomic', 'null', NULL, only_if => 'absent') AS absent;
SELECT cachex.put('atomic', 'null', '1', only_if => 'absent') AS absent,
	cachex.put('atomic', 'null', '2', only_if => 'present') AS present;
SELECT cachex.get('atomic', 'null');

-- put if_version: the entry that was looked at, and no other.
SELECT cachex.put('atomic', 'v', '1');
SELECT version FROM cachex.lookup('atomic', 'v') \gset
SELECT cachex.put('atomic', 'v', '2', if_version => :version);
SELECT cachex.put('atomic', 'v', '3', if_version => :version);
SELECT cachex.get('atomic', 'v');
SELECT cachex.put('atomic', 'v', '4', if_version => 0), cachex.put('atomic', 'v', '4', if_version => -1);
SELECT version FROM cachex.lookup('atomic', 'v') \gset
SELECT cachex.invalidate('atomic', 'v');
SELECT cachex.put('atomic', 'v', '5', if_version => :version);
SELECT cachex.get('atomic', 'v');
-- both conditions must hold
SELECT version FROM cachex.lookup('atomic', 'lock') \gset
SELECT cachex.put('atomic', 'lock', '4', only_if => 'absent', if_version => :version);
SELECT cachex.put('atomic', 'lock', '4', only_if => 'present', if_version => :version);

-- The lease: a version of a key that is not there. It is good until the key,
-- one of the tags that are put, or the cache is invalidated.
CREATE PROCEDURE lease_over(meanwhile text) LANGUAGE plpgsql AS $$
DECLARE
	version bigint;
	kept boolean;
BEGIN
	PERFORM cachex.take('atomic', 'lease');
	COMMIT;
	version := (cachex.lookup('atomic', 'lease')).version;
	EXECUTE 'SELECT cachex.' || meanwhile;
	COMMIT;
	kept := cachex.put('atomic', 'lease', '"new"', tags => '{l,m}', if_version => version);
	COMMIT;
	RAISE INFO '%: % %', meanwhile, kept, cachex.get('atomic', 'lease');
END $$;
CALL lease_over('get(''atomic'', ''lease'')');
CALL lease_over('invalidate(''atomic'', ''other'')');
CALL lease_over('invalidate_tags(''{k,n}'')');
CALL lease_over('invalidate(''atomic'', ''lease'')');
CALL lease_over('invalidate_tags(''{m}'')');
CALL lease_over('invalidate_like(''atomic'', ''lea%'')');
CALL lease_over('clear(''atomic'')');
CALL lease_over('clear()');
CALL lease_over('put(''atomic'', ''lease'', ''"old"'')');
CALL lease_over('put(''atomic'', ''lease'', NULL)');
-- once it is used it is used up
SELECT cachex.take('atomic', 'lease');
SELECT version FROM cachex.lookup('atomic', 'lease') \gset
SELECT cachex.put('atomic', 'lease', '1', if_version => :version);
SELECT cachex.put('atomic', 'lease', '2', if_version => :version);
SELECT cachex.get('atomic', 'lease');

-- More keys than the lock table holds a transaction, in one transaction.
BEGIN;
SELECT count(cachex.incr('atomic', 'many' || i)) FROM generate_series(1, 100000) AS i;
COMMIT;
SELECT sum(cachex.incr('atomic', 'many' || i)) FROM generate_series(1, 100000) AS i;

SELECT update_conflicts FROM cachex.stats WHERE cache = 'atomic';
SELECT cx_check();
SELECT cachex.drop_cache('atomic');
DROP PROCEDURE lease_over;
