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
 * Every function here is SQL that runs with the rights of the tables' owner,
 * and under a search_path that nobody else can write to; who may call it is
 * checked by the caller.  A transaction is under way.
 *
 * Locking: none of cachex's; those of the tables, until the transaction ends.
 *
 * Not done here: running (cx_visitor.c), waking the launcher (a trigger on
 * the tables does).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "cx_catalog.h"
#include "cx_roster.h"
#include "cx_secure.h"

#define MAX_ARGS 5

/*
 * Of definition d with its run r: asked for; or not yet run in this server's
 * life, of which $1 is the beginning; or its time has come, by a clock that
 * may have been set back.
 */
#define IS_DUE \
	" (EXISTS (SELECT FROM cachex.warmer_request q" \
	"  WHERE q.cache = d.cache AND q.name = d.name)" \
	" OR coalesce(r.started, r.created, '-infinity') < $1" \
	" OR d.every IS NOT NULL AND (r.started IS NULL" \
	"  OR r.started > clock_timestamp()" \
	"  OR r.started + d.every <= clock_timestamp()))"

#define DEFINITIONS_AND_RUNS \
	" FROM cachex.warmer_definition d LEFT JOIN cachex.warmer_run r" \
	" ON r.cache = d.cache AND r.name = d.name"

/* What has to be undone after a statement. */
typedef struct Step
{
	MemoryContext caller;
	CxSecure	secure;
} Step;

/* Arguments of a statement. */
typedef struct Args
{
	int			n;
	Oid			type[MAX_ARGS];
	Datum		value[MAX_ARGS];
	char		null[MAX_ARGS];
} Args;

static Oid
definitions(void)
{
	return cx_catalog_table("warmer_definition");
}

/* Whether the extension is there. */
bool
cx_roster_exists(void)
{
	return OidIsValid(definitions());
}

static Oid
owner_of_tables(void)
{
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(definitions()));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"cachex\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION cachex.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* An error between begin and end is undone by the transaction's abort. */
static void
begin(Step *step)
{
	step->caller = CurrentMemoryContext;
	cx_secure_begin(&step->secure, owner_of_tables());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

static void
end(const Step *step)
{
	SPI_finish();
	cx_secure_end(&step->secure);
}

static void
add_arg(Args *args, Oid type, Datum value, bool isnull)
{
	Assert(args->n < MAX_ARGS);
	args->type[args->n] = type;
	args->value[args->n] = value;
	args->null[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

static void
add_text(Args *args, const char *string)
{
	add_arg(args, TEXTOID, string ? CStringGetTextDatum(string) : (Datum) 0,
			string == NULL);
}

static Args
args_of(const char *cache, const char *name)
{
	Args		args = {0};

	add_text(&args, cache);
	add_text(&args, name);
	return args;
}

/* Runs one statement; returns how many rows it touched. */
static uint64
run(const char *sql, Args *args)
{
	int			result = SPI_execute_with_args(sql, args->n, args->type,
											   args->value, args->null,
											   false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s",
			 SPI_result_code_string(result));
	return SPI_processed;
}

/* The same, all of it. */
static uint64
run_alone(const char *sql, Args *args)
{
	Step		step;
	uint64		n;

	begin(&step);
	n = run(sql, args);
	end(&step);
	return n;
}

/* The rows (cache, name, query) of the last statement. */
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

		w->cache = SPI_getvalue(row, desc, 1);
		w->name = SPI_getvalue(row, desc, 2);
		w->query = SPI_getvalue(row, desc, 3);
		warmers = lappend(warmers, w);
	}
	MemoryContextSwitchTo(old);
	return warmers;
}

/* Adds a warmer; false: there is one of that name. every may be NULL. */
bool
cx_roster_add(const CxWarmer *w, const Interval *every)
{
	Args		args = args_of(w->cache, w->name);
	Args		key = args;
	Step		step;
	bool		added;

	begin(&step);
	add_text(&args, w->query);
	add_arg(&args, INTERVALOID, IntervalPGetDatum(every), every == NULL);
	added = run("INSERT INTO cachex.warmer_definition"
				" (cache, name, query, every) VALUES ($1, $2, $3, $4)"
				" ON CONFLICT DO NOTHING", &args) > 0;
	if (added)
	{
		run("DELETE FROM cachex.warmer_run WHERE cache = $1 AND name = $2",
			&key);
		run("INSERT INTO cachex.warmer_run (cache, name, created)"
			" VALUES ($1, $2, clock_timestamp())", &key);
	}
	end(&step);
	return added;
}

/* Removes the warmer of a name, or (NULL) all of a cache; false: none. */
bool
cx_roster_remove(const char *cache, const char *name)
{
	Args		args = args_of(cache, name);
	Step		step;
	bool		removed;

	begin(&step);
	removed = run("DELETE FROM cachex.warmer_definition"
				  " WHERE cache = $1 AND coalesce(name = $2, true)",
				  &args) > 0;
	run("DELETE FROM cachex.warmer_run"
		" WHERE cache = $1 AND coalesce(name = $2, true)", &args);
	run("DELETE FROM cachex.warmer_request"
		" WHERE cache = $1 AND coalesce(name = $2, true)", &args);
	end(&step);
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
	Args		args = args_of(cache, NULL);
	Step		step;
	List	   *warmers;

	args.n = 1;
	add_arg(&args, TEXTARRAYOID, PointerGetDatum(names), names == NULL);
	begin(&step);
	run("SELECT cache, name, query FROM cachex.warmer_definition"
		" WHERE coalesce(cache = $1, true) AND coalesce(name = ANY ($2), true)"
		" ORDER BY cache, name", &args);
	warmers = read_warmers(step.caller);
	end(&step);
	return warmers;
}

/* Asks for a run as soon as the transaction has committed. */
void
cx_roster_request(const CxWarmer *w)
{
	Args		args = args_of(w->cache, w->name);

	run_alone("INSERT INTO cachex.warmer_request (cache, name)"
			  " VALUES ($1, $2)", &args);
}

/*
 * The warmers to be run now, in the caller's context, the longest waiting
 * first.  Runs that a worker did not live to finish are noted as failures.
 */
List *
cx_roster_due(TimestampTz since)
{
	Args		none = {0};
	Args		args = {0};
	Step		step;
	List	   *warmers;

	add_arg(&args, TIMESTAMPTZOID, TimestampTzGetDatum(since), false);
	begin(&step);
	run("UPDATE cachex.warmer_run SET finished = clock_timestamp(),"
		" entries = NULL, error = 'the worker ended before the query did',"
		" runs = runs + 1, failures = failures + 1"
		" WHERE started > coalesce(finished, '-infinity')", &none);
	run("SELECT d.cache, d.name, d.query" DEFINITIONS_AND_RUNS
		" WHERE" IS_DUE
		" ORDER BY coalesce(r.started, r.created), d.cache, d.name", &args);
	warmers = read_warmers(step.caller);
	end(&step);
	return warmers;
}

/* Notes that a run begins; false: there is no such warmer any more. */
bool
cx_roster_start(const CxWarmer *w)
{
	Args		args = args_of(w->cache, w->name);
	Step		step;
	bool		found;

	begin(&step);
	found = run("INSERT INTO cachex.warmer_run (cache, name, started)"
				" SELECT cache, name, clock_timestamp()"
				" FROM cachex.warmer_definition"
				" WHERE cache = $1 AND name = $2"
				" ON CONFLICT (cache, name)"
				" DO UPDATE SET started = excluded.started", &args) > 0;
	run("DELETE FROM cachex.warmer_request WHERE cache = $1 AND name = $2",
		&args);
	end(&step);
	return found;
}

/* Notes how a run ended; error is NULL when it ended well. */
void
cx_roster_finish(const CxWarmer *w, int64 entries, const char *error)
{
	Args		args = args_of(w->cache, w->name);

	add_arg(&args, INT8OID, Int64GetDatum(entries), error != NULL);
	add_text(&args, error);
	run_alone("UPDATE cachex.warmer_run SET finished = clock_timestamp(),"
			  " entries = $3, error = $4, runs = runs + 1,"
			  " failures = failures + CASE WHEN $4 IS NULL THEN 0 ELSE 1 END"
			  " WHERE cache = $1 AND name = $2", &args);
}

/* When a warmer is due next; false: none will be by itself. */
bool
cx_roster_next(TimestampTz since, TimestampTz *next)
{
	Args		args = {0};
	Step		step;
	bool		isnull;

	add_arg(&args, TIMESTAMPTZOID, TimestampTzGetDatum(since), false);
	begin(&step);
	run("SELECT min(CASE WHEN" IS_DUE " THEN clock_timestamp()"
		" ELSE r.started + d.every END)" DEFINITIONS_AND_RUNS, &args);
	*next = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	end(&step);
	return !isnull;
}
