-- Who asks, what is asked, and the loops over both: for t/private_matrix.pl.
-- Run by the superuser that is going to call drv.* functions.
SET client_min_messages = warning;
CREATE SCHEMA drv;
GRANT USAGE ON SCHEMA drv TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA drv GRANT SELECT ON TABLES TO PUBLIC;

-- ---- who asks: a role, and how it came to be the one in effect ----

CREATE TABLE drv.way (
	n int GENERATED ALWAYS AS IDENTITY,
	name text PRIMARY KEY,
	auth text,                  -- SET SESSION AUTHORIZATION
	role text,                  -- SET ROLE
	definer text,               -- calls a function of this one's
	user_id text,               -- app.user_id
	more text,                  -- a setting ...
	value text,                 -- ... and its value
	acts text NOT NULL DEFAULT ''   -- the role in effect
);
INSERT INTO drv.way (name, auth, role, definer, user_id, more, value) VALUES
	('superuser', NULL, NULL, NULL, NULL, NULL, NULL),
	('owner', NULL, 'm_owner', NULL, NULL, NULL, NULL),
	('reader', NULL, 'm_reader', NULL, NULL, NULL, NULL),
	('reader2', NULL, 'm_reader2', NULL, NULL, NULL, NULL),
	('reader by session authorization', 'm_reader', NULL, NULL, NULL, NULL, NULL),
	('group', NULL, 'm_group', NULL, NULL, NULL, NULL),
	('member', NULL, 'm_member', NULL, NULL, NULL, NULL),
	('noinherit', 'm_noinherit', NULL, NULL, NULL, NULL, NULL),
	('noinherit, set role', 'm_noinherit', 'm_group', NULL, NULL, NULL, NULL),
	('poor', 'm_poor', NULL, NULL, NULL, NULL, NULL),
	('poor, set role', NULL, 'm_poor', NULL, NULL, NULL, NULL),
	('poor, definer reader', 'm_poor', NULL, 'm_reader', NULL, NULL, NULL),
	('reader, definer poor', 'm_reader', NULL, 'm_poor', NULL, NULL, NULL),
	('viewer', NULL, 'm_viewer', NULL, NULL, NULL, NULL),
	('columns', NULL, 'm_columns', NULL, NULL, NULL, NULL),
	('nousage', NULL, 'm_nousage', NULL, NULL, NULL, NULL),
	('noexec', NULL, 'm_noexec', NULL, NULL, NULL, NULL),
	('bypassrls', NULL, 'm_bypass', NULL, NULL, NULL, NULL),
	('alice', 'm_alice', NULL, NULL, NULL, NULL, NULL),
	('alice, row_security off', 'm_alice', NULL, NULL, NULL, 'row_security', 'off'),
	('bob', NULL, 'm_bob', NULL, NULL, NULL, NULL),
	('pool, no user', NULL, 'm_pool', NULL, '', NULL, NULL),
	('pool, user 1', NULL, 'm_pool', NULL, '1', NULL, NULL),
	('pool, user 2', NULL, 'm_pool', NULL, '2', NULL, NULL),
	('second', NULL, 'm_second', NULL, NULL, NULL, NULL),
	('writer', NULL, 'm_writer', NULL, NULL, NULL, NULL),
	('short', NULL, 'm_short', NULL, NULL, NULL, NULL),
	('extra', 'm_extra', NULL, NULL, NULL, NULL, NULL);
UPDATE drv.way SET acts = coalesce(definer, role, auth, current_user);

-- ---- what is asked ----

CREATE TABLE drv.loader (
	n int GENERATED ALWAYS AS IDENTITY,
	name text PRIMARY KEY,
	kept text NOT NULL CHECK (kept IN ('both', 'ttl', 'none')),   -- by which kinds of cache
	shared boolean,             -- served to others who may read it; NULL: as may be
	query text NOT NULL         -- one column, jsonb, one row
);

-- What a call gives: its value, or its error. As whoever calls.
CREATE FUNCTION drv.ask(verb text, cache text, key text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v jsonb;
	e cachex.entry;
BEGIN
	CASE verb
	WHEN 'direct' THEN
		EXECUTE query INTO v;
	WHEN 'direct_many' THEN
		EXECUTE 'SELECT (' || query || ') AS value FROM unnest(ARRAY[''k'']) AS k' INTO v;
	WHEN 'bypass' THEN
		v := cachex.fetch(cache, key, query, mode => 'bypass');
	WHEN 'fetch' THEN
		v := cachex.fetch(cache, key, query);
	WHEN 'fetch_as' THEN
		v := cachex.fetch_as(cache, key, NULL::jsonb, query);
	WHEN 'fetch_many' THEN
		SELECT value INTO v FROM cachex.fetch_many(cache, ARRAY[key], 'SELECT k AS key, (' || query || ') AS value FROM unnest($1) AS k');
	WHEN 'query' THEN
		SELECT value INTO v FROM cachex.query(query || ' /* ' || key || ' */', cache => cache) AS t(value jsonb);
	WHEN 'query_as' THEN
		SELECT q INTO v FROM cachex.query_as(NULL::jsonb, query || ' /* ' || key || ' as */', cache => cache) AS q;
	WHEN 'cached' THEN
		BEGIN
			v := cachex.fetch(cache, key, query, mode => 'cached');
		EXCEPTION WHEN SQLSTATE 'CX001' THEN
			RETURN 'nothing';
		END;
	WHEN 'get' THEN
		v := cachex.get(cache, key, '"nothing"');
		IF v = '"nothing"' THEN
			RETURN 'nothing';
		END IF;
	WHEN 'get_as' THEN
		v := cachex.get_as(cache, key, '"nothing"'::jsonb);
		IF v = '"nothing"' THEN
			RETURN 'nothing';
		END IF;
	WHEN 'lookup' THEN
		e := cachex.lookup(cache, key);
		IF e.status IN ('miss', 'loading') THEN
			RETURN CASE WHEN e.value IS NULL AND e.etag IS NULL AND e.created_at IS NULL AND e.tags IS NULL
				AND e.metadata IS NULL AND e.bytes IS NULL THEN 'nothing' ELSE 'something of ' || e::text END;
		END IF;
		v := e.value;
	WHEN 'entries' THEN
		RETURN coalesce((SELECT string_agg(n.key, ';' ORDER BY n.key) FROM cachex.entries(cache, key || '%') AS n
			WHERE n.status <> 'dead'), 'nothing');
	WHEN 'put' THEN
		RETURN cachex.put(cache, key, query::jsonb);
	WHEN 'load' THEN
		v := cachex.fetch(cache, key);
	WHEN 'load_many' THEN
		SELECT value INTO v FROM cachex.fetch_many(cache, ARRAY[key]);
	WHEN 'take' THEN
		RETURN coalesce(cachex.take(cache, key)::text, 'nothing');
	WHEN 'update' THEN
		RETURN coalesce(cachex.update(cache, key, '$1')::text, 'nothing');
	WHEN 'push' THEN
		RETURN coalesce(cachex.push(cache, key, '1', only_if => 'present')::text, 'nothing');
	WHEN 'touch' THEN
		RETURN CASE WHEN cachex.touch(cache, key, ttl => '2 h') THEN 'something' ELSE 'nothing' END;
	END CASE;
	RETURN coalesce(v::text, 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- The same, inside a function of somebody's.
CREATE FUNCTION drv.ask_by_m_reader(verb text, cache text, key text, query text) RETURNS text
LANGUAGE sql SECURITY DEFINER AS 'SELECT drv.ask(verb, cache, key, query)';
ALTER FUNCTION drv.ask_by_m_reader OWNER TO m_reader;
CREATE FUNCTION drv.ask_by_m_poor(verb text, cache text, key text, query text) RETURNS text
LANGUAGE sql SECURITY DEFINER AS 'SELECT drv.ask(verb, cache, key, query)';
ALTER FUNCTION drv.ask_by_m_poor OWNER TO m_poor;

-- The same, one of the ways. What is set lasts no longer than this transaction;
-- so after an error of ours nothing is set any more.
CREATE FUNCTION drv.ask_as(w drv.way, verb text, cache text, key text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
	answer text;
	was text := current_setting('session_authorization');
BEGIN
	IF w.user_id IS NOT NULL THEN
		r := set_config('app.user_id', w.user_id, true);
	END IF;
	IF w.more IS NOT NULL THEN
		r := set_config(w.more, w.value, true);
	END IF;
	IF w.auth IS NOT NULL THEN
		r := set_config('session_authorization', w.auth, true);
	END IF;
	IF w.role IS NOT NULL THEN
		r := set_config('role', w.role, true);
	END IF;
	CASE w.definer
	WHEN 'm_reader' THEN
		answer := drv.ask_by_m_reader(verb, cache, key, query);
	WHEN 'm_poor' THEN
		answer := drv.ask_by_m_poor(verb, cache, key, query);
	ELSE
		answer := drv.ask(verb, cache, key, query);
	END CASE;
	r := set_config('session_authorization', was, true);
	IF w.user_id IS NOT NULL THEN
		r := set_config('app.user_id', '', true);
	END IF;
	IF w.more IS NOT NULL THEN
		r := set_config(w.more, 'on', true);
	END IF;
	RETURN answer;
END $$;

-- ---- what happened ----

CREATE FUNCTION drv.hits(cache text) RETURNS bigint LANGUAGE sql AS $$
	SELECT hits + negative_hits + stale_hits + tier_hits FROM cachex.stats_of_caches() AS s WHERE s.cache = $1
$$;

CREATE TYPE drv.result AS (cells int, differences text[]);

-- An answer that is an error.
CREATE FUNCTION drv.failed(answer text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT answer ~ '^[0-9A-Z]{5} '
$$;

-- What may come of a verb that never loads: what the loader would give, or
-- nothing.
CREATE FUNCTION drv.allowed(verb text, answer text, own text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF verb IN ('get', 'get_as', 'lookup', 'cached', 'take', 'update') THEN
		RETURN answer = 'nothing' OR answer = own AND answer !~ '^[0-9A-Z]{5} ';
	END IF;
	RETURN answer = own;
END $$;

-- ---- every way, every verb, for one loader ----

-- Fills as one way and asks as each, in caches of each kind. Then asks twice
-- as each, and counts how often the second answer was a hit.
CREATE FUNCTION drv.states(loader_name text, kind text DEFAULT '') RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	l drv.loader;
	ways drv.way[];
	w drv.way;
	p drv.way;
	primers int[];
	direct text[] := '{}';
	direct_many text[] := '{}';
	cells int := 0;
	differences text[] := '{}';
	cache text;
	verb text;
	key text;
	got text;
	wants text;
	before bigint;
	expected int;
	is_shared boolean;
	is_kept boolean;
BEGIN
	SELECT * INTO l FROM drv.loader WHERE name = loader_name;
	-- (who has nothing but what a change gives him is in the changes)
	ways := ARRAY(SELECT o FROM drv.way AS o WHERE name <> ALL ('{writer,short,extra}') ORDER BY n);
	FOREACH w IN ARRAY ways LOOP
		wants := drv.ask_as(w, 'direct', NULL, NULL, l.query);
		direct := direct || wants;
		direct_many := direct_many || drv.ask_as(w, 'direct_many', NULL, NULL, l.query);
		got := drv.ask_as(w, 'bypass', 'private_exact', 'k', l.query);
		cells := cells + 1;
		IF got <> wants THEN
			differences := differences || format('%s / bypass / %s: bypass %s, direct %s', w.name, l.name, got, wants);
		END IF;
	END LOOP;
	-- who fills: the superuser, the first one else, two who get other answers
	primers := ARRAY(SELECT min(i) FROM unnest(direct) WITH ORDINALITY AS d(a, i)
		WHERE NOT drv.failed(a) GROUP BY a, i = 1 ORDER BY 1);
	IF cardinality(primers) > 4 THEN
		primers := primers[:2] || primers[cardinality(primers) - 1:];
	END IF;
	FOREACH cache IN ARRAY '{private_ttl,private_exact,shared_ttl,shared_exact}'::text[] LOOP
		is_shared := cache LIKE 'shared%';
		is_kept := l.kept = 'both' OR l.kept = 'ttl' AND cache LIKE '%ttl';
		cache := cache || kind;

		-- what never loads, before those who ask have filled
		FOR p_i IN 1 .. coalesce(cardinality(primers), 0) LOOP
			p := ways[primers[p_i]];
			key := l.name || p_i;
			got := drv.ask_as(p, 'fetch', cache, key, l.query);
			CONTINUE WHEN p_i > 1 AND p_i < cardinality(primers);
			FOR i IN 1 .. cardinality(ways) LOOP
				w := ways[i];
				FOREACH verb IN ARRAY '{get,get_as,lookup,cached}'::text[] LOOP
					CONTINUE WHEN p_i > 1 AND verb IN ('get_as', 'cached');
					got := drv.ask_as(w, verb, cache, key, l.query);
					cells := cells + 1;
					-- (get asks for the role's, under whatever settings: the way before)
					IF NOT drv.allowed(verb, got, direct[i]) AND (w.more IS NULL OR NOT drv.allowed(verb, got, direct[i - 1])) THEN
						differences := differences || format('%s / %s / %s / %s, filled by %s: cached %s, uncached %s',
							w.name, verb, cache, l.name, p.name, got, direct[i]);
					END IF;
				END LOOP;
			END LOOP;
		END LOOP;
		IF NOT is_shared THEN
			FOREACH w IN ARRAY ways LOOP
				-- only what roles have filled whose privileges he has
				wants := '';
				FOR p_i IN 1 .. coalesce(cardinality(primers), 0) LOOP
					IF pg_has_role(w.acts, ways[primers[p_i]].acts, 'USAGE') THEN
						wants := wants || ';' || l.name || p_i;
					END IF;
				END LOOP;
				got := drv.ask_as(w, 'entries', cache, l.name, l.query);
				cells := cells + 1;
				IF got <> 'nothing' AND position(';' || got || ';' IN wants || ';') = 0 THEN
					differences := differences || format('%s / entries / %s / %s: listed %s, but may know of %s only',
						w.name, cache, l.name, got, wants);
				END IF;
			END LOOP;
		END IF;

		-- what loads
		FOR p_i IN 1 .. coalesce(cardinality(primers), 0) LOOP
			p := ways[primers[p_i]];
			FOREACH verb IN ARRAY '{fetch,fetch_as,fetch_many,query,query_as}'::text[] LOOP
				-- more of the same: for one of those who fill, and each loader in caches of one kind
				CONTINUE WHEN verb NOT IN ('fetch', 'query') AND (p_i > 1 OR l.n % 2 = CASE WHEN cache LIKE '%ttl%' THEN 1 ELSE 0 END);
				key := format('%s %s %s', l.name, p_i, verb);
				FOR i IN 0 .. cardinality(ways) LOOP
					-- who fills is asked again, where others may have replaced it
					IF i = 0 OR is_shared THEN
						w := ways[i];
						got := drv.ask_as(p, verb, cache, key, l.query);
						wants := CASE verb WHEN 'fetch_many' THEN direct_many[primers[p_i]] ELSE direct[primers[p_i]] END;
						IF got <> wants THEN
							differences := differences || format('%s / %s / %s / %s, after %s: cached %s, uncached %s',
								p.name, verb, cache, l.name, w.name, got, wants);
						END IF;
						CONTINUE WHEN i = 0;
					END IF;
					w := ways[i];
					got := drv.ask_as(w, verb, cache, key, l.query);
					wants := CASE verb WHEN 'fetch_many' THEN direct_many[i] ELSE direct[i] END;
					cells := cells + 1;
					IF got <> wants THEN
						differences := differences || format('%s / %s / %s / %s, filled by %s: cached %s, uncached %s',
							w.name, verb, cache, l.name, p.name, got, wants);
					END IF;
				END LOOP;
				CONTINUE WHEN kind <> '' OR NOT is_kept OR is_shared AND l.shared IS NOT TRUE;
				-- hits, for everybody who has an answer at all, of his own, or
				-- where what is shared is his as well
				expected := 0;
				IF is_shared THEN
					got := drv.ask_as(p, verb, cache, key, l.query);
				END IF;
				before := drv.hits(cache);
				FOR i IN 1 .. cardinality(ways) LOOP
					w := ways[i];
					CONTINUE WHEN direct[i] ~ '^[0-9A-Z]{5} ' OR is_shared AND
						(direct[i] <> direct[primers[p_i]] OR w.more IS NOT NULL);
					expected := expected + 1;
					IF NOT is_shared THEN
						got := drv.ask_as(w, verb, cache, key, l.query);
					END IF;
					got := drv.ask_as(w, verb, cache, key, l.query);
				END LOOP;
				cells := cells + 1;
				IF drv.hits(cache) < before + expected THEN
					differences := differences || format('%s / %s / %s: %s hits, not %s, after %s',
						verb, cache, l.name, drv.hits(cache) - before, expected, p.name);
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- ---- privileges that change ----

CREATE TABLE drv.change (
	n int GENERATED ALWAYS AS IDENTITY,
	name text PRIMARY KEY,
	before text NOT NULL DEFAULT '',    -- what is to be there, and is left
	make text NOT NULL,
	undo text NOT NULL,
	ways text[] NOT NULL,               -- who is asked ...
	loaders text[] NOT NULL,            -- ... for what
	kinds text[] NOT NULL DEFAULT '{ttl,exact}'
);

-- Fills for a change's loaders: the strong ones first, or last.
CREATE FUNCTION drv.prime(change_name text, strong_first boolean, kind text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c drv.change;
	l drv.loader;
	w drv.way;
	cache text;
	verb text;
	ways drv.way[];
	r text;
BEGIN
	SELECT * INTO c FROM drv.change WHERE name = change_name;
	ways := ARRAY(SELECT o FROM drv.way AS o, unnest('{superuser,reader}' || c.ways) WITH ORDINALITY AS u(name, n)
		WHERE o.name = u.name ORDER BY CASE WHEN strong_first THEN u.n ELSE -u.n END);
	FOR l IN SELECT * FROM drv.loader WHERE name = ANY (c.loaders) LOOP
		-- from 18 on a session keeps the plans of SQL functions, and what was folded
		-- into them, for whoever calls these next: so they are there from the first
		-- fill on
		FOR w IN SELECT * FROM drv.way WHERE name = 'superuser' LOOP
			r := drv.ask_as(w, 'direct', NULL, NULL, l.query);
		END LOOP;
		FOREACH cache IN ARRAY drv.caches(c, kind) LOOP
			FOREACH w IN ARRAY ways LOOP
				r := drv.ask_as(w, 'fetch', cache, 'c ' || l.name, l.query);
				FOREACH verb IN ARRAY '{fetch,fetch_many,query}'::text[] LOOP
					r := drv.ask_as(w, verb, cache, 'c ' || l.name || verb, l.query);
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;

CREATE FUNCTION drv.caches(c drv.change, kind text) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(s || k || kind ORDER BY s, k)
	FROM unnest('{private_,shared_}'::text[]) AS s, unnest(c.kinds) AS k WHERE s = 'private_' OR kind <> '_table'
$$;

-- Asks for a change's loaders, with the verbs in this order; then says what
-- is not as it is without a cache. How often it must be a hit is counted where
-- every answer is one.
CREATE FUNCTION drv.check(change_name text, moment text, verbs text[], kind text DEFAULT '', all_hit boolean DEFAULT false)
RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	c drv.change;
	l drv.loader;
	w drv.way;
	cache text;
	verb text;
	got text[] := '{}';
	wants text;
	wants_many text;
	hits bigint;
	missing int;
	caches text[];
	ways drv.way[];
	cells int := 0;
	differences text[] := '{}';
BEGIN
	SELECT * INTO c FROM drv.change WHERE name = change_name;
	caches := drv.caches(c, kind);
	ways := ARRAY(SELECT o FROM drv.way AS o WHERE o.name = ANY ('{superuser,reader}' || c.ways));
	FOR l IN SELECT * FROM drv.loader WHERE name = ANY (c.loaders) LOOP
		got := '{}';
		FOREACH cache IN ARRAY caches LOOP
			missing := 0;
			hits := CASE WHEN all_hit THEN drv.hits(cache) END;
			FOREACH verb IN ARRAY verbs LOOP
				FOREACH w IN ARRAY ways LOOP
					got := got || drv.ask_as(w, verb, cache, 'c ' || l.name ||
						CASE WHEN verb IN ('get', 'get_as', 'lookup', 'cached') THEN '' ELSE verb END, l.query);
					missing := missing + CASE WHEN got[cardinality(got)] = 'nothing' OR drv.failed(got[cardinality(got)]) OR l.kept <> 'both' AND
						(l.kept <> 'ttl' OR cache LIKE '%exact') THEN 0 ELSE 1 END;
				END LOOP;
			END LOOP;
			IF all_hit AND cache LIKE 'private%' AND drv.hits(cache) - hits < missing THEN
				differences := differences || format('%s / %s / %s / %s: %s hits, not %s',
					c.name, moment, l.name, cache, drv.hits(cache) - hits, missing);
			END IF;
		END LOOP;
		FOR w_i IN 1 .. cardinality(ways) LOOP
			wants := drv.ask_as(ways[w_i], 'direct', NULL, NULL, l.query);
			wants_many := drv.ask_as(ways[w_i], 'direct_many', NULL, NULL, l.query);
			FOR c_i IN 1 .. cardinality(caches) LOOP
				FOR v_i IN 1 .. cardinality(verbs) LOOP
					cells := cells + 1;
					-- who has to wait knows nothing; get asks for the role's, under whatever settings
					CONTINUE WHEN wants LIKE '55P03 %' OR
						ways[w_i].more IS NOT NULL AND verbs[v_i] IN ('get', 'get_as', 'lookup');
					IF NOT drv.allowed(verbs[v_i], got[((c_i - 1) * cardinality(verbs) + v_i - 1) * cardinality(ways) + w_i],
							CASE verbs[v_i] WHEN 'fetch_many' THEN wants_many ELSE wants END) THEN
						differences := differences || format('%s / %s / %s / %s / %s / %s: cached %s, uncached %s', c.name, moment,
							ways[w_i].name, verbs[v_i], caches[c_i], l.name,
							got[((c_i - 1) * cardinality(verbs) + v_i - 1) * cardinality(ways) + w_i], wants);
					END IF;
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;
