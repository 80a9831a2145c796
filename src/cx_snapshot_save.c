/*
 * cx_snapshot_save.c
 *	  Which entries are written when the server ends.
 *
 * All other processes are gone and the control file says that the shutdown
 * was clean.  What nothing says after a restart is decided here: an entry is
 * written only if a look-up would serve it to a new snapshot.  A mark that is
 * still there is that of a prepared transaction which has ended, and nobody
 * has looked since; it counts as committed.
 *
 * Entries go in the order of their worth, so that a smaller memory takes the
 * best of them.
 *
 * Locking: partitions of the table, one at a time; there is nobody else.
 * Raises no error.
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cx_boot.h"
#include "cx_key.h"
#include "cx_reads.h"
#include "cx_registry.h"
#include "cx_scan.h"
#include "cx_snapshot_file.h"
#include "cx_snapshot_format.h"
#include "cx_snapshot_save.h"
#include "cx_table.h"

#define TEMPORARY	CX_SNAPSHOT_PATH ".tmp"

typedef struct Chosen
{
	TimestampTz now;
	bool		marks;			/* there are some: each entry is asked */
	uint64		n;
	uint64		max;
	uint32	   *slot;
} Chosen;

/* ---- choosing ---- */

static bool
any_kept(void)
{
	for (int i = 0; i < cx_registry_capacity(); i++)
	{
		if (cx_registry_get(i)->state == CX_CACHE_USED &&
			cx_registry_says(cx_registry_get(i), CX_ROW_KEEP))
			return true;
	}
	return false;
}

/* Whether a mark stands for the identity or a dependency of an entry. */
static bool
is_marked(const CxScanned *e, const CxIdent *ident, uint64 deps, Oid db)
{
	CxReads		reads;

	if (cx_deps_in_doubt(ident->id, 0) || cx_deps_in_doubt(ident->key_id, 0) ||
		cx_deps_in_doubt(cx_key_of_cache(deps), 0) ||
		cx_deps_in_doubt(cx_key_of_fills(deps), 0))
		return true;
	if (ident->has_scope && (cx_deps_in_doubt(ident->scope_id, 0) ||
							 cx_deps_in_doubt(ident->scoped_key_id, 0)))
		return true;
	for (int i = 0; i < e->entry.ntags; i++)
	{
		if (cx_deps_in_doubt(e->tag_id[i], 0))
			return true;
	}
	cx_scan_reads(e, &reads);
	return cx_reads_in_doubt(db, &reads, 0);
}

static bool
is_wanted(const CxSlot *slot, const Chosen *chosen)
{
	CxSharedCache *shared = cx_registry_get(slot->cache);
	const char *name = NameStr(shared->name);
	CxScanned	e;
	CxIdent		ident;
	uint64		deps;

	if (shared->state != CX_CACHE_USED ||
		!cx_registry_says(shared, CX_ROW_KEEP) ||
		(slot->flags & CX_SLOT_STAGED) || slot->class == CX_CLASS_NONE)
		return false;
	cx_scan_one(slot, &e);
	deps = cx_key_of_name(shared->db, name, strlen(name), cx_registry_is_public(shared->id));
	if (cx_scan_is_dead(&e, deps, chosen->now))
		return false;
	cx_key_make(&ident, slot->cache, shared->uid, deps, e.entry.role, e.key,
				e.entry.key_len,
				(e.entry.flags & CX_ENTRY_SCOPE) ? e.scope : NULL,
				e.entry.scope_len);
	/* filled under another name that was not committed */
	if ((uint32) ident.id != slot->hash)
		return false;
	return !chosen->marks || !is_marked(&e, &ident, deps, shared->db);
}

static void
choose_cb(const CxSlot *slot, void *arg)
{
	Chosen	   *chosen = arg;

	if (chosen->n < chosen->max && is_wanted(slot, chosen))
		chosen->slot[chosen->n++] =
			((const char *) slot - cx_arena_map.pages) / CX_SLOT_SIZE;
}

/* The greatest priority first. */
static int
compare(const void *a, const void *b)
{
	double		x = cx_slot(*(const uint32 *) a)->priority;
	double		y = cx_slot(*(const uint32 *) b)->priority;

	return x > y ? -1 : x < y;
}

/* Fills chosen->slot, in order. Returns NULL, or what is in the way. */
static const char *
choose(Chosen *chosen)
{
	CxDepsCounts counts;

	cx_deps_counts(&counts);
	if (counts.in_doubt > 0 || cx_boot_count() > 0)
		return "a transaction has not ended as far as cachex knows";
	chosen->now = GetCurrentTimestamp();
	chosen->marks = counts.prepared > 0;
	chosen->n = 0;
	chosen->max = cx_policy_entries();
	chosen->slot = MemoryContextAllocExtended(TopMemoryContext,
											  (chosen->max + 1) * sizeof(uint32),
											  MCXT_ALLOC_HUGE |
											  MCXT_ALLOC_NO_OOM);
	if (chosen->slot == NULL)
		return "out of memory";
	for (uint32 b = 0; b < cx_table_nbuckets(); b++)
		cx_table_scan(b, choose_cb, chosen);
	qsort(chosen->slot, chosen->n, sizeof(uint32), compare);
	return NULL;
}

/* ---- writing ---- */

/* Numbers the caches of the chosen entries by place; returns how many. */
static int
number_caches(const Chosen *chosen, uint16 *place)
{
	int			n = 0;

	memset(place, 0xff, CX_SNAPSHOT_CACHES * sizeof(uint16));
	for (uint64 i = 0; i < chosen->n; i++)
	{
		uint16		cache = cx_slot(chosen->slot[i])->cache;

		if (place[cache] == PG_UINT16_MAX)
			place[cache] = n++;
	}
	return n;
}

/* The caches in the order of their places. */
static void
put_caches(const uint16 *place, int n)
{
	for (int i = 0; i < n; i++)
	{
		CxSnapshotCache c;

		memset(&c, 0, sizeof(c));
		for (int number = 0; number < cx_registry_capacity(); number++)
		{
			const CxSharedCache *shared = cx_registry_get(number);

			if (place[number] != i)
				continue;
			c.db = shared->db;
			c.id = shared->id;
			c.uid = shared->uid;
			c.name = shared->name;
		}
		cx_snapshot_file_put(&c, sizeof(c));
	}
}

static void
put_entry(const CxSlot *slot, uint16 place)
{
	static char bytes[CX_PAGE_SIZE];
	CxSnapshotEntry e;
	CxCursor	cursor = {slot->data, 0};

	memset(&e, 0, sizeof(e));
	e.len = cx_entry_len(slot);
	e.hash = slot->hash;
	e.gen = slot->gen;
	e.expires = slot->expires;
	e.priority = slot->priority - cx_policy_inflation();
	e.weight = slot->weight;
	e.cache = place;
	e.class = slot->class;
	e.frequency = slot->frequency;
	e.hits = slot->hits;
	cx_snapshot_file_put(&e, sizeof(e));
	for (uint32 left = e.len; left > 0;)
	{
		uint32		n = Min(left, sizeof(bytes));

		cx_arena_read(&cursor, bytes, n);
		cx_snapshot_file_put(bytes, n);
		left -= n;
	}
}

/* Returns whether the file is complete; if not, errno is set. */
static bool
write_file(const CxServerState *state, const Chosen *chosen, int *ncaches)
{
	static uint16 place[CX_SNAPSHOT_CACHES];
	CxSnapshotHeader header;

	memset(&header, 0, sizeof(header));
	header.format = CX_SNAPSHOT_FORMAT;
	header.sizes = CX_SNAPSHOT_SIZES;
	header.state = *state;
	header.seed = cx_key_seed;
	header.last_gen = cx_gens_last();
	header.last_uid = cx_registry_last_uid();
	header.nentries = chosen->n;
	header.ncaches = *ncaches = number_caches(chosen, place);
	if (!cx_snapshot_file_create(TEMPORARY))
		return false;
	cx_snapshot_file_put(&header, sizeof(header));
	put_caches(place, *ncaches);
	for (uint64 i = 0; i < chosen->n; i++)
	{
		const CxSlot *slot = cx_slot(chosen->slot[i]);

		put_entry(slot, place[slot->cache]);
	}
	return cx_snapshot_file_finish();
}

/*
 * Called when the postmaster leaves the shared memory.  After a crash of
 * another process, and in a process that is no postmaster, it does nothing.
 */
void
cx_snapshot_save(int code, Datum arg)
{
	CxServerState state;
	Chosen		chosen;
	instr_time	start;
	instr_time	time;
	const char *why;
	int			ncaches;

	if (code != 0 || MyProcPid != PostmasterPid || !any_kept())
		return;
	INSTR_TIME_SET_CURRENT(start);
	why = cx_snapshot_state_get(&state);
	if (why == NULL)
		why = choose(&chosen);
	if (why)
	{
		ereport(LOG,
				(errmsg("no snapshot of cachex entries was written: %s", why)));
		return;
	}
	if (chosen.n == 0)
		return;
	if (!write_file(&state, &chosen, &ncaches))
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", TEMPORARY)));
		(void) unlink(TEMPORARY);
		return;
	}
	if (durable_rename(TEMPORARY, CX_SNAPSHOT_PATH, LOG) != 0)
	{
		(void) unlink(TEMPORARY);
		return;
	}
	INSTR_TIME_SET_CURRENT(time);
	INSTR_TIME_SUBTRACT(time, start);
	ereport(LOG,
			(errmsg("wrote %llu cachex entries of %d caches to \"%s\" in %.0f ms",
					(unsigned long long) chosen.n, ncaches, CX_SNAPSHOT_PATH,
					INSTR_TIME_GET_MILLISEC(time))));
}
