/*
 * cx_folded.c
 *	  Functions that a plan was made with and may show no more.
 *
 * The planner calls IMMUTABLE functions whose arguments are constants, and puts
 * queries of SQL functions where these are called.  What a plan is then can be
 * kept for as long as the session lives, here or by PL/pgSQL or PREPARE.  So
 * each plan carries the functions that may have gone in this way, those that
 * policies and views call among them, from the time it is made: as items of
 * the list of what it depends on, of a kind that no change of a catalog has.
 *
 * A session that runs no loaders need not pay for that: the planner's hook is
 * set by the first, and plans that are kept from before are made again.
 *
 * Locking: none.  Reads the catalogs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/planner.h"
#include "utils/plancache.h"
#include "utils/syscache.h"

#include "cx_folded.h"

/* Instead of the number of a catalog cache; the OID instead of a hash. */
#define FOLDED_FUNCTION (-1)

static planner_hook_type prev_planner = NULL;

static bool
may_vanish(Oid function)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		result;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	result = form->provolatile == PROVOLATILE_IMMUTABLE ||
		form->prolang == SQLlanguageId;
	ReleaseSysCache(tuple);
	return result;
}

static bool
take_function(Oid function, void *context)
{
	List	  **functions = context;

	if (may_vanish(function))
		*functions = list_append_unique_oid(*functions, function);
	return false;
}

static bool
take_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, take_functions, context, 0);
	(void) check_functions_in_node(node, take_function, context);
	return expression_tree_walker(node, take_functions, context);
}

static PlannedStmt *
plan(Query *query, const char *source, int options, ParamListInfo params)
{
	List	   *functions = NIL;
	PlannedStmt *stmt;
	ListCell   *lc;

	/* the planner changes the query */
	(void) take_functions((Node *) query, &functions);
	stmt = prev_planner ? prev_planner(query, source, options, params)
		: standard_planner(query, source, options, params);
	foreach(lc, functions)
	{
		PlanInvalItem *item = makeNode(PlanInvalItem);

		item->cacheId = FOLDED_FUNCTION;
		item->hashValue = lfirst_oid(lc);
		stmt->invalItems = lappend(stmt->invalItems, item);
	}
	return stmt;
}

/* The functions, by OID. */
List *
cx_folded_functions(const PlannedStmt *stmt)
{
	List	   *functions = NIL;
	ListCell   *lc;

	foreach(lc, stmt->invalItems)
	{
		const PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if (item->cacheId == FOLDED_FUNCTION)
			functions = lappend_oid(functions, item->hashValue);
	}
	return functions;
}

/*
 * From now on the plans of this session carry them, those that it has kept
 * as well.  Cannot fail.
 */
void
cx_folded_begin(void)
{
	static bool begun = false;

	if (begun)
		return;
	begun = true;
	prev_planner = planner_hook;
	planner_hook = plan;
	ResetPlanCache();
}
