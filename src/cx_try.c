/*
 * cx_try.c
 *	  A subtransaction around a call, so that what an error leaves behind is
 *	  cleaned up.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "cx_try.h"

/* Every error but those by which somebody ends the statement or session. */
bool
cx_try_tolerates_all(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) !=
		ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}

static void
go_back(MemoryContext context, ResourceOwner owner)
{
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Calls run(arg) in a subtransaction, in the current memory context.  Returns
 * false when it raised an error that is tolerated; others are raised.  Not to
 * be called in parallel mode.
 */
bool
cx_try(void (*run) (void *arg), void *arg, CxTolerates tolerates)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	Assert(!IsInParallelMode());
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run(arg);
		ReleaseCurrentSubTransaction();
		go_back(context, owner);
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		go_back(context, owner);
		if (!tolerates(error->sqlerrcode))
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	return done;
}
