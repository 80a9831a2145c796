/*
 * cx_requests.h
 *	  Handing what is to be refreshed to a worker, in shared memory.
 */
#ifndef CX_REQUESTS_H
#define CX_REQUESTS_H

#include "cx_parcel.h"

typedef enum CxRequested
{
	CX_REQUEST_QUEUED,
	CX_REQUEST_PENDING,			/* it was there already */
	CX_REQUEST_REFUSED			/* nobody would do it */
} CxRequested;

typedef enum CxOutcome
{
	CX_OUTCOME_DONE,
	CX_OUTCOME_FAILED,			/* with a message */
	CX_OUTCOME_UNSERVED,		/* nobody came in time; taken back */
	CX_OUTCOME_LOST				/* whoever took it did not end it */
} CxOutcome;

extern Size cx_requests_size(Size budget);
extern void cx_requests_init(void *memory, Size budget);

/* For sessions */
extern bool cx_requests_is_needless(uint64 id);
extern CxRequested cx_requests_put_awaited(uint64 id, const CxRefresh *r,
										   uint64 *ticket, bool *running);
extern CxOutcome cx_requests_await(uint64 ticket, char **message);

/* For the visiting worker */
extern bool cx_requests_take(Oid db, bool own, CxRefresh *out,
							 uint64 *ticket);
extern bool cx_requests_waiting(Oid db);
extern void cx_requests_give_back(uint64 ticket);
extern void cx_requests_done(uint64 ticket, const char *message);

#endif							/* CX_REQUESTS_H */
