/*
 * cx_names.c
 *	  Do temporary relations and types of this session hide others?  Does a
 *	  query use any?
 *
 * They come first in every search path, so a query may read them in place of
 * what other sessions read under the same name.  Which names a query uses is
 * not known any more when its entry is found; so if one name is hidden, none
 * is trusted.  The answer is kept until a relation or type comes or goes.
 *
 * Locking: none of cachex's; reads the catalogs.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cx_names.h"

static bool known = false;
static bool hidden = false;
static uint64 version = 0;

static void
syscache_cb(Datum arg, int cache, uint32 hash)
{
	known = false;
}

/*
 * How many relations (RELNAMENSP) or types (TYPENAMENSP) have a name, those
 * of temporary schemas not counted.
 */
int
cx_names_count(int cache, const char *name)
{
	CatCList   *list = SearchSysCacheList1(cache, CStringGetDatum(name));
	int			n = 0;

	for (int i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Oid			schema = cache == RELNAMENSP
		? ((Form_pg_class) GETSTRUCT(tuple))->relnamespace
		: ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;

		if (!isAnyTempNamespace(schema))
			n++;
	}
	ReleaseSysCacheList(list);
	return n;
}

/* Whether an object in our temporary schema has a name that others have. */
static bool
hides(const FormData_pg_depend *object)
{
	char	   *name = NULL;

	if (object->classid == RelationRelationId)
		name = get_rel_name(object->objid);
	else if (object->classid == TypeRelationId)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID,
											ObjectIdGetDatum(object->objid));

		if (HeapTupleIsValid(tuple))
		{
			name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
			ReleaseSysCache(tuple);
		}
	}
	return name != NULL && (cx_names_count(RELNAMENSP, name) > 0 ||
							cx_names_count(TYPENAMENSP, name) > 0);
}

static bool
look(Oid schema)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = hides((Form_pg_depend) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* Whether a temporary relation or type hides another one. */
bool
cx_names_hidden(void)
{
	static bool registered = false;
	Oid			schema;
	Oid			toast;

	GetTempNamespaceState(&schema, &toast);
	if (!OidIsValid(schema))
		return false;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(RELOID, syscache_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, syscache_cb, (Datum) 0);
		registered = true;
	}
	if (!known)
	{
		/* a change that is noticed meanwhile counts */
		known = true;
		hidden = true;			/* if looking fails */
		version++;
		hidden = look(schema);
	}
	return hidden;
}

/* Another number whenever what is hidden may be something else. */
uint64
cx_names_version(void)
{
	return cx_names_hidden() ? version : 0;
}

/* ---- what belongs to this session ---- */

/* Whether a type is in a temporary schema. */
bool
cx_names_is_temporary_type(Oid type)
{
	HeapTuple	tuple;
	bool		result;

	if (type < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = isAnyTempNamespace(((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
	ReleaseSysCache(tuple);
	return result;
}

/* Whether the schema that a catalog row names is a temporary one. */
static bool
is_in_temporary_schema(int cache, Oid object, AttrNumber column)
{
	HeapTuple	tuple;
	Datum		schema;
	bool		isnull;
	bool		result;

	if (object < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	if (!HeapTupleIsValid(tuple))
		return false;
	schema = SysCacheGetAttr(cache, tuple, column, &isnull);
	result = !isnull && isAnyTempNamespace(DatumGetObjectId(schema));
	ReleaseSysCache(tuple);
	return result;
}

static bool
is_temporary_operator(Oid operator)
{
	return is_in_temporary_schema(OPEROID, operator,
								  Anum_pg_operator_oprnamespace);
}

static bool
is_temporary_collation(Oid collation)
{
	return is_in_temporary_schema(COLLOID, collation,
								  Anum_pg_collation_collnamespace);
}

/* Whether a constant is the OID of something temporary. */
static bool
is_temporary_name(Const *constant)
{
	Oid			object;

	if (constant->constisnull)
		return false;
	object = DatumGetObjectId(constant->constvalue);
	switch (constant->consttype)
	{
		case REGCLASSOID:
			return object >= FirstNormalObjectId &&
				isAnyTempNamespace(get_rel_namespace(object));
		case REGTYPEOID:
			return cx_names_is_temporary_type(object);
		case REGPROCOID:
		case REGPROCEDUREOID:
			return object >= FirstNormalObjectId &&
				isAnyTempNamespace(get_func_namespace(object));
		case REGOPEROID:
		case REGOPERATOROID:
			return is_temporary_operator(object);
		case REGCOLLATIONOID:
			return is_temporary_collation(object);
		case REGCONFIGOID:
			return is_in_temporary_schema(TSCONFIGOID, object,
										  Anum_pg_ts_config_cfgnamespace);
		case REGDICTIONARYOID:
			return is_in_temporary_schema(TSDICTOID, object,
										  Anum_pg_ts_dict_dictnamespace);
		default:
			return false;
	}
}

/* Whether one of the operators of a row comparison is temporary. */
static bool
is_temporary_comparison(RowCompareExpr *comparison)
{
	ListCell   *lc;

	foreach(lc, comparison->opnos)
	{
		if (is_temporary_operator(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Whether a value is of a type in a temporary schema, or made with an operator
 * or a collation, or the name of something there.
 */
bool
cx_names_is_temporary_value(Node *node)
{
	switch (nodeTag(node))
	{
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return is_temporary_operator(((OpExpr *) node)->opno) ||
				is_temporary_collation(((OpExpr *) node)->inputcollid);
		case T_ScalarArrayOpExpr:
			return is_temporary_operator(((ScalarArrayOpExpr *) node)->opno) ||
				is_temporary_collation(((ScalarArrayOpExpr *) node)->inputcollid);
		case T_RowCompareExpr:
			return is_temporary_comparison((RowCompareExpr *) node);
		case T_CollateExpr:
			return is_temporary_collation(((CollateExpr *) node)->collOid);
		case T_Const:
			return is_temporary_name((Const *) node) ||
				cx_names_is_temporary_type(exprType(node));
		case T_Var:
		case T_Param:
		case T_FuncExpr:
		case T_RowExpr:
		case T_ArrayExpr:
		case T_FieldSelect:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CoerceToDomain:
			return cx_names_is_temporary_type(exprType(node));
		default:
			return false;
	}
}

static bool
is_temporary_function(Oid function, void *context)
{
	return isAnyTempNamespace(get_func_namespace(function));
}

static bool
find_temporary(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_temporary, context, 0);
	return cx_names_is_temporary_value(node) ||
		check_functions_in_node(node, is_temporary_function, context) ||
		expression_tree_walker(node, find_temporary, context);
}

/*
 * Whether a query names functions or types of a temporary schema, which
 * planning may turn into constants.
 */
bool
cx_names_is_temporary(Query *query)
{
	Oid			schema;
	Oid			toast;

	GetTempNamespaceState(&schema, &toast);
	return OidIsValid(schema) && find_temporary((Node *) query, NULL);
}

/* How many queries with temporary functions or types have been run. */
uint64		cx_names_temporary_runs = 0;
