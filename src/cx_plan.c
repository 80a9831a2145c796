/*
 * cx_plan.c
 *	  How does a query that came as text become rows?
 *
 * The text is parsed and checked to be one SELECT that neither writes nor
 * locks rows, the types of its parameters are inferred as PREPARE infers
 * them, and its plan is kept for the session in a bounded table.  A plan is
 * found by the whole text, its kind and the settings that change results:
 * constants, such as dates, are read when a text is parsed, and search_path
 * decides what the inferred types are.  A plan that a catalog change has made
 * invalid is thrown away and inferred again, where the server alone would
 * only plan it again for the types of before.
 *
 * Schemas, and functions that the planner calls, are checked for the role that
 * plans, and not again when a plan is run.  So a plan is for one role, and for
 * as long as no function, schema, role or membership changes.
 *
 * A plan in use is pinned: a loader may run another loader, which may need
 * the room or find the same plan invalid.  Such a plan leaves the table at
 * once and its memory goes with the last pin.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * everything here reads catalogs, takes table locks and raises errors.
 *
 * Not done here: read-only transaction state, and what the rows mean (both
 * in cx_loader.c).  DDL that commits between the check of a kept plan and the
 * locking of its tables is planned for by the server with the old types.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "cx_names.h"
#include "cx_plan.h"
#include "cx_settings.h"

/* Plans kept; more only while all of them are in use. */
#define MAX_PLANS 256

/* As many as a client can send with the extended protocol. */
#define MAX_PARAMS 65535

typedef struct PlanKey
{
	const char *text;
	Size		len;
	CxPlanKind	kind;
	Oid			role;
	uint64		settings;		/* see cx_settings_hash */
} PlanKey;

struct CxPlan
{
	PlanKey		key;			/* its text is in context */
	dlist_node	node;			/* in recent, when listed */
	MemoryContext context;		/* of this struct */
	SPIPlanPtr	spi;
	uint64		version;		/* of privileges, when it was begun */
	Oid		   *types;			/* of the parameters */
	int			ntypes;
	bool		is_temporary;	/* uses what only this session has */
	int			pins;
	bool		listed;			/* in the table; else freed when unpinned */
};

typedef struct PlanSlot
{
	PlanKey		key;			/* hash key */
	CxPlan	   *plan;
} PlanSlot;

/* What an error message needs to know of the text. */
typedef struct ErrorPlace
{
	const char *text;
	int			param;			/* being converted, or 0 */
} ErrorPlace;

void		(*cx_plan_queries_hook) (List *queries);

static HTAB *plans = NULL;
static dlist_head recent = DLIST_STATIC_INIT(recent);	/* newest first */
static uint64 privileges_version = 0;

/*
 * Relate an error to the text: a position in it is not one in the statement
 * that the client sent.
 */
static void
locate_error_cb(void *arg)
{
	const ErrorPlace *place = arg;
	int			position = geterrposition();

	if (place->param > 0)
		errcontext("parameter $%d of \"%s\"", place->param, place->text);
	else if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(place->text);
	}
	else
		errcontext("query \"%s\"", place->text);
}

static uint32
hash_key(const void *key, Size keysize pg_attribute_unused())
{
	const PlanKey *k = key;
	uint32		hash;

	hash = hash_bytes((const unsigned char *) k->text, (int) k->len);
	hash = hash_combine(hash, (uint32) k->settings);
	hash = hash_combine(hash, (uint32) k->role);
	return hash_combine(hash, (uint32) k->kind);
}

static int
compare_keys(const void *a, const void *b, Size keysize pg_attribute_unused())
{
	const PlanKey *x = a;
	const PlanKey *y = b;

	if (x->len != y->len || x->kind != y->kind || x->role != y->role ||
		x->settings != y->settings)
		return 1;
	return memcmp(x->text, y->text, x->len);
}

static void
privileges_cb(Datum arg, int cache, uint32 hash)
{
	privileges_version++;
}

static void
create_table(void)
{
	static const int caches[] = {
		PROCOID, NAMESPACEOID, AUTHOID, AUTHMEMROLEMEM, DATABASEOID
	};
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(PlanKey);
	ctl.entrysize = sizeof(PlanSlot);
	ctl.hash = hash_key;
	ctl.match = compare_keys;
	plans = hash_create("cachex plans", MAX_PLANS, &ctl,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE);
	/* not before: once in a session, there are few places for them */
	for (int i = 0; i < (int) lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], privileges_cb, (Datum) 0);
}

static void
destroy(CxPlan *plan)
{
	Assert(plan->pins == 0 && !plan->listed);
	SPI_freeplan(plan->spi);
	MemoryContextDelete(plan->context);
}

/*
 * Take a plan out of the table; it lives on as long as it is pinned.
 */
static void
unlist(CxPlan *plan)
{
	Assert(plan->listed);
	hash_search(plans, &plan->key, HASH_REMOVE, NULL);
	dlist_delete(&plan->node);
	plan->listed = false;
	if (plan->pins == 0)
		destroy(plan);
}

/*
 * Make room for one more plan: the least recently used that is not pinned
 * goes.
 */
static void
make_room(void)
{
	dlist_iter	iter;

	if (hash_get_num_entries(plans) < MAX_PLANS)
		return;
	dlist_reverse_foreach(iter, &recent)
	{
		CxPlan	   *plan = dlist_container(CxPlan, node, iter.cur);

		if (plan->pins == 0)
		{
			unlist(plan);
			return;
		}
	}
}

/*
 * Check the source and infer its parameters' types into plan->types, text
 * where nothing tells.
 */
static void
infer_types(CxPlan *plan, const char *source)
{
	CxPlanKind	kind = plan->key.kind;
	int			ntypes = kind == CX_PLAN_QUERY ? 0 : 1;
	Oid		   *types = palloc(sizeof(Oid));
	ErrorPlace	place = {source, 0};
	ErrorContextCallback callback;
	RawStmt    *raw;
	Query	   *query;
	int			i;

	types[0] = kind == CX_PLAN_KEYS ? TEXTARRAYOID : JSONBOID;

	callback.callback = locate_error_cb;
	callback.arg = &place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	raw = cx_parse(source, kind);
	query = parse_analyze_varparams(raw, source, &types, &ntypes, NULL);
	error_context_stack = callback.previous;

	plan->is_temporary = cx_names_is_temporary(query);
	cx_parse_refuse_writes(query, kind);
	if (ntypes > MAX_PARAMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s has more than %d parameters",
						cx_parse_noun(kind), MAX_PARAMS)));

	plan->ntypes = ntypes;
	plan->types = MemoryContextAllocZero(plan->context,
										 (ntypes + 1) * sizeof(Oid));
	for (i = 0; i < ntypes; i++)
		plan->types[i] = (types[i] == InvalidOid || types[i] == UNKNOWNOID)
			? TEXTOID : types[i];
}

/*
 * Returns a new plan for the key, not pinned and not in the table.  It
 * belongs to the SPI procedure until it is listed.
 */
static CxPlan *
prepare(const PlanKey *key)
{
	MemoryContext context;
	CxPlan	   *plan;
	char	   *source;

	context = AllocSetContextCreate(CurrentMemoryContext, "cachex plan",
									ALLOCSET_SMALL_SIZES);
	plan = MemoryContextAllocZero(context, sizeof(CxPlan));
	plan->context = context;
	plan->version = privileges_version;
	plan->key = *key;
	plan->key.text = MemoryContextStrdup(context, key->text);

	/* The newline ends a comment that the expression may end with. */
	source = key->kind == CX_PLAN_EXPRESSION
		? psprintf("SELECT (%s\n)", key->text) : unconstify(char *, key->text);
	infer_types(plan, source);
	plan->spi = SPI_prepare_cursor(source, plan->ntypes, plan->types,
								   CURSOR_OPT_PARALLEL_OK);
	if (plan->spi == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s",
			 SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * Keep a new plan in the table.  What can fail for lack of memory comes first,
 * so that nothing outlives an error that is not in the table.
 */
static void
keep(CxPlan *plan)
{
	PlanSlot   *slot;
	bool		found;

	make_room();
	slot = hash_search(plans, &plan->key, HASH_ENTER, &found);
	/* A loader that ran while this plan was made may have made the same. */
	if (found)
		return;
	slot->plan = plan;
	MemoryContextSetParent(plan->context, CacheMemoryContext);
	SPI_keepplan(plan->spi);
	dlist_push_head(&recent, &plan->node);
	plan->listed = true;
}

/*
 * cx_plan_acquire
 *
 * Returns a pinned plan for the text; the caller releases it, also on error.
 * SPI must be connected, and a snapshot active.  Raises
 * ERRCODE_FEATURE_NOT_SUPPORTED or ERRCODE_SYNTAX_ERROR for a text that is
 * not one reading SELECT (or not one scalar expression), and what the parser
 * and the planner raise.
 */
CxPlan *
cx_plan_acquire(const char *source, CxPlanKind kind)
{
	PlanKey		key;
	PlanSlot   *slot;
	CxPlan	   *plan;

	Assert(ActiveSnapshotSet());
	if (plans == NULL)
		create_table();

	/* Else a plan could look valid that DDL committed since has changed. */
	AcceptInvalidationMessages();
	key.text = source;
	key.len = strlen(source);
	key.kind = kind;
	key.role = GetUserId();
	key.settings = cx_settings_hash();

	slot = hash_search(plans, &key, HASH_FIND, NULL);
	if (slot != NULL && slot->plan->version == privileges_version &&
		SPI_plan_is_valid(slot->plan->spi))
	{
		plan = slot->plan;
		dlist_move_head(&recent, &plan->node);
	}
	else
	{
		if (slot != NULL)
			unlist(slot->plan);
		plan = prepare(&key);
		keep(plan);
	}
	plan->pins++;
	return plan;
}

/* How many parameters the text uses, the fixed one included. */
int
cx_plan_count_params(const CxPlan *plan)
{
	return plan->ntypes;
}

/*
 * cx_plan_release
 *
 * Ends what cx_plan_acquire began.  Raises no error, so that it can be called
 * while one is handled.
 */
void
cx_plan_release(CxPlan *plan)
{
	Assert(plan->pins > 0);
	if (--plan->pins == 0 && !plan->listed)
		destroy(plan);
}

/*
 * One parameter's value of the given type, from text.
 */
static Datum
convert_param(Oid type, Datum string, bool isnull)
{
	Oid			function;
	Oid			ioparam;

	if (type == TEXTOID)
		return string;
	/* A domain may refuse NULL, hence no shortcut for it. */
	getTypeInputInfo(type, &function, &ioparam);
	return OidInputFunctionCall(function,
								isnull ? NULL : TextDatumGetCString(string),
								ioparam, -1);
}

/*
 * Raise an error unless the query has as many parameters as were given.
 */
static void
check_count(CxPlanKind kind, int wanted, int given)
{
	const char *hint;

	if (given == wanted)
		return;
	if (kind == CX_PLAN_KEYS)
		hint = "A loader of many keys has one parameter, the keys as $1.";
	else if (given < wanted)
		hint = "Give one element for each parameter, NULL where it is NULL.";
	else
		hint = "Remove the elements that are not used.";
	ereport(ERROR,
			(errcode(given < wanted ? ERRCODE_UNDEFINED_PARAMETER
					 : ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("wrong number of parameters for %s", cx_parse_noun(kind)),
			 errdetail("Parameters used: %d, elements of params: %d.",
					   wanted, given),
			 errhint("%s", hint)));
}

/*
 * The plan's parameters: the fixed one if there is one, then params, which may
 * be NULL for none, converted from text.
 */
static ParamListInfo
fill_params(const CxPlan *plan, Datum first, bool first_isnull,
			ArrayType *params)
{
	ParamListInfo list = makeParamList(plan->ntypes);
	int			nfixed = plan->key.kind == CX_PLAN_QUERY ? 0 : 1;
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			given = 0;
	ErrorPlace	place = {plan->key.text, 0};
	ErrorContextCallback callback;
	int			i;

	if (params != NULL && ARR_NDIM(params) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("params must be a one-dimensional array")));
	if (params != NULL)
		deconstruct_array(params, TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &given);
	check_count(plan->key.kind, plan->ntypes - nfixed, given);

	callback.callback = locate_error_cb;
	callback.arg = &place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	for (i = 0; i < plan->ntypes; i++)
	{
		ParamExternData *param = &list->params[i];
		bool		fixed = i < nfixed;

		place.param = i + 1;
		param->ptype = plan->types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->isnull = fixed ? first_isnull : nulls[i - nfixed];
		param->value = fixed ? first
			: convert_param(param->ptype, elements[i - nfixed], param->isnull);
	}
	error_context_stack = callback.previous;
	return list;
}

/* Shows the hook a plan that is about to run. */
void
cx_plan_show_queries(SPIPlanPtr plan)
{
	ListCell   *lc;

	foreach(lc, SPI_plan_get_plan_sources(plan))
		cx_plan_queries_hook(((CachedPlanSource *) lfirst(lc))->query_list);
}

/*
 * cx_plan_execute
 *
 * Runs a pinned plan under the active snapshot, read only, and returns its
 * rows, at most "limit" unless that is 0, in the current memory context.
 * "first" is $1 for the kinds that fix it, and ignored for others; params are
 * the parameters after it, as text, or NULL.  SPI must be connected.  Raises
 * ERRCODE_UNDEFINED_PARAMETER, ERRCODE_INVALID_PARAMETER_VALUE or
 * ERRCODE_ARRAY_SUBSCRIPT_ERROR for params that do not fit, and what the
 * types' input functions and the query raise.
 */
CxRows *
cx_plan_execute(const CxPlan *plan, Datum first, bool first_isnull,
				ArrayType *params, uint64 limit)
{
	SPIExecuteOptions options = {0};
	int			result;

	if (plan->is_temporary)
		cx_names_temporary_runs++;
	cx_plan_show_queries(plan->spi);
	options.params = fill_params(plan, first, first_isnull, params);
	options.read_only = true;
	options.must_return_tuples = true;
	options.dest = cx_rows_receiver(limit);
	result = SPI_execute_plan_extended(plan->spi, &options);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan_extended failed: %s",
			 SPI_result_code_string(result));
	return cx_rows_received(options.dest);
}
