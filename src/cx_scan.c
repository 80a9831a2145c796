/*
 * cx_scan.c
 *	  Copies buckets into this backend's memory and hands out their entries.
 *
 * Locking: one partition, shared, while one bucket is copied.  Entries that
 * come and go during the walk may be seen or not.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "cx_reads.h"
#include "cx_registry.h"
#include "cx_scan.h"
#include "cx_table.h"

/* Of the longest entry: fields, key, scope, tags and relations. */
#define LONGEST (sizeof(CxScanned) + CX_MAX_KEY + CX_MAX_SCOPE + \
				 CX_MAX_TAGS * (sizeof(uint64) + 1 + CX_MAX_TAG) + \
				 CX_MAX_RELATIONS * sizeof(Oid) + 16)

struct CxScan
{
	int			cache;			/* number, or -1 for all */
	uint32		next_bucket;
	Size		size;			/* of the buffer */
	Size		used;
	Size		read;
	bool		overflowed;
	char	   *buffer;			/* records: a CxScanned, then its bytes */
};

/* Begins a walk over one cache, or over all (-1). */
CxScan *
cx_scan_begin(int cache)
{
	CxScan	   *scan = palloc0(sizeof(CxScan));

	scan->cache = cache;
	scan->size = 2 * LONGEST;
	scan->buffer = palloc(scan->size);
	return scan;
}

static inline Size
rels_len(const CxEntry *entry)
{
	return (entry->nread + entry->nabove) * sizeof(Oid);
}

static Size
bytes_behind(const CxEntry *entry)
{
	return MAXALIGN(entry->ntags * sizeof(uint64) + entry->scope_len +
					entry->key_len + entry->tags_len + rels_len(entry));
}

/* Copies an entry to where there is room for the longest; returns its size. */
static Size
copy_entry(const CxSlot *slot, CxScanned *copy)
{
	char	   *names;
	CxCursor	c;

	cx_entry_read(slot, &copy->entry);
	copy->cache = slot->cache;
	copy->staged = (slot->flags & CX_SLOT_STAGED) != 0;
	copy->gen = slot->gen;
	copy->ends = slot->expires;
	copy->expires = slot->expires == CX_NEVER ? CX_NEVER
		: slot->expires - (int64) copy->entry.stale_ms * 1000;
	copy->bytes = cx_slot_bytes(slot);
	copy->cost_us = (double) slot->weight * copy->bytes;
	copy->frequency = slot->frequency;
	names = (char *) (copy + 1) + copy->entry.ntags * sizeof(uint64);
	c = copy->entry.names;
	cx_arena_read(&c, names, copy->entry.scope_len + copy->entry.key_len);
	cx_arena_read(&c, copy + 1, copy->entry.ntags * sizeof(uint64));
	cx_arena_read(&c, names + copy->entry.scope_len + copy->entry.key_len,
				  copy->entry.tags_len);
	names += copy->entry.scope_len + copy->entry.key_len + copy->entry.tags_len;
	if (copy->entry.settings_len > 0)
		cx_arena_skip(&c, sizeof(uint64) + copy->entry.settings_len);
	cx_arena_read(&c, names, rels_len(&copy->entry));
	return MAXALIGN(sizeof(CxScanned)) + bytes_behind(&copy->entry);
}

/* Takes over a copy, with pointers to what follows it; returns its size. */
static Size
read_copy(const CxScanned *copy, CxScanned *entry)
{
	char	   *names;

	*entry = *copy;
	entry->tag_id = (uint64 *) (copy + 1);
	names = (char *) (entry->tag_id + entry->entry.ntags);
	entry->scope = names;
	entry->key = names + entry->entry.scope_len;
	entry->tags = entry->key + entry->entry.key_len;
	entry->rels = entry->tags + entry->entry.tags_len;
	return MAXALIGN(sizeof(CxScanned)) + bytes_behind(&entry->entry);
}

/*
 * A copy of one entry, valid until the next call.  The caller sees to it that
 * the slot stays.  Allocates nothing.
 */
void
cx_scan_one(const CxSlot *slot, CxScanned *entry)
{
	static uint64 buffer[LONGEST / sizeof(uint64) + 1];

	(void) copy_entry(slot, (CxScanned *) buffer);
	(void) read_copy((CxScanned *) buffer, entry);
}

/* Appends a copy to the buffer; notes when there is no room. */
static void
copy_cb(const CxSlot *slot, void *arg)
{
	CxScan	   *scan = arg;

	if (scan->cache >= 0 && slot->cache != scan->cache)
		return;
	if (scan->overflowed || scan->size - scan->used < LONGEST)
		scan->overflowed = true;
	else
		scan->used += copy_entry(slot,
								 (CxScanned *) (scan->buffer + scan->used));
}

/* Copies the next bucket that has entries; false at the end. */
static bool
refill(CxScan *scan)
{
	scan->used = scan->read = 0;
	while (scan->used == 0 && scan->next_bucket < cx_table_nbuckets())
	{
		CHECK_FOR_INTERRUPTS();
		scan->overflowed = false;
		cx_table_scan(scan->next_bucket, copy_cb, scan);
		if (scan->overflowed)
		{
			/* again, with more room */
			scan->size *= 2;
			scan->buffer = repalloc_huge(scan->buffer, scan->size);
			scan->used = 0;
			continue;
		}
		scan->next_bucket++;
	}
	return scan->used > 0;
}

/* The next entry; false at the end. Interruptible. */
bool
cx_scan_next(CxScan *scan, CxScanned *entry)
{
	if (scan->read == scan->used && !refill(scan))
		return false;
	scan->read += read_copy((CxScanned *) (scan->buffer + scan->read), entry);
	return true;
}

/* Relation n of those that the entry's loader has read, or that are above. */
Oid
cx_scan_relation(const CxScanned *entry, int n)
{
	Oid			rel;

	memcpy(&rel, entry->rels + n * sizeof(Oid), sizeof(Oid));
	return rel;
}

/* The relations of what the entry's loader has read; not the settings. */
void
cx_scan_reads(const CxScanned *e, CxReads *reads)
{
	reads->known = e->entry.has_reads;
	reads->exact = e->entry.exact;
	reads->nread = e->entry.nread;
	reads->nabove = e->entry.nabove;
	reads->settings_len = 0;
	for (int i = 0; i < reads->nread + reads->nabove; i++)
		reads->rel[i] = cx_scan_relation(e, i);
}

void
cx_scan_end(CxScan *scan)
{
	pfree(scan->buffer);
	pfree(scan);
}

/*
 * Whether a look-up would not serve the entry to anybody: it has expired, or
 * one of its dependencies has moved.  cache_deps is that of its cache.
 */
bool
cx_scan_is_dead(const CxScanned *e, uint64 cache_deps, TimestampTz now)
{
	uint64		key_id = cx_key_of_key(cache_deps, e->key, e->entry.key_len);
	CxReads		reads;

	if (e->expires <= now || cx_gens_floor(key_id) > e->gen ||
		pg_atomic_read_u64(&cx_registry_get(e->cache)->gen) > e->gen ||
		cx_gens_get(CX_GEN_KEY, key_id) > e->gen)
		return true;
	if (e->entry.flags & CX_ENTRY_SCOPE)
	{
		uint64		scope_id = cx_key_of_scope(cache_deps, e->scope,
											   e->entry.scope_len);

		if (cx_gens_get(CX_GEN_GROUP, scope_id) > e->gen ||
			cx_gens_get(CX_GEN_KEY,
						cx_key_of_scoped_key(key_id, scope_id)) > e->gen)
			return true;
	}
	for (int i = 0; i < e->entry.ntags; i++)
	{
		if (cx_gens_get(CX_GEN_GROUP, e->tag_id[i]) > e->gen)
			return true;
	}
	cx_scan_reads(e, &reads);
	return cx_reads_moved_in(cx_registry_get(e->cache)->db, &reads, e->gen);
}
