/*
 * cx_run.h
 *	  One run of a text in SPI, read only.
 */
#ifndef CX_RUN_H
#define CX_RUN_H

#include "cx_plan.h"

/* What goes in, and the callback that takes the rows. */
typedef struct CxRun
{
	const char *text;
	CxPlanKind	kind;
	Datum		first;			/* see cx_plan_execute */
	bool		first_isnull;
	ArrayType  *params;
	uint64		limit;
	bool		keep_rows;		/* they are made in keep */
	void		(*take_cb) (const struct CxRun *run, CxRows *rows);
	Oid			type;			/* for take_cb: what is asked for */
	void	   *result;			/* likewise */
	MemoryContext keep;			/* where results live: the caller's context */
	double		cost_us;		/* of planning and running */
} CxRun;

extern void cx_run(CxRun *run);
extern CxRows *cx_run_rows(const char *query, ArrayType *params,
						   double *cost_us);

#endif							/* CX_RUN_H */
