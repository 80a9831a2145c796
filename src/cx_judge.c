/*
 * cx_judge.c
 *	  Walks over a plan and asks about every function and node in it.
 *
 * What relations are read is for cx_collect; here it is about all the rest
 * that could make the same plan return something else another time.
 *
 * Locking: none.  Reads the catalogs; may raise errors.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cx_compat.h"
#include "cx_entry.h"
#include "cx_folded.h"
#include "cx_functions.h"
#include "cx_judge.h"
#include "cx_names.h"

static void
refuse(CxJudgement *judgement, CxRefusal why, Oid function, const char *what)
{
	if (judgement->refusal != CX_NOT_REFUSED)
		return;
	judgement->refusal = why;
	judgement->function = function;
	judgement->what = what;
}

/* What speaks against a function, and is not about its code running. */
static void
take_verdict(CxJudgement *judgement, Oid function, CxFunctionVerdict verdict,
			 const CxFunctionUse *use)
{
	switch (verdict)
	{
		case CX_FUNCTION_OK:
			break;
		case CX_FUNCTION_VOLATILE:
			refuse(judgement, CX_VOLATILE,
				   OidIsValid(use->culprit) ? use->culprit : function, NULL);
			break;
		case CX_FUNCTION_UNKNOWN:
			refuse(judgement, CX_UNKNOWN_FUNCTION,
				   OidIsValid(use->culprit) ? use->culprit : function, NULL);
			break;
	}
	if (OidIsValid(use->session))
		judgement->session = use->session;
}

/* Called for each function in a node; returns true to stop. */
static bool
judge_function(Oid function, void *context)
{
	CxJudgement *judgement = context;
	CxFunctionUse use = {0};

	/* what these read is a setting: see judge_expression */
	if (function == F_CURRENT_SETTING_TEXT ||
		function == F_CURRENT_SETTING_TEXT_BOOL ||
		function == F_CURRENT_SCHEMA)
		return false;
	if (judgement->temporary && isAnyTempNamespace(get_func_namespace(function)))
		refuse(judgement, CX_UNKNOWN_FUNCTION, function, NULL);
	take_verdict(judgement, function, cx_functions_judge(function, &use), &use);
	if (OidIsValid(use.unbelieved))
		judgement->unbelieved = use.unbelieved;
	judgement->user_code |= use.user_code;
	judgement->privileges |= use.privileges;
	judgement->settings = list_concat(judgement->settings, use.settings);
	return false;
}

/*
 * A function that the plan may not show, and show what it calls: then it is one
 * in SQL, and only what is folded is not to be seen.
 */
static void
judge_folded(Oid function, CxJudgement *judgement)
{
	CxFunctionUse use = {0};
	CxFunctionVerdict verdict = cx_functions_judge(function, &use);

	if (OidIsValid(use.unbelieved))
		judgement->unbelieved = use.unbelieved;
	/* it may be gone, and the plan with it the next time */
	if (SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)) &&
		func_volatile(function) == PROVOLATILE_IMMUTABLE)
		take_verdict(judgement, function, verdict, &use);
	if (judgement->share)
		cx_share_function(function, &judgement->sharing);
}

/* current_setting(): which one must be known. */
static void
judge_setting(FuncExpr *call, CxJudgement *judgement)
{
	Node	   *name = linitial(call->args);

	if (IsA(name, Const) && !((Const *) name)->constisnull)
		judgement->settings =
			lappend(judgement->settings,
					TextDatumGetCString(((Const *) name)->constvalue));
	else
	{
		refuse(judgement, CX_UNKNOWN_FUNCTION, call->funcid, NULL);
		judgement->session = call->funcid;
		judgement->sharing.personal = true;
	}
}

/* Types whose input looks up a name, and a new object may have that name. */
static bool
is_name_type(Oid type)
{
	return type == REGCLASSOID || type == REGCLASSARRAYOID ||
		type == REGTYPEOID || type == REGTYPEARRAYOID;
}

static bool
is_current_schema(Node *node)
{
	return IsA(node, FuncExpr)
		? ((FuncExpr *) node)->funcid == F_CURRENT_SCHEMA
		: IsA(node, SQLValueFunction) &&
		((SQLValueFunction *) node)->op == SVFOP_CURRENT_SCHEMA;
}

static bool
judge_expression(Node *node, void *context)
{
	CxJudgement *judgement = context;

	if (node == NULL)
		return false;
	if (judgement->share)
		cx_share_node(node, &judgement->sharing);
	if (judgement->temporary && cx_names_is_temporary_value(node))
		refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a temporary type, operator or collation");
	(void) check_functions_in_node(node, judge_function, judgement);
	if (IsA(node, FuncExpr) &&
		(((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT ||
		 ((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT_BOOL))
		judge_setting((FuncExpr *) node, judgement);
	else if (is_current_schema(node))
		judgement->settings = lappend(judgement->settings,
									  pstrdup(CX_SETTING_SCHEMA));
	else if (IsA(node, SQLValueFunction) &&
			 ((SQLValueFunction *) node)->op == SVFOP_SESSION_USER)
		judgement->settings = lappend(judgement->settings,
									  pstrdup("session_authorization"));
	else if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN &&
			 is_name_type(((Param *) node)->paramtype))
		refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid,
			   "a parameter that names a relation or type");
	else if (IsA(node, NextValueExpr))
		refuse(judgement, CX_VOLATILE, InvalidOid, "nextval()");
	else if (IsA(node, Var) && ((Var *) node)->varattno < 0 &&
			 ((Var *) node)->varattno != TableOidAttributeNumber)
		refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a system column");
	return expression_tree_walker(node, judge_expression, context);
}

static inline void
judge(void *expressions, CxJudgement *judgement)
{
	(void) judge_expression((Node *) expressions, judgement);
}

static void judge_node(Plan *plan, CxJudgement *judgement);

static void
judge_nodes(List *plans, CxJudgement *judgement)
{
	ListCell   *lc;

	foreach(lc, plans)
		judge_node(lfirst(lc), judgement);
}

/* The expressions of a scan that are not those of every node. */
static void
judge_scan(Plan *plan, CxJudgement *judgement)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_CteScan:
		case T_WorkTableScan:
			break;
		case T_IndexScan:
			judge(((IndexScan *) plan)->indexqual, judgement);
			judge(((IndexScan *) plan)->indexqualorig, judgement);
			judge(((IndexScan *) plan)->indexorderby, judgement);
			judge(((IndexScan *) plan)->indexorderbyorig, judgement);
			break;
		case T_IndexOnlyScan:
			judge(((IndexOnlyScan *) plan)->indexqual, judgement);
			judge(((IndexOnlyScan *) plan)->recheckqual, judgement);
			judge(((IndexOnlyScan *) plan)->indexorderby, judgement);
			break;
		case T_BitmapIndexScan:
			judge(((BitmapIndexScan *) plan)->indexqual, judgement);
			judge(((BitmapIndexScan *) plan)->indexqualorig, judgement);
			break;
		case T_BitmapHeapScan:
			judge(((BitmapHeapScan *) plan)->bitmapqualorig, judgement);
			break;
		case T_FunctionScan:
			judge(((FunctionScan *) plan)->functions, judgement);
			break;
		case T_TableFuncScan:
			judge(((TableFuncScan *) plan)->tablefunc, judgement);
			break;
		case T_ValuesScan:
			judge(((ValuesScan *) plan)->values_lists, judgement);
			break;
		case T_SubqueryScan:
			judge_node(((SubqueryScan *) plan)->subplan, judgement);
			break;
		case T_SampleScan:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "TABLESAMPLE");
			break;
		case T_TidScan:
		case T_TidRangeScan:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a system column");
			break;
		case T_NamedTuplestoreScan:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid,
				   "a transition table");
			break;
		case T_ForeignScan:
			refuse(judgement, CX_UNKNOWN_RELATION, InvalidOid,
				   "a foreign table");
			/* what is there depends on the user mapping */
			judgement->sharing.personal = true;
			break;
		default:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid,
				   "a scan of another extension");
			judgement->sharing.personal = true;
			break;
	}
}

/* The same for other nodes; returns false for a scan. */
static bool
judge_other(Plan *plan, CxJudgement *judgement)
{
	switch (nodeTag(plan))
	{
		case T_NestLoop:
			judge(((Join *) plan)->joinqual, judgement);
			break;
		case T_MergeJoin:
			judge(((Join *) plan)->joinqual, judgement);
			judge(((MergeJoin *) plan)->mergeclauses, judgement);
			break;
		case T_HashJoin:
			judge(((Join *) plan)->joinqual, judgement);
			judge(((HashJoin *) plan)->hashclauses, judgement);
			judge(((HashJoin *) plan)->hashkeys, judgement);
			break;
		case T_Hash:
			judge(((Hash *) plan)->hashkeys, judgement);
			break;
		case T_Memoize:
			judge(((Memoize *) plan)->param_exprs, judgement);
			break;
		case T_Limit:
			judge(((Limit *) plan)->limitOffset, judgement);
			judge(((Limit *) plan)->limitCount, judgement);
			break;
		case T_Result:
			judge(((Result *) plan)->resconstantqual, judgement);
			break;
		case T_WindowAgg:
			judge(((WindowAgg *) plan)->startOffset, judgement);
			judge(((WindowAgg *) plan)->endOffset, judgement);
			judge(((WindowAgg *) plan)->runCondition, judgement);
			break;
		case T_Append:
			judge_nodes(((Append *) plan)->appendplans, judgement);
			break;
		case T_MergeAppend:
			judge_nodes(((MergeAppend *) plan)->mergeplans, judgement);
			break;
		case T_BitmapAnd:
			judge_nodes(((BitmapAnd *) plan)->bitmapplans, judgement);
			break;
		case T_BitmapOr:
			judge_nodes(((BitmapOr *) plan)->bitmapplans, judgement);
			break;
		case T_ProjectSet:
		case T_RecursiveUnion:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Agg:
		case T_Unique:
		case T_Gather:
		case T_GatherMerge:
		case T_SetOp:
			break;
		case T_LockRows:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a row lock");
			break;
		case T_ModifyTable:
			refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a write");
			break;
		default:
			return false;
	}
	return true;
}

static void
judge_node(Plan *plan, CxJudgement *judgement)
{
	/* on after a refusal: a ttl cache keeps the result and wants settings */
	if (plan == NULL)
		return;
	check_stack_depth();
	judge(plan->targetlist, judgement);
	judge(plan->qual, judgement);
	if (!judge_other(plan, judgement))
		judge_scan(plan, judgement);
	judge_node(outerPlan(plan), judgement);
	judge_node(innerPlan(plan), judgement);
}

/*
 * Finds out whether the result of a plan depends on nothing but its
 * relations, the settings that it reads, and what every fingerprint holds;
 * share: and what another role needs to run it.
 */
void
cx_judge_plan(const PlannedStmt *stmt, bool share, CxJudgement *judgement)
{
	Oid			temp;
	Oid			toast;
	ListCell   *lc;

	memset(judgement, 0, sizeof(*judgement));
	judgement->share = share;
	GetTempNamespaceState(&temp, &toast);
	judgement->temporary = OidIsValid(temp);
	if (stmt->commandType != CMD_SELECT || stmt->hasModifyingCTE)
		refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a write");
	else if (stmt->rowMarks != NIL)
		refuse(judgement, CX_UNKNOWN_QUERY, InvalidOid, "a row lock");
	judge_node(stmt->planTree, judgement);
	judge_nodes(stmt->subplans, judgement);
	foreach(lc, cx_folded_functions(stmt))
		judge_folded(lfirst_oid(lc), judgement);
}
