-- What writes, what workers do, caches that not everybody may use: for
-- t/private_matrix.pl.
SET client_min_messages = warning;

-- What all ways are told of a key that is there, and of a query that could
-- have been its loader. own is the way that must be told something, if not NULL.
CREATE FUNCTION drv.told(part text, caches text[], key text, query text, own text DEFAULT NULL,
	verbs text[] DEFAULT '{get,lookup,cached,fetch}') RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	ways drv.way[] := ARRAY(SELECT o FROM drv.way AS o WHERE more IS NULL ORDER BY n);
	w drv.way;
	cache text;
	verb text;
	got text;
	direct text[] := '{}';
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOREACH w IN ARRAY ways LOOP
		direct := direct || drv.ask_as(w, 'direct', NULL, NULL, query);
	END LOOP;
	FOREACH cache IN ARRAY caches LOOP
		FOREACH verb IN ARRAY verbs LOOP
			FOR i IN 1 .. cardinality(ways) LOOP
				got := drv.ask_as(ways[i], verb, cache, key, query);
				cells := cells + 1;
				IF NOT drv.allowed(verb, got, direct[i]) THEN
					differences := differences || format('%s / %s / %s / %s: cached %s, uncached %s',
						part, ways[i].name, verb, cache, got, direct[i]);
				ELSIF ways[i].name = own AND NOT drv.failed(direct[i]) AND got <> direct[i]
					AND (verb <> 'cached' OR cache LIKE '%ttl%' OR part NOT LIKE 'watch%') THEN
					differences := differences || format('%s / %s / %s / %s: cached %s, but it should be there: %s',
						part, ways[i].name, verb, cache, got, direct[i]);
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- Puts of some: in a private cache they are the role's, in a shared one
-- everybody's. No fetch in an exact cache takes them.
CREATE FUNCTION drv.puts() RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	ways drv.way[] := ARRAY(SELECT o FROM drv.way AS o WHERE more IS NULL ORDER BY n);
	p drv.way;
	w drv.way;
	cache text;
	verb text;
	got text;
	wants text;
	own text;
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOREACH cache IN ARRAY '{private_ttl,private_exact,shared_ttl,shared_exact}'::text[] LOOP
		FOR p IN SELECT * FROM drv.way WHERE name IN ('superuser', 'alice', 'poor') LOOP
			PERFORM drv.ask_as(p, 'put', cache, 'p ' || p.name, '"put"');
			FOREACH verb IN ARRAY '{get,get_as,lookup,cached,fetch,fetch_as}'::text[] LOOP
				FOREACH w IN ARRAY ways LOOP
					got := drv.ask_as(w, verb, cache, 'p ' || p.name, 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on');
					wants := CASE WHEN (cache LIKE 'shared%' OR w.acts = p.acts) AND
						(verb IN ('get', 'get_as', 'lookup') OR cache LIKE '%ttl') THEN '"put"' END;
					own := drv.ask_as(w, 'direct', NULL, NULL, 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on');
					cells := cells + 1;
					IF (CASE WHEN wants IS NULL THEN NOT drv.allowed(verb, got, own) ELSE got <> wants END) THEN
						differences := differences || format('put of %s / %s / %s / %s: cached %s, wanted %s',
							p.name, w.name, verb, cache, got, coalesce(wants, own));
					END IF;
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- Changes of what another one has filled: whoever could not read it finds
-- nothing to change, and what comes of a change is read by nobody else.
CREATE FUNCTION drv.updates() RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	p drv.way := (SELECT o FROM drv.way AS o WHERE name = 'superuser');
	query text := 'SELECT jsonb_agg(a ORDER BY id) AS value FROM mx.rls_on';
	w drv.way;
	cache text;
	verb text;
	got text;
	own text;
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOREACH cache IN ARRAY '{private_ttl,private_exact,shared_ttl,shared_exact}'::text[] LOOP
		FOR w IN SELECT * FROM drv.way WHERE name IN ('alice', 'poor', 'bypassrls', 'owner') LOOP
			own := drv.ask_as(w, 'direct', NULL, NULL, query);
			FOREACH verb IN ARRAY '{update,push,touch,take}'::text[] LOOP
				PERFORM drv.ask_as(p, 'fetch', cache, 'u', query);
				got := drv.ask_as(w, verb, cache, 'u', query);
				cells := cells + 1;
				IF got <> 'nothing' THEN
					differences := differences || format('%s / %s / %s: %s of what the superuser has filled', w.name, verb, cache, got);
				END IF;
				-- the superuser's own change keeps it from others
				PERFORM drv.ask_as(p, 'fetch', cache, 'u', query);
				PERFORM drv.ask_as(p, verb, cache, 'u', query);
				got := drv.ask_as(w, 'get', cache, 'u', query);
				cells := cells + 1;
				IF got <> 'nothing' THEN
					differences := differences || format('%s / get / %s, after the superuser''s %s: %s', w.name, cache, verb, got);
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- Caches that have a loader.
CREATE FUNCTION drv.loads() RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	ways drv.way[] := ARRAY(SELECT o FROM drv.way AS o ORDER BY n);
	f text;
	p drv.way;
	cache text;
	verb text;
	got text;
	direct text[];
	before bigint;
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOREACH f IN ARRAY '{load,load_plain}'::text[] LOOP
		direct := '{}';
		FOREACH p IN ARRAY ways LOOP
			direct := direct || drv.ask_as(p, 'direct', NULL, NULL, format('SELECT mx.%s(''k'') AS value', f));
		END LOOP;
		FOREACH cache IN ARRAY '{private_ttl_,private_exact_,shared_ttl_,shared_exact_}'::text[] LOOP
			FOR p IN SELECT * FROM drv.way WHERE name IN ('superuser', 'alice') LOOP
				PERFORM drv.ask_as(p, 'load', cache || f, 'k', NULL);
				FOREACH verb IN ARRAY '{get,lookup,cached,load,load_many}'::text[] LOOP
					FOR i IN 1 .. cardinality(ways) LOOP
						got := drv.ask_as(ways[i], verb, cache || f, 'k', NULL);
						cells := cells + 1;
						IF NOT drv.allowed(verb, got, direct[i]) AND
							(ways[i].more IS NULL OR NOT drv.allowed(verb, got, direct[i - 1])) THEN
							differences := differences || format('%s / %s / %s, filled by %s: cached %s, uncached %s',
								ways[i].name, verb, cache || f, p.name, got, direct[i]);
						END IF;
					END LOOP;
				END LOOP;
			END LOOP;
			before := drv.hits(cache || f);
			PERFORM drv.ask_as(o, 'load', cache || f, 'k', NULL) FROM drv.way AS o, generate_series(1, 2)
			WHERE o.name = CASE WHEN f = 'load' THEN 'alice' ELSE 'reader' END;
			IF drv.hits(cache || f) = before THEN
				differences := differences || format('%s: no hit', cache || f);
			END IF;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- Caches that not everybody may use: fetch and query answer all the same, what
-- reads or writes the cache itself is refused. reads and writes are names of
-- ways.
CREATE FUNCTION drv.granted(moment text, reads text[], writes text[], verbs text[]) RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	ways drv.way[] := ARRAY(SELECT o FROM drv.way AS o
		WHERE name IN ('superuser', 'owner', 'reader', 'poor, definer reader', 'alice', 'bob', 'group', 'member', 'noinherit', 'poor', 'extra')
		ORDER BY n);
	w drv.way;
	l drv.loader;
	cache text;
	verb text;
	got text;
	own text;
	refused text;
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOR l IN SELECT * FROM drv.loader WHERE name IN ('table', 'RLS on') LOOP
		FOREACH cache IN ARRAY '{private_ttl_some,private_exact_some,shared_ttl_some,shared_exact_some}'::text[] LOOP
			FOREACH w IN ARRAY ways LOOP
				own := drv.ask_as(w, 'direct', NULL, NULL, l.query);
				refused := format('42501 permission denied for cache "%s"', cache);
				FOREACH verb IN ARRAY verbs LOOP
					got := drv.ask_as(w, verb, cache, CASE WHEN verb IN ('put', 'take', 'update') THEN 'w' ELSE l.name END,
						CASE WHEN verb = 'put' THEN '1' ELSE l.query END);
					cells := cells + 1;
					IF (CASE
						WHEN verb IN ('get', 'lookup') AND w.name <> ALL (reads) THEN got <> refused
						WHEN verb = 'put' AND w.name <> ALL (writes) THEN got <> refused
						WHEN verb IN ('take', 'update') AND (w.name <> ALL (reads) OR w.name <> ALL (writes)) THEN got <> refused
						WHEN verb = 'put' THEN got <> 'true'
						WHEN verb IN ('take', 'update') THEN got = refused
						-- in mode cached there is no loader to be run
						WHEN verb = 'cached' AND w.name <> ALL (reads) THEN got <> 'nothing' AND got <> refused
						ELSE NOT drv.allowed(verb, got, own) END)
					THEN
						differences := differences || format('%s / %s / %s / %s / %s: cached %s, uncached %s',
							moment, w.name, verb, cache, l.name, got, own);
					END IF;
				END LOOP;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;

-- Who cannot write, or read, fills nothing; who can is served to who can read.
CREATE FUNCTION drv.granted_use() RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	query text := (SELECT l.query FROM drv.loader AS l WHERE name = 'table');
	reader drv.way := (SELECT o FROM drv.way AS o WHERE name = 'reader');
	alice drv.way := (SELECT o FROM drv.way AS o WHERE name = 'alice');
	bob drv.way := (SELECT o FROM drv.way AS o WHERE name = 'bob');
	differences text[] := '{}';
	cache text;
BEGIN
	FOREACH cache IN ARRAY '{shared_ttl_some,shared_exact_some}'::text[] LOOP
		PERFORM drv.ask_as(alice, 'fetch', cache, 'use', query);
		PERFORM drv.ask_as(bob, 'fetch', cache, 'use', query);
		IF drv.ask_as(reader, 'get', cache, 'use', query) <> 'nothing' THEN
			differences := differences || format('%s: who cannot read and write has filled', cache);
		END IF;
		PERFORM drv.ask_as(reader, 'fetch', cache, 'use', query);
		IF drv.ask_as(alice, 'get', cache, 'use', query) = 'nothing' THEN
			differences := differences || format('%s: who can read gets nothing', cache);
		END IF;
	END LOOP;
	RETURN (4, differences);
END $$;

-- Asks as the one who is in effect now, whatever has made him so.
CREATE FUNCTION drv.here(step text, loaders text[], caches text[] DEFAULT '{private_ttl,private_exact,shared_ttl,shared_exact}') RETURNS drv.result LANGUAGE plpgsql AS $$
DECLARE
	verbs text[] := '{get,lookup,cached,fetch,query,fetch_many}';
	l drv.loader;
	cache text;
	verb text;
	got text[];
	own text;
	i int := 0;
	cells int := 0;
	differences text[] := '{}';
BEGIN
	FOR l IN SELECT * FROM drv.loader WHERE name = ANY (loaders) LOOP
		got := '{}';
		FOREACH cache IN ARRAY caches LOOP
			FOREACH verb IN ARRAY verbs LOOP
				got := got || drv.ask(verb, cache, 'h ' || l.name, l.query);
			END LOOP;
		END LOOP;
		own := drv.ask('direct', NULL, NULL, l.query);
		i := 0;
		FOREACH cache IN ARRAY caches LOOP
			FOREACH verb IN ARRAY verbs LOOP
				i := i + 1;
				cells := cells + 1;
				-- in an aborted transaction nobody answers
				IF NOT drv.allowed(verb, got[i], own) THEN
					differences := differences || format('%s / %s (session %s) / %s / %s / %s: cached %s, uncached %s',
						step, current_user, session_user, verb, cache, l.name, got[i], own);
				END IF;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN (cells, differences);
END $$;
