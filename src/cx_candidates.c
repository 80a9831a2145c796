/*
 * cx_candidates.c
 *	  Which functions may a piece of code call that is known by what it
 *	  mentions only?
 *
 * Names are looked up in all schemas and without regard to arguments, so the
 * answer holds for every search_path and has more than is called rather than
 * less.  What only the executor can call is left out: the code meant is
 * evaluated without it, and the executor is watched elsewhere.
 *
 * Locking: none of cachex's; AccessShareLock on pg_cast while it is read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "cx_candidates.h"

/*
 * cx_candidates_callable
 *
 * Can an expression call it outside the executor?  Such expressions have no
 * aggregates and no sets.
 */
bool
cx_candidates_callable(const FormData_pg_proc *form)
{
	int			i;

	if (form->prokind != PROKIND_FUNCTION || form->proretset ||
		form->prorettype == TRIGGEROID ||
		form->prorettype == EVENT_TRIGGEROID)
		return false;
	for (i = 0; i < form->pronargs; i++)
		if (form->proargtypes.values[i] == INTERNALOID)
			return false;
	return true;
}

/* Can it be written as if it were a column of its argument? */
static bool
like_column(const FormData_pg_proc *form)
{
	Oid			type;

	if (form->pronargs < 1 || form->pronargs - form->pronargdefaults > 1)
		return false;
	type = form->proargtypes.values[0];
	return type == ANYOID || IsPolymorphicType(type) || type_is_rowtype(type);
}

/*
 * Add all functions of the name that may be meant, those that only a query can
 * call too if any.  A schema that does not exist is the name of something
 * else.
 */
static List *
add_name(List *functions, const CxMention *mention, bool xids, bool any)
{
	Oid			schema = InvalidOid;
	CatCList   *list;
	int			i;

	if (mention->schema)
		schema = get_namespace_oid(mention->schema, true);
	list = SearchSysCacheList1(PROCNAMEARGSNSP,
							   CStringGetDatum(mention->name));
	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form;

		form = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);
		if (OidIsValid(schema) && form->pronamespace != schema)
			continue;
		if ((!any && !cx_candidates_callable(form)) ||
			(mention->kind == CX_MENTION_COLUMN && !like_column(form)))
			continue;
		/* Ages of timestamps are too common to be refused for this one. */
		if (form->oid == F_AGE_XID && !xids)
			continue;
		/* The setting that it reads is mentioned as well. */
		if (form->oid == F_CURRENT_SETTING_TEXT ||
			form->oid == F_CURRENT_SETTING_TEXT_BOOL)
			continue;
		functions = list_append_unique_oid(functions, form->oid);
	}
	ReleaseSysCacheList(list);
	return functions;
}

/*
 * Add all user-defined operators of the name.  The server's own are all
 * functions that are OK.
 */
static List *
add_operator(List *functions, const char *name)
{
	CatCList   *list = SearchSysCacheList1(OPERNAMENSP, CStringGetDatum(name));
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_operator form;

		form = (Form_pg_operator) GETSTRUCT(&list->members[i]->tuple);
		if (form->oid >= FirstNormalObjectId && OidIsValid(form->oprcode))
			functions = list_append_unique_oid(functions, form->oprcode);
	}
	ReleaseSysCacheList(list);
	return functions;
}

/*
 * Add all user-defined casts, to a type or to any: an assignment needs no sign in the text, and
 * PL/pgSQL does it without the executor.
 */
static List *
add_casts(List *functions, Oid target)
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	rel = table_open(CastRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_cast form = (Form_pg_cast) GETSTRUCT(tuple);

		if (form->oid >= FirstNormalObjectId && OidIsValid(form->castfunc) &&
			(!OidIsValid(target) || form->casttarget == target))
			functions = list_append_unique_oid(functions, form->castfunc);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}

/*
 * cx_candidates_mentioned
 *
 * Adds to the list what a call, a column or an operator may mean; xids says
 * whether the code may have values of type xid.
 */
List *
cx_candidates_mentioned(List *functions, const CxMention *mention, bool xids)
{
	return mention->kind == CX_MENTION_OPERATOR
		? add_operator(functions, mention->name)
		: add_name(functions, mention, xids, false);
}

/* The same, for all that a body may call, and not only in expressions. */
List *
cx_candidates_any(List *functions, const CxMention *mention)
{
	return mention->kind == CX_MENTION_OPERATOR
		? add_operator(functions, mention->name)
		: add_name(functions, mention, false, true);
}

/*
 * cx_candidates_unnamed
 *
 * Adds to the list what has no sign in the text, or another one than its
 * name: casts, and the operators behind IN, BETWEEN, CASE, LIKE and SIMILAR.
 */
List *
cx_candidates_unnamed(List *functions)
{
	static const char *const operators[] = {
		"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~"
	};
	int			i;

	for (i = 0; i < (int) lengthof(operators); i++)
		functions = add_operator(functions, operators[i]);
	return add_casts(functions, InvalidOid);
}

/*
 * Adds what the server calls to make json of values: such casts are looked up
 * when it meets them.
 */
List *
cx_candidates_json(List *functions)
{
	return add_casts(functions, JSONOID);
}
