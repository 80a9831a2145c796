/*
 * cx_ddl.c
 *	  Hooks on DDL: a dropped or changed trigger of a watch clears the cache
 *	  that it names; a dropped database gives up its caches; a command that
 *	  wants a database for itself first sends our worker away.
 *
 * Locking: none on entry or return.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_trigger.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "cx_cache.h"
#include "cx_compat.h"
#include "cx_ddl.h"
#include "cx_launcher.h"
#include "cx_preload.h"
#include "cx_watch.h"

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* ---- dropped objects ---- */

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id,
			  int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (!cx_preloaded || IsBinaryUpgrade)
		return;
	if (access == OAT_TRUNCATE)
		cx_watch_table_truncated(object_id);
	else if (class_id == TriggerRelationId &&
			 (access == OAT_POST_CREATE || access == OAT_POST_ALTER))
		cx_watch_trigger_changed(object_id);
	if (access != OAT_DROP)
		return;
	if (class_id == TriggerRelationId)
		cx_watch_trigger_dropped(object_id);
	else if (class_id == ExtensionRelationId &&
			 object_id == get_extension_oid("cachex", true))
	{
		cx_launcher_hold_database(MyDatabaseId);
		cx_cache_database_dropped(MyDatabaseId);
	}
	else if (class_id == DatabaseRelationId)
		cx_cache_database_dropped(object_id);
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

static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *env,
				DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next =
	prev_process_utility ? prev_process_utility : standard_ProcessUtility;
	Oid			db = InvalidOid;

	if (cx_preloaded)
		db = wanted_database(pstmt->utilityStmt);
	/* only for who may do it; the hold ends with the transaction */
	if (OidIsValid(db) && may_want(pstmt->utilityStmt, db))
		cx_launcher_hold_database(db);
	next(pstmt, query_string, read_only_tree, context, params, env, dest, qc);
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
