/*
 * cx_tier_visit.c
 *	  In the background: copies fills from memory into the table of stored
 *	  entries, and deletes there what is of no more use.
 *
 * A fill is looked up again under a snapshot of the worker's own.  If that is
 * a hit, its value is right for that snapshot, as for any reader: the row is
 * stored with it, and nobody needs to know when and under which snapshot the
 * loader ran.  What somebody invalidates meanwhile leaves a record that the
 * snapshot does not see.
 *
 * Looking through the rows: first the horizon is taken, the xid before which
 * everything is seen by every snapshot that there is or will be; then each
 * row that has expired, belongs to no cache any more or is dead for a
 * snapshot of now is deleted; then the records before the horizon are.  A
 * row that comes meanwhile is that of a snapshot held from before its
 * transaction ended, which sees all these records' transactions.  Some
 * blocks are done in a transaction, and the next time comes after a minute at
 * the earliest, and not before a hundred times as long as this one took.
 *
 * Locking: none of cachex's on entry or return.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cx_cache.h"
#include "cx_counters.h"
#include "cx_put.h"
#include "cx_step.h"
#include "cx_table.h"
#include "cx_tier_queue.h"
#include "cx_tier_roles.h"
#include "cx_tier_table.h"
#include "cx_tier_visit.h"
#include "cx_tier_write.h"

#define ITEMS_AT_ONCE	64
#define MAX_TRIES		3		/* to copy an entry that is there */
#define BLOCKS_AT_ONCE	256
#define AGAIN_AFTER_US	USECS_PER_SEC	/* where there was something to copy */
#define SHARE_OF_TIME	100		/* looking through takes one of so many */

/* The cache of a number, if it has a table; NULL: it has none. */
static CxCache *
cache_of(int number)
{
	CxCache   **all;
	int			n;

	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
	{
		if (all[i]->number == number && cx_catalog_usable(all[i]) &&
			all[i]->persist == CX_PERSIST_TABLE)
			return all[i];
	}
	return NULL;
}

/* ---- copying ---- */

/* Whose entry an item is about. */
typedef struct Names
{
	const CxTierItem *item;
	bool		found;
	Oid			role;
	bool		has_scope;
	Size		scope_len;
	Size		key_len;
	char		bytes[CX_MAX_SCOPE + CX_MAX_KEY];
} Names;

/* Under the lock of a partition. */
static void
names_cb(const CxSlot *slot, void *arg)
{
	Names	   *names = arg;
	CxEntry		entry;
	CxCursor	c;

	if (names->found || slot->gen != names->item->gen ||
		slot->cache != names->item->cache ||
		(slot->flags & CX_SLOT_STAGED) != 0)
		return;
	cx_entry_read(slot, &entry);
	c = entry.names;
	cx_arena_read(&c, names->bytes, entry.scope_len + entry.key_len);
	names->role = entry.role;
	names->has_scope = (entry.flags & CX_ENTRY_SCOPE) != 0;
	names->scope_len = entry.scope_len;
	names->key_len = entry.key_len;
	names->found = true;
}

/* Makes the question of the role that has filled the entry. */
static bool
ask_for(const CxTierItem *item, CxCache *cache, Names *names, CxAsk *ask)
{
	names->item = item;
	names->found = false;
	cx_table_scan(cx_table_bucket(item->id), names_cb, names);
	if (!names->found)
		return false;
	cx_cache_ask(ask, cache, names->bytes + names->scope_len, names->key_len,
				 names->has_scope ? names->bytes : NULL, names->scope_len);
	cx_key_make(&ask->ident, (uint16) cache->number, cache->uid, cache->dep_seed,
				names->role, names->bytes + names->scope_len, names->key_len,
				names->has_scope ? names->bytes : NULL, names->scope_len);
	ask->background = true;
	return true;
}

/* Tries once more: a commit that is not yet over may have been in the way. */
static void
try_again(const CxTierItem *item)
{
	CxTierItem	again = *item;

	if (++again.tries < MAX_TRIES)
		cx_tier_queue_push(&again);
}

/* Copies an entry, if it is still there and right. */
static void
copy_one(CxTier *tier, const CxTierItem *item, Datum seen)
{
	CxCache    *cache = cache_of(item->cache);
	Names	   *names = palloc(sizeof(Names));
	CxHit	   *hit = palloc(sizeof(CxHit));
	CxTierNew	new = {0};
	CxStatus	status;
	CxAsk		ask;

	if (item->gen == 0)
	{
		cx_tier_delete_older(tier, GetActiveSnapshot(), item->id, true);
		return;
	}
	if (cache == NULL || !ask_for(item, cache, names, &ask))
		return;
	/* before the look, which finds out whether that has changed since */
	new.roles = cx_tier_roles(names->role);
	status = cx_cache_lookup(&ask, true, hit);
	if (status != CX_HIT && status != CX_NEGATIVE)
	{
		try_again(item);
		return;
	}
	cx_put_copy_entry(hit, &new.entry);
	cx_store_release(hit);
	new.cache = cache->id;
	new.stable = cache->stable_dep_seed;
	new.ident = ask.ident;
	new.seen = seen;
	cx_tier_delete_older(tier, ask.view.snapshot,
						 cx_key_stable_ident(new.stable, &new.ident), false);
	cx_tier_insert(tier, &new);
	cx_counters_add(item->cache, CX_TIER_STORED, 1);
	if (cx_entry_end(&new.entry) != CX_NEVER)
		cx_tier_queue_clean(MyDatabaseId,
							Max(cx_entry_end(&new.entry),
								cx_tier_next_clean(ask.now)));
}

/*
 * Copies some entries in one transaction.  false: that is not yet possible,
 * and they are in the ring again.
 */
static bool
copy(const CxTierItem *items, int n)
{
	MemoryContext context = CurrentMemoryContext;
	CxTier		tier;
	CxView		view;
	bool		admitted;

	cx_step_start(false);
	cx_tier_hold();
	cx_view_make(&view, GetActiveSnapshot());
	admitted = cx_tier_queue_admits(view.xmin);
	if (admitted && cx_catalog_any_in_table() &&
		cx_tier_open(&tier, RowExclusiveLock, true))
	{
		Datum		seen = cx_tier_snapshot();
		MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext,
													  "cachex row",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(per_row);

		for (int i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			copy_one(&tier, &items[i], seen);
			MemoryContextReset(per_row);
		}
		MemoryContextSwitchTo(old);
		cx_tier_close(&tier);
	}
	for (int i = 0; i < n && !admitted; i++)
		cx_tier_queue_push(&items[i]);
	cx_step_commit();
	MemoryContextSwitchTo(context);
	return admitted;
}

/* Copies what there is to be copied; returns when to come again. */
static TimestampTz
copy_all(void)
{
	CxTierItem	items[ITEMS_AT_ONCE];
	TimestampTz next = CX_TIER_NOT_DUE;
	int			n;

	while ((n = cx_tier_queue_take(MyDatabaseId, items, ITEMS_AT_ONCE)) > 0)
	{
		next = GetCurrentTimestamp() + AGAIN_AFTER_US;
		/* a ring that is filled as fast as it is emptied is no end */
		if (!copy(items, n) || n < ITEMS_AT_ONCE)
			break;
	}
	return next;
}

/* ---- looking through ---- */

typedef struct Cleaning
{
	CxTier		tier;
	uint64		horizon;
	TimestampTz now;
	TimestampTz first;			/* expiry of a row that stays */
	bool		records_left;
} Cleaning;

typedef bool (*Useless) (Cleaning *c, HeapTuple tuple);

static bool
has_cache(int64 id)
{
	CxCache   **all;
	int			n;

	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
	{
		if (all[i]->id == id)
			return all[i]->persist == CX_PERSIST_TABLE;
	}
	return false;
}

static bool
row_is_useless(Cleaning *c, HeapTuple tuple)
{
	CxTierRow  *row = palloc(sizeof(CxTierRow));

	if (!cx_tier_read(&c->tier, tuple, row) ||
		cx_entry_end(&row->entry) <= c->now ||
		!has_cache(row->cache) ||
		row->roles != (row->reads.known ? cx_tier_roles(row->role)
					   : cx_tier_role(row->role)) ||
		cx_tier_is_dead(&c->tier, GetActiveSnapshot(), row))
		return true;
	c->first = Min(c->first, cx_entry_end(&row->entry));
	return false;
}

static bool
record_is_useless(Cleaning *c, HeapTuple tuple)
{
	if (cx_tier_record_xid(&c->tier, tuple) < c->horizon)
		return true;
	c->records_left = true;
	return false;
}

/* Looks through some blocks; returns the next one. */
static BlockNumber
clean_blocks(Cleaning *c, Relation rel, BlockNumber from, BlockNumber end,
			 Useless useless)
{
	BlockNumber to = Min(end, from + BLOCKS_AT_ONCE);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext,
												  "cachex row",
												  ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ItemPointerData first;
	ItemPointerData last;
	TableScanDesc scan;

	ItemPointerSet(&first, from, FirstOffsetNumber);
	ItemPointerSet(&last, to - 1, MaxOffsetNumber);
	scan = table_beginscan_tidrange(rel, GetActiveSnapshot(), &first, &last);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);

		CHECK_FOR_INTERRUPTS();
		if (useless(c, ExecFetchSlotHeapTuple(slot, false, NULL)))
			cx_tier_delete(rel, &slot->tts_tid);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return to;
}

/* One of the two tables, some blocks in a transaction. */
static bool
clean_table(Cleaning *c, bool records)
{
	MemoryContext context = CurrentMemoryContext;
	BlockNumber at = 0;
	BlockNumber end = InvalidBlockNumber;

	do
	{
		Relation	rel;

		CHECK_FOR_INTERRUPTS();
		cx_step_start(false);
		if (!cx_tier_open(&c->tier, RowExclusiveLock, true))
		{
			cx_step_commit();
			MemoryContextSwitchTo(context);
			return false;
		}
		rel = records ? c->tier.records : c->tier.entries;
		if (end == InvalidBlockNumber)
			end = RelationGetNumberOfBlocks(rel);
		if (at < end)
			at = clean_blocks(c, rel, at, end,
							  records ? record_is_useless : row_is_useless);
		cx_tier_close(&c->tier);
		cx_step_commit();
		MemoryContextSwitchTo(context);
	} while (at < end);
	return true;
}

/* What all snapshots see that there are or will be; 0: there are no tables. */
static uint64
take_horizon(void)
{
	MemoryContext context = CurrentMemoryContext;
	uint64		horizon = 0;
	CxTier		tier;

	cx_step_start(false);
	if (cx_tier_open(&tier, RowExclusiveLock, true))
	{
		horizon = cx_view_full_xid(GetOldestNonRemovableTransactionId(tier.entries));
		cx_tier_close(&tier);
	}
	cx_step_commit();
	MemoryContextSwitchTo(context);
	return horizon;
}

/* Looks through both tables, and has that done again when it may be due. */
static void
clean(void)
{
	Cleaning	c = {0};
	TimestampTz again;
	TimestampTz next;

	c.now = GetCurrentTimestamp();
	again = cx_tier_next_clean(c.now);
	cx_tier_queue_begin_clean(MyDatabaseId, again);
	c.first = CX_NEVER;
	c.horizon = take_horizon();
	/* records only after all rows */
	if (c.horizon == 0 || !clean_table(&c, false) || !clean_table(&c, true))
	{
		cx_tier_queue_end_clean(MyDatabaseId, again, CX_TIER_NOT_DUE);
		return;
	}
	next = GetCurrentTimestamp();
	next = cx_tier_next_clean(next + (next - c.now) * SHARE_OF_TIME);
	if (!c.records_left)
		next = c.first == CX_NEVER ? CX_TIER_NOT_DUE : Max(next, c.first);
	cx_tier_queue_end_clean(MyDatabaseId, again, next);
}

/* A visitor's part; returns when to come again.  No transaction is under way. */
TimestampTz
cx_tier_visit(void)
{
	TimestampTz next = copy_all();
	TimestampTz due = cx_tier_queue_due(MyDatabaseId);

	if (due <= GetCurrentTimestamp())
	{
		clean();
		due = cx_tier_queue_due(MyDatabaseId);
	}
	return Min(next, due);
}
