/*
 * cx_collect.c
 *	  Watches the executor while a loader runs, and notes the relations of
 *	  every plan: those of the loader, of the functions that it calls, and of
 *	  the loaders that these run in turn.
 *
 * Each plan is judged as well: for an exact cache by all that its result may
 * depend on, and it must see what the loader's own snapshot sees; for any by
 * what could show a row to somebody who must not see it.  The first thing that
 * speaks against keeping the result is remembered, and nothing more is asked.
 *
 * A collector is on a stack from cx_collect_begin() to cx_collect_end(), or
 * to cx_collect_abandon() after an error.
 *
 * Locking: none.  Relations are locked by the plans that read them.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "cx_access.h"
#include "cx_collect.h"
#include "cx_compat.h"
#include "cx_folded.h"
#include "cx_lineage.h"
#include "cx_names.h"
#include "cx_plan.h"
#include "cx_reads.h"
#include "cx_rels.h"
#include "cx_watched.h"

struct CxCollector
{
	CxCollector *outer;
	bool		exact;
	SnapshotData snapshot;		/* only what snapshots are compared by */
	CxRefusal	refusal;
	Oid			function;		/* to blame for it, or invalid */
	char	   *what;			/* likewise, or NULL */
	Oid			user;			/* who runs the loader */
	CxAccess   *access;			/* what others need, of a shared cache, or
								 * NULL */
	Oid			session;		/* a function that may depend on the session
								 * in any way, or invalid */
	bool		row_security;	/* something has it that was read */
	List	   *rels;			/* OIDs */
	List	   *settings;		/* char * */
	List	   *started;		/* QueryDesc *, those whose plans were seen */
	uint64		temporary_runs; /* cx_names_temporary_runs at first */
	MemoryContext context;
};

static CxCollector *top = NULL;
static const char role_change[] = "another role than the caller's";
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* ---- one collector ---- */

static void
refuse(CxCollector *c, CxRefusal why, Oid function, const char *what)
{
	if (c->refusal != CX_NOT_REFUSED)
		return;
	c->refusal = why;
	c->function = function;
	c->what = what ? MemoryContextStrdup(c->context, what) : NULL;
}

static void
add_setting(CxCollector *c, const char *name)
{
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, c->settings)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return;
	}
	old = MemoryContextSwitchTo(c->context);
	c->settings = lappend(c->settings, pstrdup(name));
	MemoryContextSwitchTo(old);
}

/* What it may be told of privileges, and of all that decides about them. */
static void
add_privileges(CxCollector *c)
{
	MemoryContext old = MemoryContextSwitchTo(c->context);

	c->rels = list_append_unique_oid(c->rels, CX_PRIVILEGES);
	MemoryContextSwitchTo(old);
}

static void
add_relation(CxCollector *c, Oid rel, bool is_read)
{
	MemoryContext old;
	const char *culprit;
	CxRefusal	refusal;

	if (rel == CX_PRIVILEGES)
	{
		add_privileges(c);
		return;
	}
	if (c->refusal != CX_NOT_REFUSED || list_member_oid(c->rels, rel))
		return;
	if (c->exact && is_read)
	{
		refusal = cx_watched_judge(rel, &culprit);
		if (refusal != CX_NOT_REFUSED)
			refuse(c, refusal, InvalidOid, culprit);
	}
	else if (is_read && get_rel_persistence(rel) == RELPERSISTENCE_TEMP)
		refuse(c, CX_UNKNOWN_RELATION, InvalidOid, get_rel_name(rel));
	/* catalogs change with everything; not every constant is a relation */
	else if (rel < FirstNormalObjectId || get_rel_relkind(rel) == '\0')
		return;
	old = MemoryContextSwitchTo(c->context);
	c->rels = lappend_oid(c->rels, rel);
	MemoryContextSwitchTo(old);
}

/*
 * The relations of a plan: those in its range table are read; constants of
 * type regclass (or oid, by chance) only name others.
 */
static void
take_relations(CxCollector *c, const PlannedStmt *stmt)
{
	List	   *read = NIL;
	ListCell   *lc;

	foreach(lc, stmt->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* of a view that has become a subquery too */
		if (OidIsValid(rte->relid))
			read = lappend_oid(read, rte->relid);
	}
	foreach(lc, read)
		add_relation(c, lfirst_oid(lc), true);
	foreach(lc, stmt->relationOids)
		add_relation(c, lfirst_oid(lc), false);
	list_free(read);
}

/* Whether a plan may show some rows to some only. */
static bool
has_row_security(const PlannedStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->rtable)
	{
		Oid			rel = lfirst_node(RangeTblEntry, lc)->relid;

		if (OidIsValid(rel) && cx_access_has_row_security(rel))
			return true;
	}
	return stmt->dependsOnRole;
}

static bool
same_snapshot(const SnapshotData *a, Snapshot b)
{
	return b != NULL && a->xmin == b->xmin && a->xmax == b->xmax &&
		a->xcnt == b->xcnt && a->subxcnt == b->subxcnt &&
		a->curcid == b->curcid;
}

static void
take_plan(CxCollector *c, QueryDesc *desc, const CxJudgement *judgement)
{
	MemoryContext old = MemoryContextSwitchTo(c->context);
	ListCell   *lc;

	c->started = lappend(c->started, desc);
	MemoryContextSwitchTo(old);
	foreach(lc, judgement->settings)
		add_setting(c, lfirst(lc));
	if (judgement->privileges)
		add_privileges(c);
	if (OidIsValid(judgement->unbelieved))
		refuse(c, CX_UNKNOWN_FUNCTION, judgement->unbelieved, NULL);
	if (OidIsValid(judgement->session))
		c->session = judgement->session;
	c->row_security |= has_row_security(desc->plannedstmt);
	/* a definer becomes another user in another way */
	if (c->user != GetUserId() && !InLocalUserIdChange())
		refuse(c, CX_UNKNOWN_QUERY, InvalidOid, role_change);
	if (c->access && c->user == GetUserId())
	{
		cx_access_add_plan(c->access, desc->plannedstmt);
		cx_access_add_sharing(c->access, &judgement->sharing);
	}
	else if (c->access && judgement->refusal != CX_NOT_REFUSED)
	{
		/* what a definer runs is the same for all, but for the session's own */
		c->access->filler_only = true;
	}
	if (!c->exact)
		return;
	if (judgement->refusal != CX_NOT_REFUSED)
		refuse(c, judgement->refusal, judgement->function, judgement->what);
	else if (!same_snapshot(&c->snapshot, desc->snapshot))
		refuse(c, CX_UNKNOWN_QUERY, InvalidOid, "another snapshot");
}

/* Whether a collector needs to know what others may do. */
static bool
any_shared(void)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (c->access)
			return true;
	}
	return false;
}

/* ---- hooks ---- */

/* A loader's queries before they are planned. */
static void
collect_queries(List *queries)
{
	CxSharing	sharing = {false};

	if (!any_shared())
		return;
	cx_share_queries(queries, &sharing);
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (c->access && c->user == GetUserId())
			cx_access_add_sharing(c->access, &sharing);
	}
}

/*
 * The queries of functions in parallel workers would not be seen, so a plan
 * that calls any runs in this process alone.
 */
static void
forbid_workers(QueryDesc *desc)
{
	PlannedStmt *copy = palloc(sizeof(PlannedStmt));

	memcpy(copy, desc->plannedstmt, sizeof(PlannedStmt));
	copy->parallelModeNeeded = false;
	desc->plannedstmt = copy;
}

static void
collect_start(QueryDesc *desc, int eflags)
{
	CxJudgement judgement;

	cx_judge_plan(desc->plannedstmt, any_shared(), &judgement);
	if (judgement.user_code && desc->plannedstmt->parallelModeNeeded)
		forbid_workers(desc);
	/* who may not read them is told so now, and the loader may go on */
	for (CxCollector *c = top; c != NULL; c = c->outer)
		take_relations(c, desc->plannedstmt);
	if (prev_executor_start)
		prev_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
	for (CxCollector *c = top; c != NULL; c = c->outer)
		take_plan(c, desc, &judgement);
}

static void
executor_start(QueryDesc *desc, int eflags)
{
	if (unlikely(top != NULL))
		collect_start(desc, eflags);
	else if (prev_executor_start)
		prev_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

/* A cursor that was opened before the loader began shows what it saw then. */
static void
executor_run(CX_COMPAT_EXECUTOR_RUN_ARGS)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (!list_member_ptr(c->started, desc))
			refuse(c, CX_UNKNOWN_QUERY, InvalidOid, "a cursor");
	}
	if (prev_executor_run)
		prev_executor_run(CX_COMPAT_EXECUTOR_RUN_PASS);
	else
		standard_ExecutorRun(CX_COMPAT_EXECUTOR_RUN_PASS);
}

/*
 * FETCH gets the rows of a cursor WITH HOLD without the executor, and SHOW the
 * value of a setting.
 */
static void
process_utility(PlannedStmt *pstmt, const char *query_string,
				bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *env,
				DestReceiver *dest, QueryCompletion *qc)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (IsA(pstmt->utilityStmt, FetchStmt))
			refuse(c, CX_UNKNOWN_QUERY, InvalidOid, "a cursor");
		else if (IsA(pstmt->utilityStmt, VariableShowStmt))
			refuse(c, CX_UNKNOWN_QUERY, InvalidOid, "SHOW");
	}
	(prev_process_utility ? prev_process_utility : standard_ProcessUtility)
		(pstmt, query_string, read_only_tree, context, params, env, dest, qc);
}

static void
executor_end(QueryDesc *desc)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
		c->started = list_delete_ptr(c->started, desc);
	if (prev_executor_end)
		prev_executor_end(desc);
	else
		standard_ExecutorEnd(desc);
}

/* Called once, from _PG_init. */
void
cx_collect_install_hooks(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	prev_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = executor_end;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	cx_plan_queries_hook = collect_queries;
}

/* ---- the stack ---- */

bool
cx_collect_is_active(void)
{
	return top != NULL;
}

/*
 * Begins to write down what others need: nothing will do where names mean
 * something of this session's own.
 */
static void
begin_access(CxCollector *c)
{
	CxSharing	sharing = {false};

	cx_access_begin(c->access, c->user);
	cx_share_json(&sharing);
	if (sharing.personal || cx_names_hidden())
		c->access->filler_only = true;
}

/*
 * Begins to collect; exact says that the result must depend on nothing
 * unknown, shared that other roles may be served it.  A snapshot is active.
 * To be ended in any case.
 */
CxCollector *
cx_collect_begin(bool exact, bool shared)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cachex collector",
												  ALLOCSET_SMALL_SIZES);
	CxCollector *c = MemoryContextAllocZero(context, sizeof(CxCollector));
	Snapshot	snapshot = GetActiveSnapshot();

	cx_folded_begin();
	c->context = context;
	c->exact = exact;
	c->user = GetUserId();
	if (shared)
	{
		c->access = MemoryContextAlloc(context, sizeof(CxAccess));
		begin_access(c);
	}
	c->temporary_runs = cx_names_temporary_runs;
	c->snapshot.xmin = snapshot->xmin;
	c->snapshot.xmax = snapshot->xmax;
	c->snapshot.xcnt = snapshot->xcnt;
	c->snapshot.subxcnt = snapshot->subxcnt;
	c->snapshot.curcid = snapshot->curcid;
	c->outer = top;
	top = c;
	return c;
}

/* Ends it, whatever has been begun since and not ended. Cannot fail. */
void
cx_collect_abandon(CxCollector *collector)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (c == collector)
		{
			top = c->outer;
			break;
		}
	}
}

/*
 * A subtransaction was rolled back: the loader has caught an error, and what
 * raised it, a table that is missing or locked say, may not have been noted.
 * Allocates nothing.
 */
void
cx_collect_caught(void)
{
	static char what[] = "an error that it catches";

	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		/* another one may not have met with it */
		if (c->access)
			c->access->filler_only = true;
		if (c->exact && c->refusal == CX_NOT_REFUSED)
		{
			c->refusal = CX_UNKNOWN_QUERY;
			c->what = what;
		}
	}
}

/* At the end of a transaction. Cannot fail. */
void
cx_collect_abandon_all(void)
{
	top = NULL;
}

/* Whether a table above a partition was read too, which stands for it. */
static bool
is_covered(const CxCollector *c, Oid rel, const Oid *above, int n)
{
	if (!get_rel_relispartition(rel))
		return false;
	for (int i = 0; i < n; i++)
	{
		if (list_member_oid(c->rels, above[i]))
			return true;
	}
	return false;
}

/* Fills reads->rel; false when there are too many. */
static bool
list_relations(const CxCollector *c, CxReads *reads)
{
	List	   *all_above = NIL;
	ListCell   *lc;
	int			n = 0;

	foreach(lc, c->rels)
	{
		const Oid  *above;
		int			nabove = cx_lineage_above(lfirst_oid(lc), &above);

		if (is_covered(c, lfirst_oid(lc), above, nabove))
			continue;
		if (n == CX_MAX_RELATIONS)
			return false;
		reads->rel[n++] = lfirst_oid(lc);
		for (int i = 0; i < nabove && c->exact; i++)
		{
			if (!list_member_oid(c->rels, above[i]))
				all_above = list_append_unique_oid(all_above, above[i]);
		}
	}
	reads->nread = (uint16) n;
	if (n + list_length(all_above) > CX_MAX_RELATIONS)
		return false;
	foreach(lc, all_above)
		reads->rel[n++] = lfirst_oid(lc);
	reads->nabove = (uint16) list_length(all_above);
	return true;
}

static bool
list_settings(const CxCollector *c, CxReads *reads)
{
	Size		len = 0;
	ListCell   *lc;

	foreach(lc, c->settings)
	{
		const char *name = lfirst(lc);
		Size		size = strlen(name) + 1;

		if (len + size > CX_MAX_SETTINGS)
			return false;
		memcpy(reads->settings + len, name, size);
		len += size;
	}
	reads->settings_len = (uint16) len;
	reads->settings_hash = cx_reads_hash_settings(reads);
	return true;
}

/*
 * Ends it, and says what was read.  Returns why the result must not be kept,
 * by a cache of its kind; then reads->known is false.  The collector lives on for cx_collect_culprit().
 */
CxRefusal
cx_collect_end(CxCollector *c, CxReads *reads)
{
	cx_collect_abandon(c);
	memset(reads, 0, offsetof(CxReads, rel));
	if (c->exact && c->temporary_runs != cx_names_temporary_runs)
		refuse(c, CX_UNKNOWN_QUERY, InvalidOid, "temporary types or functions");
	if (c->user != GetUserId())
		refuse(c, CX_UNKNOWN_QUERY, InvalidOid, role_change);
	/* which rows there are may have been decided by it */
	if (c->row_security && OidIsValid(c->session))
		refuse(c, CX_UNKNOWN_FUNCTION, c->session, NULL);
	if (c->refusal == CX_NOT_REFUSED && !list_relations(c, reads))
		refuse(c, CX_TOO_MANY_RELATIONS, InvalidOid, NULL);
	if (c->refusal == CX_NOT_REFUSED && !list_settings(c, reads))
		refuse(c, CX_UNKNOWN_FUNCTION, InvalidOid, "current_setting");
	reads->exact = c->exact;
	reads->known = c->refusal == CX_NOT_REFUSED;
	return c->refusal;
}

/*
 * What other roles need to be served the result, NULL unless it was asked
 * for; as long as the collector.
 */
const CxAccess *
cx_collect_access(const CxCollector *c)
{
	return c->access;
}

/* Who is to blame for a refusal, for a message; NULL when it is nobody. */
char *
cx_collect_culprit(const CxCollector *c)
{
	if (OidIsValid(c->function))
		return psprintf("%s()", get_func_name(c->function));
	return c->what ? pstrdup(c->what) : NULL;
}

/*
 * A loader has read a value from the cache: what that depends on, it depends
 * on as well.  exact says that, cached or not, the value would be the same.
 */
void
cx_collect_cached(const CxReads *reads, bool exact)
{
	for (CxCollector *c = top; c != NULL; c = c->outer)
	{
		if (c->exact && !exact)
			refuse(c, CX_UNKNOWN_QUERY, InvalidOid,
				   "what happens to be in a cache");
		/* and that may be another one's, or for him only */
		if (c->access)
			c->access->filler_only = true;
		for (int i = 0; i < reads->nread; i++)
			add_relation(c, reads->rel[i], true);
		for (int at = 0; at < reads->settings_len;
			 at += (int) strlen(reads->settings + at) + 1)
			add_setting(c, reads->settings + at);
	}
}
