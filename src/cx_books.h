/*
 * cx_books.h
 *	  SQL on the extension's own tables.
 */
#ifndef CX_BOOKS_H
#define CX_BOOKS_H

#include "executor/spi.h"

#include "cx_secure.h"

#define CX_BOOKS_MAX_ARGS 24

/* What has to be undone after a statement. */
typedef struct CxBooks
{
	MemoryContext caller;
	CxSecure	secure;
} CxBooks;

/* Arguments of a statement. */
typedef struct CxBooksArgs
{
	int			n;
	Oid			type[CX_BOOKS_MAX_ARGS];
	Datum		value[CX_BOOKS_MAX_ARGS];
	char		null[CX_BOOKS_MAX_ARGS];
} CxBooksArgs;

extern void cx_books_begin(CxBooks *books, const char *table);
extern void cx_books_end(const CxBooks *books);

extern void cx_books_arg(CxBooksArgs *args, Oid type, Datum value,
						 bool isnull);
extern void cx_books_text(CxBooksArgs *args, const char *string);
extern void cx_books_text_len(CxBooksArgs *args, const char *string, Size len);

extern uint64 cx_books_run(const char *sql, CxBooksArgs *args);
extern uint64 cx_books_run_alone(const char *table, const char *sql,
								 CxBooksArgs *args);
extern uint64 cx_books_run_kept(SPIPlanPtr *plan, const char *sql,
								CxBooksArgs *args, bool read_only);
extern Datum cx_books_value(uint64 row, int column, bool *isnull);

#endif							/* CX_BOOKS_H */
