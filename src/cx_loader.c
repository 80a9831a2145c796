/*
 * cx_loader.c
 *	  What does a loader say: which value, for how long, under which tags?
 *
 * A loader is one SELECT.  It runs in SPI under the caller's snapshot and in
 * a transaction made read only for the time, so that functions it calls
 * cannot write either.  Of the columns of its result, those named and typed
 * like a control (ttl interval, expires_at timestamptz, stale_for interval, tags text[], ignore
 * boolean) say how to keep the value; the value is the column named "value",
 * else the only other column, else the other columns as a jsonb object.  A
 * result that would be left without a value has no controls.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller;
 * a loader runs for any time, takes table locks, and may itself fetch, so
 * everything here is entered recursively.  A snapshot must be active.
 *
 * Not done here: parsing and planning (cx_plan.c), choosing what an absent
 * control means, storing, and finding out what tables were read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cx_codec.h"
#include "cx_compat.h"
#include "cx_loader.h"
#include "cx_run.h"

/* Column numbers of a result by what they mean; 0 is "there is none". */
typedef struct Columns
{
	int			key;
	int			ttl;
	int			expires_at;
	int			stale_for;
	int			tags;
	int			ignore;
	int			value;			/* 0: the value is an object of members */
	int		   *members;		/* columns that are neither key nor control */
	int			nmembers;
	TupleDesc	object;			/* the members' row type, or NULL */
} Columns;

/* The columns that are controls, if they have the type as well. */
static const struct
{
	const char *name;
	Oid			type;
	size_t		offset;			/* of the column number in Columns */
}			controls[] =

{
	{"ttl", INTERVALOID, offsetof(Columns, ttl)},
	{"expires_at", TIMESTAMPTZOID, offsetof(Columns, expires_at)},
	{"stale_for", INTERVALOID, offsetof(Columns, stale_for)},
	{"tags", TEXTARRAYOID, offsetof(Columns, tags)},
	{"ignore", BOOLOID, offsetof(Columns, ignore)}
};

/*
 * Put the number of a column into its place in *columns if it is the first
 * one that is the key or a control.
 */
static bool
place_column(Columns *columns, Form_pg_attribute att, bool with_key)
{
	const char *name = NameStr(att->attname);
	int			i;

	if (with_key && columns->key == 0 && strcmp(name, "key") == 0)
	{
		if (!IsBinaryCoercible(att->atttypid, TEXTOID))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("loader returns column \"key\" of type %s, not "
							"text", format_type_be(att->atttypid)),
					 errhint("Cast it to text.")));
		columns->key = att->attnum;
		return true;
	}
	for (i = 0; i < (int) lengthof(controls); i++)
	{
		int		   *column = (int *) ((char *) columns + controls[i].offset);

		if (*column == 0 && att->atttypid == controls[i].type &&
			strcmp(name, controls[i].name) == 0)
		{
			*column = att->attnum;
			return true;
		}
	}
	return false;
}

/*
 * Without any other column, what looks like a control is the value.
 */
static void
demote_controls(Columns *columns)
{
	int			i;

	for (i = 0; i < (int) lengthof(controls); i++)
	{
		int		   *column = (int *) ((char *) columns + controls[i].offset);

		if (*column != 0)
			columns->members[columns->nmembers++] = *column;
		*column = 0;
	}
}

/*
 * The row type of the members, for a value that is an object.
 */
static TupleDesc
object_type(const Columns *columns, TupleDesc desc)
{
	TupleDesc	object = CreateTemplateTupleDesc(columns->nmembers);
	int			i;

	for (i = 0; i < columns->nmembers; i++)
		TupleDescCopyEntry(object, (AttrNumber) (i + 1),
						   desc, (AttrNumber) columns->members[i]);
	return BlessTupleDesc(object);
}

/*
 * Sort out what the columns of a result mean.  Raises an error when no column
 * is a value or, with_key, the key.
 */
static void
sort_columns(TupleDesc desc, bool with_key, Columns *columns)
{
	int			i;

	memset(columns, 0, sizeof(*columns));
	columns->members = palloc((desc->natts + 1) * sizeof(int));
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (place_column(columns, att, with_key))
			continue;
		if (columns->value == 0 && strcmp(NameStr(att->attname), "value") == 0)
			columns->value = att->attnum;
		columns->members[columns->nmembers++] = att->attnum;
	}

	if (with_key && columns->key == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("loader returns no column \"key\""),
				 errhint("A loader of many keys returns the key of each row "
						 "as a column named \"key\".")));
	if (columns->nmembers == 0)
		demote_controls(columns);
	if (columns->nmembers == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("loader returns no value"),
				 errhint("Select a column named \"value\".")));
	if (columns->value == 0 && columns->nmembers == 1)
		columns->value = columns->members[0];
	if (columns->value == 0)
		columns->object = object_type(columns, desc);
}

/*
 * Raise an error unless the value is one column of precisely the type, or of
 * a domain over it.
 */
static void
check_type(const Columns *columns, TupleDesc desc, Oid type)
{
	Oid			actual;

	if (columns->value == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("loader returns %d columns, not one of type %s",
						columns->nmembers, format_type_be(type)),
				 errhint("Select one column, or name it \"value\".")));
	actual = TupleDescAttr(desc, columns->value - 1)->atttypid;
	if (actual != type && getBaseType(actual) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("loader returns type %s, not %s",
						format_type_be(actual), format_type_be(type)),
				 errhint("Cast the value to type %s.",
						 format_type_be(type))));
}

/*
 * Copy a value that is not NULL to the given context, whole: without pointers
 * to TOAST tables or to expanded objects.
 */
static Datum
copy_value(Datum value, Oid type, MemoryContext keep)
{
	MemoryContext old = MemoryContextSwitchTo(keep);
	int16		typlen;
	bool		typbyval;

	get_typlenbyval(type, &typlen, &typbyval);
	if (typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	else
		value = datumCopy(value, typbyval, typlen);
	MemoryContextSwitchTo(old);
	return value;
}

/*
 * The members of a row as a jsonb object.
 */
static Datum
build_object(const Columns *columns, HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc(columns->nmembers * sizeof(Datum));
	bool	   *nulls = palloc(columns->nmembers * sizeof(bool));
	HeapTuple	row;
	Datum		record;
	int			i;

	for (i = 0; i < columns->nmembers; i++)
		values[i] = heap_getattr(tuple, columns->members[i], desc, &nulls[i]);
	row = heap_form_tuple(columns->object, values, nulls);
	record = heap_copy_tuple_as_datum(row, columns->object);
	return JsonbPGetDatum(cx_codec_to_jsonb(record, false, RECORDOID));
}

static void
read_value(const CxRun *run, const Columns *columns, HeapTuple tuple,
		   TupleDesc desc, CxLoaded *out)
{
	Datum		value;

	if (columns->value == 0)
	{
		out->value = copy_value(build_object(columns, tuple, desc),
								JSONBOID, run->keep);
		out->isnull = false;
		return;
	}

	value = heap_getattr(tuple, columns->value, desc, &out->isnull);
	out->value = (Datum) 0;
	if (out->isnull)
		return;
	if (run->type == JSONBOID)
	{
		Oid			type = TupleDescAttr(desc, columns->value - 1)->atttypid;

		if (type != JSONBOID)
			value = JsonbPGetDatum(cx_codec_to_jsonb(value, false, type));
	}
	out->value = copy_value(value, run->type, run->keep);
}

/*
 * True and the column's value if there is such a column and it is not NULL.
 */
static bool
read_control(HeapTuple tuple, TupleDesc desc, int column, Datum *value)
{
	bool		isnull;

	if (column == 0)
		return false;
	*value = heap_getattr(tuple, column, desc, &isnull);
	return !isnull;
}

static void
read_row(const CxRun *run, const Columns *columns, HeapTuple tuple,
		 TupleDesc desc, CxLoaded *out)
{
	Datum		value;

	memset(out, 0, sizeof(*out));
	out->found = true;
	read_value(run, columns, tuple, desc, out);
	if (read_control(tuple, desc, columns->ttl, &value))
	{
		out->has_ttl = true;
		out->ttl_us = cx_loader_interval_us(DatumGetIntervalP(value));
	}
	if (read_control(tuple, desc, columns->expires_at, &value))
	{
		out->has_expires_at = true;
		out->expires_at = DatumGetTimestampTz(value);
	}
	if (read_control(tuple, desc, columns->stale_for, &value))
	{
		out->has_stale = true;
		out->stale_us = cx_loader_interval_us(DatumGetIntervalP(value));
	}
	if (read_control(tuple, desc, columns->tags, &value))
		out->tags = DatumGetArrayTypeP(copy_value(value, TEXTARRAYOID,
												  run->keep));
	if (read_control(tuple, desc, columns->ignore, &value))
		out->ignore = DatumGetBool(value);
}

static void
take_single_cb(const CxRun *run, CxRows *rows)
{
	CxLoaded   *out = run->result;
	Columns		columns;

	sort_columns(rows->desc, false, &columns);
	if (run->type != JSONBOID)
		check_type(&columns, rows->desc, run->type);
	if (rows->n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("loader returns more than one row"),
				 errhint("Gather the rows into one value with jsonb_agg(), "
						 "or use query().")));

	memset(out, 0, sizeof(*out));
	out->isnull = true;
	if (rows->n == 1)
		read_row(run, &columns, rows->tuples[0], rows->desc, out);
	out->cost_us = run->cost_us;
}

/*
 * cx_loader_run
 *
 * Runs a loader of one value and fills *out, whose memory is the caller's
 * current context.  The value is jsonb if that is the type asked for, whatever
 * the loader returns; else it must have the type itself.  params may be NULL
 * for none.  Raises ERRCODE_CARDINALITY_VIOLATION for more than one row,
 * ERRCODE_DATATYPE_MISMATCH, what cx_plan_acquire and cx_plan_execute raise,
 * and what the query raises.
 */
void
cx_loader_run(const char *query, ArrayType *params, Oid type, CxLoaded *out)
{
	CxRun		run = {0};

	run.text = query;
	run.kind = CX_PLAN_QUERY;
	run.params = params;
	run.limit = 2;				/* enough to know that one is too many */
	run.take_cb = take_single_cb;
	run.type = type;
	run.result = out;
	cx_run(&run);
}

/* The rows of a loader of many keys. */
typedef struct ManyRows
{
	CxLoadedKey *rows;
	int			nrows;
} ManyRows;

static char *
read_key(const CxRun *run, const Columns *columns, HeapTuple tuple,
		 TupleDesc desc)
{
	bool		isnull;
	Datum		key = heap_getattr(tuple, columns->key, desc, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("loader returns a row whose key is NULL")));
	return MemoryContextStrdup(run->keep, TextDatumGetCString(key));
}

static void
take_many_cb(const CxRun *run, CxRows *rows)
{
	ManyRows   *many = run->result;
	MemoryContext per_row;
	MemoryContext old;
	Columns		columns;
	uint64		i;

	sort_columns(rows->desc, true, &columns);
	many->rows = MemoryContextAlloc(run->keep, Max(rows->n, 1) *
									sizeof(CxLoadedKey));
	many->nrows = (int) rows->n;

	per_row = AllocSetContextCreate(CurrentMemoryContext, "cachex row",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(per_row);
	for (i = 0; i < rows->n; i++)
	{
		CxLoadedKey *out = &many->rows[i];

		CHECK_FOR_INTERRUPTS();
		read_row(run, &columns, rows->tuples[i], rows->desc, &out->row);
		out->row.cost_us = run->cost_us / (double) rows->n;
		out->key = read_key(run, &columns, rows->tuples[i], rows->desc);
		MemoryContextReset(per_row);
	}
	MemoryContextSwitchTo(old);
}

/*
 * cx_loader_run_many
 *
 * Runs a loader of many keys, which gets them as $1, and returns its rows in
 * the caller's current context, *nrows of them, in the loader's order; keys
 * may be missing, repeated, or others than those asked for.  Raises
 * ERRCODE_UNDEFINED_COLUMN without a column "key", ERRCODE_DATATYPE_MISMATCH
 * if it is not text, ERRCODE_NULL_VALUE_NOT_ALLOWED for a NULL key, and what
 * cx_loader_run raises but for the number of rows.
 */
CxLoadedKey *
cx_loader_run_many(const char *query, ArrayType *keys, int *nrows)
{
	CxRun		run = {0};
	ManyRows	many = {NULL, 0};

	run.text = query;
	run.kind = CX_PLAN_KEYS;
	run.first = PointerGetDatum(keys);
	run.take_cb = take_many_cb;
	run.type = JSONBOID;
	run.result = &many;
	cx_run(&run);
	*nrows = many.nrows;
	return many.rows;
}

/*
 * The value of an expression, which returns one row of one column.
 */
static void
take_expression_cb(const CxRun *run, CxRows *rows)
{
	Columns		columns = {0};

	Assert(rows->n == 1 && rows->desc->natts == 1);
	columns.value = 1;
	read_value(run, &columns, rows->tuples[0], rows->desc, run->result);
}

/*
 * cx_loader_evaluate
 *
 * Returns the value of an SQL expression as jsonb in the caller's current
 * context, or sets *isnull.  In the expression $1 is the current value, a
 * jsonb, and $2 and so on are params, which may be NULL for none.  Raises
 * ERRCODE_SYNTAX_ERROR for a text that is more than one expression, what
 * cx_plan_acquire and cx_plan_execute raise, and what the expression raises.
 */
Datum
cx_loader_evaluate(const char *expression, Datum current, bool current_isnull,
				   ArrayType *params, bool *isnull)
{
	CxRun		run = {0};
	CxLoaded	value = {0};

	run.text = expression;
	run.kind = CX_PLAN_EXPRESSION;
	run.first = current;
	run.first_isnull = current_isnull;
	run.params = params;
	run.take_cb = take_expression_cb;
	run.type = JSONBOID;
	run.result = &value;
	cx_run(&run);
	*isnull = value.isnull;
	return value.value;
}

/*
 * cx_loader_interval_us
 *
 * Returns an interval in microseconds, with months of 30 days; what does not
 * fit is the greatest or the least int64, and so are infinite intervals,
 * whose fields are the extremes of their types.
 */
int64
cx_loader_interval_us(const Interval *interval)
{
	int64		days;
	int64		us;

	days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &us))
		return days < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	if (pg_add_s64_overflow(us, interval->time, &us))
		return interval->time < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return us;
}
