/*
 * cx_check.c
 *	  Every entry is in the table and in a queue, and in its scope where that
 *	  is limited; every chunk and granule belongs to just one of them.
 *
 * Locking: one bucket's partition at a time, so it says something only while
 * nobody changes the store.
 */
#include "postgres.h"

#include "cx_check.h"
#include "cx_store.h"
#include "cx_table.h"

typedef struct Sums
{
	uint64		entries;
	uint64		in_scopes;
	uint64		chunks;
	const char *fault;
} Sums;

static void
check_slot(const CxSlot *slot, void *arg)
{
	Sums	   *sums = arg;
	uint64		chunks = 0;

	for (uint32 s = slot->data; s != CX_NONE;
		 s = cx_arena_map.next[s & ~CX_WHOLE_PAGE])
		chunks += cx_arena_segment_size(s) / CX_CHUNK_SIZE;
	sums->entries++;
	if (slot->flags & CX_SLOT_IN_SCOPE)
		sums->in_scopes++;
	sums->chunks += chunks;
	if (chunks != slot->charge)
		sums->fault = "an entry is charged for other chunks than it has";
	if ((slot->flags & CX_SLOT_LINKED) == 0)
		sums->fault = "a slot in the table does not know it";
	if (slot->class == CX_CLASS_NONE)
		sums->fault = "a slot in the table is in no queue";
	if (pg_atomic_read_u32(&((CxSlot *) slot)->refs) != 2)
		sums->fault = "a slot has a wrong number of references";
}

/*
 * Compares table, queues, scopes and arena while nobody changes them.  Returns NULL,
 * or what is wrong.
 */
const char *
cx_check_store(void)
{
	Sums		sums = {0};
	uint64		granules = 0;
	uint64		of_scopes;

	for (uint32 b = 0; b < cx_table_nbuckets(); b++)
	{
		cx_table_scan(b, check_slot, &sums);
		granules += cx_table_granules(b);
	}
	if (sums.fault)
		return sums.fault;
	if (cx_policy_entries() != sums.entries)
		return "the queues hold other entries than the table";
	sums.fault = cx_policy_check_scopes(sums.in_scopes, &of_scopes);
	if (sums.fault)
		return sums.fault;
	return cx_arena_check(sums.chunks, sums.entries + granules + of_scopes);
}
