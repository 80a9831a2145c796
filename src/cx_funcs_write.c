/*
 * cx_funcs_write.c
 *	  put, put_many, and the atomic ones: update, push, incr, take, touch.
 *
 * An atomic change waits for others of the same key, looks at the entry as it
 * is now, and stages what it makes of it; see cx_keylock and CxBase.
 *
 * Locking: none on entry; atomic changes keep the key's heavyweight lock to
 * the end of the transaction.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cx_grants.h"
#include "cx_keylock.h"
#include "cx_loader.h"
#include "cx_put.h"
#include "cx_preload.h"
#include "cx_tier.h"

PG_FUNCTION_INFO_V1(cachex_put);
PG_FUNCTION_INFO_V1(cachex_put_many);
PG_FUNCTION_INFO_V1(cachex_update);
PG_FUNCTION_INFO_V1(cachex_push);
PG_FUNCTION_INFO_V1(cachex_incr);
PG_FUNCTION_INFO_V1(cachex_take);
PG_FUNCTION_INFO_V1(cachex_touch);

/* A change under way: the question, what there is now, what it started from. */
typedef struct Change
{
	CxAsk		ask;
	CxHit		hit;
	CxBase		base;
	CxStatus	status;
} Change;

typedef enum Condition
{
	ALWAYS,
	IF_ABSENT,
	IF_PRESENT
} Condition;

static Condition
parse_condition(FunctionCallInfo fcinfo, int n)
{
	char	   *only_if = cx_args_cstring(fcinfo, n);

	if (only_if == NULL)
		return ALWAYS;
	if (strcmp(only_if, "absent") == 0)
		return IF_ABSENT;
	if (strcmp(only_if, "present") == 0)
		return IF_PRESENT;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized value for only_if: \"%s\"", only_if),
			 errhint("Valid values are absent and present.")));
}

static inline bool
is_there(const Change *c)
{
	return c->status == CX_HIT || c->status == CX_NEGATIVE;
}


/* Looks at the key under a snapshot of now. The hit holds the slot. */
static TransactionId
look_now(Change *c)
{
	CxDep		identity = {c->ask.ident.id, CX_DEP_IDENTITY, 0};
	TransactionId unfinished = InvalidTransactionId;

	/* before the snapshot: what moves between them is not seen */
	c->base.check_gen = cx_gens_last();
	pg_read_barrier();
	PushActiveSnapshot(GetLatestSnapshot());
	c->ask.usable = cx_catalog_usable(c->ask.cache) &&
		cx_deps_view(&c->ask.view, GetActiveSnapshot());
	c->status = cx_change_base(&c->ask, &c->hit, &c->base);
	if (c->ask.usable && !is_there(c))
		unfinished = cx_deps_unfinished(&c->ask.view, identity);
	if (!is_there(c) && !TransactionIdIsValid(unfinished))
		c->status = cx_tier_serve(&c->ask, 0, false, true, &c->hit);
	PopActiveSnapshot();
	return unfinished;
}

/*
 * Waits for the key and looks at it as it is now, since the caller's snapshot
 * may be older than the wait.  A plain put that can be seen but is not yet in
 * place is waited for, by its transaction's lock.
 */
static void
begin_change(Change *c)
{
	TransactionId unfinished;

	cx_keylock_acquire(c->ask.cache, &c->ask.ident);
	while (TransactionIdIsValid(unfinished = look_now(c)))
	{
		CHECK_FOR_INTERRUPTS();
		XactLockTableWait(unfinished, NULL, NULL, XLTW_None);
	}
	if (c->status == CX_DEAD)
		c->status = CX_MISS;
}

/* A question about a key that is going to change. */
static void
ask_to_change(FunctionCallInfo fcinfo, int scope_arg, uint8 needs,
			  const char *function, Change *c)
{
	CX_REQUIRE_PRELOAD();
	cx_args_ask(fcinfo, 1, scope_arg, needs, &c->ask);
	cx_args_writable(function);
}

/* Stages a new value in the place of an entry that keeps all else. */
static void
stage_value(Change *c, const CxNewEntry *old, Jsonb *json)
{
	CxNewEntry	entry = *old;

	entry.isnull = (json == NULL);
	entry.type = JSONBOID;
	entry.typhash = 0;
	entry.value = json ? VARDATA(json) : NULL;
	entry.value_len = json ? VARSIZE(json) - VARHDRSZ : 0;
	/* no loader or warmer has made this */
	entry.manual = true;
	entry.has_loader = false;
	cx_put_stage(&c->ask, &entry, true, &c->base);
}

/* Stages a value where nothing was. */
static void
stage_new(Change *c, Jsonb *json, const CxLife *life)
{
	CxNewEntry	entry;
	CxValue		value;
	bool		keep;

	cx_put_json(&value, json);
	keep = cx_put_make_entry(&entry, c->ask.cache, &value, life);
	entry.manual = true;
	cx_put_stage(&c->ask, &entry, keep, &c->base);
}

/* ---- put ---- */

/* The arguments of put that make the entry; returns whether to keep it. */
static bool
put_entry(FunctionCallInfo fcinfo, const CxCache *cache, CxNewEntry *entry)
{
	Jsonb	   *json = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	CxLife		life = cx_args_life(fcinfo, 3, 4);
	CxValue		value;
	bool		keep;

	cx_put_json(&value, json);
	keep = cx_put_make_entry(entry, cache, &value, &life);
	entry->manual = true;
	cx_args_tags(entry, cx_args_array(fcinfo, 5));
	if (!PG_ARGISNULL(8))
	{
		Jsonb	   *metadata = PG_GETARG_JSONB_P(8);

		entry->metadata = VARDATA(metadata);
		entry->metadata_len = VARSIZE(metadata) - VARHDRSZ;
	}
	if (!PG_ARGISNULL(9))
	{
		int64		us = cx_loader_interval_us(PG_GETARG_INTERVAL_P(9));

		if (us < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cost must not be negative")));
		entry->cost_us = (double) us;
	}
	return keep;
}

/* Whether the entry is the one, or the absence, that the version names. */
static bool
version_matches(const Change *c, int64 version, const CxNewEntry *entry)
{
	if (is_there(c))
		return c->hit.gen == (uint64) version;
	return version > 0 && c->base.gen != CX_BASE_ANY &&
		!cx_current_patterns_since(&c->ask, (uint64) version) &&
		!cx_current_moved_since(&c->ask, (uint64) version, entry->ntags,
								entry->tag_id, NULL);
}

/*
 * put(cache, key, value, ttl, expires_at, tags, only_if, if_version,
 * metadata, cost, scope): whether the value was stored
 */
Datum
cachex_put(PG_FUNCTION_ARGS)
{
	Change		c;
	CxNewEntry	entry;
	Condition	condition;
	bool		keep;
	bool		go_on = true;

	CX_REQUIRE_PRELOAD();
	condition = parse_condition(fcinfo, 6);
	ask_to_change(fcinfo, 10, CX_MAY_WRITE, "cachex.put()", &c);
	keep = put_entry(fcinfo, c.ask.cache, &entry);
	if (condition == ALWAYS && PG_ARGISNULL(7))
	{
		CxBase		any = {CX_BASE_ANY, 0, 0};

		PG_RETURN_BOOL(cx_put_stage(&c.ask, &entry, keep, &any));
	}
	begin_change(&c);
	if (condition != ALWAYS)
		go_on = is_there(&c) == (condition == IF_PRESENT);
	if (go_on && !PG_ARGISNULL(7))
		go_on = version_matches(&c, PG_GETARG_INT64(7), &entry);
	cx_store_release(&c.hit);
	PG_RETURN_BOOL(go_on && cx_put_stage(&c.ask, &entry, keep, &c.base));
}

/* put_many(cache, entries, ttl, tags, scope): how many were stored */
Datum
cachex_put_many(PG_FUNCTION_ARGS)
{
	CxBase		any = {CX_BASE_ANY, 0, 0};
	CxCache    *cache;
	CxLife		life;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	CxNewEntry	entry;
	CxAsk		ask;
	CxScope		scope;
	char	   *key = NULL;
	Size		key_len = 0;
	int64		n = 0;

	CX_REQUIRE_PRELOAD();
	cache = cx_args_cache(fcinfo, 0);
	cx_args_writable("cachex.put_many()");
	if (PG_ARGISNULL(1) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entries must be a JSON object"),
				 errhint("Each of its keys becomes an entry.")));
	scope = cx_args_scope(fcinfo, 4, cache);
	cx_grants_require(cache, CX_MAY_WRITE);
	life = cx_args_life(fcinfo, 2, -1);
	it = JsonbIteratorInit(&PG_GETARG_JSONB_P(1)->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			key = v.val.string.val;
			key_len = v.val.string.len;
			cx_args_check_key(key, key_len);
		}
		else if (token == WJB_VALUE)
		{
			CxValue		value;
			bool		keep;

			cx_cache_ask(&ask, cache, key, key_len, scope.name, scope.len);
			cx_put_json(&value, JsonbValueToJsonb(&v));
			keep = cx_put_make_entry(&entry, cache, &value, &life);
			entry.manual = true;
			cx_args_tags(&entry, cx_args_array(fcinfo, 3));
			if (cx_put_stage(&ask, &entry, keep, &any))
				n++;
			cache = ask.cache;
		}
	}
	PG_RETURN_INT64(n);
}

/* ---- update ---- */

/* update(cache, key, expression, params, initial, scope): the new value */
Datum
cachex_update(PG_FUNCTION_ARGS)
{
	Change		c;
	CxNewEntry	old;
	CxLife		life = {0};
	Jsonb	   *now = NULL;
	char	   *expression;
	char		name[NAMEDATALEN];
	bool		isnull;
	Datum		result;

	CX_REQUIRE_PRELOAD();
	expression = cx_args_cstring(fcinfo, 2);
	if (expression == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("expression must not be null")));
	ask_to_change(fcinfo, 5, CX_MAY_ALL, "cachex.update()", &c);
	strlcpy(name, c.ask.cache->name, NAMEDATALEN);
	begin_change(&c);
	if (c.status == CX_HIT)
	{
		now = cx_put_read_json(&c.ask, &c.hit);
		cx_put_copy_entry(&c.hit, &old);
	}
	else if (!PG_ARGISNULL(4))
		now = PG_GETARG_JSONB_P(4);
	cx_store_release(&c.hit);
	if (now == NULL)
	{
		/* nothing to change; a load under way must not bring it back old */
		cx_put_stage(&c.ask, NULL, false, &c.base);
		PG_RETURN_NULL();
	}
	result = cx_loader_evaluate(expression, JsonbPGetDatum(now), false,
								cx_args_array(fcinfo, 3), &isnull);
	/* the expression may have used the cache itself */
	c.ask.cache = cx_catalog_get(name, strlen(name));
	if (c.status == CX_HIT)
		stage_value(&c, &old, isnull ? NULL : DatumGetJsonbP(result));
	else
		stage_new(&c, isnull ? NULL : DatumGetJsonbP(result), &life);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* ---- push ---- */

/* A list with a new first element, cut to a length; *length is what it has. */
static Jsonb *
prepend(const CxAsk *ask, Jsonb *list, Jsonb *value, int max_length,
		int *length)
{
	JsonbParseState *state = NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	if (list && !(JB_ROOT_IS_ARRAY(list) && !JB_ROOT_IS_SCALAR(list)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cached value of key \"%.*s\" is not a JSON array",
						ask->ident.key_len, ask->ident.key)));
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	*length = 0;
	if (max_length != 0)
	{
		if (JB_ROOT_IS_SCALAR(value))
			JsonbExtractScalar(&value->root, &v);
		else
		{
			v.type = jbvBinary;
			v.val.binary.data = &value->root;
			v.val.binary.len = VARSIZE(value) - VARHDRSZ;
		}
		pushJsonbValue(&state, WJB_ELEM, &v);
		*length = 1;
	}
	it = list ? JsonbIteratorInit(&list->root) : NULL;
	while (it && (token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM || (max_length >= 0 && *length >= max_length))
			continue;
		pushJsonbValue(&state, WJB_ELEM, &v);
		(*length)++;
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/*
 * push(cache, key, value, max_length, only_if, scope): the list's new length,
 * NULL where only_if forbids it
 */
Datum
cachex_push(PG_FUNCTION_ARGS)
{
	Change		c;
	CxNewEntry	old;
	CxLife		life = {0};
	Condition	condition;
	Jsonb	   *list = NULL;
	Jsonb	   *longer;
	int			max_length = PG_ARGISNULL(3) ? -1 : PG_GETARG_INT32(3);
	int			length;

	CX_REQUIRE_PRELOAD();
	condition = parse_condition(fcinfo, 4);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("value must not be null"),
				 errhint("A JSON null is 'null'::jsonb.")));
	if (!PG_ARGISNULL(3) && max_length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_length must not be negative")));
	ask_to_change(fcinfo, 5, CX_MAY_WRITE, "cachex.push()", &c);
	begin_change(&c);
	if (c.status == CX_HIT)
	{
		list = cx_put_read_json(&c.ask, &c.hit);
		cx_put_copy_entry(&c.hit, &old);
	}
	cx_store_release(&c.hit);
	if ((condition == IF_PRESENT && list == NULL) ||
		(condition == IF_ABSENT && list != NULL))
	{
		/* a load under way must not bring a list without the new element */
		if (list == NULL)
			cx_put_stage(&c.ask, NULL, false, &c.base);
		PG_RETURN_NULL();
	}
	longer = prepend(&c.ask, list, PG_GETARG_JSONB_P(2), max_length, &length);
	if (list)
		stage_value(&c, &old, longer);
	else
		stage_new(&c, longer, &life);
	PG_RETURN_INT32(length);
}

/* ---- incr ---- */

/* The bigint that a jsonb value is. */
static int64
integer_of(const CxAsk *ask, Jsonb *json)
{
	JsonbValue	v;

	if (JsonbExtractScalar(&json->root, &v) && v.type == jbvNumeric)
	{
		Numeric		rounded = DatumGetNumeric(DirectFunctionCall2(numeric_trunc,
																  NumericGetDatum(v.val.numeric),
																  Int32GetDatum(0)));

		if (DatumGetBool(DirectFunctionCall2(numeric_eq,
											 NumericGetDatum(rounded),
											 NumericGetDatum(v.val.numeric))))
			return DatumGetInt64(DirectFunctionCall1(numeric_int8,
													 NumericGetDatum(rounded)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("cached value of key \"%.*s\" is not an integer",
					ask->ident.key_len, ask->ident.key)));
}

static Jsonb *
json_of_integer(int64 n)
{
	JsonbValue	v;

	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(n);
	return JsonbValueToJsonb(&v);
}

/* incr(cache, key, by, initial, ttl, scope): the new value */
Datum
cachex_incr(PG_FUNCTION_ARGS)
{
	Change		c;
	CxNewEntry	old;
	CxLife		life;
	int64		by;
	int64		n;

	CX_REQUIRE_PRELOAD();
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("by and initial must not be null")));
	by = PG_GETARG_INT64(2);
	n = PG_GETARG_INT64(3);
	ask_to_change(fcinfo, 5, CX_MAY_ALL, "cachex.incr()", &c);
	life = cx_args_life(fcinfo, 4, -1);
	begin_change(&c);
	if (c.status == CX_HIT)
	{
		n = integer_of(&c.ask, cx_put_read_json(&c.ask, &c.hit));
		cx_put_copy_entry(&c.hit, &old);
	}
	cx_store_release(&c.hit);
	if (pg_add_s64_overflow(n, by, &n))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
	if (c.status == CX_HIT)
		stage_value(&c, &old, json_of_integer(n));
	else
		stage_new(&c, json_of_integer(n), &life);
	PG_RETURN_INT64(n);
}

/* ---- take and touch ---- */

/* take(cache, key, scope): the value, which is then gone */
Datum
cachex_take(PG_FUNCTION_ARGS)
{
	Change		c;
	Jsonb	   *json = NULL;

	ask_to_change(fcinfo, 2, CX_MAY_ALL, "cachex.take()", &c);
	begin_change(&c);
	if (is_there(&c))
		json = cx_put_read_json(&c.ask, &c.hit);
	cx_store_release(&c.hit);
	cx_put_stage(&c.ask, NULL, false, &c.base);
	if (json == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(json);
}

/* touch(cache, key, ttl, expires_at, scope): whether it was there */
Datum
cachex_touch(PG_FUNCTION_ARGS)
{
	Change		c;
	CxNewEntry	entry;
	CxNewEntry	fresh;
	CxValue		value = {0};
	CxLife		life;
	bool		keep;

	ask_to_change(fcinfo, 4, CX_MAY_WRITE, "cachex.touch()", &c);
	life = cx_args_life(fcinfo, 2, 3);
	begin_change(&c);
	if (!is_there(&c))
	{
		cx_store_release(&c.hit);
		PG_RETURN_BOOL(false);
	}
	cx_put_copy_entry(&c.hit, &entry);
	cx_store_release(&c.hit);
	value.isnull = entry.isnull;
	keep = cx_put_make_entry(&fresh, c.ask.cache, &value, &life);
	entry.expires = fresh.expires;
	cx_put_stage(&c.ask, &entry, keep, &c.base);
	PG_RETURN_BOOL(true);
}
