/*
 * cx_waits.h
 *	  Sessions that wait for a warmer's next run.
 */
#ifndef CX_WAITS_H
#define CX_WAITS_H

#include "datatype/timestamp.h"

#define CX_MAX_WAITS	64		/* sessions, in all databases */
#define CX_WAIT_MESSAGE 256		/* bytes of an error that are passed on */

typedef enum CxWaitState
{
	CX_WAIT_FREE,
	CX_WAIT_ASKED,
	CX_WAIT_RUNNING,			/* it began after it was asked for */
	CX_WAIT_DONE,
	CX_WAIT_FAILED,				/* there is a message */
	CX_WAIT_MISSING,			/* the worker sees no such warmer */
	CX_WAIT_NO_WORKER,			/* none is free */
	CX_WAIT_NOT_SERVED			/* none is started for this database */
} CxWaitState;

extern Size cx_waits_size(void);
extern void cx_waits_init(void *memory);

/* For sessions */
extern int	cx_waits_ask(Oid db, int64 warmer);
extern CxWaitState cx_waits_sleep(int n, int64 ms, char *message);
extern void cx_waits_end(int n);

/* For the visiting worker; for the launcher, the last */
extern int	cx_waits_wanted(Oid db, int64 *warmers);
extern void cx_waits_begin(Oid db, int64 warmer);
extern void cx_waits_done(Oid db, int64 warmer, const char *error);
extern void cx_waits_missing(Oid db, int64 warmer);
extern void cx_waits_abandon(Oid db, const char *error);
extern void cx_waits_refuse(Oid db, CxWaitState why);

#endif							/* CX_WAITS_H */
