/*
 * cx_funcs_functions.c
 *	  function_use: what calling a function means for a result.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "cx_functions.h"
#include "cx_preload.h"

PG_FUNCTION_INFO_V1(cachex_function_use);

#define USE_NCOLS 5				/* at most */

static Datum
text_array(List *strings)
{
	Datum	   *elements = palloc((list_length(strings) + 1) * sizeof(Datum));
	ListCell   *cell;
	int			n = 0;

	foreach(cell, strings)
		elements[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * function_use(function regprocedure)
 *
 * Users see the first three columns; a test declares the others as well:
 * settings text[], user_code boolean.
 */
Datum
cachex_function_use(PG_FUNCTION_ARGS)
{
	CxFunctionUse use = {0};
	CxFunctionVerdict verdict;
	TupleDesc	desc;
	Datum		values[USE_NCOLS] = {0};
	bool		nulls[USE_NCOLS] = {false};

	CX_REQUIRE_PRELOAD();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	verdict = cx_functions_judge(PG_GETARG_OID(0), &use);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts > USE_NCOLS)
		elog(ERROR, "function_use is declared with other columns");
	values[0] = BoolGetDatum(verdict == CX_FUNCTION_OK);
	nulls[1] = nulls[2] = verdict == CX_FUNCTION_OK;
	if (verdict != CX_FUNCTION_OK)
	{
		values[1] = CStringGetTextDatum(verdict == CX_FUNCTION_VOLATILE
										? "volatile" : "unknown");
		values[2] = ObjectIdGetDatum(use.culprit);
	}
	values[3] = text_array(use.settings);
	values[4] = BoolGetDatum(use.user_code);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
