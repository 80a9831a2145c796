/*
 * cx_tier_queue.h
 *	  Fills that are to be copied into a table, and when the rows there are to
 *	  be looked through.
 */
#ifndef CX_TIER_QUEUE_H
#define CX_TIER_QUEUE_H

#include "datatype/timestamp.h"

#define CX_TIER_NOT_DUE PG_INT64_MAX

/* An entry as it was stored in memory. */
typedef struct CxTierItem
{
	Oid			db;
	uint16		cache;			/* number in the registry */
	uint16		tries;			/* in vain */
	uint64		id;				/* of the identity */
	uint64		gen;			/* 0: what a loader has stored is to go, and
								 * id is that of its rows */
} CxTierItem;

extern Size cx_tier_queue_size(void);
extern void cx_tier_queue_init(void *memory);

/* Entries to be copied */
extern void cx_tier_queue_push(const CxTierItem *item);
extern void cx_tier_queue_forget(Oid db);
extern int	cx_tier_queue_take(Oid db, CxTierItem *items, int max);

/* When rows may be stored at all */
extern void cx_tier_queue_define_begin(void);
extern void cx_tier_queue_define_end(void);
extern void cx_tier_queue_start(void);
extern bool cx_tier_queue_admits(uint64 xmin);

/* When to look through the rows of a database */
extern void cx_tier_queue_clean(Oid db, TimestampTz when);
extern TimestampTz cx_tier_queue_due(Oid db);
extern void cx_tier_queue_begin_clean(Oid db, TimestampTz again);
extern void cx_tier_queue_end_clean(Oid db, TimestampTz again,
									TimestampTz next);

#endif							/* CX_TIER_QUEUE_H */
