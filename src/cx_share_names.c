/*
 * cx_share_names.c
 *	  What must another role be able to use to say the same?
 *
 * The server checks USAGE of a schema where a name is looked up, and does not
 * say later where that was; so whatever may have been named counts.  Domains
 * are beside that: their conditions are computed by who casts.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * catalogs are read, and errors raised.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"
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
			return DomainHasConstraints(type) ||
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
			break;
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
