/*
 * cx_validate.c
 *	  Evaluates a cache's condition for a value, as the cache's owner.
 *
 * Locking: none of cachex's.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/guc.h"

#include "cx_loader.h"
#include "cx_plan.h"
#include "cx_secure.h"
#include "cx_try.h"
#include "cx_validate.h"

/*
 * Raises an error unless the text is a condition on $1, a jsonb, that can be
 * planned now.
 */
void
cx_validate_check(const char *expression)
{
	int			nest_level = cx_secure_pin_path();
	CxPlan	   *plan;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = cx_plan_acquire(expression, CX_PLAN_EXPRESSION);
	if (cx_plan_count_params(plan) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("validate has no other parameter than $1, the value")));
	cx_plan_release(plan);
	/* nothing would meet what is not boolean */
	cx_plan_release(cx_plan_acquire(psprintf("(%s\n) IS TRUE", expression),
									CX_PLAN_EXPRESSION));
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
}

/*
 * Whether a value meets the cache's condition; NULL is not asked.  cache is
 * not valid afterwards.  Raises what the expression raises.
 */
bool
cx_validate(const CxCache *cache, Jsonb *value)
{
	CxSecure	secure;
	bool		isnull;
	Datum		result;

	if (cache->validate == NULL || value == NULL)
		return true;
	cx_secure_begin(&secure, cache->owner);
	result = cx_loader_evaluate(pstrdup(cache->validate),
								JsonbPGetDatum(value), false, NULL, &isnull);
	cx_secure_end(&secure);
	if (!isnull)
	{
		JsonbValue	scalar;

		if (JB_ROOT_IS_SCALAR(DatumGetJsonbP(result)) &&
			JsonbExtractScalar(&DatumGetJsonbP(result)->root, &scalar) &&
			scalar.type == jbvBool)
			return scalar.val.boolean;
	}
	return false;
}

typedef struct Question
{
	const CxCache *cache;
	Jsonb	   *value;
	bool		valid;
} Question;

static void
ask(void *arg)
{
	Question   *q = arg;

	q->valid = cx_validate(q->cache, q->value);
}

/*
 * The same; an error of the expression is a no.  Only a cancel and the like
 * are raised.
 */
bool
cx_validate_quietly(const CxCache *cache, Jsonb *value)
{
	Question	q = {cache, value, false};

	if (IsInParallelMode())
		return false;
	return cx_try(ask, &q, cx_try_tolerates_all) && q.valid;
}
