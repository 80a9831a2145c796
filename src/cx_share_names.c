/*
 * cx_share_names.c
 *	  What must another role be able to use to say the same?
 *
 * The server checks USAGE of a schema where a name is looked up, and does not
 * say later where that was; so whatever may have been named counts.  Domains
 * are beside that: their conditions are computed by who casts.  They count
 * unless they are made of the server's own functions that everybody can call
 * and that are the same for all.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * catalogs are read, and errors raised.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "cx_share_names.h"

#define MAX_NESTING 8			/* of types in types that are looked into */

/* Names were found in a schema: others must be able to use it. */
void
cx_share_names_schema(CxSharing *sharing, Oid schema)
{
	if (schema == PG_CATALOG_NAMESPACE || !OidIsValid(schema))
		return;
	if (isAnyTempNamespace(schema))
		sharing->personal = true;
	else
		sharing->schemas = list_append_unique_oid(sharing->schemas, schema);
}

/* A constant that was looked up by the name of an object. */
static void
share_object(const Const *node, CxSharing *sharing)
{
	Oid			object;

	if (node->constisnull)
		return;
	switch (node->consttype)
	{
		case REGCLASSOID:
			object = DatumGetObjectId(node->constvalue);
			cx_share_names_schema(sharing, get_rel_namespace(object));
			break;
		case REGPROCOID:
		case REGPROCEDUREOID:
			object = DatumGetObjectId(node->constvalue);
			cx_share_names_schema(sharing, get_func_namespace(object));
			break;
		case REGTYPEOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGCOLLATIONOID:
			if (DatumGetObjectId(node->constvalue) >= FirstNormalObjectId)
				sharing->personal = true;
			break;
		case REGCLASSARRAYOID:
		case REGPROCARRAYOID:
		case REGPROCEDUREARRAYOID:
		case REGTYPEARRAYOID:
		case REGOPERARRAYOID:
		case REGOPERATORARRAYOID:
		case REGCONFIGARRAYOID:
		case REGDICTIONARYARRAYOID:
		case REGCOLLATIONARRAYOID:
			sharing->personal = true;
			break;
		default:
			break;
	}
}

/* The schema of an object that may have been named, in a column of its row. */
static void
share_schema_of(CxSharing *sharing, int cache, AttrNumber column, Oid object)
{
	HeapTuple	tuple;
	Datum		schema;
	bool		isnull;

	if (object < FirstNormalObjectId)
		return;
	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	if (!HeapTupleIsValid(tuple))
		return;
	schema = SysCacheGetAttr(cache, tuple, column, &isnull);
	cx_share_names_schema(sharing, DatumGetObjectId(schema));
	ReleaseSysCache(tuple);
}

static void
share_operator(CxSharing *sharing, Oid operator)
{
	share_schema_of(sharing, OPEROID, Anum_pg_operator_oprnamespace, operator);
}

/* Whether not everybody can call a function, or it is not the same for all. */
static bool
is_particular(Oid function, void *context)
{
	HeapTuple	tuple;
	bool		result;

	if (function >= FirstNormalObjectId)
		return true;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	result = !heap_attisnull(tuple, Anum_pg_proc_proacl, NULL) ||
		((Form_pg_proc) GETSTRUCT(tuple))->provolatile != PROVOLATILE_IMMUTABLE;
	ReleaseSysCache(tuple);
	return result;
}

static bool
find_particular(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, SQLValueFunction) || IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, is_particular, context) ||
		expression_tree_walker(node, find_particular, context);
}

/* Whether a condition of a domain itself may depend on who casts. */
static bool
has_particular_check(Oid domain)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1,
							  &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		tree = heap_getattr(tuple, Anum_pg_constraint_conbin,
										RelationGetDescr(rel), &isnull);

		found = !isnull &&
			find_particular(stringToNode(TextDatumGetCString(tree)), NULL);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The same, with the domains that it is made of. */
static bool
is_particular_domain(Oid domain)
{
	bool		checked;

	if (!DomainHasConstraints(domain))
		return false;
	do
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));

		if (!HeapTupleIsValid(tuple))
			return true;
		checked = has_particular_check(domain);
		domain = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
		ReleaseSysCache(tuple);
		if (checked)
			return true;
	} while (get_typtype(domain) == TYPTYPE_DOMAIN);
	return false;
}

/*
 * Whether a value of a type is checked by conditions of domains, which may
 * call functions that not everybody can, or ask for the user.  To be on the
 * safe side when types lie in types.
 */
static bool
is_checked(Oid type, int depth)
{
	TupleDesc	desc;
	Oid			element;
	bool		checked = false;

	if (type < FirstNormalObjectId)
		return false;
	if (depth > MAX_NESTING)
		return true;
	check_stack_depth();
	element = get_element_type(type);
	if (OidIsValid(element))
		return is_checked(element, depth + 1);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return is_particular_domain(type) ||
				is_checked(getBaseType(type), depth + 1);
		case TYPTYPE_RANGE:
			return is_checked(get_range_subtype(type), depth + 1);
		case TYPTYPE_MULTIRANGE:
			return is_checked(get_multirange_range(type), depth + 1);
		case TYPTYPE_COMPOSITE:
			desc = lookup_rowtype_tupdesc(type, -1);
			for (int i = 0; i < desc->natts && !checked; i++)
				checked = !TupleDescAttr(desc, i)->attisdropped &&
					is_checked(TupleDescAttr(desc, i)->atttypid, depth + 1);
			ReleaseTupleDesc(desc);
			return checked;
		default:
			return false;
	}
}

/* The same. */
bool
cx_share_names_is_checked(Oid type)
{
	return is_checked(type, 0);
}

/* Whether a word may be the name of such a type, in whatever schema. */
bool
cx_share_names_may_check(const char *word)
{
	CatCList   *list = SearchSysCacheList1(TYPENAMENSP,
										   CStringGetDatum(word));
	bool		result = false;

	for (int i = 0; i < list->n_members && !result; i++)
	{
		Form_pg_type form;

		form = (Form_pg_type) GETSTRUCT(&list->members[i]->tuple);
		result = is_checked(form->oid, 0);
	}
	ReleaseSysCacheList(list);
	return result;
}

/* A type that was named. */
static void
share_type(CxSharing *sharing, Oid type)
{
	share_schema_of(sharing, TYPEOID, Anum_pg_type_typnamespace, type);
	if (!sharing->personal && is_checked(type, 0))
		sharing->personal = true;
}

/*
 * Adds the schemas of what a node of an expression names, or may have named,
 * and whether a domain's condition may ask for the user.
 */
void
cx_share_names(Node *node, CxSharing *sharing)
{
	ListCell   *lc;

	switch (nodeTag(node))
	{
		case T_Const:
			share_object((const Const *) node, sharing);
			share_type(sharing, exprType(node));
			break;
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CAST)
				share_type(sharing, exprType(node));
			/* it may make a row of any type, of json say */
			else if (!sharing->personal && is_checked(exprType(node), 0))
				sharing->personal = true;
			break;
		case T_Param:
		case T_CoerceViaIO:
		case T_RelabelType:
		case T_CoerceToDomain:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_RowExpr:
			share_type(sharing, exprType(node));
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			share_operator(sharing, ((OpExpr *) node)->opno);
			break;
		case T_ScalarArrayOpExpr:
			share_operator(sharing, ((ScalarArrayOpExpr *) node)->opno);
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				share_operator(sharing, lfirst_oid(lc));
			break;
		case T_CollateExpr:
			share_schema_of(sharing, COLLOID, Anum_pg_collation_collnamespace,
							((CollateExpr *) node)->collOid);
			break;
		case T_SortGroupClause:
			share_operator(sharing, ((SortGroupClause *) node)->sortop);
			break;
		case T_RangeTblFunction:
			foreach(lc, ((RangeTblFunction *) node)->funccoltypes)
				share_type(sharing, lfirst_oid(lc));
			break;
		case T_TableFunc:
			foreach(lc, ((TableFunc *) node)->coltypes)
				share_type(sharing, lfirst_oid(lc));
			break;
		default:
			break;
	}
}
