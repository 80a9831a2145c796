/*
 * fail.h
 *	  What can fail, fails on purpose: "make CX_FAIL=1" compiles every file of
 *	  src/ with this one in front.
 *
 * Each call below stands for an error that the server may raise there: memory
 * that is not there, a lock, a catalog, a cancel.  It is counted, the one
 * whose number a session has asked for raises an error, and all of them see
 * whether an error may be raised there at all: see fail.c.
 * The headers come first, since their declarations are no calls.
 */
#ifndef FAIL_H
#define FAIL_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/genam.h"
#include "access/gin.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/tupdesc.h"
#include "access/tupmacs.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_control.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "catalog/pg_type_d.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/proclang.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "common/keywords.h"
#include "common/pg_prng.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/nodes.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
#include "nodes/primnodes.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "pgstat.h"
#include "pgtime.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "port/pg_crc32c.h"
#include "portability/instr_time.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/sinval.h"
#include "storage/spin.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "tsearch/ts_cache.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/snapshot.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"
#include "utils/xml.h"

extern void cx_fail_point(const char *what, const char *file, int line);
extern void cx_fail_look(const char *what, const char *file, int line);
extern int	cx_fail_spins;		/* spinlocks of ours that are held */

#define CX_FAIL_AT(what) cx_fail_point(what, __FILE__, __LINE__)
#define CX_FAIL(f, ...) (CX_FAIL_AT(#f), f(__VA_ARGS__))

static inline void
cx_fail_spin_acquire(slock_t *lock)
{
	SpinLockAcquire(lock);
	cx_fail_spins++;
}

static inline void
cx_fail_spin_release(slock_t *lock)
{
	cx_fail_spins--;
	SpinLockRelease(lock);
}

#undef SpinLockAcquire
#undef SpinLockRelease
#define SpinLockAcquire(lock) cx_fail_spin_acquire(lock)
#define SpinLockRelease(lock) cx_fail_spin_release(lock)

/* A message of any level takes memory, but only an error fails. */
#define errstart(level, domain) \
	(cx_fail_look((level) >= ERROR ? "an error" : NULL, __FILE__, __LINE__), \
	 errstart(level, domain))
#define errstart_cold(level, domain) \
	(cx_fail_look((level) >= ERROR ? "an error" : NULL, __FILE__, __LINE__), \
	 errstart_cold(level, domain))

#undef CHECK_FOR_INTERRUPTS
#define CHECK_FOR_INTERRUPTS() \
	do { \
		CX_FAIL_AT("CHECK_FOR_INTERRUPTS"); \
		if (INTERRUPTS_PENDING_CONDITION()) \
			ProcessInterrupts(); \
	} while (0)

#define hash_search(table, key, action, found) \
	((action) == HASH_ENTER ? CX_FAIL_AT("hash_search") : (void) 0, \
	 hash_search(table, key, action, found))

/* ---- memory ---- */

#define palloc(...) CX_FAIL(palloc, __VA_ARGS__)
#define palloc0(...) CX_FAIL(palloc0, __VA_ARGS__)
#define palloc_extended(...) CX_FAIL(palloc_extended, __VA_ARGS__)
#define repalloc(...) CX_FAIL(repalloc, __VA_ARGS__)
#define repalloc_huge(...) CX_FAIL(repalloc_huge, __VA_ARGS__)
#define pstrdup(...) CX_FAIL(pstrdup, __VA_ARGS__)
#define pnstrdup(...) CX_FAIL(pnstrdup, __VA_ARGS__)
#define psprintf(...) CX_FAIL(psprintf, __VA_ARGS__)
#define MemoryContextAlloc(...) CX_FAIL(MemoryContextAlloc, __VA_ARGS__)
#define MemoryContextAllocZero(...) CX_FAIL(MemoryContextAllocZero, __VA_ARGS__)
#define MemoryContextAllocExtended(...) CX_FAIL(MemoryContextAllocExtended, __VA_ARGS__)
#define MemoryContextStrdup(...) CX_FAIL(MemoryContextStrdup, __VA_ARGS__)
#define AllocSetContextCreateInternal(...) CX_FAIL(AllocSetContextCreateInternal, __VA_ARGS__)
#define hash_create(...) CX_FAIL(hash_create, __VA_ARGS__)
#define initStringInfo(...) CX_FAIL(initStringInfo, __VA_ARGS__)
#define appendStringInfo(...) CX_FAIL(appendStringInfo, __VA_ARGS__)
#define appendStringInfoString(...) CX_FAIL(appendStringInfoString, __VA_ARGS__)
#define appendStringInfoChar(...) CX_FAIL(appendStringInfoChar, __VA_ARGS__)
#define appendBinaryStringInfo(...) CX_FAIL(appendBinaryStringInfo, __VA_ARGS__)
#define lappend(...) CX_FAIL(lappend, __VA_ARGS__)
#define lappend_oid(...) CX_FAIL(lappend_oid, __VA_ARGS__)
#define list_append_unique_oid(...) CX_FAIL(list_append_unique_oid, __VA_ARGS__)
#define list_concat(...) CX_FAIL(list_concat, __VA_ARGS__)
#define list_concat_unique_oid(...) CX_FAIL(list_concat_unique_oid, __VA_ARGS__)
#define list_copy(...) CX_FAIL(list_copy, __VA_ARGS__)
#define list_make1_impl(...) CX_FAIL(list_make1_impl, __VA_ARGS__)
#define bms_make_singleton(...) CX_FAIL(bms_make_singleton, __VA_ARGS__)
#define CopyErrorData(...) CX_FAIL(CopyErrorData, __VA_ARGS__)
#define pg_cryptohash_create(...) CX_FAIL(pg_cryptohash_create, __VA_ARGS__)

/* ---- values ---- */

#define cstring_to_text(...) CX_FAIL(cstring_to_text, __VA_ARGS__)
#define cstring_to_text_with_len(...) CX_FAIL(cstring_to_text_with_len, __VA_ARGS__)
#define text_to_cstring(...) CX_FAIL(text_to_cstring, __VA_ARGS__)
#define pg_detoast_datum(...) CX_FAIL(pg_detoast_datum, __VA_ARGS__)
#define pg_detoast_datum_copy(...) CX_FAIL(pg_detoast_datum_copy, __VA_ARGS__)
#define pg_detoast_datum_packed(...) CX_FAIL(pg_detoast_datum_packed, __VA_ARGS__)
#define datumCopy(...) CX_FAIL(datumCopy, __VA_ARGS__)
#define construct_array(...) CX_FAIL(construct_array, __VA_ARGS__)
#define deconstruct_array(...) CX_FAIL(deconstruct_array, __VA_ARGS__)
#define initArrayResult(...) CX_FAIL(initArrayResult, __VA_ARGS__)
#define accumArrayResult(...) CX_FAIL(accumArrayResult, __VA_ARGS__)
#define makeArrayResult(...) CX_FAIL(makeArrayResult, __VA_ARGS__)
#define buildoidvector(...) CX_FAIL(buildoidvector, __VA_ARGS__)
#define pushJsonbValue(...) CX_FAIL(pushJsonbValue, __VA_ARGS__)
#define JsonbValueToJsonb(...) CX_FAIL(JsonbValueToJsonb, __VA_ARGS__)
#define JsonbIteratorInit(...) CX_FAIL(JsonbIteratorInit, __VA_ARGS__)
#define JsonbExtractScalar(...) CX_FAIL(JsonbExtractScalar, __VA_ARGS__)
#define DirectFunctionCall1Coll(...) CX_FAIL(DirectFunctionCall1Coll, __VA_ARGS__)
#define DirectFunctionCall2Coll(...) CX_FAIL(DirectFunctionCall2Coll, __VA_ARGS__)
#define DirectFunctionCall3Coll(...) CX_FAIL(DirectFunctionCall3Coll, __VA_ARGS__)
#define FunctionCall1Coll(...) CX_FAIL(FunctionCall1Coll, __VA_ARGS__)
#define OidInputFunctionCall(...) CX_FAIL(OidInputFunctionCall, __VA_ARGS__)
#define OidOutputFunctionCall(...) CX_FAIL(OidOutputFunctionCall, __VA_ARGS__)
#define OutputFunctionCall(...) CX_FAIL(OutputFunctionCall, __VA_ARGS__)
#define fmgr_info(...) CX_FAIL(fmgr_info, __VA_ARGS__)
#define int64_to_numeric(...) CX_FAIL(int64_to_numeric, __VA_ARGS__)
#define quote_identifier(...) CX_FAIL(quote_identifier, __VA_ARGS__)
#define quote_literal_cstr(...) CX_FAIL(quote_literal_cstr, __VA_ARGS__)
#define quote_qualified_identifier(...) CX_FAIL(quote_qualified_identifier, __VA_ARGS__)
#define format_procedure(...) CX_FAIL(format_procedure, __VA_ARGS__)
#define format_type_be(...) CX_FAIL(format_type_be, __VA_ARGS__)
#define format_type_with_typemod(...) CX_FAIL(format_type_with_typemod, __VA_ARGS__)
#define SplitIdentifierString(...) CX_FAIL(SplitIdentifierString, __VA_ARGS__)
#define stringToNode(...) CX_FAIL(stringToNode, __VA_ARGS__)

/* ---- rows ---- */

#define heap_form_tuple(...) CX_FAIL(heap_form_tuple, __VA_ARGS__)
#define heap_copy_tuple_as_datum(...) CX_FAIL(heap_copy_tuple_as_datum, __VA_ARGS__)
#define toast_flatten_tuple(...) CX_FAIL(toast_flatten_tuple, __VA_ARGS__)
#define HeapTupleHeaderGetDatum(...) CX_FAIL(HeapTupleHeaderGetDatum, __VA_ARGS__)
#define CreateTemplateTupleDesc(...) CX_FAIL(CreateTemplateTupleDesc, __VA_ARGS__)
#define CreateTupleDescCopy(...) CX_FAIL(CreateTupleDescCopy, __VA_ARGS__)
#define BlessTupleDesc(...) CX_FAIL(BlessTupleDesc, __VA_ARGS__)
#define lookup_rowtype_tupdesc(...) CX_FAIL(lookup_rowtype_tupdesc, __VA_ARGS__)
#define get_call_result_type(...) CX_FAIL(get_call_result_type, __VA_ARGS__)
#define InitMaterializedSRF(...) CX_FAIL(InitMaterializedSRF, __VA_ARGS__)
#define MakeSingleTupleTableSlot(...) CX_FAIL(MakeSingleTupleTableSlot, __VA_ARGS__)
#define table_slot_create(...) CX_FAIL(table_slot_create, __VA_ARGS__)
#define ExecFetchSlotHeapTuple(...) CX_FAIL(ExecFetchSlotHeapTuple, __VA_ARGS__)
#define ExecFetchSlotHeapTupleDatum(...) CX_FAIL(ExecFetchSlotHeapTupleDatum, __VA_ARGS__)
#define tuplestore_begin_heap(...) CX_FAIL(tuplestore_begin_heap, __VA_ARGS__)
#define tuplestore_putvalues(...) CX_FAIL(tuplestore_putvalues, __VA_ARGS__)
#define tuplestore_gettupleslot(...) CX_FAIL(tuplestore_gettupleslot, __VA_ARGS__)
#define CreateDestReceiver(...) CX_FAIL(CreateDestReceiver, __VA_ARGS__)

/* ---- catalogs ---- */

#define SearchSysCache1(...) CX_FAIL(SearchSysCache1, __VA_ARGS__)
#define SearchSysCache2(...) CX_FAIL(SearchSysCache2, __VA_ARGS__)
#define SearchSysCacheExists(...) CX_FAIL(SearchSysCacheExists, __VA_ARGS__)
#define SearchSysCacheList(...) CX_FAIL(SearchSysCacheList, __VA_ARGS__)
#define GetSysCacheOid(...) CX_FAIL(GetSysCacheOid, __VA_ARGS__)
#define GetSysCacheHashValue(...) CX_FAIL(GetSysCacheHashValue, __VA_ARGS__)
#define get_rel_name(...) CX_FAIL(get_rel_name, __VA_ARGS__)
#define get_rel_namespace(...) CX_FAIL(get_rel_namespace, __VA_ARGS__)
#define get_rel_persistence(...) CX_FAIL(get_rel_persistence, __VA_ARGS__)
#define get_rel_relkind(...) CX_FAIL(get_rel_relkind, __VA_ARGS__)
#define get_rel_relispartition(...) CX_FAIL(get_rel_relispartition, __VA_ARGS__)
#define get_relname_relid(...) CX_FAIL(get_relname_relid, __VA_ARGS__)
#define get_typtype(...) CX_FAIL(get_typtype, __VA_ARGS__)
#define get_typlen(...) CX_FAIL(get_typlen, __VA_ARGS__)
#define get_typlenbyval(...) CX_FAIL(get_typlenbyval, __VA_ARGS__)
#define get_namespace_name(...) CX_FAIL(get_namespace_name, __VA_ARGS__)
#define get_namespace_oid(...) CX_FAIL(get_namespace_oid, __VA_ARGS__)
#define get_role_oid(...) CX_FAIL(get_role_oid, __VA_ARGS__)
#define get_database_name(...) CX_FAIL(get_database_name, __VA_ARGS__)
#define get_database_oid(...) CX_FAIL(get_database_oid, __VA_ARGS__)
#define get_extension_oid(...) CX_FAIL(get_extension_oid, __VA_ARGS__)
#define get_trigger_oid(...) CX_FAIL(get_trigger_oid, __VA_ARGS__)
#define get_func_name(...) CX_FAIL(get_func_name, __VA_ARGS__)
#define get_partition_ancestors(...) CX_FAIL(get_partition_ancestors, __VA_ARGS__)
#define getBaseType(...) CX_FAIL(getBaseType, __VA_ARGS__)
#define getTypeInputInfo(...) CX_FAIL(getTypeInputInfo, __VA_ARGS__)
#define getTypeOutputInfo(...) CX_FAIL(getTypeOutputInfo, __VA_ARGS__)
#define get_element_type(...) CX_FAIL(get_element_type, __VA_ARGS__)
#define getExtensionOfObject(...) CX_FAIL(getExtensionOfObject, __VA_ARGS__)
#define GetUserNameFromId(...) CX_FAIL(GetUserNameFromId, __VA_ARGS__)
#define RangeVarGetRelidExtended(...) CX_FAIL(RangeVarGetRelidExtended, __VA_ARGS__)
#define find_all_inheritors(...) CX_FAIL(find_all_inheritors, __VA_ARGS__)
#define find_inheritance_children(...) CX_FAIL(find_inheritance_children, __VA_ARGS__)
#define fetch_search_path(...) CX_FAIL(fetch_search_path, __VA_ARGS__)
#define has_privs_of_role(...) CX_FAIL(has_privs_of_role, __VA_ARGS__)
#define superuser_arg(...) CX_FAIL(superuser_arg, __VA_ARGS__)
#define relation_open(...) CX_FAIL(relation_open, __VA_ARGS__)
#define table_open(...) CX_FAIL(table_open, __VA_ARGS__)
#define try_relation_open(...) CX_FAIL(try_relation_open, __VA_ARGS__)
#define RelationIdGetRelation(...) CX_FAIL(RelationIdGetRelation, __VA_ARGS__)
#define systable_beginscan(...) CX_FAIL(systable_beginscan, __VA_ARGS__)
#define systable_getnext(...) CX_FAIL(systable_getnext, __VA_ARGS__)
#define table_beginscan_catalog(...) CX_FAIL(table_beginscan_catalog, __VA_ARGS__)
#define heap_getnext(...) CX_FAIL(heap_getnext, __VA_ARGS__)
#define heap_delete(...) CX_FAIL(heap_delete, __VA_ARGS__)
#define CatalogOpenIndexes(...) CX_FAIL(CatalogOpenIndexes, __VA_ARGS__)
#define CatalogTupleInsertWithInfo(...) CX_FAIL(CatalogTupleInsertWithInfo, __VA_ARGS__)
#define check_enable_rls(...) CX_FAIL(check_enable_rls, __VA_ARGS__)

/* ---- transactions and locks ---- */

#define GetTopTransactionId(...) CX_FAIL(GetTopTransactionId, __VA_ARGS__)
#define GetTopFullTransactionId(...) CX_FAIL(GetTopFullTransactionId, __VA_ARGS__)
#define GetCurrentCommandId(...) CX_FAIL(GetCurrentCommandId, __VA_ARGS__)
#define BeginInternalSubTransaction(...) CX_FAIL(BeginInternalSubTransaction, __VA_ARGS__)
#define ReleaseCurrentSubTransaction(...) CX_FAIL(ReleaseCurrentSubTransaction, __VA_ARGS__)
#define CommandCounterIncrement(...) CX_FAIL(CommandCounterIncrement, __VA_ARGS__)
#define StartTransactionCommand(...) CX_FAIL(StartTransactionCommand, __VA_ARGS__)
#define CommitTransactionCommand(...) CX_FAIL(CommitTransactionCommand, __VA_ARGS__)
#define GetTransactionSnapshot(...) CX_FAIL(GetTransactionSnapshot, __VA_ARGS__)
#define GetLatestSnapshot(...) CX_FAIL(GetLatestSnapshot, __VA_ARGS__)
#define GetCatalogSnapshot(...) CX_FAIL(GetCatalogSnapshot, __VA_ARGS__)
#define PushActiveSnapshot(...) CX_FAIL(PushActiveSnapshot, __VA_ARGS__)
#define RegisterSnapshot(...) CX_FAIL(RegisterSnapshot, __VA_ARGS__)
#define RegisterSnapshotOnOwner(...) CX_FAIL(RegisterSnapshotOnOwner, __VA_ARGS__)
#define AcceptInvalidationMessages(...) CX_FAIL(AcceptInvalidationMessages, __VA_ARGS__)
#define LockAcquire(...) CX_FAIL(LockAcquire, __VA_ARGS__)
#define LockAcquireExtended(...) CX_FAIL(LockAcquireExtended, __VA_ARGS__)
#define LockRelationOid(...) CX_FAIL(LockRelationOid, __VA_ARGS__)
#define ConditionalLockRelationOid(...) CX_FAIL(ConditionalLockRelationOid, __VA_ARGS__)
#define XactLockTableWait(...) CX_FAIL(XactLockTableWait, __VA_ARGS__)
#define GetLockStatusData(...) CX_FAIL(GetLockStatusData, __VA_ARGS__)
#define ConditionVariableSleep(...) CX_FAIL(ConditionVariableSleep, __VA_ARGS__)
#define ConditionVariableTimedSleep(...) CX_FAIL(ConditionVariableTimedSleep, __VA_ARGS__)

/* ---- queries ---- */

#define SPI_connect(...) CX_FAIL(SPI_connect, __VA_ARGS__)
#define SPI_execute(...) CX_FAIL(SPI_execute, __VA_ARGS__)
#define SPI_execute_plan(...) CX_FAIL(SPI_execute_plan, __VA_ARGS__)
#define SPI_execute_plan_extended(...) CX_FAIL(SPI_execute_plan_extended, __VA_ARGS__)
#define SPI_execute_with_args(...) CX_FAIL(SPI_execute_with_args, __VA_ARGS__)
#define SPI_prepare(...) CX_FAIL(SPI_prepare, __VA_ARGS__)
#define SPI_prepare_cursor(...) CX_FAIL(SPI_prepare_cursor, __VA_ARGS__)
#define SPI_getvalue(...) CX_FAIL(SPI_getvalue, __VA_ARGS__)
#define pg_parse_query(...) CX_FAIL(pg_parse_query, __VA_ARGS__)
#define parse_analyze_varparams(...) CX_FAIL(parse_analyze_varparams, __VA_ARGS__)
#define makeParamList(...) CX_FAIL(makeParamList, __VA_ARGS__)
#define GetConfigOption(...) CX_FAIL(GetConfigOption, __VA_ARGS__)
#define set_config_option(...) CX_FAIL(set_config_option, __VA_ARGS__)
#define SetConfigOption(...) CX_FAIL(SetConfigOption, __VA_ARGS__)
#define standard_ProcessUtility(...) CX_FAIL(standard_ProcessUtility, __VA_ARGS__)
#define standard_ExecutorStart(...) CX_FAIL(standard_ExecutorStart, __VA_ARGS__)
#define standard_ExecutorRun(...) CX_FAIL(standard_ExecutorRun, __VA_ARGS__)
#define standard_ExecutorEnd(...) CX_FAIL(standard_ExecutorEnd, __VA_ARGS__)

/* ---- names of src/ that headers have as well which it does not include ---- */

#define accept cx_fail_accept
#define Page CxFailPage
#ifdef CX_FAIL_OWN_PLAN
#define Plan CxFailPlan
#endif

#endif							/* FAIL_H */
