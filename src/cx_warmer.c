/*
 * cx_warmer.c
 *	  How does a warmer's query become entries, with no more power than the
 *	  cache's owner has?
 *
 * A worker visits one database, runs what is due, one after the other, says
 * when to come again, and exits.  What it does before and after a query is
 * in transactions of their own, so no lock on a table of the extension is
 * held while a query runs, and the extension can be dropped.
 *
 * A query runs as the cache's owner, as a security-restricted operation (no
 * SET ROLE, no temporary tables), in a read-only transaction, with the
 * search_path "pg_catalog, pg_temp" and a timeout.  Settings, cursors and
 * advisory locks that it leaves behind are gone before the next one runs.
 * Its rows are gathered first, on disk if need be, and then stored as fills
 * under the query's own snapshot.  An error is noted, and ends no more than
 * the one run.
 *
 * Locking: none on entry or return of any function.
 *
 * Not done here: which warmers are due (cx_roster.c), starting the worker
 * (cx_launcher.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "cx_collect.h"
#include "cx_fetch.h"
#include "cx_guc.h"
#include "cx_loader.h"
#include "cx_plan.h"
#include "cx_put.h"
#include "cx_roster.h"
#include "cx_secure.h"
#include "cx_tier_visit.h"
#include "cx_visits.h"
#include "cx_warmer.h"

#define BOOKS_TIMEOUT_MS 30000	/* for each statement on our own tables */
#define MAX_ERROR_LEN 1000		/* bytes of a message that are kept */

/* Columns of a warmer's query by what they mean; 0 = there is none */
typedef struct Columns
{
	int			key;
	int			value;
	int			ttl;
	int			tags;
	int			scope;
} Columns;

typedef struct Meaning
{
	const char *name;
	Oid			type;			/* InvalidOid = any */
	size_t		offset;			/* of the column number in Columns */
} Meaning;

static const Meaning meanings[] =
{
	{"key", TEXTOID, offsetof(Columns, key)},
	{"value", InvalidOid, offsetof(Columns, value)},
	{"ttl", INTERVALOID, offsetof(Columns, ttl)},
	{"tags", TEXTARRAYOID, offsetof(Columns, tags)},
	{"scope", TEXTOID, offsetof(Columns, scope)}
};

/* A query that is ready to be run. */
typedef struct Prepared
{
	SPIPlanPtr	plan;
	TupleDesc	desc;
	Columns		columns;
} Prepared;

/* ---- queries ---- */

static void
place_column(Columns *columns, Form_pg_attribute att)
{
	for (int i = 0; i < (int) lengthof(meanings); i++)
	{
		int		   *column = (int *) ((char *) columns + meanings[i].offset);

		if (strcmp(NameStr(att->attname), meanings[i].name) != 0)
			continue;
		if (OidIsValid(meanings[i].type) &&
			!IsBinaryCoercible(att->atttypid, meanings[i].type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of a warmer's query must be of type %s, not %s",
							meanings[i].name,
							format_type_be(meanings[i].type),
							format_type_be(att->atttypid)),
					 errhint("Cast it.")));
		*column = att->attnum;
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
			 errmsg("column \"%s\" of a warmer's query has no meaning",
					NameStr(att->attname)),
			 errhint("The columns are key, value, ttl, tags and scope; the last three can be left out.")));
}

static void
sort_columns(TupleDesc desc, Columns *columns)
{
	memset(columns, 0, sizeof(Columns));
	for (int i = 0; desc && i < desc->natts; i++)
		place_column(columns, TupleDescAttr(desc, i));
	if (columns->key == 0 || columns->value == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("a warmer's query must return the columns \"key\" and \"value\"")));
}

/* SPI is connected; raises an error unless the query could be a warmer's. */
static void
prepare(const char *query, Prepared *out)
{
	List	   *sources;

	/* what a loader may not do, a warmer may not either */
	cx_plan_release(cx_plan_acquire(query, CX_PLAN_QUERY));
	out->plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_PARALLEL_OK);
	if (out->plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s",
			 SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(out->plan);
	out->desc = ((CachedPlanSource *) linitial(sources))->resultDesc;
	sort_columns(out->desc, &out->columns);
}

static void
warmer_error_cb(void *arg)
{
	errcontext("warmer's query, which runs with search_path \"pg_catalog, pg_temp\"");
}

/*
 * Raises an error unless the query could be a warmer's as things are now.
 * Does not run it; planning is left for later as well.
 */
void
cx_warmer_check(const char *query)
{
	ErrorContextCallback callback = {error_context_stack, warmer_error_cb, NULL};
	int			nest_level = cx_secure_pin_path();
	Prepared	prepared;

	error_context_stack = &callback;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	prepare(query, &prepared);
	SPI_finish();
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, nest_level);
}

/* ---- rows ---- */

static text *
text_column(TupleTableSlot *slot, int column)
{
	bool		isnull = true;
	Datum		value = (Datum) 0;

	if (column != 0)
		value = slot_getattr(slot, column, &isnull);
	return isnull ? NULL : DatumGetTextPP(value);
}

static void
read_value(TupleTableSlot *slot, const Prepared *p, CxValue *out)
{
	Oid			type = TupleDescAttr(p->desc, p->columns.value - 1)->atttypid;
	bool		isnull;
	Datum		value = slot_getattr(slot, p->columns.value, &isnull);

	if (isnull)
		cx_put_json(out, NULL);
	else if (type == JSONBOID)
		cx_put_json(out, DatumGetJsonbP(value));
	else
		cx_put_json(out, cx_codec_to_jsonb(value, false, type));
}

static CxLife
read_life(TupleTableSlot *slot, const Prepared *p)
{
	CxLife		life = {0};
	bool		isnull = true;
	Datum		ttl = (Datum) 0;

	if (p->columns.ttl != 0)
		ttl = slot_getattr(slot, p->columns.ttl, &isnull);
	if (!isnull)
	{
		life.has_ttl = true;
		life.ttl_us = cx_loader_interval_us(DatumGetIntervalP(ttl));
	}
	return life;
}

static void
check_names(const text *key, const text *scope)
{
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key must not be null")));
	cx_args_check_key(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	if (scope && (VARSIZE_ANY_EXHDR(scope) == 0 ||
				  VARSIZE_ANY_EXHDR(scope) > CX_MAX_SCOPE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scope must have between 1 and %d bytes",
						CX_MAX_SCOPE)));
}

/* A run of the query: what its rows are stored with */
typedef struct Run
{
	const char *cache;
	double		cost_us;		/* of one row */
	uint64		gen;			/* from before it */
	CxRefusal	refusal;
	CxReads		reads;
} Run;

/* Stores a row; returns whether it was one to be kept. */
static bool
store_row(const Run *run, TupleTableSlot *slot, const Prepared *p)
{
	text	   *key = text_column(slot, p->columns.key);
	text	   *scope = text_column(slot, p->columns.scope);
	CxLife		life = read_life(slot, p);
	bool		no_tags = true;
	Datum		tags = (Datum) 0;
	CxCache    *cache;
	CxValue		value;
	CxNewEntry	entry;
	CxAsk		ask;

	check_names(key, scope);
	read_value(slot, p, &value);
	if (p->columns.tags != 0)
		tags = slot_getattr(slot, p->columns.tags, &no_tags);

	/* after what could have run functions: this pointer lasts no longer */
	cache = cx_catalog_get(run->cache, strlen(run->cache));
	cx_cache_ask(&ask, cache, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
				 scope ? VARDATA_ANY(scope) : NULL,
				 scope ? VARSIZE_ANY_EXHDR(scope) : 0);
	if (run->refusal != CX_NOT_REFUSED)
	{
		if (cache->number >= 0)
			cx_counters_add(cache->number, cx_fetch_counter(run->refusal), 1);
		return false;
	}
	if (!cx_put_make_entry(&entry, cache, &value, &life))
		return false;
	entry.manual = true;
	entry.cost_us = run->cost_us;
	entry.reads = &run->reads;
	cx_args_tags(&entry, no_tags ? NULL : DatumGetArrayTypeP(tags));
	cx_cache_fill(&ask, &entry, run->gen, 0);
	return true;
}

/* Stores all rows; returns how many were to be kept. */
static int64
store_rows(const Run *run, Tuplestorestate *rows, const Prepared *p)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(p->desc,
													&TTSOpsMinimalTuple);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext,
												  "cachex row",
												  ALLOCSET_DEFAULT_SIZES);
	int64		n = 0;

	/* the slot frees its tuple itself, so it is read in the outer context */
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);

		CHECK_FOR_INTERRUPTS();
		if (store_row(run, slot, p))
			n++;
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

/* Runs the query under the active snapshot, into a tuplestore. */
static Tuplestorestate *
gather(const Prepared *p, double *cost_us)
{
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
	SPIExecuteOptions options = {0};
	instr_time	start;
	instr_time	end;
	int			result;

	SetTuplestoreDestReceiverParams(receiver, rows, CurrentMemoryContext,
									false, NULL, NULL);
	options.read_only = true;
	options.dest = receiver;
	INSTR_TIME_SET_CURRENT(start);
	result = SPI_execute_plan_extended(p->plan, &options);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan_extended failed: %s",
			 SPI_result_code_string(result));
	*cost_us = INSTR_TIME_GET_DOUBLE(end) * 1000000.0 / Max(SPI_processed, 1);
	return rows;
}

/* ---- one run ---- */

static int64
run_query(const CxWarmer *w)
{
	CxCache    *cache = cx_catalog_get(w->cache, strlen(w->cache));
	CxCollector *collector;
	Prepared	prepared;
	Tuplestorestate *rows;
	Run			run = {w->cache};
	int64		n;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run.gen = cx_cache_begin_fill(cache->exact);
	/* an error leaves it to the end of the transaction */
	collector = cx_collect_begin(cache->exact);
	prepare(w->query, &prepared);
	rows = gather(&prepared, &run.cost_us);
	run.refusal = cx_collect_end(collector, &run.reads);
	n = store_rows(&run, rows, &prepared);
	tuplestore_end(rows);
	SPI_finish();
	return n;
}

/* The role to run as; raises an error where there is nothing to run for. */
static Oid
owner_of(const char *cache_name)
{
	CxCache    *cache = cx_catalog_get(cache_name, strlen(cache_name));

	if (!cache->enabled || !cx_guc_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" is not enabled", cache_name)));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(cache->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of cache \"%s\" does not exist any more",
						cache_name)));
	return cache->owner;
}

static void
note_warmed(const char *cache_name)
{
	CxCache    *cache = cx_catalog_get(cache_name, strlen(cache_name));

	if (cx_catalog_usable(cache))
		cache->shared->last_warm = GetCurrentTimestamp();
}

/* As for any transaction here, whatever the database's own settings are. */
static void
start_transaction(bool read_only)
{
	StartTransactionCommand();
	XactReadOnly = read_only;
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* One that fires at the last moment must not hit what comes next. */
static void
stop_timeout(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
}

/* Runs a warmer; returns how many entries it had. Raises its errors. */
static int64
run_as_owner(const CxWarmer *w)
{
	CxSecure	secure;
	int64		n;

	start_transaction(true);
	cx_secure_begin(&secure, owner_of(w->cache));
	if (cx_guc_warmer_timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, cx_guc_warmer_timeout);
	n = run_query(w);
	stop_timeout();
	cx_secure_end(&secure);
	note_warmed(w->cache);
	commit_transaction();
	return n;
}

/* After an error: its message, in the given context. */
static char *
recover(MemoryContext context)
{
	ErrorData  *error;
	char	   *message;
	int			len;

	HOLD_INTERRUPTS();
	stop_timeout();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	len = pg_mbcliplen(error->message, (int) strlen(error->message),
					   MAX_ERROR_LEN);
	message = pnstrdup(error->message, len);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
	return message;
}

/* Runs a warmer; returns the message of its error, or NULL. */
static char *
try_run(const CxWarmer *w, int64 *entries)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		*entries = run_as_owner(w);
	}
	PG_CATCH();
	{
		message = recover(context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	LockReleaseAll(USER_LOCKMETHOD, true);
	return message;
}

/* ---- a visit ---- */

/* Begins a step on our own tables; false: there are none. */
static bool
open_books(void)
{
	start_transaction(false);
	if (cx_roster_exists())
	{
		enable_timeout_after(STATEMENT_TIMEOUT, BOOKS_TIMEOUT_MS);
		return true;
	}
	commit_transaction();
	return false;
}

static void
close_books(MemoryContext context)
{
	stop_timeout();
	commit_transaction();
	MemoryContextSwitchTo(context);
}

/* Runs one warmer and notes what came of it. */
static void
attend(const CxWarmer *w)
{
	MemoryContext context = CurrentMemoryContext;
	int64		entries = 0;
	char	   *message;
	bool		found;

	if (!open_books())
		return;
	found = cx_roster_start(w);
	close_books(context);
	if (!found)
		return;

	cx_visits_set_running(w->cache, w->name);
	debug_query_string = w->query;
	pgstat_report_activity(STATE_RUNNING, w->query);
	message = try_run(w, &entries);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
	cx_visits_set_running(NULL, NULL);
	if (message)
		ereport(LOG,
				(errmsg("warmer \"%s\" of cache \"%s\" failed: %s",
						w->name, w->cache, message)));

	if (!open_books())
		return;
	cx_roster_finish(w, entries, message);
	close_books(context);
}

/* Runs what is due; returns when to come again. */
static TimestampTz
visit(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext keep = AllocSetContextCreate(context, "cachex visit",
											   ALLOCSET_DEFAULT_SIZES);
	TimestampTz next = CX_VISIT_NEVER;
	MemoryContext transaction;
	List	   *due;
	ListCell   *lc;

	if (!open_books())
		return CX_VISIT_NEVER;
	transaction = MemoryContextSwitchTo(keep);
	due = cx_roster_due(cx_visits_since());
	MemoryContextSwitchTo(transaction);
	close_books(keep);

	foreach(lc, due)
	{
		CHECK_FOR_INTERRUPTS();
		attend(lfirst(lc));
	}

	if (!open_books())
		return CX_VISIT_NEVER;
	if (!cx_roster_next(cx_visits_since(), &next))
		next = CX_VISIT_NEVER;
	close_books(context);
	return next;
}

/* Entry point of the worker. */
void
cx_warmer_main(Datum main_arg)
{
	CxVisit		me;
	TimestampTz next;

	memcpy(&me, MyBgworkerEntry->bgw_extra, sizeof(me));
	pqsignal(SIGTERM, die);
	if (!cx_visits_enter(&me))
		proc_exit(0);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(me.db, InvalidOid, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					PGC_S_OVERRIDE);
	next = visit();
	cx_visits_done(Min(next, cx_tier_visit()));
	proc_exit(0);
}
