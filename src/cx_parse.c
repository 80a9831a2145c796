/*
 * cx_parse.c
 *	  Is a text one SELECT (or one scalar expression) that only reads?
 *
 * Locking: no shared memory is touched.  Everything here raises errors.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"

#include "cx_parse.h"

/* What the text is called in messages. */
const char *
cx_parse_noun(CxPlanKind kind)
{
	return kind == CX_PLAN_EXPRESSION ? "expression" : "loader";
}

/*
 * Raise an error unless the query tree, at every level, only reads.  Returns
 * false.
 */
static bool
refuse_writes(Node *node, void *context)
{
	const char *what = context;
	Query	   *query;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, refuse_writes, context);

	query = (Query *) node;
	if (query->commandType != CMD_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not write", what),
				 query->commandType == CMD_UTILITY
				 ? errdetail("SELECT INTO creates a table.")
				 : errdetail("A WITH clause modifies data."),
				 errhint("Write in a statement of its own.")));
	if (query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not lock rows", what),
				 errhint("Remove FOR UPDATE or FOR SHARE.")));
	return query_tree_walker(query, refuse_writes, context, 0);
}

/*
 * Raise an error unless the statement is SELECT (expression) and no more:
 * text could have closed the parenthesis that it was put into.
 */
static void
require_expression(SelectStmt *stmt)
{
	if (stmt->op == SETOP_NONE &&
		list_length(stmt->targetList) == 1 &&
		((ResTarget *) linitial(stmt->targetList))->name == NULL &&
		stmt->distinctClause == NIL &&
		stmt->intoClause == NULL &&
		stmt->fromClause == NIL &&
		stmt->whereClause == NULL &&
		stmt->groupClause == NIL &&
		stmt->havingClause == NULL &&
		stmt->windowClause == NIL &&
		stmt->valuesLists == NIL &&
		stmt->sortClause == NIL &&
		stmt->limitOffset == NULL &&
		stmt->limitCount == NULL &&
		stmt->lockingClause == NIL &&
		stmt->withClause == NULL)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("expression must be a single scalar expression"),
			 errhint("Put a query into a sub-select.")));
}

/*
 * Parse the source; raises an error unless it is one SELECT statement.
 */
RawStmt *
cx_parse(const char *source, CxPlanKind kind)
{
	List	   *list = pg_parse_query(source);
	RawStmt    *raw;

	if (list == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s is empty", cx_parse_noun(kind))));
	if (list_length(list) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be a single statement", cx_parse_noun(kind))));

	raw = linitial_node(RawStmt, list);
	if (!IsA(raw->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must be a SELECT statement", cx_parse_noun(kind)),
				 errdetail("The statement is %s.",
						   CreateCommandName(raw->stmt)),
				 errhint("SELECT, VALUES, TABLE and WITH ... SELECT are "
						 "possible.")));
	if (kind == CX_PLAN_EXPRESSION)
		require_expression((SelectStmt *) raw->stmt);
	return raw;
}

/*
 * Raise an error if a query that has been analyzed writes, locks rows, or is an
 * expression that returns a set.
 */
void
cx_parse_refuse_writes(Query *query, CxPlanKind kind)
{
	refuse_writes((Node *) query, unconstify(char *, cx_parse_noun(kind)));
	if (kind == CX_PLAN_EXPRESSION && query->hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("expression must not return a set")));
}
