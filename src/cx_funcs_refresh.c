/*
 * cx_funcs_refresh.c
 *	  refresh: have a value computed again, in the background.
 *
 * Locking: none of cachex's; the tables' as for any statement.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "cx_guc.h"
#include "cx_jobs.h"
#include "cx_launcher.h"
#include "cx_preload.h"
#include "cx_refresh.h"

PG_FUNCTION_INFO_V1(cachex_refresh);

#define MAX_ATTEMPTS 100

/* Reads what is to be refreshed, as fetch would be asked for it. */
static void
read_args(FunctionCallInfo fcinfo, CxFetch *f)
{
	memset(f, 0, sizeof(CxFetch));
	cx_args_ask(fcinfo, 1, 6, CX_MAY_WRITE, &f->ask);
	f->type = JSONBOID;
	f->mode = CX_FETCH_REFRESH;
	f->query = cx_args_cstring(fcinfo, 4);
	f->query_len = f->query ? strlen(f->query) : 0;
	f->params = cx_args_array(fcinfo, 5);
	if (f->query == NULL && f->ask.cache->loader != NULL)
		cx_fetch_use_function(f, false);
	cx_fetch_begin(f);
	cx_fetch_refuse_to_load(f);
}

static int
attempts_arg(FunctionCallInfo fcinfo, int n)
{
	int			attempts = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);

	if (attempts < 1 || attempts > MAX_ATTEMPTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_attempts must be between 1 and %d",
						MAX_ATTEMPTS)));
	return attempts;
}

/*
 * Has a worker do it and waits for that.  One that had begun before is waited
 * for and then asked again, since it may have seen less than the caller.
 * Returns false when the caller has to do it himself.
 */
static bool
await_worker(const CxFetch *f)
{
	uint64		id = cx_fetch_id(f);
	CxOutcome	outcome = CX_OUTCOME_UNSERVED;
	bool		too_early = true;
	CxRefresh	r;

	/* he would wait for locks that the caller holds */
	if (IsTransactionBlock() ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	cx_parcel_of_fetch(f, &r);
	for (int i = 0; i < 2 && too_early; i++)
	{
		uint64		ticket;
		char	   *message;

		if (cx_requests_put_awaited(id, &r, &ticket, &too_early) ==
			CX_REQUEST_REFUSED)
			return false;
		/* what runs the second time has begun after the first */
		too_early = too_early && i == 0;
		outcome = cx_requests_await(ticket, &message);
		if (outcome == CX_OUTCOME_FAILED && !too_early)
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("could not refresh key \"%.*s\" of cache \"%s\": %s",
							(int) r.key_len, r.key, r.cache, message)));
	}
	if (outcome == CX_OUTCOME_LOST)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("no worker has ended refreshing key \"%.*s\" of cache \"%s\"",
						(int) r.key_len, r.key, r.cache)));
	return outcome == CX_OUTCOME_DONE;
}

/* So that nobody waits for what will not come. */
static void
warn_if_not_served(void)
{
	if (!cx_launcher_serves(get_database_name(MyDatabaseId)))
		ereport(WARNING,
				(errmsg("jobs do not run in this database"),
				 errhint("The setting cachex.databases does not name it.")));
}

/*
 * refresh(cache, key, wait, max_attempts, query, params, scope): the job's id,
 * or NULL when it has waited, or done it at once
 */
Datum
cachex_refresh(PG_FUNCTION_ARGS)
{
	CxFetch		f;
	CxRefresh	r;
	int			max_attempts;

	CX_REQUIRE_PRELOAD();
	cx_args_writable("cachex.refresh()");
	max_attempts = attempts_arg(fcinfo, 3);
	read_args(fcinfo, &f);
	if (!PG_ARGISNULL(2) && PG_GETARG_BOOL(2))
	{
		/* the cache may have been altered while this waited */
		if (!await_worker(&f) && cx_fetch_find_cache_again(&f))
			(void) cx_refresh_compute(&f);
		PG_RETURN_NULL();
	}
	if (cx_guc_synchronous && cx_refresh_now(&f))
		PG_RETURN_NULL();
	warn_if_not_served();
	cx_parcel_of_fetch(&f, &r);
	PG_RETURN_INT64(cx_jobs_add(&r, max_attempts));
}
