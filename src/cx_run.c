/*
 * cx_run.c
 *	  Connects, makes the transaction read only for the time, runs, and hands
 *	  the rows over before they go.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller;
 * a text runs for any time, takes table locks, and may itself use the cache,
 * so everything here is entered recursively.  A snapshot must be active.
 *
 * Not done here: parsing and planning (cx_plan.c), and what rows mean.
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"

#include "cx_run.h"

/* Executes the plan, and takes the time of it. */
static CxRows *
execute(CxRun *run, CxPlan *plan, instr_time start)
{
	MemoryContext old = CurrentMemoryContext;
	instr_time	end;
	CxRows	   *rows;

	if (run->keep_rows)
		MemoryContextSwitchTo(run->keep);
	rows = cx_plan_execute(plan, run->first, run->first_isnull, run->params,
						   run->limit);
	MemoryContextSwitchTo(old);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	run->cost_us = INSTR_TIME_GET_DOUBLE(end) * 1000000.0;
	return rows;
}

/*
 * cx_run
 *
 * Runs the text and hands its rows to take_cb, in the SPI procedure's memory
 * context and still read only: turning rows into jsonb can call functions.
 * Raises what cx_plan_acquire and cx_plan_execute raise, and what the query
 * and take_cb raise.
 */
void
cx_run(CxRun *run)
{
	bool		was_read_only = XactReadOnly;
	CxPlan	   *volatile plan = NULL;
	instr_time	start;

	run->keep = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	PG_TRY();
	{
		XactReadOnly = true;
		INSTR_TIME_SET_CURRENT(start);
		plan = cx_plan_acquire(run->text, run->kind);
		run->take_cb(run, execute(run, plan, start));
	}
	PG_FINALLY();
	{
		XactReadOnly = was_read_only;
		if (plan != NULL)
			cx_plan_release(plan);
	}
	PG_END_TRY();

	SPI_finish();
}

/*
 * Values in TOAST tables are fetched while the snapshot is there that
 * protects them.
 */
static void
take_rows_cb(const CxRun *run, CxRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(run->keep);

	for (uint64 i = 0; i < rows->n; i++)
	{
		HeapTuple	tuple = rows->tuples[i];

		CHECK_FOR_INTERRUPTS();
		if (HeapTupleHasExternal(tuple))
		{
			rows->tuples[i] = toast_flatten_tuple(tuple, rows->desc);
			heap_freetuple(tuple);
		}
	}
	MemoryContextSwitchTo(old);
	*(CxRows **) run->result = rows;
}

/*
 * cx_run_rows
 *
 * Runs a query and returns all its rows in the caller's current context,
 * whole: without pointers to TOAST tables or to expanded objects.  params may
 * be NULL for none.  Raises what cx_run raises.
 */
CxRows *
cx_run_rows(const char *query, ArrayType *params, double *cost_us)
{
	CxRun		run = {0};
	CxRows	   *rows = NULL;

	run.text = query;
	run.kind = CX_PLAN_QUERY;
	run.params = params;
	run.keep_rows = true;
	run.take_cb = take_rows_cb;
	run.result = &rows;
	cx_run(&run);
	*cost_us = run.cost_us;
	return rows;
}
