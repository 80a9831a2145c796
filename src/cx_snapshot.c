/*
 * cx_snapshot.c
 *	  Entries of before a clean shutdown come back at the start.
 *
 * The file is unlinked before it is read, so it is used once or never.  It is
 * used only when nothing can have changed since it was written: see
 * cx_snapshot_state.c.  Its seed and its generations go on, so identities,
 * dependencies, fingerprints and versions are what they were; a dependency of
 * which nothing is known has not moved since the shutdown.
 *
 * Of what it says, all that could lead out of bounds is checked, besides the
 * checksum of each block.
 *
 * Locking: the postmaster is alone; the modules take their locks, which
 * nobody else has.  Raises no error: it would be the end of the server.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "cx_boot.h"
#include "cx_key.h"
#include "cx_link.h"
#include "cx_registry.h"
#include "cx_scan.h"
#include "cx_snapshot.h"
#include "cx_snapshot_file.h"
#include "cx_snapshot_format.h"
#include "cx_snapshot_save.h"
#include "cx_sound.h"

#define MAX_GEN		(UINT64CONST(1) << 47)
#define DAMAGED		"it is damaged"

/* A cache of the file. */
typedef struct Known
{
	int			number;			/* -1: none could be had */
	uint64		uid;
	uint64		deps;
} Known;

/* Set in the postmaster; every process has a copy. */
static uint64 restored = 0;
static uint64 dropped = 0;
static const char *failure = NULL;

/* How many entries came back at the start. */
uint64
cx_snapshot_restored(void)
{
	return restored;
}

/* How many of the file's entries did not, as far as it was read. */
uint64
cx_snapshot_dropped(void)
{
	return dropped;
}

/* Why the file was not used, or NULL. */
const char *
cx_snapshot_failure(void)
{
	return failure;
}

/* ---- what the file says ---- */

/* Returns NULL, or why the file is not for this start. */
static const char *
read_header(CxSnapshotHeader *header)
{
	CxServerState now;
	const char *why;

	memset(header, 0, sizeof(*header));
	if (!cx_snapshot_file_get(header, offsetof(CxSnapshotHeader, state)))
		return DAMAGED;
	if (header->format != CX_SNAPSHOT_FORMAT ||
		header->sizes != CX_SNAPSHOT_SIZES)
		return "it has another format";
	if (!cx_snapshot_file_get(&header->state, sizeof(*header) -
							  offsetof(CxSnapshotHeader, state)))
		return DAMAGED;
	why = cx_snapshot_state_get(&now);
	if (why == NULL)
		why = cx_snapshot_state_compare(&header->state, &now);
	if (why == NULL &&
		(header->ncaches > CX_SNAPSHOT_CACHES || header->last_gen == 0 ||
		 header->last_gen >= MAX_GEN))
		why = DAMAGED;
	return why;
}

/* Registers the caches of the file again. */
static bool
read_caches(const CxSnapshotHeader *header, Known *known)
{
	TimestampTz now = GetCurrentTimestamp();

	for (uint32 i = 0; i < header->ncaches; i++)
	{
		CxSnapshotCache c;
		Size		len;

		if (!cx_snapshot_file_get(&c, sizeof(c)))
			return false;
		len = strnlen(NameStr(c.name), NAMEDATALEN);
		if (len == 0 || len == NAMEDATALEN || c.uid == 0 ||
			c.uid > header->last_uid)
			return false;
		known[i].number = cx_registry_restore(c.db, c.id, NameStr(c.name), now,
											  c.uid);
		known[i].uid = c.uid;
		known[i].deps = cx_key_of_name(c.db, NameStr(c.name), len,
									   cx_registry_is_public(c.id));
	}
	cx_registry_restore_last(header->last_uid);
	return true;
}

static bool
is_sound(const CxSnapshotHeader *header, const CxSnapshotEntry *e)
{
	return e->len > 0 && e->cache < header->ncaches &&
		e->gen > 0 && e->gen <= header->last_gen &&
		isfinite(e->priority) && isfinite(e->weight) && e->weight >= 0 &&
		e->class < CX_CLASSES && e->hits <= 3 &&
		e->frequency >= 1 && e->frequency <= CX_MAX_FREQUENCY;
}

/* ---- entries ---- */

/* Reads an entry's bytes into a slot's memory. */
static bool
read_bytes(uint32 data, uint32 len)
{
	CxCursor	cursor = {data, 0};

	while (len > 0)
	{
		const char *bytes;
		Size		n = cx_snapshot_file_piece(len, &bytes);

		if (n == 0)
			return false;
		cx_arena_write(&cursor, bytes, n);
		len -= n;
	}
	return true;
}

static void
fill_slot(CxSlot *slot, const CxSnapshotEntry *e, int cache)
{
	slot->hash = e->hash;
	slot->cache = (uint16) cache;
	slot->class = CX_CLASS_NONE;
	slot->frequency = e->frequency;
	slot->gen = e->gen;
	slot->expires = e->expires;
	slot->hits = e->hits;
	slot->flags = 0;			/* until the entry is read */
	slot->weight = e->weight;
	pg_atomic_init_u32(&slot->refs, 2);
}

/*
 * The identity of the entry in a slot, by its bytes; false when they are not
 * an entry, or not the one with the slot's hash.
 */
static bool
identify(CxSlot *slot, uint32 len, const Known *known, uint64 *id)
{
	static char names[CX_MAX_KEY + CX_MAX_SCOPE];
	CxEntry		entry;
	CxIdent		ident;
	CxCursor	c;

	if (!cx_sound_entry(slot, len, &entry))
		return false;
	c = entry.names;
	cx_arena_read(&c, names, entry.scope_len + entry.key_len);
	cx_key_make(&ident, slot->cache, known->uid, known->deps, entry.role,
				names + entry.scope_len, entry.key_len,
				(entry.flags & CX_ENTRY_SCOPE) ? names : NULL,
				entry.scope_len);
	cx_registry_note_role(entry.role);
	*id = ident.id;
	if (entry.has_link)
	{
		slot->flags |= CX_SLOT_IN_SCOPE;
		cx_entry_link(slot)->id = ident.scope_id;
	}
	return (uint32) ident.id == slot->hash;
}

/*
 * Reads one entry and puts it in its place, unless it has expired or there is
 * no room.  Returns false when the file is damaged.
 */
static bool
read_entry(const CxSnapshotHeader *header, const Known *known, TimestampTz now)
{
	CxSnapshotEntry e;
	CxSlot	   *slot;
	uint32		n = CX_NONE;
	uint32		data;
	uint16		charge;
	uint64		id;

	if (!cx_snapshot_file_get(&e, sizeof(e)) || !is_sound(header, &e))
		return false;
	known += e.cache;
	if (e.expires > now && known->number >= 0)
		n = cx_arena_alloc(e.len, &data, &charge);
	if (n == CX_NONE)
		return cx_snapshot_file_skip(e.len);
	slot = cx_slot(n);
	slot->data = data;
	slot->charge = charge;
	fill_slot(slot, &e, known->number);
	if (!read_bytes(data, e.len) || !identify(slot, e.len, known, &id))
		return false;
	if (((slot->flags & CX_SLOT_IN_SCOPE) &&
		 cx_policy_grow_scopes() == CX_SCOPE_NO_ROOM) ||
		!cx_link_restore(id, n))
	{
		cx_arena_free(n, data);
		return true;
	}
	cx_policy_restore(n, e.class, e.priority);
	restored++;
	return true;
}

/* Returns NULL, or why nothing can be used; *begun: memory has changed. */
static const char *
read_file(CxSnapshotHeader *header, bool *begun)
{
	static Known known[CX_SNAPSHOT_CACHES];
	TimestampTz now = GetCurrentTimestamp();
	const char *why = read_header(header);

	if (why)
		return why;
	*begun = true;
	cx_key_seed = header->seed;
	if (!read_caches(header, known))
		return DAMAGED;
	for (uint64 i = 0; i < header->nentries; i++)
	{
		if (!read_entry(header, known, now))
			return DAMAGED;
	}
	if (!cx_snapshot_file_ended())
		return DAMAGED;
	cx_gens_restore(header->last_gen);
	cx_boot_none();
	return NULL;
}

/* ---- the start ---- */

/* Opens the file and takes it out of the directory; false: there is none. */
static bool
take_file(void)
{
	if (!cx_snapshot_file_open(CX_SNAPSHOT_PATH))
	{
		if (errno != ENOENT)
			failure = "it cannot be opened";
		return failure != NULL;
	}
	/* or it would be there at another start */
	if (durable_unlink(CX_SNAPSHOT_PATH, LOG) != 0)
		failure = "it cannot be removed";
	return true;
}

static void
report(const CxSnapshotHeader *header, double ms)
{
	dropped = header->nentries - restored;
	if (failure)
		ereport(LOG,
				(errmsg("file \"%s\" with cachex entries is not used: %s",
						CX_SNAPSHOT_PATH, failure)));
	else
		ereport(LOG,
				(errmsg("restored %llu cachex entries of %u caches from \"%s\" in %.0f ms, dropped %llu",
						(unsigned long long) restored, header->ncaches,
						CX_SNAPSHOT_PATH, ms, (unsigned long long) dropped)));
}

/*
 * Reads the file, if there is one, into memory that is laid out as new.
 * Returns false when the memory has to be laid out again: the file was found
 * out to be damaged on the way.  Also sees to it that one is written at the
 * end of this server.
 */
bool
cx_snapshot_load(void)
{
	CxSnapshotHeader header = {0};
	bool		begun = false;
	instr_time	start;
	instr_time	time;

	restored = dropped = 0;
	failure = NULL;
	/* a server without a postmaster has its own end */
	if (!IsPostmasterEnvironment || IsUnderPostmaster)
		return true;
	on_shmem_exit(cx_snapshot_save, (Datum) 0);
	(void) unlink(CX_SNAPSHOT_PATH ".tmp");
	INSTR_TIME_SET_CURRENT(start);
	if (!take_file())
		return true;
	if (failure == NULL)
		failure = read_file(&header, &begun);
	cx_snapshot_file_close();
	if (failure)
		restored = 0;
	INSTR_TIME_SET_CURRENT(time);
	INSTR_TIME_SUBTRACT(time, start);
	report(&header, INSTR_TIME_GET_MILLISEC(time));
	return failure == NULL || !begun;
}
