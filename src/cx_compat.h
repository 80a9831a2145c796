/*
 * cx_compat.h
 *	  The only place that looks at PG_VERSION_NUM.
 *
 * The newest server's spelling wins; older ones are mapped to it here.
 */
#ifndef CX_COMPAT_H
#define CX_COMPAT_H

#include "access/transam.h"
#include "storage/proc.h"
#include "utils/guc_tables.h"

#if PG_VERSION_NUM < 150000
#error "cachex needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#define MyProcNumber (MyProc->pgprocno)
#define cx_compat_my_lxid() (MyProc->lxid)
#else
#define cx_compat_my_lxid() (MyProc->vxid.lxid)
#endif

/* Since 16 the macros of varlena values, and the catalogs of object_aclcheck. */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_class_d.h"
#include "catalog/pg_database_d.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_proc_d.h"
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 160000
#define cx_compat_owns_database(db, role) pg_database_ownercheck(db, role)
#define cx_compat_may_create(db, role) \
	(pg_database_aclcheck(db, role, ACL_CREATE) == ACLCHECK_OK)
#define cx_compat_may_execute(function, role) \
	(pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK)
#define cx_compat_may_use_schema(schema, role) \
	(pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK)
#define cx_compat_owns_table(rel, role) pg_class_ownercheck(rel, role)
#else
#define cx_compat_owns_database(db, role) \
	object_ownercheck(DatabaseRelationId, db, role)
#define cx_compat_may_create(db, role) \
	(object_aclcheck(DatabaseRelationId, db, role, ACL_CREATE) == ACLCHECK_OK)
#define cx_compat_may_execute(function, role) \
	(object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK)
#define cx_compat_may_use_schema(schema, role) \
	(object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK)
#define cx_compat_owns_table(rel, role) \
	object_ownercheck(RelationRelationId, rel, role)
#endif

/* What of a plan's relations is checked: in the range table itself until 15. */
#if PG_VERSION_NUM < 160000
typedef RangeTblEntry CxCompatPermission;
#define cx_compat_permissions(stmt) ((stmt)->rtable)
#define cx_compat_query_permissions(query) ((query)->rtable)
#else
typedef RTEPermissionInfo CxCompatPermission;
#define cx_compat_permissions(stmt) ((stmt)->permInfos)
#define cx_compat_query_permissions(query) ((query)->rteperminfos)
#endif

#if PG_VERSION_NUM < 170000
#define AmAutoVacuumWorkerProcess() IsAutoVacuumWorkerProcess()
#endif

/* Without an error when the lock table is full; the second one waits. */
#if PG_VERSION_NUM < 180000
#define cx_compat_try_lock(tag, mode) \
	LockAcquireExtended(tag, mode, false, true, false, NULL)
#define cx_compat_lock(tag, mode) \
	LockAcquireExtended(tag, mode, false, false, false, NULL)
#else
#define cx_compat_try_lock(tag, mode) \
	LockAcquireExtended(tag, mode, false, true, false, NULL, false)
#define cx_compat_lock(tag, mode) \
	LockAcquireExtended(tag, mode, false, false, false, NULL, false)
#endif

#if PG_VERSION_NUM < 170000
#define cx_compat_holds_lock(tag, mode) LockHeldByMe(tag, mode)
#else
#define cx_compat_holds_lock(tag, mode) LockHeldByMe(tag, mode, false)
#endif

#if PG_VERSION_NUM < 180000
#define CX_COMPAT_EXECUTOR_RUN_ARGS \
	QueryDesc *desc, ScanDirection direction, uint64 count, bool execute_once
#define CX_COMPAT_EXECUTOR_RUN_PASS desc, direction, count, execute_once
#else
#define CX_COMPAT_EXECUTOR_RUN_ARGS \
	QueryDesc *desc, ScanDirection direction, uint64 count
#define CX_COMPAT_EXECUTOR_RUN_PASS desc, direction, count
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* What a membership gives, from 16 on. */
#if PG_VERSION_NUM >= 160000
#define cx_compat_member_options(member) \
	((member)->inherit_option | (member)->set_option << 1)
#else
#define cx_compat_member_options(member) 0
#endif

/* All settings; from 16 on the array is the caller's. */
#if PG_VERSION_NUM >= 160000
#define cx_compat_all_settings(n) get_guc_variables(n)
#else
#define cx_compat_all_settings(n) \
	(*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* A setting by name, in any case of its letters, or NULL. */
#if PG_VERSION_NUM >= 160000
#define cx_compat_find_setting(name) find_option(name, false, true, 0)
#else
static inline struct config_generic *
cx_compat_find_setting(const char *name)
{
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (pg_strcasecmp(settings[i]->name, name) == 0)
			return settings[i];
	}
	return NULL;
}
#endif

/*
 * What the server finds this library by, for a background worker: from 18 on
 * extensions may lie outside $libdir, and the search path is used.
 */
#if PG_VERSION_NUM < 180000
#define CX_COMPAT_LIBRARY "$libdir/cachex"
#else
#define CX_COMPAT_LIBRARY "cachex"
#endif

#endif							/* CX_COMPAT_H */
