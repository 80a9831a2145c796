/*
 * cx_roster.c
 *	  Which warmers are there, which are due, and what came of their last run?
 *
 * Three tables: definitions, which pg_dump keeps; the last run of each; and
 * requests, which sessions only insert and the visiting worker only deletes,
 * so that neither waits for the other.  That a run has begun is written
 * before it begins: one that ends with its worker is found by the next
 * visit, and counts as a failure.
 *
 * Every function here is SQL on these tables (cx_books.c).
 *
 * Locking: none of cachex's; those of the tables, until the transaction ends.
 *
 * Not done here: running (cx_visitor.c), waking the launcher (a trigger on
 * the tables does).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cx_books.h"
#include "cx_catalog.h"
#include "cx_roster.h"
#include "cx_warmth.h"

/*
 * Of definition d with its run r: waited for ($1); or asked for; or what it
 * had stored is gone, or it has not run since the server started; or its time
 * has come, by a clock that may have been set back.
 */
#define IS_DUE \
	" (d.id = ANY ($1)" \
	" OR EXISTS (SELECT FROM cachex.warmer_request q" \
	"  WHERE q.cache = d.cache AND q.name = d.name)" \
	" OR r.epoch IS DISTINCT FROM cachex.warm_epoch(d.cache)" \
	" OR d.every IS NOT NULL AND (r.started IS NULL" \
	"  OR r.started > clock_timestamp()" \
	"  OR r.started + d.every <= clock_timestamp()))"

#define DEFINITIONS_AND_RUNS \
	" FROM cachex.warmer_definition d LEFT JOIN cachex.warmer_run r" \
	" ON r.cache = d.cache AND r.name = d.name"

static void
begin(CxBooks *books)
{
	cx_books_begin(books, "warmer_definition");
}

static CxBooksArgs
args_of(const char *cache, const char *name)
{
	CxBooksArgs args = {0};

	cx_books_text(&args, cache);
	cx_books_text(&args, name);
	return args;
}

/* An argument: the warmers that are waited for. */
static CxBooksArgs
wanted_arg(const int64 *wanted, int n)
{
	CxBooksArgs args = {0};
	Datum	   *elems = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elems[i] = Int64GetDatum(wanted[i]);
	cx_books_arg(&args, INT8ARRAYOID,
				 PointerGetDatum(construct_array(elems, n, INT8OID, sizeof(int64),
												 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
				 false);
	return args;
}

static int64
get_int64(HeapTuple row, TupleDesc desc, int column, bool *isnull)
{
	return DatumGetInt64(SPI_getbinval(row, desc, column, isnull));
}

static bool
get_bool(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(row, desc, column, &isnull)) && !isnull;
}

/* The columns that read_warmers reads. */
#define WARMER " d.cache, d.name, d.query, d.id, d.required, d.replace"

/* The rows of the last statement. */
static List *
read_warmers(MemoryContext keep)
{
	MemoryContext old = MemoryContextSwitchTo(keep);
	List	   *warmers = NIL;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		CxWarmer   *w = palloc(sizeof(CxWarmer));
		bool		isnull;

		w->cache = SPI_getvalue(row, desc, 1);
		w->name = SPI_getvalue(row, desc, 2);
		w->query = SPI_getvalue(row, desc, 3);
		w->id = get_int64(row, desc, 4, &isnull);
		w->required = get_bool(row, desc, 5);
		w->replace = get_bool(row, desc, 6);
		warmers = lappend(warmers, w);
	}
	MemoryContextSwitchTo(old);
	return warmers;
}

static CxCache *
cache_of(const char *name)
{
	return cx_catalog_find(name, strlen(name));
}

/* Adds a warmer; false: there is one of that name. every may be NULL. */
bool
cx_roster_add(const CxWarmer *w, const Interval *every)
{
	CxBooksArgs args = args_of(w->cache, w->name);
	CxBooksArgs key = args;
	CxBooks		books;
	bool		added;

	cx_warmth_expect(cache_of(w->cache));
	begin(&books);
	cx_books_text(&args, w->query);
	cx_books_arg(&args, INTERVALOID, IntervalPGetDatum(every), every == NULL);
	cx_books_arg(&args, BOOLOID, BoolGetDatum(w->required), false);
	cx_books_arg(&args, BOOLOID, BoolGetDatum(w->replace), false);
	added = cx_books_run("INSERT INTO cachex.warmer_definition"
						 " (cache, name, query, every, required, replace)"
						 " VALUES ($1, $2, $3, $4, $5, $6)"
						 " ON CONFLICT DO NOTHING", &args) > 0;
	if (added)
	{
		cx_books_run("DELETE FROM cachex.warmer_run WHERE cache = $1 AND name = $2",
					 &key);
		/* a required one is waited for, so it runs at once */
		cx_books_run("INSERT INTO cachex.warmer_run (cache, name, created, epoch)"
					 " SELECT cache, name, clock_timestamp(),"
					 " CASE WHEN NOT required THEN cachex.warm_epoch(cache) END"
					 " FROM cachex.warmer_definition"
					 " WHERE cache = $1 AND name = $2", &key);
	}
	cx_books_end(&books);
	return added;
}

/* Removes the warmer of a name, or (NULL) all of a cache; false: none. */
bool
cx_roster_remove(const char *cache, const char *name)
{
	CxBooksArgs args = args_of(cache, name);
	CxBooks		books;
	bool		removed;

	begin(&books);
	removed = cx_books_run("DELETE FROM cachex.warmer_definition"
						   " WHERE cache = $1 AND coalesce(name = $2, true)",
						   &args) > 0;
	cx_books_run("DELETE FROM cachex.warmer_run"
				 " WHERE cache = $1 AND coalesce(name = $2, true)", &args);
	cx_books_run("DELETE FROM cachex.warmer_request"
				 " WHERE cache = $1 AND coalesce(name = $2, true)", &args);
	cx_books_end(&books);
	return removed;
}

/* The cache is being dropped: so are its warmers. */
void
cx_roster_forget(const char *cache)
{
	(void) cx_roster_remove(cache, NULL);
}

/* The warmers of a cache, or (NULL) of all, or those of some names. */
List *
cx_roster_list(const char *cache, ArrayType *names)
{
	CxBooksArgs args = args_of(cache, NULL);
	CxBooks		books;
	List	   *warmers;

	args.n = 1;
	cx_books_arg(&args, TEXTARRAYOID, PointerGetDatum(names), names == NULL);
	begin(&books);
	cx_books_run("SELECT" WARMER " FROM cachex.warmer_definition d"
				 " WHERE coalesce(d.cache = $1, true)"
				 " AND coalesce(d.name = ANY ($2), true) ORDER BY d.cache, d.name",
				 &args);
	warmers = read_warmers(books.caller);
	cx_books_end(&books);
	return warmers;
}

/* Asks for a run as soon as the transaction has committed. */
void
cx_roster_request(const CxWarmer *w)
{
	CxBooksArgs args = args_of(w->cache, w->name);

	cx_books_run_alone("warmer_definition", "INSERT INTO cachex.warmer_request (cache, name)"
					   " VALUES ($1, $2)", &args);
}

/*
 * The warmers to be run now, in the caller's context: those of some ids
 * first, the longest waiting before others.  Runs that a worker did not live
 * to finish are noted as failures.
 */
List *
cx_roster_due(const int64 *wanted, int nwanted)
{
	CxBooksArgs none = {0};
	CxBooksArgs args = wanted_arg(wanted, nwanted);
	CxBooks		books;
	List	   *warmers;

	begin(&books);
	cx_books_run("UPDATE cachex.warmer_run SET finished = clock_timestamp(),"
				 " entries = NULL, error = 'the worker ended before the query did',"
				 " runs = runs + 1, failures = failures + 1"
				 " WHERE started > coalesce(finished, '-infinity')", &none);
	cx_books_run("SELECT" WARMER DEFINITIONS_AND_RUNS
				 " WHERE" IS_DUE
				 " ORDER BY d.id = ANY ($1) DESC, coalesce(r.started, r.created), d.cache, d.name", &args);
	warmers = read_warmers(books.caller);
	cx_books_end(&books);
	return warmers;
}

/* Notes that a run begins; false: there is no such warmer any more. */
bool
cx_roster_start(const CxWarmer *w)
{
	CxBooksArgs args = args_of(w->cache, w->name);
	CxBooks		books;
	bool		found;

	cx_warmth_expect(cache_of(w->cache));
	begin(&books);
	found = cx_books_run("INSERT INTO cachex.warmer_run (cache, name, started, epoch)"
						 " SELECT cache, name, clock_timestamp(),"
						 " cachex.warm_epoch(cache)"
						 " FROM cachex.warmer_definition"
						 " WHERE cache = $1 AND name = $2"
						 " ON CONFLICT (cache, name) DO UPDATE"
						 " SET started = excluded.started, epoch = excluded.epoch",
						 &args) > 0;
	cx_books_run("DELETE FROM cachex.warmer_request WHERE cache = $1 AND name = $2",
				 &args);
	cx_books_end(&books);
	return found;
}

/* Notes how a run ended; error is NULL when it ended well. */
void
cx_roster_finish(const CxWarmer *w, int64 entries, const char *error)
{
	CxBooksArgs args = args_of(w->cache, w->name);

	cx_books_arg(&args, INT8OID, Int64GetDatum(entries), error != NULL);
	cx_books_text(&args, error);
	cx_books_run_alone("warmer_definition", "UPDATE cachex.warmer_run SET finished = clock_timestamp(),"
					   " entries = $3, error = $4, runs = runs + 1,"
					   " warmed = CASE WHEN $4 IS NULL THEN epoch ELSE warmed END,"
					   " failures = failures + CASE WHEN $4 IS NULL THEN 0 ELSE 1 END"
					   " WHERE cache = $1 AND name = $2", &args);
}

/* All rows of one cache from row i on: whether it has all; the next row. */
static uint64
publish_one(uint64 i)
{
	HeapTuple  *rows = SPI_tuptable->vals;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	char	   *name = SPI_getvalue(rows[i], desc, 1);
	CxCache    *cache = cache_of(name);
	int64		epoch = cx_warmth_epoch(cache);
	uint64		required = 0;
	bool		all = true;

	for (; i < SPI_processed &&
		 strcmp(SPI_getvalue(rows[i], desc, 1), name) == 0; i++)
	{
		bool		isnull;

		cx_catalog_require(&required, get_int64(rows[i], desc, 2, &isnull));
		all = all && get_int64(rows[i], desc, 3, &isnull) == epoch && !isnull;
	}
	if (all && cache)
		cx_warmth_publish(cache, required, epoch);
	return i;
}

/* Tells sessions for which caches all required warmers have run. */
void
cx_roster_publish(void)
{
	CxBooksArgs none = {0};
	CxBooks		books;

	begin(&books);
	cx_books_run("SELECT d.cache, d.id, r.warmed" DEFINITIONS_AND_RUNS
				 " WHERE d.required ORDER BY d.cache", &none);
	for (uint64 i = 0; i < SPI_processed;)
		i = publish_one(i);
	cx_books_end(&books);
}

/* When a warmer is due next; false: none will be by itself. */
bool
cx_roster_next(TimestampTz *next)
{
	CxBooksArgs args = wanted_arg(NULL, 0);
	CxBooks		books;
	bool		isnull;

	begin(&books);
	cx_books_run("SELECT min(CASE WHEN" IS_DUE " THEN clock_timestamp()"
				 " ELSE r.started + d.every END)" DEFINITIONS_AND_RUNS, &args);
	*next = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	cx_books_end(&books);
	return !isnull;
}
