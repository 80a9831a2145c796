/*
 * cx_funcs_warmer.c
 *	  create_warmer, drop_warmer, warm, and what the view shows of a run.
 *
 * A warmer runs with its cache's owner's rights, so only who has these, or a
 * superuser, may name the query: owning the database is not enough, since the
 * owner may be somebody more powerful.
 *
 * Locking: none of cachex's; the tables' as for any statement.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_guc.h"
#include "cx_launcher.h"
#include "cx_loader.h"
#include "cx_owner.h"
#include "cx_preload.h"
#include "cx_roster.h"
#include "cx_visits.h"
#include "cx_waits.h"
#include "cx_warmer.h"
#include "cx_warmth.h"

PG_FUNCTION_INFO_V1(cachex_create_warmer);
PG_FUNCTION_INFO_V1(cachex_drop_warmer);
PG_FUNCTION_INFO_V1(cachex_warm);
PG_FUNCTION_INFO_V1(cachex_running_warmer);
PG_FUNCTION_INFO_V1(cachex_warm_epoch);
PG_FUNCTION_INFO_V1(cachex_warmers_changed);

#define SHORTEST_US	USECS_PER_SEC
#define LONGEST_US	(36000 * USECS_PER_DAY) /* 100 years, as intervals compare */

/* How long warm() waits, in milliseconds */
#define START_MS	10000		/* for a run to begin and to be noted */
#define LAUNCHER_MS 10000		/* for a launcher: longer than its restart */
#define STEP_MS		1000

static void
require_owner(const CxCache *cache)
{
	if (!cx_owner_has_rights(cache, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of cache \"%s\"", cache->name),
				 errdetail("Its warmers run with the rights of its owner.")));
}

/* Cache (argument 0) and name (argument 1), by one who may change it. */
static CxWarmer
warmer_args(FunctionCallInfo fcinfo, const char *function)
{
	CxWarmer	w = {0};
	CxCache    *cache = cx_args_cache(fcinfo, 0);

	require_owner(cache);
	cx_args_writable(function);
	w.cache = pstrdup(cache->name);
	w.name = text_to_cstring(cx_args_text(fcinfo, 1, "warmer name",
										  NAMEDATALEN - 1));
	return w;
}

static Interval *
every_arg(FunctionCallInfo fcinfo, int n)
{
	Interval   *every;
	int64		us;

	if (PG_ARGISNULL(n))
		return NULL;
	every = PG_GETARG_INTERVAL_P(n);
	us = cx_loader_interval_us(every);
	if (us < SHORTEST_US || us > LONGEST_US)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("every must be between one second and 100 years"),
				 errhint("NULL runs the warmer at server start and by cachex.warm() only.")));
	return every;
}

/* So that nobody waits for what will not come. */
static void
warn_if_not_served(void)
{
	if (!cx_launcher_serves(get_database_name(MyDatabaseId)))
		ereport(WARNING,
				(errmsg("warmers do not run in this database"),
				 errhint("The setting cachex.databases does not name it.")));
}

/* So that nobody wonders whom the entries are for. */
static void
tell_role(const CxWarmer *w)
{
	CxCache    *cache = cx_catalog_get(w->cache, strlen(w->cache));
	char	   *role = GetUserNameFromId(cache->owner, true);

	if (role && !cache->is_shared)
		ereport(NOTICE,
				(errmsg("warmer \"%s\" fills cache \"%s\" for role \"%s\" only",
						w->name, w->cache, role),
				 errdetail("It runs as the cache's owner, and entries are seen by the role that they were stored for."),
				 errhint("Others can read them through a function of that role with SECURITY DEFINER.")));
}

static bool
flag_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return PG_GETARG_BOOL(n);
}

/* create_warmer(cache, name, query, every, required, replace) */
Datum
cachex_create_warmer(PG_FUNCTION_ARGS)
{
	CxWarmer	w;
	Interval   *every;

	CX_REQUIRE_PRELOAD();
	w = warmer_args(fcinfo, "cachex.create_warmer()");
	w.query = text_to_cstring(cx_args_text(fcinfo, 2, "query", MaxAllocSize));
	every = every_arg(fcinfo, 3);
	w.required = flag_arg(fcinfo, 4, "required");
	w.replace = flag_arg(fcinfo, 5, "replace");
	cx_warmer_check(w.query);
	if (!cx_roster_add(&w, every))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("warmer \"%s\" of cache \"%s\" already exists",
						w.name, w.cache),
				 errhint("Drop it first with cachex.drop_warmer().")));
	tell_role(&w);
	warn_if_not_served();
	PG_RETURN_VOID();
}

/* drop_warmer(cache, name): whether there was one */
Datum
cachex_drop_warmer(PG_FUNCTION_ARGS)
{
	CxWarmer	w;

	CX_REQUIRE_PRELOAD();
	w = warmer_args(fcinfo, "cachex.drop_warmer()");
	PG_RETURN_BOOL(cx_roster_remove(w.cache, w.name));
}

static bool
is_owner(const char *cache_name)
{
	CxCache    *cache = cx_catalog_find(cache_name, strlen(cache_name));

	return cache && cx_owner_has_rights(cache, GetUserId());
}

/* Raises an error for a name that no warmer in the list has. */
static void
check_names(ArrayType *names, List *warmers)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(elems[i]);
		bool		found = nulls[i];
		ListCell   *lc;

		foreach(lc, warmers)
			found = found || strcmp(((CxWarmer *) lfirst(lc))->name, name) == 0;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("warmer \"%s\" does not exist", name)));
	}
}

/* The warmers that the arguments of warm() name and the caller may run. */
static List *
warmers_to_run(FunctionCallInfo fcinfo)
{
	ArrayType  *names = cx_args_array(fcinfo, 1);
	char	   *cache_name = NULL;
	List	   *warmers;
	ListCell   *lc;

	if (!PG_ARGISNULL(0))
	{
		CxCache    *cache = cx_args_cache(fcinfo, 0);

		require_owner(cache);
		cache_name = pstrdup(cache->name);
	}
	warmers = cx_roster_list(cache_name, names);
	foreach(lc, warmers)
	{
		if (!is_owner(((CxWarmer *) lfirst(lc))->cache))
			warmers = foreach_delete_current(warmers, lc);
	}
	if (names)
		check_names(names, warmers);
	return warmers;
}

/* Nobody is there to run anything. */
static void
refuse_to_wait(CxWaitState why)
{
	if (why == CX_WAIT_NO_WORKER)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no background worker is free for cachex warmers"),
				 errhint("Consider increasing max_worker_processes.")));
	if (why == CX_WAIT_NOT_SERVED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("warmers do not run in this database"),
				 errhint("It is not named by the setting cachex.databases, is a template, or does not allow connections.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the cachex launcher is not running"),
			 errhint("See the server log; it needs one of max_worker_processes at server start.")));
}

static void
give_up(const CxWarmer *w)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("gave up waiting for warmer \"%s\" of cache \"%s\"",
					w->name, w->cache),
			 errdetail("It has not ended within cachex.warmer_timeout and the time to start it."),
			 errhint("Other warmers may run before it, and it may wait for a lock that this transaction holds.")));
}

static double
ms_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/* The final state of a ticket. Can be cancelled. */
static CxWaitState
wait_for_ticket(const CxWarmer *w, int ticket, char *message)
{
	instr_time	start;
	instr_time	launched;		/* when there was a launcher last */
	CxWaitState state;

	INSTR_TIME_SET_CURRENT(start);
	launched = start;
	while ((state = cx_waits_sleep(ticket, STEP_MS, message)) <= CX_WAIT_RUNNING)
	{
		if (cx_visits_has_launcher())
			INSTR_TIME_SET_CURRENT(launched);
		if (ms_since(launched) >= LAUNCHER_MS)
			refuse_to_wait(CX_WAIT_FREE);
		if (cx_guc_warmer_timeout > 0 &&
			ms_since(start) >= (double) cx_guc_warmer_timeout + START_MS)
			give_up(w);
	}
	return state;
}

static void
end_ticket_cb(int code, Datum arg)
{
	cx_waits_end(DatumGetInt32(arg));
}

/* Has a warmer run and waits for its end; returns whether that was good. */
static bool
run_now(const CxWarmer *w)
{
	char		message[CX_WAIT_MESSAGE];
	int			ticket = cx_waits_ask(MyDatabaseId, w->id);
	CxWaitState state;

	if (ticket < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many sessions wait for warmers"),
				 errhint("Call cachex.warm() without wait.")));
	PG_ENSURE_ERROR_CLEANUP(end_ticket_cb, Int32GetDatum(ticket));
	{
		cx_visits_due_now(MyDatabaseId);
		state = wait_for_ticket(w, ticket, message);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_ticket_cb, Int32GetDatum(ticket));
	cx_waits_end(ticket);
	if (state == CX_WAIT_NO_WORKER || state == CX_WAIT_NOT_SERVED)
		refuse_to_wait(state);
	if (state == CX_WAIT_MISSING)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("warmer \"%s\" of cache \"%s\" cannot be run yet, or any more",
						w->name, w->cache),
				 errhint("It was dropped, or the transaction that has created it must be committed first.")));
	if (state == CX_WAIT_FAILED)
		ereport(WARNING,
				(errmsg("warmer \"%s\" of cache \"%s\" failed: %s",
						w->name, w->cache, message)));
	return state == CX_WAIT_DONE;
}

/*
 * warm(cache, names, wait): the names of the warmers that will run, or
 * (wait) of those that have run well
 */
Datum
cachex_warm(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		wait;
	List	   *warmers;
	ListCell   *lc;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	cx_args_writable("cachex.warm()");
	wait = flag_arg(fcinfo, 2, "wait");
	warmers = warmers_to_run(fcinfo);
	if (warmers != NIL && wait &&
		!cx_launcher_serves(get_database_name(MyDatabaseId)))
		refuse_to_wait(CX_WAIT_NOT_SERVED);
	foreach(lc, warmers)
	{
		const CxWarmer *w = lfirst(lc);
		Datum		value = CStringGetTextDatum(w->name);
		bool		isnull = false;

		if (!wait)
			cx_roster_request(w);
		else if (!run_now(w))
			continue;
		tuplestore_putvalues(result->setResult, result->setDesc, &value,
							 &isnull);
	}
	if (warmers != NIL)
		warn_if_not_served();
	return (Datum) 0;
}

/* warm_epoch(cache): see cx_warmth.c */
Datum
cachex_warm_epoch(PG_FUNCTION_ARGS)
{
	char	   *name;

	CX_REQUIRE_PRELOAD();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PG_RETURN_INT64(cx_warmth_epoch(cx_catalog_find(name, strlen(name))));
}

/*
 * running_warmer(OUT cache, OUT name, OUT since, OUT row_count): nulls when
 * none runs, or one that is none of the caller's business
 */
Datum
cachex_running_warmer(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, true, true};
	CxRunning	running;

	CX_REQUIRE_PRELOAD();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (cx_visits_running(MyDatabaseId, &running) &&
		(is_owner(NameStr(running.cache)) ||
		 has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS)))
	{
		memset(nulls, 0, sizeof(nulls));
		values[0] = CStringGetTextDatum(NameStr(running.cache));
		values[1] = CStringGetTextDatum(NameStr(running.name));
		values[2] = TimestampTzGetDatum(running.since);
		values[3] = Int64GetDatum(running.rows);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

static bool
is_own_table(Oid relid)
{
	return relid == cx_catalog_table("warmer_definition") ||
		relid == cx_catalog_table("warmer_request") ||
		relid == cx_catalog_table("job_request");
}

/*
 * Trigger on definitions and requests: the launcher is told at commit, and of
 * definitions sessions are, whoever wrote them and however.  Without the
 * library preloaded there is no launcher, and a dump can still be restored.
 */
Datum
cachex_warmers_changed(PG_FUNCTION_ARGS)
{
	TriggerData *t = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cachex.warmers_changed() must be called by a trigger")));
	/* on another table anybody could keep the launcher busy */
	if (!is_own_table(RelationGetRelid(t->tg_relation)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function cachex.warmers_changed() is for tables of the extension only")));
	if (RelationGetRelid(t->tg_relation) == cx_catalog_table("warmer_definition"))
		CacheInvalidateRelcache(t->tg_relation);
	if (cx_preloaded)
		cx_launcher_ask_at_commit(MyDatabaseId);
	return PointerGetDatum(NULL);
}
