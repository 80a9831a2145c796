/*
 * cx_flight.h
 *	  One load for many callers: who runs a loader now, and waiting for him.
 */
#ifndef CX_FLIGHT_H
#define CX_FLIGHT_H

#include "datatype/timestamp.h"
#include "utils/resowner.h"

/* The right to load, as long as it is held. */
typedef struct CxClaim
{
	bool		held;
	uint64		id;
	uint64		loader;
	ResourceOwner owner;
} CxClaim;

extern Size cx_flight_size(void);
extern void cx_flight_init(void *memory);

extern bool cx_flight_is_alone(uint64 id, uint64 loader, TimestampTz now);
extern void cx_flight_leave_alone(uint64 id, uint64 loader, TimestampTz now);
extern bool cx_flight_claim(CxClaim *claim, uint64 id, uint64 loader);
extern void cx_flight_release(CxClaim *claim);
extern bool cx_flight_may_wait(uint64 id, uint64 loader);
extern bool cx_flight_wait(uint64 id, int timeout_ms);
extern bool cx_flight_wait_to_claim(CxClaim *claim, uint64 id, uint64 loader,
									int timeout_ms);
extern uint64 cx_flight_claims(uint64 id);
extern bool cx_flight_is_loading(uint64 id);

#endif							/* CX_FLIGHT_H */
