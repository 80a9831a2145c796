/*
 * cx_funcs_query.c
 *	  query and query_as: all rows of a query, with their types.
 *
 * An entry's key is made of the query's text and parameters.  What is stored
 * are the columns that the query returns; whether they are those that the
 * caller asks for is looked at in each call, before a row is returned or
 * stored.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "cx_grants.h"
#include "cx_preload.h"
#include "cx_read.h"
#include "cx_revalidate.h"
#include "cx_rowset.h"

#define LABEL_BYTES 120			/* of the query's text in the key */

PG_FUNCTION_INFO_V1(cachex_query);
PG_FUNCTION_INFO_V1(cachex_query_as);

/* ---- the key ---- */

/* What can be read of the query: its beginning, each blank space as one. */
static int
write_label(char *label, const char *query)
{
	char		squeezed[LABEL_BYTES + MAX_MULTIBYTE_CHAR_LEN];
	int			n = 0;

	for (; *query != '\0' && n < (int) sizeof(squeezed); query++)
	{
		if (!scanner_isspace(*query))
			squeezed[n++] = *query;
		else if (n > 0 && squeezed[n - 1] != ' ')
			squeezed[n++] = ' ';
	}
	n = pg_mbcliplen(squeezed, n, LABEL_BYTES);
	while (n > 0 && squeezed[n - 1] == ' ')
		n--;
	memcpy(label, squeezed, n);
	return n;
}

/*
 * The digest of the text and the parameters.  An array says itself how many
 * elements it has, how long they are and which of them are NULL.
 */
static void
write_digest(uint8 *digest, const char *query, ArrayType *params)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint64		len = strlen(query);

	if (hash == NULL ||
		pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (uint8 *) &len, sizeof(len)) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) query, len) < 0 ||
		(params != NULL &&
		 pg_cryptohash_update(hash, (uint8 *) VARDATA_ANY(params),
							  VARSIZE_ANY_EXHDR(params)) < 0) ||
		pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA256: %s",
			 hash ? pg_cryptohash_error(hash) : "out of memory");
	pg_cryptohash_free(hash);
}

/* The key of a query, in the current memory context. */
static char *
make_key(const char *query, ArrayType *params, Size *len)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *key = palloc(LABEL_BYTES + 2 + 2 * sizeof(digest));
	int			n = write_label(key, query);

	memcpy(key + n, " #", 2);
	write_digest(digest, query, params);
	hex_encode((const char *) digest, sizeof(digest), key + n + 2);
	*len = n + 2 + 2 * sizeof(digest);
	return key;
}

/* ---- the columns that the caller asks for ---- */

typedef struct Output
{
	Tuplestorestate *store;
	TupleDesc	desc;			/* may have dropped columns */
	Datum	   *values;			/* of desc */
	bool	   *nulls;
} Output;

static void
begin_output(FunctionCallInfo fcinfo, Output *out)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (rsinfo != NULL && IsA(rsinfo, ReturnSetInfo) &&
		rsinfo->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record"),
				 errhint("Call it in FROM with a list of columns: cachex.query(...) AS t(id int, name text).")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	out->store = rsinfo->setResult;
	out->desc = rsinfo->setDesc;
	out->values = palloc0((out->desc->natts + 1) * sizeof(Datum));
	out->nulls = palloc((out->desc->natts + 1) * sizeof(bool));
	memset(out->nulls, true, out->desc->natts * sizeof(bool));
}

static char *
type_name(Form_pg_attribute att)
{
	return format_type_with_typemod(att->atttypid, att->atttypmod);
}

/*
 * Whether values of one column can stand in the other as they are.  The
 * server alone would take a modifier such as the 2 of numeric(10,2) at its
 * word.
 */
static bool
column_matches(Form_pg_attribute have, Form_pg_attribute want)
{
	return IsBinaryCoercible(have->atttypid, want->atttypid) &&
		(want->atttypmod < 0 || want->atttypmod == have->atttypmod);
}

/*
 * Whether the columns are those that the caller asks for; the server's error
 * if not, when it is wanted.
 */
static bool
columns_match(const Output *out, TupleDesc have, int elevel)
{
	int			wanted = 0;
	int			n = 0;

	for (int i = 0; i < out->desc->natts; i++)
		wanted += TupleDescAttr(out->desc, i)->attisdropped ? 0 : 1;
	if (wanted != have->natts)
	{
		ereport(elevel,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function return row and query-specified return row do not match"),
				 errdetail_plural("Returned row contains %d attribute, but query expects %d.",
								  "Returned row contains %d attributes, but query expects %d.",
								  have->natts, have->natts, wanted)));
		return false;
	}
	for (int i = 0; i < out->desc->natts; i++)
	{
		Form_pg_attribute want = TupleDescAttr(out->desc, i);

		if (want->attisdropped || column_matches(TupleDescAttr(have, n++), want))
			continue;
		ereport(elevel,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function return row and query-specified return row do not match"),
				 errdetail("Returned type %s at ordinal position %d, but query expects %s.",
						   type_name(TupleDescAttr(have, n - 1)), n,
						   type_name(want))));
		return false;
	}
	return true;
}

/* Returns a row whose columns match; dropped columns are NULL. */
static void
put_row(Output *out, const Datum *values, const bool *nulls)
{
	int			from = 0;

	for (int i = 0; i < out->desc->natts; i++)
	{
		if (TupleDescAttr(out->desc, i)->attisdropped)
			continue;
		out->values[i] = values[from];
		out->nulls[i] = nulls[from++];
	}
	tuplestore_putvalues(out->store, out->desc, out->values, out->nulls);
}

/* ---- hits and misses ---- */

/*
 * Returns the rows of a stored set; false when it is none, or none any more,
 * or when its columns are others: a query may return others now, so this is an error
 * only (raise) where it is not to be run.
 */
static bool
put_stored(Output *out, const CxValue *value, bool raise)
{
	CxRowset	set;
	Datum	   *values;
	bool	   *nulls;

	if (!cx_rowset_open(&set, value) ||
		!columns_match(out, set.desc, raise ? ERROR : DEBUG1))
		return false;
	values = palloc((set.desc->natts + 1) * sizeof(Datum));
	nulls = palloc((set.desc->natts + 1) * sizeof(bool));
	while (cx_rowset_next(&set, values, nulls))
	{
		CHECK_FOR_INTERRUPTS();
		put_row(out, values, nulls);
	}
	if (cx_rowset_at_end(&set))
		return true;
	tuplestore_clear(out->store);
	return false;
}

/* Looks up, and returns the rows; false: there are none to be had. */
static bool
find(CxFetch *f, Output *out)
{
	CxValue		value = {0};
	char	   *bytes;
	CxHit		hit;
	bool		found;

	if (!cx_fetch_find(f, &hit))
		return false;
	value.type = hit.entry.type;
	value.typhash = hit.entry.typhash;
	value.len = hit.entry.value_len;
	value.data = bytes = palloc(value.len);
	cx_store_value(&hit, bytes);
	cx_store_release(&hit);
	found = put_stored(out, &value, f->mode == CX_FETCH_CACHED);
	pfree(bytes);
	return found;
}

/* The columns must be those that are asked for, before anything is kept. */
static void
check_columns(TupleDesc have, void *arg)
{
	(void) columns_match(arg, have, ERROR);
}

/* Returns rows that have just been computed. */
static void
put_rows(Output *out, const CxRows *rows)
{
	Datum	   *values;
	bool	   *nulls;

	values = palloc((rows->desc->natts + 1) * sizeof(Datum));
	nulls = palloc((rows->desc->natts + 1) * sizeof(bool));
	for (uint64 i = 0; i < rows->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(rows->tuples[i], rows->desc, values, nulls);
		put_row(out, values, nulls);
	}
}

/* Returns the rows, from the cache or from the query. */
static void
find_or_load(CxFetch *f, Output *out)
{
	CxRows	   *rows;

	cx_fetch_begin(f);
	if (!find(f, out))
	{
		cx_fetch_refuse_to_load(f);
		put_rows(out, cx_compute_rows(f, check_columns, out));
	}
	else if (f->due &&
			 (rows = cx_revalidate_rows(f, check_columns, out)) != NULL)
	{
		tuplestore_clear(out->store);
		put_rows(out, rows);
	}
}

/* Arguments from number n on: query, params, ttl, tags, cache, mode. */
static Datum
query(FunctionCallInfo fcinfo, int n)
{
	Output		out;
	CxFetch		f;
	CxCache    *cache;
	CxScope		scope;
	const char *key;
	Size		len;

	CX_REQUIRE_PRELOAD();
	begin_output(fcinfo, &out);
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("query must not be null")));
	f.query = cx_args_cstring(fcinfo, n);
	f.query_len = strlen(f.query);
	f.function = NULL;
	f.params = cx_args_array(fcinfo, n + 1);
	f.life = cx_args_life(fcinfo, n + 2, -1);
	f.tags = cx_args_array(fcinfo, n + 3);
	cache = cx_args_cache(fcinfo, n + 4);
	f.mode = cx_fetch_mode(fcinfo, n + 5);
	f.type = RECORDOID;
	key = make_key(f.query, f.params, &len);
	scope = cx_args_scope(fcinfo, -1, cache);
	cx_cache_ask(&f.ask, cache, key, len, scope.name, scope.len);
	f.ask.may = cx_grants_of(cache);
	f.ask.stale_us = CX_STALE_AS_DEFINED;
	find_or_load(&f, &out);
	return (Datum) 0;
}

/* query(query, params, ttl, tags, cache, mode) */
Datum
cachex_query(PG_FUNCTION_ARGS)
{
	return query(fcinfo, 0);
}

/* query_as(row_type, query, params, ttl, tags, cache, mode) */
Datum
cachex_query_as(PG_FUNCTION_ARGS)
{
	return query(fcinfo, 1);
}
