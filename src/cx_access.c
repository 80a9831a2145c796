/*
 * cx_access.c
 *	  Whom an entry of a shared cache may be served to: who could have run its
 *	  loader himself.
 *
 * While a loader runs, what the server checks for its caller is written down:
 * relations with their columns, functions, schemas.  Who else asks for the
 * entry is checked for just that.  What was checked for somebody else (the
 * owner of a view, of a SECURITY DEFINER function) is not written down: it is
 * the same for every caller.
 *
 * The answer holds for the entry's life, since an entry dies with any change of
 * privileges on what was read, of roles, and of functions and schemas.  So the
 * entry itself remembers a few roles that were found to be allowed.
 *
 * A loader that is subject to row security, or may depend on who runs it in
 * any other way, leaves an entry for its own role.
 *
 * Words: a header (kind in the low byte, number of words after it above),
 * then an OID, then numbers of columns.
 *
 * Locking: none on entry or return.  Reads catalogs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "cx_access.h"
#include "cx_compat.h"

#define KIND_RELATION	1
#define KIND_FUNCTION	2
#define KIND_SCHEMA		3

/*
 * Begins to write down what is needed; filler may be nobody.  Where an extension
 * checks more than privileges, labels say, only the executor asks it.
 */
void
cx_access_begin(CxAccess *access, Oid filler)
{
	access->filler = filler;
	access->filler_only = ExecutorCheckPerms_hook != NULL;
	access->len = 0;
}

/* ---- writing down ---- */

/* Whether a list of words is there already. */
static bool
is_there(const CxAccess *access, const uint32 *item, int len)
{
	for (int at = 0; at < access->len; at += 1 + (access->word[at] >> 8))
	{
		if (access->word[at] == item[0] &&
			memcmp(&access->word[at], item, len * sizeof(uint32)) == 0)
			return true;
	}
	return false;
}

/* Adds len words, of which the header is the first and is set here. */
static void
add_item(CxAccess *access, uint32 kind, uint32 *item, int len)
{
	item[0] = kind | (uint32) (len - 1) << 8;
	if (access->filler_only || is_there(access, item, len))
		return;
	if (access->len + len > CX_MAX_ACCESS)
	{
		/* too much to be remembered */
		access->filler_only = true;
		return;
	}
	memcpy(&access->word[access->len], item, len * sizeof(uint32));
	access->len += len;
}

static void
add_object(CxAccess *access, uint32 kind, Oid object)
{
	uint32		item[2] = {0, object};

	add_item(access, kind, item, lengthof(item));
}

/*
 * The privilege to select columns of a relation, by their numbers less
 * FirstLowInvalidHeapAttributeNumber; NULL: any of them, as count(*) needs.
 */
static void
add_relation(CxAccess *access, Oid rel, const Bitmapset *columns)
{
	uint32		item[CX_MAX_ACCESS];
	int			len = 2;
	int			column = -1;

	if (get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
		access->filler_only = true;
	add_object(access, KIND_SCHEMA, get_rel_namespace(rel));
	item[1] = rel;
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		if (len == lengthof(item))
		{
			access->filler_only = true;
			return;
		}
		item[len++] = (uint32) column;
	}
	add_item(access, KIND_RELATION, item, len);
}

void
cx_access_add_sharing(CxAccess *access, const CxSharing *sharing)
{
	ListCell   *lc;

	if (sharing->personal)
		access->filler_only = true;
	foreach(lc, sharing->functions)
		add_object(access, KIND_FUNCTION, lfirst_oid(lc));
	foreach(lc, sharing->schemas)
		add_object(access, KIND_SCHEMA, lfirst_oid(lc));
}

/* Whether rows of a relation may be for some roles only. */
bool
cx_access_has_row_security(Oid rel)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rel));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return true;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * What a view calls, which is checked for whoever reads it: the plan may not
 * show it any more.  It is locked for the plan.
 */
static void
add_view(CxAccess *access, Oid view)
{
	Relation	rel = relation_open(view, AccessShareLock);
	CxSharing	sharing = {false};

	if (rel->rd_rel->relkind == RELKIND_VIEW)
		cx_share_queries(list_make1(get_view_query(rel)), &sharing);
	cx_access_add_sharing(access, &sharing);
	relation_close(rel, AccessShareLock);
}

/*
 * The relations of a plan: which of them are checked for the one who runs it,
 * and whether any has row security, even if it does not apply to him.
 */
void
cx_access_add_plan(CxAccess *access, const PlannedStmt *stmt)
{
	ListCell   *lc;

	if (stmt->dependsOnRole)
		access->filler_only = true;
	foreach(lc, stmt->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (OidIsValid(rte->relid) && cx_access_has_row_security(rte->relid))
			access->filler_only = true;
		if (OidIsValid(rte->relid) &&
			get_rel_relkind(rte->relid) == RELKIND_VIEW)
			add_view(access, rte->relid);
	}
	foreach(lc, cx_compat_permissions(stmt))
	{
		const CxCompatPermission *p = lfirst(lc);

		if (p->requiredPerms != 0 && !OidIsValid(p->checkAsUser))
			add_relation(access, p->relid, p->selectedCols);
	}
}

/* All columns of a table. */
void
cx_access_add_table(CxAccess *access, Oid table)
{
	Bitmapset  *whole =
	bms_make_singleton(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber);

	add_relation(access, table, whole);
	bms_free(whole);
}

/* ---- checking ---- */

/* As the executor checks it: the relation, else each column. */
static bool
may_select(Oid rel, Oid role, const uint32 *columns, int n)
{
	bool		missing = false;

	if (pg_class_aclcheck_ext(rel, role, ACL_SELECT, &missing) == ACLCHECK_OK)
		return !missing;
	if (missing)
		return false;
	if (n == 0)
		return pg_attribute_aclcheck_all(rel, role, ACL_SELECT,
										 ACLMASK_ANY) == ACLCHECK_OK;
	for (int i = 0; i < n; i++)
	{
		AttrNumber	column = (int) columns[i] + FirstLowInvalidHeapAttributeNumber;
		AclResult	result;

		if (column == InvalidAttrNumber)
			result = pg_attribute_aclcheck_all(rel, role, ACL_SELECT,
											   ACLMASK_ALL);
		else
			result = pg_attribute_aclcheck_ext(rel, column, role, ACL_SELECT,
											   &missing);
		if (result != ACLCHECK_OK || missing)
			return false;
	}
	return true;
}

/* Whether a role has what is written down in the words of one item. */
static bool
check_item(const uint32 *item, int len, Oid role)
{
	switch (item[0] & 0xff)
	{
		case KIND_RELATION:
			return len >= 2 && may_select(item[1], role, item + 2, len - 2);
		case KIND_FUNCTION:
			return len == 2 &&
				SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(item[1])) &&
				cx_compat_may_execute(item[1], role);
		case KIND_SCHEMA:
			return len == 2 &&
				SearchSysCacheExists1(NAMESPACEOID, ObjectIdGetDatum(item[1])) &&
				cx_compat_may_use_schema(item[1], role);
		default:
			return false;
	}
}

static bool
check_all(const CxAccess *access, Oid role)
{
	int			len;

	for (int at = 0; at < access->len; at += len)
	{
		len = 1 + (int) (access->word[at] >> 8);
		if (at + len > access->len ||
			!check_item(&access->word[at], len, role))
			return false;
	}
	return true;
}

/*
 * Whether the current role may be served an entry that has an access field.
 * The entry has been found alive already: whoever had changed something
 * before that is heard of now, and whoever does so later ends the entry.
 */
bool
cx_access_check(const CxIdent *ident, const CxHit *hit)
{
	const CxEntry *entry = &hit->entry;
	Oid			role = GetUserId();

	if (entry->filler == role)
		return true;
	if (entry->filler_only || ExecutorCheckPerms_hook != NULL)
		return false;
	for (int i = 0; i < CX_CHECKED_ROLES; i++)
	{
		if (entry->checked[i] == role)
			return true;
	}
	AcceptInvalidationMessages();
	if (!check_all(&hit->access, role))
		return false;
	cx_store_note(ident, hit->gen, cx_entry_set_checked, role);
	return true;
}
