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
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_launcher.h"
#include "cx_loader.h"
#include "cx_preload.h"
#include "cx_roster.h"
#include "cx_visits.h"
#include "cx_warmer.h"

PG_FUNCTION_INFO_V1(cachex_create_warmer);
PG_FUNCTION_INFO_V1(cachex_drop_warmer);
PG_FUNCTION_INFO_V1(cachex_warm);
PG_FUNCTION_INFO_V1(cachex_running_warmer);
PG_FUNCTION_INFO_V1(cachex_warmers_changed);

#define SHORTEST_US	USECS_PER_SEC
#define LONGEST_US	(36000 * USECS_PER_DAY) /* 100 years, as intervals compare */

static void
require_owner(const CxCache *cache)
{
	if (!has_privs_of_role(GetUserId(), cache->owner))
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

/* create_warmer(cache, name, query, every) */
Datum
cachex_create_warmer(PG_FUNCTION_ARGS)
{
	CxWarmer	w;
	Interval   *every;

	CX_REQUIRE_PRELOAD();
	w = warmer_args(fcinfo, "cachex.create_warmer()");
	w.query = text_to_cstring(cx_args_text(fcinfo, 2, "query", MaxAllocSize));
	every = every_arg(fcinfo, 3);
	cx_warmer_check(w.query);
	if (!cx_roster_add(&w, every))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("warmer \"%s\" of cache \"%s\" already exists",
						w.name, w.cache),
				 errhint("Drop it first with cachex.drop_warmer().")));
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

	return cache && has_privs_of_role(GetUserId(), cache->owner);
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

/* warm(cache, names): the names of the warmers that will run */
Datum
cachex_warm(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *warmers;
	ListCell   *lc;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	cx_args_writable("cachex.warm()");
	warmers = warmers_to_run(fcinfo);
	foreach(lc, warmers)
	{
		const CxWarmer *w = lfirst(lc);
		Datum		value = CStringGetTextDatum(w->name);
		bool		isnull = false;

		cx_roster_request(w);
		tuplestore_putvalues(result->setResult, result->setDesc, &value,
							 &isnull);
	}
	if (warmers != NIL)
		warn_if_not_served();
	return (Datum) 0;
}

/*
 * running_warmer(OUT cache, OUT name, OUT since): nulls when none runs, or
 * one that is none of the caller's business
 */
Datum
cachex_running_warmer(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};
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
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/*
 * Trigger on definitions and requests: the launcher is told at commit,
 * whoever wrote them and however.  Without the library preloaded there is no
 * launcher, and a dump can still be restored.
 */
Datum
cachex_warmers_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("cachex.warmers_changed() must be called by a trigger")));
	if (cx_preloaded)
		cx_launcher_ask_at_commit(MyDatabaseId);
	return PointerGetDatum(NULL);
}
