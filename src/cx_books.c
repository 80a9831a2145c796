/*
 * cx_books.c
 *	  SQL that runs with the rights of the extension's owner, and under a
 *	  search_path that nobody else can write to.
 *
 * Who may call it is checked by the caller.  A transaction is under way.
 *
 * Locking: none of cachex's; those of the tables, until the transaction ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "cx_books.h"
#include "cx_catalog.h"

static Oid
owner_of(const char *table)
{
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID,
							ObjectIdGetDatum(cx_catalog_table(table)));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"cachex\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION cachex.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Becomes the owner of a table.  An error before cx_books_end is undone by the
 * transaction's abort.
 */
void
cx_books_begin(CxBooks *books, const char *table)
{
	books->caller = CurrentMemoryContext;
	cx_secure_begin(&books->secure, owner_of(table));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
cx_books_end(const CxBooks *books)
{
	SPI_finish();
	cx_secure_end(&books->secure);
}

void
cx_books_arg(CxBooksArgs *args, Oid type, Datum value, bool isnull)
{
	Assert(args->n < CX_BOOKS_MAX_ARGS);
	args->type[args->n] = type;
	args->value[args->n] = value;
	args->null[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

/* A text of some bytes, NULL for NULL. */
void
cx_books_text_len(CxBooksArgs *args, const char *string, Size len)
{
	Datum		value = (Datum) 0;

	if (string)
		value = PointerGetDatum(cstring_to_text_with_len(string, (int) len));
	cx_books_arg(args, TEXTOID, value, string == NULL);
}

void
cx_books_text(CxBooksArgs *args, const char *string)
{
	cx_books_text_len(args, string, string ? strlen(string) : 0);
}

static uint64
count_of(int result)
{
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* Runs a statement; returns how many rows it touched. */
uint64
cx_books_run(const char *sql, CxBooksArgs *args)
{
	return count_of(SPI_execute_with_args(sql, args->n, args->type,
										  args->value, args->null, false, 0));
}

/* The same, with the rights of a table's owner: begin, run and end. */
uint64
cx_books_run_alone(const char *table, const char *sql, CxBooksArgs *args)
{
	CxBooks		books;
	uint64		n;

	cx_books_begin(&books, table);
	n = cx_books_run(sql, args);
	cx_books_end(&books);
	return n;
}

/* Runs a statement and keeps its plan, for what is run often. */
uint64
cx_books_run_kept(SPIPlanPtr *plan, const char *sql, CxBooksArgs *args,
				  bool read_only)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(sql, args->n, args->type);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s",
				 SPI_result_code_string(SPI_result));
		(void) SPI_keepplan(prepared);
		*plan = prepared;
	}
	return count_of(SPI_execute_plan(*plan, args->value, args->null,
									 read_only, 0));
}

/* A column of a row that the last statement returned; the first is 1. */
Datum
cx_books_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, isnull);
}
