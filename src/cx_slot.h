/*
 * cx_slot.h
 *	  What is kept of an entry in one cache line.  Its bytes are in the arena.
 *
 * A slot is in two structures, the table (cx_table) and the queues
 * (cx_policy), and each holds a reference; a reader that copies a long value
 * holds one more.  Who drops the last one frees the memory, so neither
 * structure needs the other's lock.
 */
#ifndef CX_SLOT_H
#define CX_SLOT_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

#include "cx_arena.h"

/* flags: changed under the exclusive lock of the slot's partition */
#define CX_SLOT_LINKED		0x01	/* in the table */
#define CX_SLOT_STAGED		0x02	/* of a transaction that has not committed */
#define CX_SLOT_DOOMED		0x04	/* evicted before it was linked */
#define CX_SLOT_IN_SCOPE	0x08	/* its scope is limited; fixed */

#define CX_MAX_FREQUENCY	15
#define CX_CLASS_NONE		0xff	/* in no queue */
#define CX_NEVER			PG_INT64_MAX	/* does not expire */

typedef struct CxSlot
{
	uint32		hash;			/* low half of the identity's hash; fixed */
	uint16		cache;			/* number in the registry; fixed */
	uint8		class;			/* queue, or CX_CLASS_NONE: policy lock */
	uint8		frequency;		/* 1..CX_MAX_FREQUENCY: policy lock */
	uint64		gen;			/* the generation it was stored at */
	TimestampTz expires;
	double		priority;		/* policy lock, as are the links */
	uint32		queue_prev;
	uint32		queue_next;
	uint32		wheel_prev;
	uint32		wheel_next;
	uint32		data;			/* first segment; fixed */
	uint16		charge;			/* chunks of data; fixed */
	uint8		hits;			/* 0..3, the only field a hit writes */
	uint8		flags;
	float		weight;			/* microseconds saved a byte; fixed */
	pg_atomic_uint32 refs;
} CxSlot;

StaticAssertDecl(sizeof(CxSlot) == CX_SLOT_SIZE, "a slot is one cache line");

static inline CxSlot *
cx_slot(uint32 n)
{
	return (CxSlot *) cx_arena_slot(n);
}

/* Bytes that an entry counts for: its chunks and its slot. */
static inline uint64
cx_slot_bytes(const CxSlot *slot)
{
	return (uint64) slot->charge * CX_CHUNK_SIZE + CX_SLOT_SIZE;
}

/* Drops a reference; the last one frees the slot and its data. */
static inline void
cx_slot_unref(uint32 n)
{
	CxSlot	   *slot = cx_slot(n);

	if (pg_atomic_sub_fetch_u32(&slot->refs, 1) == 0)
		cx_arena_free(n, slot->data);
}

#endif							/* CX_SLOT_H */
