/*
 * cx_xact.c
 *	  The callbacks.
 *
 * Before a commit or PREPARE errors are still possible; after it nothing here
 * may raise one.  A commit's callback runs when other sessions can already
 * see the transaction, and before its heavyweight locks are released.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "cx_change.h"
#include "cx_collect.h"
#include "cx_commit.h"
#include "cx_notes.h"
#include "cx_tier_write.h"
#include "cx_xact.h"

static void
xact_cb(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			cx_change_before_commit(false);
			break;
		case XACT_EVENT_PRE_PREPARE:
			cx_change_before_commit(true);
			break;
		case XACT_EVENT_COMMIT:
			cx_commit_after_commit();
			cx_tier_after(true);
			cx_store_release_stale();
			cx_collect_abandon_all();
			break;
		case XACT_EVENT_PREPARE:
			cx_commit_after_prepare();
			cx_tier_after(true);
			cx_store_release_stale();
			break;
		case XACT_EVENT_ABORT:
			cx_commit_after_abort();
			cx_tier_after(false);
			cx_store_release_stale();
			cx_collect_abandon_all();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			/* these have changed nothing */
			cx_store_release_stale();
			cx_collect_abandon_all();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

/* A top-level transaction's messages are sent before its locks go. */
static void
release_cb(ResourceReleasePhase phase, bool is_commit, bool is_top_level,
		   void *arg)
{
	if (phase == RESOURCE_RELEASE_LOCKS && is_commit && is_top_level)
		cx_commit_after_locks();
	if (phase == RESOURCE_RELEASE_AFTER_LOCKS && is_top_level)
		cx_tier_after_locks();
}

static void
subxact_cb(SubXactEvent event, SubTransactionId self, SubTransactionId parent,
		   void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		cx_collect_caught();
		/* of a trigger that an error has left */
		cx_pending_blame(InvalidOid, CX_COMMAND_CALL);
	}
	if (event == SUBXACT_EVENT_ABORT_SUB && cx_pending_any)
		cx_commit_cut(cx_pending_level_start(level));
	if (event == SUBXACT_EVENT_ABORT_SUB || event == SUBXACT_EVENT_COMMIT_SUB)
		cx_pending_end_level(level);
}

/* Called once, from _PG_init. */
void
cx_xact_register(void)
{
	RegisterXactCallback(xact_cb, NULL);
	RegisterSubXactCallback(subxact_cb, NULL);
	RegisterResourceReleaseCallback(release_cb, NULL);
}
