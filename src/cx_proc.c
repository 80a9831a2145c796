/*
 * cx_proc.c
 *	  What a row of pg_proc says of a function.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * catalogs are read, and errors raised.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_type_d.h"
#include "commands/extension.h"
#include "nodes/nodeFuncs.h"
#include "nodes/nodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cx_proc.h"

/* Whether an argument is a number of a transaction. */
bool
cx_proc_takes_xid(const FormData_pg_proc *form)
{
	int			i;

	for (i = 0; i < form->pronargs; i++)
		if (form->proargtypes.values[i] == XIDOID)
			return true;
	return false;
}

/* Whether a function sets a setting for its run; what ends with "=". */
bool
cx_proc_sets(HeapTuple proc, const char *what)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, proc,
										 Anum_pg_proc_proconfig, &isnull);
	Datum	   *elements;
	int			n;

	if (isnull)
		return false;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &n);
	while (--n >= 0)
		if (pg_strncasecmp(TextDatumGetCString(elements[n]), what,
						   strlen(what)) == 0)
			return true;
	return false;
}

/* Whether it is one of cachex that tells by itself what it reads. */
bool
cx_proc_is_our_reader(const FormData_pg_proc *form)
{
	static const char *const names[] = {
		"get", "get_as", "lookup", "fetch", "fetch_as", "fetch_many",
		"query", "query_as"
	};
	Oid			extension;
	int			i;

	if (form->prolang != ClanguageId)
		return false;
	for (i = 0; i < (int) lengthof(names); i++)
		if (strcmp(NameStr(form->proname), names[i]) == 0)
			break;
	if (i == (int) lengthof(names) ||
		form->pronamespace != get_namespace_oid("cachex", true))
		return false;
	extension = get_extension_oid("cachex", true);
	return OidIsValid(extension) &&
		getExtensionOfObject(ProcedureRelationId, form->oid) == extension;
}

static bool
take_folded_cb(Oid function, void *functions)
{
	List	  **list = functions;

	if (function >= FirstNormalObjectId &&
		func_volatile(function) == PROVOLATILE_IMMUTABLE)
		*list = list_append_unique_oid(*list, function);
	return false;
}

static bool
take_folded(Node *node, void *functions)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, take_folded_cb, functions);
	return expression_tree_walker(node, take_folded, functions);
}

/*
 * Adds the users' IMMUTABLE functions that defaults of arguments call: the
 * planner puts defaults into a call, and then only what these return.
 */
List *
cx_proc_folded_defaults(HeapTuple proc, List *functions)
{
	bool		isnull;
	Datum		tree = SysCacheGetAttr(PROCOID, proc,
									   Anum_pg_proc_proargdefaults, &isnull);

	if (!isnull)
		(void) take_folded(stringToNode(TextDatumGetCString(tree)), &functions);
	return functions;
}
