/*
 * cx_loader.h
 *	  Runs a loader, a query given as text, and turns its row into a value.
 */
#ifndef CX_LOADER_H
#define CX_LOADER_H

#include "datatype/timestamp.h"
#include "utils/array.h"

/* What one row of a loader says. All memory is in the caller's context. */
typedef struct CxLoaded
{
	bool		found;			/* false: the loader returned no row */
	bool		isnull;			/* no row, or the value is SQL NULL */
	Datum		value;			/* of the type that was asked for */
	bool		has_ttl;		/* the row has "ttl", not NULL */
	int64		ttl_us;			/* microseconds; <= 0: do not keep */
	bool		has_expires_at; /* the row has "expires_at", not NULL */
	TimestampTz expires_at;
	bool		has_stale;		/* the row has "stale_for", not NULL */
	int64		stale_us;
	ArrayType  *tags;			/* the row's "tags" (text[]), or NULL */
	bool		ignore;			/* the row's "ignore" is true: do not store */
	double		cost_us;		/* what the loader took, in microseconds */
} CxLoaded;

/* One row of a loader of many keys. All memory is in the caller's context. */
typedef struct CxLoadedKey
{
	char	   *key;
	CxLoaded	row;			/* value is jsonb; found is true */
} CxLoadedKey;

extern void cx_loader_run(const char *query, ArrayType *params, Oid type,
						  CxLoaded *out);
extern CxLoadedKey *cx_loader_run_many(const char *query, ArrayType *keys,
									   int *nrows);
extern Datum cx_loader_evaluate(const char *expression, Datum current,
								bool current_isnull, ArrayType *params,
								bool *isnull);
extern int64 cx_loader_interval_us(const Interval *interval);

#endif							/* CX_LOADER_H */
