/*
 * cx_refresh.c
 *	  Runs a loader for a key as the role that asked, in a worker or, with
 *	  cachex.synchronous, in the session, and stores what it returns as that
 *	  role's own fetch would have.
 *
 * The loader runs as a security-restricted operation (no SET ROLE, no
 * temporary tables), in a read-only transaction, with the settings that
 * changed the result in the session that asked, its search_path among them,
 * and with a timeout.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "cx_compute.h"
#include "cx_grants.h"
#include "cx_guc.h"
#include "cx_jobs.h"
#include "cx_read.h"
#include "cx_refresh.h"
#include "cx_secure.h"
#include "cx_settings.h"
#include "cx_step.h"
#include "cx_try.h"

/* Sets what a fill takes over from the entry that it replaces. */
static void
look_at_old(CxFetch *f)
{
	CxHit		hit;

	if (cx_cache_lookup(&f->ask, false, &hit) != CX_MISS)
	{
		f->old_gen = hit.gen;
		f->frequency = cx_hit_frequency(&hit);
	}
	cx_store_release(&hit);
}

/* Whether a loader wants its value to be stored. */
static bool
is_to_be_kept(const CxFetch *f, const CxLoaded *loaded)
{
	if (loaded->ignore)
		return false;
	if (loaded->has_expires_at)
		return loaded->expires_at > f->ask.now;
	if (loaded->has_ttl)
		return loaded->ttl_us > 0;
	return !f->life.has_ttl || f->life.ttl_us > 0;
}

/*
 * Runs the loader of a fetch that has begun, and stores the result; returns
 * whether it is one to be kept.  Raises an error where that cannot be.
 */
bool
cx_refresh_compute(CxFetch *f)
{
	CxLoaded	loaded = {0};

	cx_fetch_refuse_to_load(f);
	if (!cx_read_enabled(&f->ask))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" is not enabled", f->cache)));
	look_at_old(f);
	/* who must have a fresh value waits for this one */
	(void) cx_flight_claim(&f->claim, f->ask.ident.id, f->loader);
	if (f->type == RECORDOID)
		(void) cx_compute_rows(f, NULL, NULL);
	else
		cx_compute_value(f, &loaded);
	if (f->gen == 0 || f->refusal != CX_NOT_REFUSED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("result cannot be kept in cache \"%s\"", f->cache),
				 errhint("The view cachex.stats counts the reasons.")));
	if (f->invalid)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("value for key \"%.*s\" violates the validation of cache \"%s\"",
						f->ask.ident.key_len, f->ask.ident.key, f->cache)));
	return is_to_be_kept(f, &loaded);
}

/* Whether the result is there, and not just what was there before. */
static bool
is_kept(CxFetch *f)
{
	CxStatus	status;
	CxHit		hit;

	if (!cx_fetch_find_cache_again(f))
		return false;
	status = cx_cache_lookup(&f->ask, false, &hit);
	cx_store_release(&hit);
	return (status == CX_HIT || status == CX_NEGATIVE) && hit.gen != f->old_gen;
}

/*
 * Raises an error unless it is.  It is not beside a commit that changes what it
 * depends on, for one, so another attempt may succeed.
 */
static void
check_kept(CxFetch *f)
{
	if (!is_kept(f))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("result was not kept in cache \"%s\"", f->cache)));
}

static void
begin_fetch(CxFetch *f, const CxRefresh *r)
{
	CxCache    *cache = cx_catalog_get(r->cache, strlen(r->cache));

	memset(f, 0, sizeof(CxFetch));
	cx_grants_require(cache, CX_MAY_WRITE);
	cx_cache_ask(&f->ask, cache, r->key, r->key_len, r->scope, r->scope_len);
	f->mode = CX_FETCH_REFRESH;
	f->type = r->type;
	f->query = r->query;
	f->query_len = r->query_len;
	f->params = r->params;
	f->tags = r->tags;
	f->life = r->life;
	if (f->query == NULL && cache->loader != NULL)
		cx_fetch_use_function(f, false);
	cx_fetch_begin(f);
	if (r->loader != 0 && f->loader != r->loader)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("settings differ from those of the session that asked")));
}

/* In a transaction, as cx_step_try calls it. */
static void
run(void *arg)
{
	const CxRefresh *r = arg;
	CxSecure	secure;
	CxFetch		f;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(r->role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist any more", r->role)));
	cx_secure_begin_as(&secure, r->session, r->role);
	cx_settings_apply(r->settings, r->settings_len);
	begin_fetch(&f, r);
	if (cx_refresh_compute(&f))
		check_kept(&f);
	cx_secure_end(&secure);
}

/* ---- in a session, with cachex.synchronous ---- */

/*
 * The same as cx_refresh_compute, in the caller's transaction: of what that
 * has written itself, a ttl cache keeps the result as if it had been put.
 * Returns whether nothing is left to do.
 */
bool
cx_refresh_now(CxFetch *f)
{
	f->staged = !f->exact && TransactionIdIsValid(GetTopTransactionIdIfAny());
	return !cx_refresh_compute(f) || is_kept(f);
}

/* One key of refresh_keys_now, for run_now. */
typedef struct Now
{
	CxRefresh	refresh;
	bool		done;
} Now;

static void
run_now(void *arg)
{
	Now		   *now = arg;
	CxSecure	secure;
	CxFetch		f;

	cx_secure_begin(&secure, now->refresh.role);
	cx_settings_apply(now->refresh.settings, now->refresh.settings_len);
	/* what a fetch of that role would have computed, by its fingerprint */
	begin_fetch(&f, &now->refresh);
	now->done = cx_secure_put_temp_last() && cx_refresh_now(&f);
	cx_secure_end(&secure);
}

/*
 * Refreshes keys by the cache's loader, as a role; returns those that could
 * not be.  The caller can set nothing that the role would look up a name by.
 */
static ArrayType *
refresh_keys_now(const char *cache, Oid role, ArrayType *keys)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cachex refresh",
												  ALLOCSET_DEFAULT_SIZES);
	ArrayBuildState *left = initArrayResult(TEXTOID, CurrentMemoryContext,
											false);
	StringInfoData settings;
	Datum	   *key;
	int			n;

	initStringInfo(&settings);
	cx_settings_append(&settings, "search_path", "\"$user\", public");
	cx_jobs_role_settings(role, &settings);
	deconstruct_array(keys, TEXTOID, -1, false, TYPALIGN_INT, &key, NULL, &n);
	/* the statement's rows are to be seen */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Now			now = {0};

		CHECK_FOR_INTERRUPTS();
		strlcpy(now.refresh.cache, cache, NAMEDATALEN);
		now.refresh.key = VARDATA_ANY(DatumGetPointer(key[i]));
		now.refresh.key_len = VARSIZE_ANY_EXHDR(DatumGetPointer(key[i]));
		now.refresh.role = role;
		now.refresh.type = JSONBOID;
		now.refresh.settings = settings.data;
		now.refresh.settings_len = settings.len;
		if (!cx_try(run_now, &now, cx_try_tolerates_all))
			now.done = false;
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		if (!now.done)
			accumArrayResult(left, key[i], false, TEXTOID,
							 CurrentMemoryContext);
	}
	PopActiveSnapshot();
	MemoryContextDelete(context);
	return DatumGetArrayTypeP(makeArrayResult(left, CurrentMemoryContext));
}

/*
 * Has keys refreshed by the cache's loader, as a role, for a statement that
 * has changed what they are computed from: at once, or by a job each.
 */
void
cx_refresh_keys(const char *cache, Oid role, ArrayType *keys)
{
	if (cx_guc_synchronous)
		keys = refresh_keys_now(cache, role, keys);
	if (ARR_NDIM(keys) > 0)
		cx_jobs_add_keys(cache, role, keys);
}

/* ---- the worker ---- */

/*
 * Refreshes; no transaction is under way, nor is afterwards.  Returns the
 * message of an error, in the current memory context, or NULL.
 */
char *
cx_refresh_run(const CxRefresh *r)
{
	char	   *query = r->query ? pnstrdup(r->query, r->query_len) : "refresh";
	char	   *message;

	debug_query_string = query;
	pgstat_report_activity(STATE_RUNNING, query);
	message = cx_step_try(run, unconstify(CxRefresh *, r),
						  cx_guc_refresh_timeout);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
	if (message)
		ereport(LOG,
				(errmsg("refreshing key \"%.*s\" of cache \"%s\" failed: %s",
						(int) r->key_len, r->key, r->cache, message)));
	return message;
}
