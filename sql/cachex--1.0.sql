/* cachex 1.0 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cachex" to load this file. \quit

CREATE SCHEMA cachex;
GRANT USAGE ON SCHEMA cachex TO PUBLIC;
COMMENT ON SCHEMA cachex IS 'query results in shared memory';

-- ---- caches ----

CREATE FUNCTION cachex.new_cache_id() RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17))::bit(64)::bigint & 9223372036854775807 $$;
COMMENT ON FUNCTION cachex.new_cache_id() IS 'an identifier that no other cache has';

CREATE TABLE cachex.cache_definition (
	name text COLLATE "C" PRIMARY KEY
		CHECK (name <> '' AND octet_length(name) < 64),
	id bigint NOT NULL UNIQUE DEFAULT cachex.new_cache_id(),
	owner regrole NOT NULL,
	ttl interval DEFAULT '1 hour' CHECK (ttl > '0'),
	negative_ttl interval NOT NULL DEFAULT '60 s' CHECK (negative_ttl > '0'),
	max_entries bigint CHECK (max_entries >= 0),
	max_memory bigint CHECK (max_memory >= 0),
	consistency text NOT NULL DEFAULT 'exact'
		CHECK (consistency IN ('exact', 'ttl')),
	enabled boolean NOT NULL DEFAULT true,
	version integer NOT NULL DEFAULT 0,
	loader text,
	stale_for interval NOT NULL DEFAULT '0' CHECK (stale_for >= '0'),
	persist text NOT NULL DEFAULT 'none'
		CHECK (persist IN ('none', 'snapshot', 'table')),
	beta double precision NOT NULL DEFAULT 0 CHECK (beta BETWEEN 0 AND 100),
	jitter double precision NOT NULL DEFAULT 0 CHECK (jitter BETWEEN 0 AND 1),
	validate text,
	seed bigint NOT NULL DEFAULT cachex.new_cache_id(),
	shared boolean NOT NULL DEFAULT false,
	max_entries_per_scope bigint CHECK (max_entries_per_scope > 0),
	scoped_by text,
	readers regrole[] NOT NULL DEFAULT '{}',
	writers regrole[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE cachex.cache_definition IS 'the caches of this database, as create_cache and alter_cache left them';
SELECT pg_catalog.pg_extension_config_dump('cachex.cache_definition', '');

-- What caches with persist => 'table' keep: rows that are only inserted and
-- deleted, and what was invalidated.
CREATE TABLE cachex.stored_entry (
	ident bigint NOT NULL,
	cache bigint NOT NULL,
	role oid NOT NULL,
	scope text COLLATE "C",
	key text COLLATE "C" NOT NULL,
	xid xid8 NOT NULL,
	seen pg_snapshot NOT NULL,
	deps bigint[] NOT NULL,
	manual boolean NOT NULL,
	type oid NOT NULL,
	typhash bigint NOT NULL,
	loader bigint,
	reads bytea,
	roles bigint NOT NULL,
	created timestamptz NOT NULL,
	expires timestamptz NOT NULL,
	stale_ms integer NOT NULL,
	stale_by_row boolean NOT NULL,
	cost double precision NOT NULL,
	tags text[],
	metadata jsonb,
	value bytea,
	checksum bigint NOT NULL
);
CREATE INDEX stored_entry_ident ON cachex.stored_entry (ident);
COMMENT ON TABLE cachex.stored_entry IS 'entries of caches with persist => ''table''';

CREATE TABLE cachex.stored_invalidation (
	dep bigint NOT NULL,
	xid xid8 NOT NULL,
	late boolean NOT NULL,
	pattern text COLLATE "C"
);
CREATE INDEX stored_invalidation_dep ON cachex.stored_invalidation (dep);
COMMENT ON TABLE cachex.stored_invalidation IS 'invalidations that stored entries may not have seen';

CREATE FUNCTION cachex.definition_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'cachex_definition_changed';
COMMENT ON FUNCTION cachex.definition_changed() IS 'tells all sessions that a cache was created, altered or dropped';

CREATE TRIGGER definition_changed AFTER INSERT OR UPDATE OR DELETE
ON cachex.cache_definition FOR EACH ROW
EXECUTE FUNCTION cachex.definition_changed();
CREATE TRIGGER definitions_truncated AFTER TRUNCATE
ON cachex.cache_definition FOR EACH STATEMENT
EXECUTE FUNCTION cachex.definition_changed();
ALTER TABLE cachex.cache_definition ENABLE ALWAYS TRIGGER definition_changed;
ALTER TABLE cachex.cache_definition ENABLE ALWAYS TRIGGER definitions_truncated;

CREATE FUNCTION cachex.create_cache(
	name text, ttl interval DEFAULT '1 hour', max_entries bigint DEFAULT NULL,
	max_memory text DEFAULT NULL, stale_for interval DEFAULT '0',
	negative_ttl interval DEFAULT '60 s', consistency text DEFAULT 'exact',
	shared boolean DEFAULT false, max_entries_per_scope bigint DEFAULT NULL,
	loader regprocedure DEFAULT NULL, persist text DEFAULT 'none',
	options jsonb DEFAULT '{}')
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_create_cache';
COMMENT ON FUNCTION cachex.create_cache(text, interval, bigint, text, interval, interval, text, boolean, bigint, regprocedure, text, jsonb) IS 'creates a named cache';

CREATE FUNCTION cachex.alter_cache(name text, changes jsonb)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_alter_cache';
COMMENT ON FUNCTION cachex.alter_cache(text, jsonb) IS 'changes the settings of a cache that are named; null unsets one';

CREATE FUNCTION cachex.drop_cache(name text, if_exists boolean DEFAULT false)
RETURNS boolean LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_drop_cache';
COMMENT ON FUNCTION cachex.drop_cache(text, boolean) IS 'drops a cache and all its entries';

CREATE FUNCTION cachex.grant_cache(name text, grantee text, privilege text)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_grant_cache';
COMMENT ON FUNCTION cachex.grant_cache(text, text, text) IS 'gives a role, or public, the privilege to read or write a cache';

CREATE FUNCTION cachex.revoke_cache(name text, grantee text, privilege text)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_revoke_cache';
COMMENT ON FUNCTION cachex.revoke_cache(text, text, text) IS 'takes from a role, or public, the privilege to read or write a cache';

-- ---- read ----

CREATE FUNCTION cachex.get(cache text, key text, otherwise jsonb DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS jsonb LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1
AS 'MODULE_PATHNAME', 'cachex_get';
COMMENT ON FUNCTION cachex.get(text, text, jsonb, text) IS 'the value of a key, or otherwise';

CREATE FUNCTION cachex.get_as(cache text, key text, otherwise anyelement,
	scope text DEFAULT NULL)
RETURNS anyelement LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1
AS 'MODULE_PATHNAME', 'cachex_get_as';
COMMENT ON FUNCTION cachex.get_as(text, text, anyelement, text) IS 'the value of a key in the type of otherwise';

CREATE TYPE cachex.entry AS (
	cache text, scope text, key text, status text, value jsonb, etag text,
	version bigint, created_at timestamptz, age interval, ttl interval,
	expires_at timestamptz, stale_until timestamptz, frequency integer,
	bytes bigint, load_ms double precision, tags text[], metadata jsonb,
	cache_control text);
COMMENT ON TYPE cachex.entry IS 'an entry and all that is known of it';

CREATE FUNCTION cachex.lookup(cache text, key text,
	if_none_match text DEFAULT NULL, scope text DEFAULT NULL)
RETURNS cachex.entry LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cachex_lookup';
COMMENT ON FUNCTION cachex.lookup(text, text, text, text) IS 'the entry of a key with its status; never loads';

CREATE FUNCTION cachex.fetch(cache text, key text, query text DEFAULT NULL,
	params text[] DEFAULT NULL, ttl interval DEFAULT NULL,
	tags text[] DEFAULT NULL, stale_for interval DEFAULT NULL,
	mode text DEFAULT 'normal', scope text DEFAULT NULL)
RETURNS jsonb LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_fetch';
COMMENT ON FUNCTION cachex.fetch(text, text, text, text[], interval, text[], interval, text, text) IS 'the value of a key, computed by the query and kept when it is not there';

CREATE FUNCTION cachex.fetch_as(cache text, key text, otherwise anyelement,
	query text DEFAULT NULL, params text[] DEFAULT NULL,
	ttl interval DEFAULT NULL, tags text[] DEFAULT NULL,
	stale_for interval DEFAULT NULL, mode text DEFAULT 'normal',
	scope text DEFAULT NULL)
RETURNS anyelement LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_fetch_as';
COMMENT ON FUNCTION cachex.fetch_as(text, text, anyelement, text, text[], interval, text[], interval, text, text) IS 'fetch, in the type of otherwise';

CREATE FUNCTION cachex.fetch_many(cache text, keys text[],
	query text DEFAULT NULL, ttl interval DEFAULT NULL,
	tags text[] DEFAULT NULL, scope text DEFAULT NULL)
RETURNS TABLE (key text, value jsonb)
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100
AS 'MODULE_PATHNAME', 'cachex_fetch_many';
COMMENT ON FUNCTION cachex.fetch_many(text, text[], text, interval, text[], text) IS 'the values of many keys; the query gets the missing ones as $1';

CREATE FUNCTION cachex.query(query text, params text[] DEFAULT NULL,
	ttl interval DEFAULT NULL, tags text[] DEFAULT NULL,
	cache text DEFAULT 'queries', mode text DEFAULT 'normal')
RETURNS SETOF record LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_query';
COMMENT ON FUNCTION cachex.query(text, text[], interval, text[], text, text) IS 'the rows of a query from the cache, or runs it and keeps them';

CREATE FUNCTION cachex.query_as(row_type anyelement, query text,
	params text[] DEFAULT NULL, ttl interval DEFAULT NULL,
	tags text[] DEFAULT NULL, cache text DEFAULT 'queries',
	mode text DEFAULT 'normal')
RETURNS SETOF anyelement LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_query_as';
COMMENT ON FUNCTION cachex.query_as(anyelement, text, text[], interval, text[], text, text) IS 'query, in the type of row_type: a row type, or the type of the only column';

-- ---- write ----

CREATE FUNCTION cachex.put(cache text, key text, value jsonb,
	ttl interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	tags text[] DEFAULT NULL, only_if text DEFAULT NULL,
	if_version bigint DEFAULT NULL, metadata jsonb DEFAULT NULL,
	cost interval DEFAULT NULL, scope text DEFAULT NULL)
RETURNS boolean LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_put';
COMMENT ON FUNCTION cachex.put(text, text, jsonb, interval, timestamptz, text[], text, bigint, jsonb, interval, text) IS 'stores a value at commit; returns whether it is kept';

CREATE FUNCTION cachex.put_many(cache text, entries jsonb,
	ttl interval DEFAULT NULL, tags text[] DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_put_many';
COMMENT ON FUNCTION cachex.put_many(text, jsonb, interval, text[], text) IS 'stores the members of a JSON object; returns how many are kept';

CREATE FUNCTION cachex.update(cache text, key text, expression text,
	params text[] DEFAULT NULL, initial jsonb DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS jsonb LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_update';
COMMENT ON FUNCTION cachex.update(text, text, text, text[], jsonb, text) IS 'replaces a value by an expression of it ($1), atomically';

CREATE FUNCTION cachex.push(cache text, key text, value jsonb,
	max_length integer DEFAULT NULL, only_if text DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS integer LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_push';
COMMENT ON FUNCTION cachex.push(text, text, jsonb, integer, text, text) IS 'puts a value at the head of a list; returns the length';

CREATE FUNCTION cachex.incr(cache text, key text, by bigint DEFAULT 1,
	initial bigint DEFAULT 0, ttl interval DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_incr';
COMMENT ON FUNCTION cachex.incr(text, text, bigint, bigint, interval, text) IS 'adds to an integer, atomically; returns the sum';

CREATE FUNCTION cachex.take(cache text, key text, scope text DEFAULT NULL)
RETURNS jsonb LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_take';
COMMENT ON FUNCTION cachex.take(text, text, text) IS 'returns a value and removes it';

CREATE FUNCTION cachex.touch(cache text, key text, ttl interval DEFAULT NULL,
	expires_at timestamptz DEFAULT NULL, scope text DEFAULT NULL)
RETURNS boolean LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_touch';
COMMENT ON FUNCTION cachex.touch(text, text, interval, timestamptz, text) IS 'gives an entry a new time to live; returns whether there is one';

-- ---- invalidate ----

CREATE FUNCTION cachex.invalidate(cache text, key text,
	scope text DEFAULT NULL)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_invalidate';
COMMENT ON FUNCTION cachex.invalidate(text, text, text) IS 'invalidates a key for every role, in one scope or in all';

CREATE FUNCTION cachex.invalidate_tags(tags text[])
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_invalidate_tags';
COMMENT ON FUNCTION cachex.invalidate_tags(text[]) IS 'invalidates every entry of this database with one of the tags';

CREATE FUNCTION cachex.invalidate_like(cache text, pattern text)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_invalidate_like';
COMMENT ON FUNCTION cachex.invalidate_like(text, text) IS 'invalidates the keys that match a LIKE pattern; returns how many match now that the caller may see';

CREATE FUNCTION cachex.invalidate_table(rel regclass)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_invalidate_table';
COMMENT ON FUNCTION cachex.invalidate_table(regclass) IS 'invalidates every entry whose loader has read a table';

CREATE FUNCTION cachex.clear(cache text DEFAULT NULL, scope text DEFAULT NULL)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_clear';
COMMENT ON FUNCTION cachex.clear(text, text) IS 'invalidates everything in a cache, in a scope of it, or in all caches that the caller owns (all there are, if he owns the database)';

CREATE FUNCTION cachex.purge(cache text DEFAULT NULL)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_purge';
COMMENT ON FUNCTION cachex.purge(text) IS 'frees what has expired now; returns how many entries';

-- ---- tables ----

CREATE FUNCTION cachex.on_change() RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'cachex_on_change';
COMMENT ON FUNCTION cachex.on_change() IS
'trigger function: with arguments cache, keys, tags, action, columns, scope (as text, '''' for none) an AFTER trigger of a watch; without any, before each statement, for exact caches';

CREATE FUNCTION cachex.watch(rel regclass, cache text DEFAULT NULL, keys text[] DEFAULT NULL,
	tags text[] DEFAULT NULL, action text DEFAULT 'invalidate', columns name[] DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'cachex_watch';
COMMENT ON FUNCTION cachex.watch(regclass, text, text[], text[], text, name[], text) IS
'makes changes of a table invalidate the keys and tags that its rows name; templates name columns as <column>; and has exact caches follow the table';

CREATE FUNCTION cachex.unwatch(rel regclass) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'cachex_unwatch';
COMMENT ON FUNCTION cachex.unwatch(regclass) IS
'drops the triggers of all watches of a table';

CREATE FUNCTION cachex.function_use(function regprocedure,
	OUT cacheable boolean, OUT reason text, OUT because_of regprocedure)
RETURNS record LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cachex_function_use';
COMMENT ON FUNCTION cachex.function_use(regprocedure) IS 'whether an exact cache may keep a result that calls the function; if not, why and because of which function';

-- ---- background ----

CREATE TABLE cachex.warmer_definition (
	cache text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL
		CHECK (name <> '' AND octet_length(name) < 64),
	id bigint NOT NULL UNIQUE DEFAULT cachex.new_cache_id(),
	query text NOT NULL,
	every interval CHECK (every BETWEEN '1 s' AND '100 years'),
	required boolean NOT NULL DEFAULT false,
	replace boolean NOT NULL DEFAULT false,
	PRIMARY KEY (cache, name)
);
COMMENT ON TABLE cachex.warmer_definition IS 'queries that fill caches ahead of their readers, as create_warmer left them';
SELECT pg_catalog.pg_extension_config_dump('cachex.warmer_definition', '');

CREATE TABLE cachex.warmer_run (
	cache text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	created timestamptz,
	started timestamptz,
	finished timestamptz,
	entries bigint,
	error text,
	runs bigint NOT NULL DEFAULT 0,
	failures bigint NOT NULL DEFAULT 0,
	epoch bigint,
	warmed bigint,
	PRIMARY KEY (cache, name)
);
COMMENT ON TABLE cachex.warmer_run IS 'the last run of each warmer';

CREATE TABLE cachex.warmer_request (
	cache text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL
);
COMMENT ON TABLE cachex.warmer_request IS 'warmers that warm() wants to run and that have not yet begun';

CREATE FUNCTION cachex.warmers_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'cachex_warmers_changed';
COMMENT ON FUNCTION cachex.warmers_changed() IS 'tells sessions and the launcher at commit that there may be something to run';

CREATE TRIGGER warmers_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
ON cachex.warmer_definition FOR EACH STATEMENT
EXECUTE FUNCTION cachex.warmers_changed();
CREATE TRIGGER warmers_changed AFTER INSERT
ON cachex.warmer_request FOR EACH STATEMENT
EXECUTE FUNCTION cachex.warmers_changed();
ALTER TABLE cachex.warmer_definition ENABLE ALWAYS TRIGGER warmers_changed;
ALTER TABLE cachex.warmer_request ENABLE ALWAYS TRIGGER warmers_changed;

CREATE FUNCTION cachex.create_warmer(cache text, name text, query text,
	every interval DEFAULT NULL, required boolean DEFAULT false,
	replace boolean DEFAULT false)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_create_warmer';
COMMENT ON FUNCTION cachex.create_warmer(text, text, text, interval, boolean, boolean) IS 'has a query that returns key and value fill a cache, at server start and at intervals';

CREATE FUNCTION cachex.drop_warmer(cache text, name text)
RETURNS boolean LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_drop_warmer';
COMMENT ON FUNCTION cachex.drop_warmer(text, text) IS 'drops a warmer, not its entries; returns whether there was one';

CREATE FUNCTION cachex.warm(cache text DEFAULT NULL,
	names text[] DEFAULT NULL, wait boolean DEFAULT false)
RETURNS SETOF text LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_warm';
COMMENT ON FUNCTION cachex.warm(text, text[], boolean) IS 'has warmers run in the background after this commit and returns their names; or at once, waits, and returns the names of those that have run well';

CREATE FUNCTION cachex.warm_epoch(cache text)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cachex_warm_epoch';
COMMENT ON FUNCTION cachex.warm_epoch(text) IS 'another number when what warmers had stored in a cache is gone: after a server start or a clear';

CREATE FUNCTION cachex.running_warmer(OUT cache text, OUT name text,
	OUT since timestamptz, OUT row_count bigint)
RETURNS record LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cachex_running_warmer';
COMMENT ON FUNCTION cachex.running_warmer() IS 'the warmer that is being run in this database, where the caller may know it';

CREATE VIEW cachex.warmers WITH (security_barrier) AS
SELECT d.cache, d.name, d.query, d.every, r.started AS last_started,
	r.finished AS last_finished, r.entries AS last_entries,
	r.error AS last_error, coalesce(r.runs, 0) AS runs,
	coalesce(r.failures, 0) AS failures, r.started + d.every AS next_run,
	n.since IS NOT NULL AS running, n.since AS running_since,
	n.row_count AS rows_so_far, d.required, d.replace,
	coalesce(r.warmed = cachex.warm_epoch(d.cache), false) AS warmed
FROM cachex.running_warmer() n
	RIGHT JOIN cachex.warmer_definition d
		ON n.cache = d.cache AND n.name = d.name
	LEFT JOIN cachex.cache_definition c ON c.name = d.cache
	LEFT JOIN cachex.warmer_run r ON r.cache = d.cache AND r.name = d.name
WHERE pg_has_role(coalesce(c.owner::oid, 10::oid), 'USAGE')
	OR pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW cachex.warmers IS 'the warmers of the caches that the reader owns, and how their last runs ended';
GRANT SELECT ON cachex.warmers TO PUBLIC;

CREATE TABLE cachex.job_request (
	id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	cache text COLLATE "C" NOT NULL,
	scope text COLLATE "C",
	key text COLLATE "C" NOT NULL,
	session oid NOT NULL,
	role oid NOT NULL,
	loader bigint NOT NULL,
	query text,
	params text[],
	settings bytea,
	max_attempts integer NOT NULL,
	created timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE cachex.job_request IS 'jobs that were asked for and that no worker has seen; without an index, so that no writer waits for another';
COMMENT ON SEQUENCE cachex.job_request_id_seq IS 'numbers of jobs';

CREATE TABLE cachex.job (
	id bigint PRIMARY KEY,
	cache text COLLATE "C" NOT NULL,
	scope text COLLATE "C",
	key text COLLATE "C" NOT NULL,
	session oid NOT NULL,
	role oid NOT NULL,
	loader bigint NOT NULL,
	query text,
	params text[],
	settings bytea,
	max_attempts integer NOT NULL,
	created timestamptz NOT NULL,
	status text NOT NULL DEFAULT 'pending'
		CHECK (status IN ('pending', 'running', 'done', 'failed')),
	attempts integer NOT NULL DEFAULT 0,
	not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
	started timestamptz,
	finished timestamptz,
	last_error text
);
COMMENT ON TABLE cachex.job IS 'values to be computed in the background, and what came of it';
CREATE UNIQUE INDEX job_active ON cachex.job (cache, key, role, loader, coalesce(scope, ''))
WHERE status IN ('pending', 'running');
CREATE INDEX job_turn ON cachex.job (role, not_before, id) WHERE status = 'pending';
CREATE INDEX job_due ON cachex.job (not_before) WHERE status = 'pending';
CREATE INDEX job_ended ON cachex.job (finished) WHERE status IN ('done', 'failed');

CREATE TRIGGER job_requested AFTER INSERT
ON cachex.job_request FOR EACH STATEMENT
EXECUTE FUNCTION cachex.warmers_changed();
ALTER TABLE cachex.job_request ENABLE ALWAYS TRIGGER job_requested;

CREATE FUNCTION cachex.refresh(cache text, key text,
	wait boolean DEFAULT false, max_attempts integer DEFAULT 3,
	query text DEFAULT NULL, params text[] DEFAULT NULL,
	scope text DEFAULT NULL)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_refresh';
COMMENT ON FUNCTION cachex.refresh(text, text, boolean, integer, text, text[], text) IS 'has the value of a key computed again in the background after this commit; returns the number of the job';

CREATE VIEW cachex.jobs WITH (security_barrier) AS
SELECT j.id, j.cache, j.scope, j.key, j.role::regrole AS role, j.status,
	j.attempts, j.max_attempts,
	CASE WHEN pg_has_role(j.role, 'USAGE') AND (pg_has_role(j.session, 'USAGE')
			OR pg_get_userbyid(j.session) = session_user)
		OR pg_has_role('pg_read_all_stats', 'USAGE')
		THEN j.last_error END AS last_error, j.created, j.started,
	j.finished, j.finished - j.started AS duration,
	CASE WHEN j.status = 'pending' THEN j.not_before END AS next_attempt
FROM (SELECT id, cache, scope, key, session, role, status, attempts, max_attempts,
		last_error, created, started, finished, not_before
	FROM cachex.job
	UNION ALL
	SELECT id, cache, scope, key, session, role, 'pending', 0, max_attempts,
		NULL, created, NULL, NULL, created
	FROM cachex.job_request) AS j
	LEFT JOIN cachex.cache_definition c ON c.name = j.cache
WHERE pg_has_role(j.role, 'USAGE') AND (c.scoped_by IS NULL
		OR current_setting(c.scoped_by, true) = coalesce(j.scope, ''))
	OR pg_has_role(coalesce(c.owner::oid, 10::oid), 'USAGE')
	OR pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW cachex.jobs IS 'the jobs that the reader has asked for, with scoped_by in his own scope, or of caches that he owns';
GRANT SELECT ON cachex.jobs TO PUBLIC;

-- ---- observe ----

CREATE FUNCTION cachex.stats_of_caches(
	OUT cache text, OUT enabled boolean, OUT entries bigint, OUT bytes bigint,
	OUT bytes_peak bigint, OUT bytes_limit bigint, OUT hits bigint,
	OUT stale_hits bigint, OUT negative_hits bigint, OUT misses bigint,
	OUT bypasses bigint, OUT loads bigint, OUT load_errors bigint,
	OUT loads_deduped bigint, OUT refreshes bigint, OUT fills bigint,
	OUT puts bigint, OUT expired bigint, OUT evicted bigint,
	OUT evicted_unread bigint, OUT invalidated bigint, OUT cleared bigint,
	OUT replaced bigint, OUT too_large bigint, OUT update_conflicts bigint,
	OUT loader_changed bigint, OUT denied bigint, OUT not_shared bigint,
	OUT refused_full bigint,
	OUT refused_limit bigint, OUT refused_doubt bigint,
	OUT refused_writes bigint, OUT refused_snapshot bigint,
	OUT refused_invalid bigint,
	OUT refused_unwatched bigint, OUT refused_volatile bigint,
	OUT refused_function bigint, OUT refused_relation bigint,
	OUT refused_query bigint, OUT refused_tables bigint,
	OUT tier_hits bigint, OUT tier_stored bigint, OUT tier_dropped bigint,
	OUT load_ms_avg double precision,
	OUT load_ms_p50 double precision, OUT load_ms_p95 double precision,
	OUT load_ms_p99 double precision, OUT hit_us_p50 double precision,
	OUT hit_us_p99 double precision, OUT wait_ms double precision,
	OUT time_saved_ms double precision,
	OUT last_sweep timestamptz, OUT last_warm timestamptz,
	OUT stats_reset timestamptz)
RETURNS SETOF record LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'cachex_stats';
COMMENT ON FUNCTION cachex.stats_of_caches() IS 'what the view stats is made of';

CREATE VIEW cachex.stats AS
SELECT cache, entries IS NOT NULL AS available, enabled, entries, bytes,
	bytes_peak, bytes_limit, hits, stale_hits, negative_hits, misses,
	round(100.0 * (hits + stale_hits + negative_hits + tier_hits)
		/ nullif(hits + stale_hits + negative_hits + tier_hits + misses, 0), 2) AS hit_rate,
	bypasses, loads, load_errors, loads_deduped, refreshes,
	round(load_ms_avg::numeric, 3) AS load_ms_avg,
	round(load_ms_p50::numeric, 3) AS load_ms_p50,
	round(load_ms_p95::numeric, 3) AS load_ms_p95,
	round(load_ms_p99::numeric, 3) AS load_ms_p99,
	round(hit_us_p50::numeric, 3) AS hit_us_p50,
	round(hit_us_p99::numeric, 3) AS hit_us_p99,
	round(wait_ms::numeric, 3) AS wait_ms,
	round(time_saved_ms::numeric, 3) AS time_saved_ms, fills, puts, expired,
	evicted, evicted_unread, invalidated, cleared, replaced, too_large,
	update_conflicts, loader_changed, denied, not_shared, refused_full,
	refused_limit,
	refused_doubt, refused_writes, refused_snapshot, refused_invalid,
	refused_unwatched,
	refused_volatile, refused_function, refused_relation, refused_query,
	refused_tables, tier_hits, tier_stored, tier_dropped,
	last_sweep, last_warm, stats_reset
FROM cachex.stats_of_caches();
COMMENT ON VIEW cachex.stats IS 'what happened in each cache of this database since stats_reset';
GRANT SELECT ON cachex.stats TO PUBLIC;

CREATE FUNCTION cachex.public_memory() RETURNS bigint
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cachex_public_memory';
COMMENT ON FUNCTION cachex.public_memory() IS 'bytes that default and queries, which everybody can use, can have each unless they are altered';

CREATE VIEW cachex.caches AS
SELECT c.name, c.owner, c.ttl, c.stale_for, c.negative_ttl, c.max_entries,
	CASE WHEN c.id < 0 THEN coalesce(c.max_memory, cachex.public_memory())
		ELSE c.max_memory END AS max_memory,
	c.max_entries_per_scope, c.consistency, c.shared, c.scoped_by, c.enabled,
	c.version, c.loader, c.persist, c.beta, c.jitter, c.validate,
	ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END
		FROM unnest(c.readers::oid[]) AS r ORDER BY 1) AS readers,
	ARRAY(SELECT CASE w WHEN 0 THEN 'public' ELSE w::regrole::text END
		FROM unnest(c.writers::oid[]) AS w ORDER BY 1) AS writers
FROM (SELECT id, name, owner, ttl, stale_for, negative_ttl, max_entries,
		max_memory, max_entries_per_scope, consistency, shared, scoped_by,
		enabled, version, loader, persist, beta, jitter, validate, readers,
		writers
	FROM cachex.cache_definition
	UNION ALL
	SELECT v.id, v.name, v.owner::regrole, interval '1 hour', interval '0',
		interval '60 s', NULL, NULL, NULL, v.consistency, false, NULL, true, 0,
		NULL, 'none', 0, 0, NULL, '{-}'::regrole[], '{-}'::regrole[]
	FROM (VALUES (-1, 'default', 10::oid, 'ttl'),
			(-2, 'queries', 10::oid, 'exact')) AS v(id, name, owner, consistency)
	WHERE NOT EXISTS (SELECT FROM cachex.cache_definition d
		WHERE d.name = v.name)) AS c;
COMMENT ON VIEW cachex.caches IS 'the caches of this database and their settings';
GRANT SELECT ON cachex.caches TO PUBLIC;

CREATE TYPE cachex.entry_in_store AS (
	cache text, scope text, key text, status text, version bigint,
	created_at timestamptz, expires_at timestamptz, frequency integer,
	bytes bigint, load_ms double precision, tags text[]);
COMMENT ON TYPE cachex.entry_in_store IS 'an entry as entries() lists it, without its value';

CREATE FUNCTION cachex.entries(cache text DEFAULT NULL,
	pattern text DEFAULT NULL)
RETURNS SETOF cachex.entry_in_store LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'cachex_entries';
COMMENT ON FUNCTION cachex.entries(text, text) IS 'the entries that the caller may see of a cache, or of all, whose keys match a LIKE pattern';

CREATE FUNCTION cachex.dependencies_found(
	OUT kind text, OUT relation regclass, OUT tag text, OUT generation bigint,
	OUT entries bigint, OUT collisions bigint, OUT changed_at timestamptz,
	OUT changed_table regclass, OUT changed_by text, OUT changed_xid xid)
RETURNS SETOF record LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'cachex_dependencies';
COMMENT ON FUNCTION cachex.dependencies_found() IS 'what the view dependencies is made of';

CREATE VIEW cachex.dependencies AS
SELECT kind, coalesce(relation::text, tag) AS name, relation, generation,
	entries, collisions, changed_at, changed_table, changed_by, changed_xid
FROM cachex.dependencies_found();
COMMENT ON VIEW cachex.dependencies IS 'tables and tags that entries depend on, how many do, and what changed them last';
GRANT SELECT ON cachex.dependencies TO PUBLIC;

CREATE FUNCTION cachex.reset_stats(cache text DEFAULT NULL)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cachex_reset_stats';
COMMENT ON FUNCTION cachex.reset_stats(text) IS 'starts the statistics of a cache again, or of all that the caller owns';

CREATE FUNCTION cachex.memory(OUT used bigint, OUT available bigint,
	OUT entries bigint, OUT in_doubt bigint, OUT prepared bigint,
	OUT overflows bigint, OUT held bigint, OUT restored bigint,
	OUT restore_dropped bigint, OUT restore_failure text)
RETURNS record LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cachex_memory';
COMMENT ON FUNCTION cachex.memory() IS 'the memory of all databases together, writers that are in doubt, and what of a snapshot file came back at the start';

-- Rows that are run as somebody, or name an owner, are nobody's to write: not
-- even a member of pg_write_all_data's.
ALTER TABLE cachex.cache_definition ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.stored_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.stored_invalidation ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.warmer_definition ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.warmer_run ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.warmer_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE cachex.job_request ENABLE ROW LEVEL SECURITY;

-- Privileges on what this has made are as it says, whatever the default ones
-- are: who can put a trigger on a table here would become its owner.
DO $$
DECLARE
	given record;
BEGIN
	FOR given IN
		SELECT DISTINCT c.oid::regclass AS name, a.grantee
		FROM pg_class c, aclexplode(c.relacl) a
		WHERE c.relnamespace = 'cachex'::regnamespace AND c.relkind <> 'c'
			AND a.grantee <> c.relowner
			AND NOT (c.relkind = 'v' AND a.grantee = 0)
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s', given.name,
			CASE given.grantee WHEN 0 THEN 'PUBLIC'
				ELSE given.grantee::regrole::text END);
	END LOOP;
	FOR given IN
		SELECT DISTINCT a.grantee
		FROM pg_namespace n, aclexplode(n.nspacl) a
		WHERE n.nspname = 'cachex' AND a.grantee NOT IN (0, n.nspowner)
	LOOP
		EXECUTE format('REVOKE ALL ON SCHEMA cachex FROM %s',
			given.grantee::regrole);
	END LOOP;
END $$;
REVOKE CREATE ON SCHEMA cachex FROM PUBLIC;

-- What can hurt others, and does not check that itself, is not everybody's:
-- tags are those of all caches.  What nobody has to call is nobody's.
REVOKE EXECUTE ON FUNCTION cachex.new_cache_id(), cachex.definition_changed(),
	cachex.warmers_changed(), cachex.invalidate_tags(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cachex.invalidate_tags(text[]) TO pg_database_owner;
