/*
 * cx_warmer.c
 *	  How does a warmer's query become entries, with no more power than the
 *	  cache's owner has?
 *
 * A query runs as the cache's owner, as a security-restricted operation (no
 * SET ROLE, no temporary tables), with the search_path "pg_catalog, pg_temp".
 * Its rows are gathered first, on disk if need be, and then stored as fills
 * under the query's own snapshot.
 *
 * Locking: none on entry or return of any function.
 *
 * Not done here: which warmers are due (cx_roster.c), transactions, time
 * limits and what follows an error (cx_visitor.c).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "cx_collect.h"
#include "cx_fetch.h"
#include "cx_guc.h"
#include "cx_link.h"
#include "cx_loader.h"
#include "cx_plan.h"
#include "cx_put.h"
#include "cx_refusals.h"
#include "cx_scan.h"
#include "cx_secure.h"
#include "cx_visits.h"
#include "cx_warmer.h"

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
check_names(const text *key, const text *scope, const CxCache *cache)
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
	/* nobody could ask for it */
	if (scope == NULL && cache->scoped_by)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("scope must not be null in cache \"%s\"", cache->name),
				 errhint("The column scope says for which value of \"%s\" a row is.",
						 cache->scoped_by)));
}

static CxCache *
cache_of(const CxWarmer *w)
{
	return cx_catalog_get(w->cache, strlen(w->cache));
}

/* A run of the query: what its rows are stored with */
typedef struct Run
{
	const CxWarmer *warmer;
	double		cost_us;		/* of one row */
	uint64		gen;			/* from before it */
	CxRefusal	refusal;
	CxReads		reads;
	const CxAccess *access;		/* in a shared cache */
} Run;

/* Stores a row; returns whether it was one to be kept. */
static bool
store_row(const Run *run, TupleTableSlot *slot, const Prepared *p)
{
	text	   *key = text_column(slot, p->columns.key);
	text	   *scope = text_column(slot, p->columns.scope);
	CxLife		life = read_life(slot, p);
	bool		no_tags = true;
	bool		valid;
	Datum		tags = (Datum) 0;
	CxCache    *cache;
	CxValue		value;
	CxNewEntry	entry;
	CxAsk		ask;

	check_names(key, scope, cache_of(run->warmer));
	read_value(slot, p, &value);
	if (p->columns.tags != 0)
		tags = slot_getattr(slot, p->columns.tags, &no_tags);

	valid = cx_put_is_valid(cache_of(run->warmer), &value);
	/* after what could have run functions: this pointer lasts no longer */
	cache = cache_of(run->warmer);
	cx_cache_ask(&ask, cache, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
				 scope ? VARDATA_ANY(scope) : NULL,
				 scope ? VARSIZE_ANY_EXHDR(scope) : 0);
	if (run->refusal != CX_NOT_REFUSED)
	{
		if (cache->number >= 0)
			cx_counters_add(cache->number, cx_refusals_counter(run->refusal), 1);
		return false;
	}
	if (!valid || !cx_put_make_entry(&entry, cache, &value, &life))
		return false;
	entry.manual = true;
	/* with both it is a warmer's; whoever writes it anew clears this */
	entry.has_loader = run->warmer->replace;
	entry.loader = (uint64) run->warmer->id;
	entry.cost_us = run->cost_us;
	entry.reads = &run->reads;
	entry.access = run->access;
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

/* Whether an earlier run of the warmer has stored an entry. */
static bool
is_from_before(const Run *run, const CxScanned *e)
{
	const uint8 both = CX_ENTRY_MANUAL | CX_ENTRY_LOADER;

	return !e->staged && (e->entry.flags & both) == both &&
		e->entry.loader == (uint64) run->warmer->id && e->gen < run->gen;
}

/*
 * Removes what earlier runs have stored and this one has not.  Each entry
 * goes only if it is still the one that was looked at, so what somebody puts
 * meanwhile stays.  That is an eviction, which may come at any time, so no
 * snapshot has to be asked, and it need not wait for a commit.
 */
static void
remove_others(const Run *run)
{
	CxCache    *cache = cache_of(run->warmer);
	CxScan	   *scan;
	CxScanned	e;

	if (!cx_catalog_usable(cache) || run->refusal != CX_NOT_REFUSED)
		return;
	/* nothing below reads the catalogs, so the cache stays where it is */
	scan = cx_scan_begin(cache->number);
	while (cx_scan_next(scan, &e))
	{
		CxIdent		ident;

		if (!is_from_before(run, &e))
			continue;
		cx_key_make(&ident, (uint16) cache->number, cache->uid, cache->dep_seed,
					e.entry.role, e.key, e.entry.key_len,
					(e.entry.flags & CX_ENTRY_SCOPE) ? e.scope : NULL,
					e.entry.scope_len);
		cx_link_remove_dead(&ident, e.gen);
	}
	cx_scan_end(scan);
}

/* A tuplestore that counts what comes, for the view warmers. */
typedef struct Counting
{
	DestReceiver pub;
	DestReceiver *inner;
	int64		rows;
} Counting;

static bool
count_row(TupleTableSlot *slot, DestReceiver *self)
{
	Counting   *c = (Counting *) self;

	cx_visits_set_rows(++c->rows);
	return c->inner->receiveSlot(slot, c->inner);
}

static void
count_start(DestReceiver *self, int operation, TupleDesc desc)
{
	DestReceiver *inner = ((Counting *) self)->inner;

	inner->rStartup(inner, operation, desc);
}

static void
count_stop(DestReceiver *self)
{
	DestReceiver *inner = ((Counting *) self)->inner;

	inner->rShutdown(inner);
}

static void
count_destroy(DestReceiver *self)
{
	DestReceiver *inner = ((Counting *) self)->inner;

	inner->rDestroy(inner);
}

/* Runs the query under the active snapshot, into a tuplestore. */
static Tuplestorestate *
gather(const Prepared *p, double *cost_us)
{
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
	Counting	counting = {{count_row, count_start, count_stop, count_destroy,
	DestTuplestore}, receiver};
	SPIExecuteOptions options = {0};
	instr_time	start;
	instr_time	end;
	int			result;

	SetTuplestoreDestReceiverParams(receiver, rows, CurrentMemoryContext,
									false, NULL, NULL);
	options.read_only = true;
	options.dest = &counting.pub;
	cx_plan_show_queries(p->plan);
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
	CxCache    *cache = cache_of(w);
	CxCollector *collector;
	Prepared	prepared;
	Tuplestorestate *rows;
	Run			run = {w};
	int64		n;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run.gen = cx_cache_begin_fill(cache->exact);
	/* an error leaves it to the end of the transaction */
	collector = cx_collect_begin(cache->exact, cache->is_shared);
	prepare(w->query, &prepared);
	rows = gather(&prepared, &run.cost_us);
	run.refusal = cx_collect_end(collector, &run.reads);
	run.access = cx_collect_access(collector);
	n = store_rows(&run, rows, &prepared);
	if (w->replace)
		remove_others(&run);
	tuplestore_end(rows);
	SPI_finish();
	return n;
}

/* The role to run as; raises an error where there is nothing to run for. */
static Oid
owner_of(const CxWarmer *w)
{
	CxCache    *cache = cache_of(w);

	if (!cache->enabled || !cx_guc_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cache \"%s\" is not enabled", w->cache)));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(cache->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of cache \"%s\" does not exist any more",
						w->cache)));
	return cache->owner;
}

static void
note_warmed(const CxWarmer *w)
{
	CxCache    *cache = cache_of(w);

	if (cx_catalog_usable(cache))
		cache->shmem->last_warm = GetCurrentTimestamp();
}

/*
 * Runs a warmer, in a read-only transaction that is the caller's, who sets the
 * time limit as well; returns how many entries it had.  Raises its errors.
 */
int64
cx_warmer_run(const CxWarmer *w)
{
	Oid			owner = owner_of(w);
	CxSecure	secure;
	int64		n;

	cx_secure_begin_as(&secure, owner, owner);
	n = run_query(w);
	cx_secure_end(&secure);
	note_warmed(w);
	return n;
}
