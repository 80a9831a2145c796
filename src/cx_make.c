/*
 * cx_make.c
 *	  From an entry to be stored to a slot that is on its queue and not yet in
 *	  the table.
 *
 * Locking: none on entry or return; takes the arena's, the policy's and, for
 * victims, the table's, one after the other.  Raises no error once it has
 * taken memory.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "cx_counters.h"
#include "cx_guc.h"
#include "cx_link.h"
#include "cx_make.h"
#include "cx_wake.h"

#define MAX_ROUNDS 2048			/* of eviction for one entry */
#define EVICT_AT_ONCE 1024		/* bytes, at least */
#define MAX_COST_US 3.6e9		/* more would drown all other worths */

/*
 * Gets the memory, evicting what is worth least, a few small entries at a time
 * so that the next ones find room.  CX_NONE: there is none.
 */
static uint32
alloc_evicting(Size size, TimestampTz now, uint32 *data, uint16 *charge)
{
	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		CxVictims	victims;
		uint32		n = cx_arena_alloc(size, data, charge);

		if (n != CX_NONE)
			return n;
		CHECK_FOR_INTERRUPTS();
		cx_policy_evict(Max(size + CX_SLOT_SIZE, EVICT_AT_ONCE), now, &victims);
		if (victims.n == 0)
			return CX_NONE;
		cx_link_drop(&victims);
	}
	return CX_NONE;
}

/* Whether an entry of so many bytes may be stored at all; counts if not. */
static bool
is_admissible(const CxCache *cache, const CxNewEntry *entry, Size size)
{
	Size		bytes = TYPEALIGN(CX_CHUNK_SIZE, size) + CX_SLOT_SIZE;

	if (entry->value_len > (Size) cx_guc_max_value_size * 1024 ||
		size > (Size) CX_MAX_VALUE_KB * 1024 + CX_MAX_KEY + CX_MAX_SCOPE)
	{
		cx_counters_add(cache->number, CX_TOO_LARGE, 1);
		return false;
	}
	if (bytes > cache->limits.bytes || cache->limits.entries == 0)
	{
		cx_counters_add(cache->number, CX_REFUSED_LIMIT, 1);
		return false;
	}
	return true;
}

/* Memory for a scope to begin, evicting likewise; false: there is none. */
static bool
make_scope_room(TimestampTz now)
{
	CxScopeRoom room = cx_policy_grow_scopes();

	for (int i = 0; room == CX_SCOPE_NO_ROOM && i < CX_MAKE_TRIES; i++)
	{
		cx_make_space(now);
		room = cx_policy_grow_scopes();
	}
	if (room == CX_SCOPE_TIGHT)
		cx_make_space(now);
	return room != CX_SCOPE_NO_ROOM;
}

static void
fill_slot(CxSlot *slot, const CxIdent *ident, const CxNewEntry *entry,
		  bool in_scope, uint64 gen)
{
	slot->hash = (uint32) ident->id;
	slot->cache = ident->cache;
	slot->class = CX_CLASS_NONE;
	slot->gen = gen;
	slot->expires = cx_entry_end(entry);
	slot->hits = 0;
	slot->flags = in_scope ? CX_SLOT_IN_SCOPE : 0;
	slot->weight = (float) (Min(entry->cost_us, MAX_COST_US) /
							cx_slot_bytes(slot));
	pg_atomic_init_u32(&slot->refs, 2);
	cx_entry_write(slot, ident, entry);
}

/* Frees a slot that nobody knows of yet, and says why. */
static uint32
give_up(uint32 n, const CxCache *cache, CxCounter why)
{
	cx_slot_unref(n);
	cx_slot_unref(n);
	cx_counters_add(cache->number, why, 1);
	return CX_NONE;
}

/*
 * Makes a slot with two references, the queues' and the one that linking it
 * gives to the table.  Counts and returns CX_NONE when the entry cannot be
 * stored.  frequency is as in cx_policy_enter.
 */
uint32
cx_make_slot(const CxCache *cache, const CxIdent *ident,
			 const CxNewEntry *entry, uint64 gen, uint8 frequency,
			 TimestampTz now)
{
	bool		in_scope = ident->has_scope &&
	cache->limits.per_scope != PG_UINT64_MAX;
	Size		size = cx_entry_size(ident, entry, in_scope);
	CxVictims	victims;
	CxSlot	   *slot;
	uint32		data;
	uint16		charge;
	uint32		n;
	bool		entered;

	if (!is_admissible(cache, entry, size))
		return CX_NONE;
	cx_registry_note_role(ident->role);
	n = alloc_evicting(size, now, &data, &charge);
	if (n == CX_NONE)
	{
		cx_counters_add(cache->number, CX_REFUSED_FULL, 1);
		return CX_NONE;
	}
	slot = cx_slot(n);
	slot->data = data;
	slot->charge = charge;
	fill_slot(slot, ident, entry, in_scope, gen);
	if (cx_slot_bytes(slot) > cache->limits.bytes)
		return give_up(n, cache, CX_REFUSED_LIMIT);
	do
	{
		if (in_scope && !make_scope_room(now))
			return give_up(n, cache, CX_REFUSED_FULL);
		entered = cx_policy_enter(n, &cache->limits, frequency, now, &victims);
		cx_link_drop(&victims);
	} while (!entered);
	if (cx_entry_end(entry) != CX_NEVER)
		cx_wake_before(cx_entry_end(entry));
	return n;
}

/* Evicts a few entries, for the table itself to grow. Cannot fail. */
void
cx_make_space(TimestampTz now)
{
	CxVictims	victims;

	cx_policy_evict(2 * (CX_CHUNK_SIZE + CX_SLOT_SIZE), now, &victims);
	cx_link_drop(&victims);
}

/* Evicts until a cache and its scopes are within limits. Cannot fail. */
void
cx_make_trim(int cache, const CxLimits *limits, TimestampTz now)
{
	CxVictims	victims;
	uint32		bucket = 0;
	bool		more = limits->per_scope != PG_UINT64_MAX;
	bool		done;

	while (more)
	{
		more = cx_policy_trim_scopes(cache, limits->per_scope, &bucket, now,
									 &victims);
		cx_link_drop(&victims);
	}
	do
	{
		done = cx_policy_trim(cache, limits, now, &victims);
		cx_link_drop(&victims);
	} while (!done);
}
