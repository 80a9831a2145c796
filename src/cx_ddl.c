/*
 * cx_ddl.c
 *	  Hooks on DDL: what changes the meaning of queries is noted; a table that
 *	  comes below a watched one is watched; a dropped or changed trigger of a
 *	  watch clears the cache that it names; a dropped database gives up its
 *	  caches; a new role has nothing of an old one with its OID; a command that wants a database for itself first sends our worker
 *	  away.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cx_change.h"
#include "cx_commit.h"
#include "cx_compat.h"
#include "cx_ddl.h"
#include "cx_inval.h"
#include "cx_launcher.h"
#include "cx_names.h"
#include "cx_preload.h"
#include "cx_reclaim.h"
#include "cx_watch.h"
#include "cx_watch_bare.h"
#include "cx_writes.h"

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* ---- objects ---- */

/* Whether a type is more than a table's row, which goes with its table. */
static bool
is_type_of_its_own(Oid type)
{
	Oid			rel = get_typ_typrelid(type);

	if (cx_names_is_temporary_type(type))
		return false;

	/* a composite type's relation is dropped before it */
	if (OidIsValid(rel))
		return get_rel_relkind(rel) == RELKIND_COMPOSITE_TYPE ||
			get_rel_relkind(rel) == '\0';
	return !OidIsValid(get_element_type(type));
}

/* Notes what changes the meaning of queries, of this transaction's too. */
static void
note_definition(ObjectAccessType access, Oid class_id, Oid object_id,
				int sub_id, void *arg)
{
	bool		internal_drop;

	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER &&
		access != OAT_DROP && access != OAT_TRUNCATE)
		return;
	internal_drop = access == OAT_DROP &&
		(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL) != 0;
	cx_writes_ddl = true;
	if (class_id == RelationRelationId && access == OAT_DROP && sub_id == 0)
		cx_inval_dropped(object_id);
	/* temporary tables that end with the transaction go after our marks */
	if (!internal_drop)
		cx_commit_define_if_ending();
	if (class_id == RelationRelationId && access == OAT_POST_CREATE &&
		sub_id == 0)
	{
		if (!((ObjectAccessPostCreate *) arg)->is_internal)
			cx_inval_created(object_id);
	}
	else if (class_id == RelationRelationId &&
			 (sub_id != 0 ||
			  (access == OAT_DROP && !internal_drop)))
		cx_inval_row_type(object_id);
	else if (class_id == TypeRelationId &&
			 (access == OAT_POST_ALTER ||
			  (access == OAT_DROP && is_type_of_its_own(object_id))))
		cx_inval_catalogs();
	/* a function that is replaced: the row that can be seen is the old one */
	else if (class_id == ProcedureRelationId && access == OAT_POST_CREATE &&
			 SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(object_id)))
		cx_inval_callers();
}

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id,
			  int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (!cx_preloaded || IsBinaryUpgrade || !IsTransactionState())
		return;
	note_definition(access, class_id, object_id, sub_id, arg);
	if (access == OAT_TRUNCATE)
		cx_watch_table_truncated(object_id);
	else if (class_id == TriggerRelationId && access == OAT_POST_CREATE)
		cx_watch_trigger_created(object_id);
	else if (class_id == TriggerRelationId && access == OAT_POST_ALTER)
		cx_watch_trigger_changed(object_id);
	/* a copy may have warmers, a new name may be one of cachex.databases */
	else if (class_id == DatabaseRelationId &&
			 (access == OAT_POST_CREATE || access == OAT_POST_ALTER))
		cx_launcher_ask_at_commit(object_id);
	else if (class_id == AuthIdRelationId && access == OAT_POST_CREATE)
		cx_reclaim_role_created(object_id);
	if (access != OAT_DROP)
		return;
	if (class_id == TriggerRelationId)
		cx_watch_trigger_dropped(object_id);
	else if (class_id == ExtensionRelationId &&
			 object_id == get_extension_oid("cachex", true))
	{
		cx_launcher_hold_database(MyDatabaseId);
		cx_change_database_dropped(MyDatabaseId);
	}
	else if (class_id == DatabaseRelationId)
		cx_change_database_dropped(object_id);
}

/* ---- commands on whole databases ---- */

/* The database that a command needs to have for itself; InvalidOid: none. */
static Oid
wanted_database(Node *command)
{
	const char *name = NULL;
	ListCell   *lc;

	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			name = castNode(DropdbStmt, command)->dbname;
			break;
		case T_CreatedbStmt:
			name = "template1";
			foreach(lc, castNode(CreatedbStmt, command)->options)
			{
				DefElem    *option = lfirst_node(DefElem, lc);

				if (strcmp(option->defname, "template") == 0 && option->arg)
					name = defGetString(option);
			}
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, command)->renameType == OBJECT_DATABASE)
				name = castNode(RenameStmt, command)->subname;
			break;
		case T_AlterDatabaseStmt:
			foreach(lc, castNode(AlterDatabaseStmt, command)->options)
			{
				if (strcmp(lfirst_node(DefElem, lc)->defname,
						   "tablespace") == 0)
					name = castNode(AlterDatabaseStmt, command)->dbname;
			}
			break;
		default:
			break;
	}
	return name ? get_database_oid(name, true) : InvalidOid;
}

/* Whether the role may have the database for itself: it would fail if not. */
static bool
may_want(Node *command, Oid db)
{
	if (IsA(command, CreatedbStmt))
		return have_createdb_privilege();
	return cx_compat_owns_database(db, GetUserId());
}

/* ---- commands on definitions ---- */

/*
 * Whether names or types may mean something else after a command, which no
 * message on a relation tells.
 */
static bool
changes_meaning(Node *command)
{
	switch (nodeTag(command))
	{
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterDomainStmt:
		case T_AlterTypeStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateRangeStmt:
		case T_CompositeTypeStmt:
		case T_DefineStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Whether a database may get another name or owner, who is a member of
 * pg_database_owner, or it changes who may look at something of the cluster's.
 */
static bool
changes_database(Node *command)
{
	switch (nodeTag(command))
	{
		case T_GrantStmt:
			return castNode(GrantStmt, command)->objtype == OBJECT_DATABASE ||
				castNode(GrantStmt, command)->objtype == OBJECT_TABLESPACE;
		case T_RenameStmt:
			return castNode(RenameStmt, command)->renameType == OBJECT_DATABASE;
		case T_AlterOwnerStmt:
			return castNode(AlterOwnerStmt, command)->objectType == OBJECT_DATABASE;
		case T_ReassignOwnedStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Whether has_table_privilege() and the like may tell something else after a
 * command; of roles they depend anyway.
 */
static bool
changes_privileges(Node *command)
{
	ListCell   *lc;

	switch (nodeTag(command))
	{
		case T_GrantStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
		case T_AlterOwnerStmt:
			return true;
		case T_AlterTableStmt:
			foreach(lc, castNode(AlterTableStmt, command)->cmds)
			{
				switch (castNode(AlterTableCmd, lfirst(lc))->subtype)
				{
					case AT_ChangeOwner:
					case AT_EnableRowSecurity:
					case AT_DisableRowSecurity:
					case AT_ForceRowSecurity:
					case AT_NoForceRowSecurity:
						return true;
					default:
						break;
				}
			}
			return false;
		default:
			return false;
	}
}

/* Whether a GRANT or REVOKE on tables is about the server's own. */
static bool
grants_catalogs(GrantStmt *command)
{
	ListCell   *lc;

	foreach(lc, command->objects)
	{
		Oid			object;

		if (IsA(lfirst(lc), RangeVar))
			object = RangeVarGetRelid(lfirst(lc), NoLock, true);
		else
		{
			object = get_namespace_oid(strVal(lfirst(lc)), true);
			if (object == PG_PUBLIC_NAMESPACE)
				continue;
		}
		if (object < FirstNormalObjectId)
			return true;
	}
	return false;
}

/*
 * Whether somebody may no longer be able to call a function, or to find it, or
 * to have it answer, after a command.  No message tells that from a function
 * that is new, which does not concern ttl caches; one that is replaced may be a
 * policy's.  Nor is it known of entries what large objects and catalogs they
 * were made of.
 */
static bool
changes_callers(Node *command)
{
	ObjectType	type;

	switch (nodeTag(command))
	{
		case T_AlterFunctionStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
			return true;
		case T_GrantStmt:
			type = castNode(GrantStmt, command)->objtype;
			if (type == OBJECT_TABLE || type == OBJECT_SEQUENCE)
				return grants_catalogs(castNode(GrantStmt, command));
			return true;
		case T_AlterOwnerStmt:
			type = castNode(AlterOwnerStmt, command)->objectType;
			break;
		default:
			return false;
	}
	return type == OBJECT_FUNCTION || type == OBJECT_PROCEDURE ||
		type == OBJECT_ROUTINE || type == OBJECT_AGGREGATE ||
		type == OBJECT_SCHEMA || type == OBJECT_LARGEOBJECT;
}

/* Tables that were put below another one are watched if that one is. */
static void
adopt_attached(AlterTableStmt *command)
{
	ListCell   *lc;

	foreach(lc, command->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		RangeVar   *child = NULL;
		Oid			relid;

		if (cmd->subtype == AT_AttachPartition)
			child = castNode(PartitionCmd, cmd->def)->name;
		else if (cmd->subtype == AT_AddInherit)
			child = command->relation;
		relid = child ? RangeVarGetRelid(child, NoLock, true) : InvalidOid;
		if (OidIsValid(relid) && get_rel_relkind(relid) != RELKIND_INDEX &&
			get_rel_relkind(relid) != RELKIND_PARTITIONED_INDEX)
			cx_watch_bare_adopt(relid);
	}
}

static void
adopt_created(int first)
{
	for (int i = first; i < cx_writes_count(); i++)
	{
		CxWrite    *write = cx_writes_get(i);

		if (write->created && get_rel_relkind(write->rel) != '\0')
			cx_watch_bare_adopt(write->rel);
	}
}

/* After a command that changes definitions; before is as it was then. */
static void
definitions_changed(Node *command, int before)
{
	bool		attaches = IsA(command, AlterTableStmt);

	if (!IsTransactionState())
		return;
	if (changes_meaning(command))
		cx_inval_catalogs();
	if (changes_database(command))
		cx_inval_cluster();
	if (changes_callers(command))
		cx_inval_callers();
	if (changes_privileges(command))
		cx_inval_privileges();
	if (!attaches && !IsA(command, CreateStmt))
		return;
	CommandCounterIncrement();
	if (attaches)
		adopt_attached(castNode(AlterTableStmt, command));
	else
		adopt_created(before);
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *env,
				DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next =
	prev_process_utility ? prev_process_utility : standard_ProcessUtility;
	Oid			db = InvalidOid;
	bool		defines = false;
	int			before = cx_writes_count();

	if (cx_preloaded)
	{
		db = wanted_database(pstmt->utilityStmt);
		defines = !IsBinaryUpgrade &&
			GetCommandLogLevel(pstmt->utilityStmt) == LOGSTMT_DDL;
	}
	if (defines)
	{
		cx_writes_ddl = true;
		cx_commit_define_if_ending();
	}
	/* only for who may do it; the hold ends with the transaction */
	if (OidIsValid(db) && may_want(pstmt->utilityStmt, db))
		cx_launcher_hold_database(db);
	next(pstmt, query_string, read_only_tree, context, params, env, dest, qc);
	if (defines)
		definitions_changed(pstmt->utilityStmt, before);
}

/* Called once, from _PG_init. */
void
cx_ddl_install_hooks(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
