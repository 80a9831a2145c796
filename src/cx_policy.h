/*
 * cx_policy.h
 *	  Which entries stay: what they are worth, the limits of each cache, and
 *	  what expires.
 */
#ifndef CX_POLICY_H
#define CX_POLICY_H

#include "cx_queues.h"
#include "cx_scopes.h"

#define CX_BATCH	64			/* most victims of one call */

/* The limits of a cache; PG_UINT64_MAX = none */
typedef struct CxLimits
{
	uint64		entries;
	uint64		bytes;
	uint64		per_scope;		/* entries */
} CxLimits;

typedef struct CxUsage
{
	uint64		entries;
	uint64		bytes;
	uint64		bytes_peak;
} CxUsage;

/* Slots that were taken off the queues and are to be taken off the table. */
typedef struct CxVictims
{
	int			n;
	uint32		slot[CX_BATCH];
} CxVictims;

/* Memory for the table of scopes */
typedef enum CxScopeRoom
{
	CX_SCOPE_ROOM,				/* there is enough */
	CX_SCOPE_TIGHT,				/* it will do, but there should be more */
	CX_SCOPE_NO_ROOM
} CxScopeRoom;

extern Size cx_policy_size(int ncaches, uint32 max_entries);
extern void cx_policy_init(void *memory, int ncaches, uint32 max_entries,
						   TimestampTz now);

extern bool cx_policy_enter(uint32 slot, const CxLimits *limits,
							uint8 frequency, TimestampTz now,
							CxVictims *victims);
extern double cx_policy_inflation(void);
extern void cx_policy_restore(uint32 slot, int class, double priority);
extern bool cx_policy_leave(uint32 slot);
extern void cx_policy_evict(uint64 bytes, TimestampTz now, CxVictims *victims);
extern bool cx_policy_trim(int cache, const CxLimits *limits, TimestampTz now,
						   CxVictims *victims);
extern bool cx_policy_expire(TimestampTz now, CxVictims *victims);
extern void cx_policy_clear(int cache, uint64 gen);
extern bool cx_policy_reclaim(int cache, uint32 *position, CxVictims *victims);
extern TimestampTz cx_policy_next_expiry(void);
extern void cx_policy_usage(int cache, CxUsage *usage);
extern void cx_policy_reset_peak(int cache);
extern uint64 cx_policy_entries(void);
extern bool cx_policy_drain(int cache, CxVictims *victims);

extern CxScopeRoom cx_policy_grow_scopes(void);
extern bool cx_policy_shrink_scopes(void);
extern bool cx_policy_trim_scopes(int cache, uint64 limit, uint32 *bucket,
								  TimestampTz now, CxVictims *victims);
extern const char *cx_policy_check_scopes(uint64 entries, uint64 *granules);

#endif							/* CX_POLICY_H */
