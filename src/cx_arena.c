/*
 * cx_arena.c
 *	  Hands out and takes back segments of values and slots.
 *
 * Each page has a bitmap of its free units.  Pages that have some free units
 * stand in a list by kind; a page whose units are all free goes back to the
 * list of free pages, where any kind may take it.
 *
 * Locking: one LWLock, held for one allocation or release: a loop over the
 * segments of one value, at most 65535.  Reading and writing the bytes of a
 * value needs no lock here; who may do it is the caller's rule.
 * Does not evict: when there is no room it says so.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "cx_arena.h"

typedef enum PageKind
{
	PAGE_FREE,
	PAGE_WHOLE,
	PAGE_CHUNKS,
	PAGE_SLOTS
} PageKind;

typedef struct Page
{
	uint64		free;			/* bitmap of free units */
	uint32		prev;			/* in the list of its kind, when in one */
	uint32		next;
	uint8		kind;
	bool		listed;
} Page;

typedef struct Arena
{
	LWLock	   *lock;
	uint32		npages;
	uint32		lists[PAGE_SLOTS + 1];	/* first page with free units */
	uint64		free_chunks;	/* in free pages and in pages of chunks */
	uint64		used_chunks;	/* by values, in units of chunks */
	uint64		used_slots;
	Page	   *pages;
} Arena;

CxArenaMap	cx_arena_map;
static Arena *arena;

static inline uint64
all_free(PageKind kind)
{
	return kind == PAGE_SLOTS ? ~UINT64CONST(0) : UINT64CONST(0xffffffff);
}

/* Bytes of shared memory for npages pages and all that describes them. */
Size
cx_arena_size(uint32 npages)
{
	Size		size = MAXALIGN(sizeof(Arena));

	size = add_size(size, MAXALIGN(mul_size(npages, sizeof(Page))));
	size = add_size(size, MAXALIGN(mul_size(npages,
											CX_PAGE_CHUNKS * sizeof(uint32))));
	size = add_size(size, CX_PAGE_SIZE);	/* alignment */
	return add_size(size, mul_size(npages, CX_PAGE_SIZE));
}

static void
list_push(PageKind kind, uint32 n)
{
	Page	   *page = &arena->pages[n];

	Assert(!page->listed);
	page->prev = CX_NONE;
	page->next = arena->lists[kind];
	if (page->next != CX_NONE)
		arena->pages[page->next].prev = n;
	arena->lists[kind] = n;
	page->listed = true;
}

static void
list_remove(PageKind kind, uint32 n)
{
	Page	   *page = &arena->pages[n];

	Assert(page->listed);
	if (page->prev != CX_NONE)
		arena->pages[page->prev].next = page->next;
	else
		arena->lists[kind] = page->next;
	if (page->next != CX_NONE)
		arena->pages[page->next].prev = page->prev;
	page->listed = false;
}

/* Lays the arena out in memory of cx_arena_size(npages) bytes. */
void
cx_arena_init(void *memory, uint32 npages)
{
	char	   *p = memory;

	arena = memory;
	memset(arena, 0, sizeof(Arena));
	arena->lock = &GetNamedLWLockTranche("cachex_arena")->lock;
	arena->npages = npages;
	p += MAXALIGN(sizeof(Arena));
	arena->pages = (Page *) p;
	p += MAXALIGN((Size) npages * sizeof(Page));
	cx_arena_map.next = (uint32 *) p;
	p += MAXALIGN((Size) npages * CX_PAGE_CHUNKS * sizeof(uint32));
	cx_arena_map.pages = (char *) TYPEALIGN(CX_PAGE_SIZE, p);
	for (uint32 n = npages - 1; n > 0; n--)
	{
		arena->pages[n].kind = PAGE_FREE;
		arena->pages[n].listed = false;
		list_push(PAGE_FREE, n);
	}
	arena->free_chunks = (uint64) (npages - 1) * CX_PAGE_CHUNKS;
}

/* Takes a free page for kind; CX_NONE when there is none. Lock held. */
static uint32
take_page_locked(PageKind kind)
{
	uint32		n = arena->lists[PAGE_FREE];

	Assert(LWLockHeldByMe(arena->lock));
	if (n == CX_NONE)
		return CX_NONE;
	list_remove(PAGE_FREE, n);
	arena->pages[n].kind = kind;
	arena->pages[n].free = all_free(kind);
	if (kind != PAGE_CHUNKS)
		arena->free_chunks -= CX_PAGE_CHUNKS;
	if (kind != PAGE_WHOLE)
		list_push(kind, n);
	return n;
}

static void
give_page_locked(uint32 n)
{
	Page	   *page = &arena->pages[n];

	Assert(LWLockHeldByMe(arena->lock));
	if (page->listed)
		list_remove(page->kind, n);
	if (page->kind != PAGE_CHUNKS)
		arena->free_chunks += CX_PAGE_CHUNKS;
	page->kind = PAGE_FREE;
	list_push(PAGE_FREE, n);
}

/* A unit of a split page: its number within the page, or -1. Lock held. */
static int
take_unit_locked(PageKind kind, uint32 *n)
{
	Page	   *page;
	int			unit;

	Assert(LWLockHeldByMe(arena->lock));
	*n = arena->lists[kind];
	if (*n == CX_NONE)
		*n = take_page_locked(kind);
	if (*n == CX_NONE)
		return -1;
	page = &arena->pages[*n];
	unit = pg_rightmost_one_pos64(page->free);
	page->free &= page->free - 1;
	if (page->free == 0)
		list_remove(kind, *n);
	return unit;
}

static void
give_unit_locked(PageKind kind, uint32 n, int unit)
{
	Page	   *page = &arena->pages[n];

	Assert(LWLockHeldByMe(arena->lock));
	Assert(page->kind == kind && (page->free & (UINT64CONST(1) << unit)) == 0);
	page->free |= UINT64CONST(1) << unit;
	if (!page->listed)
		list_push(kind, n);
	if (page->free == all_free(kind))
		give_page_locked(n);
}

/* The next segment for a value with need bytes to go. Lock held. */
static uint32
take_segment_locked(Size need)
{
	uint32		n;
	int			unit;

	Assert(LWLockHeldByMe(arena->lock));
	if (need > CX_PAGE_SIZE / 2)
	{
		n = take_page_locked(PAGE_WHOLE);
		if (n != CX_NONE)
			return (n * CX_PAGE_CHUNKS) | CX_WHOLE_PAGE;
	}
	unit = take_unit_locked(PAGE_CHUNKS, &n);
	Assert(unit >= 0);
	arena->free_chunks--;
	return n * CX_PAGE_CHUNKS + unit;
}

/* Takes the segments of a value, for which there is room. Returns the charge. */
static uint32
take_segments_locked(Size bytes, uint32 *segment)
{
	uint32	   *link = segment;
	uint32		charged = 0;

	Assert(LWLockHeldByMe(arena->lock));
	while (bytes > 0)
	{
		uint32		s = take_segment_locked(bytes);
		Size		size = cx_arena_segment_size(s);

		charged += size / CX_CHUNK_SIZE;
		*link = s;
		link = &cx_arena_map.next[s & ~CX_WHOLE_PAGE];
		bytes -= Min(bytes, size);
	}
	*link = CX_NONE;
	arena->used_chunks += charged;
	return charged;
}

static void
give_segments_locked(uint32 segment)
{
	Assert(LWLockHeldByMe(arena->lock));
	while (segment != CX_NONE)
	{
		uint32		first = segment & ~CX_WHOLE_PAGE;
		uint32		next = cx_arena_map.next[first];
		uint32		n = first / CX_PAGE_CHUNKS;

		if (segment & CX_WHOLE_PAGE)
		{
			give_page_locked(n);
			arena->used_chunks -= CX_PAGE_CHUNKS;
		}
		else
		{
			arena->free_chunks++;
			arena->used_chunks--;
			give_unit_locked(PAGE_CHUNKS, n, first % CX_PAGE_CHUNKS);
		}
		segment = next;
	}
}

static uint32
take_slot_locked(void)
{
	uint32		n;
	int			unit = take_unit_locked(PAGE_SLOTS, &n);

	Assert(LWLockHeldByMe(arena->lock));
	if (unit < 0)
		return CX_NONE;
	arena->used_slots++;
	return n * CX_PAGE_SLOTS + unit;
}

static void
give_slot_locked(uint32 slot)
{
	Assert(LWLockHeldByMe(arena->lock));
	arena->used_slots--;
	give_unit_locked(PAGE_SLOTS, slot / CX_PAGE_SLOTS, slot % CX_PAGE_SLOTS);
}

/*
 * Takes a slot and memory for a value of so many bytes (at least 1), both or
 * none.  Returns the slot, CX_NONE when there is not enough; then sets the
 * first segment and the charge, in chunks.
 */
uint32
cx_arena_alloc(Size bytes, uint32 *segment, uint16 *charge)
{
	uint64		chunks = (bytes + CX_CHUNK_SIZE - 1) / CX_CHUNK_SIZE;
	uint32		slot = CX_NONE;

	if (chunks + CX_PAGE_CHUNKS > PG_UINT16_MAX)
		return CX_NONE;
	LWLockAcquire(arena->lock, LW_EXCLUSIVE);
	if (arena->free_chunks >= chunks)
		slot = take_slot_locked();
	if (slot != CX_NONE && arena->free_chunks < chunks)
	{
		/* the slot took the last page */
		give_slot_locked(slot);
		slot = CX_NONE;
	}
	if (slot != CX_NONE)
		*charge = (uint16) take_segments_locked(bytes, segment);
	LWLockRelease(arena->lock);
	return slot;
}

/* Gives back a slot and its value's chain of segments. */
void
cx_arena_free(uint32 slot, uint32 segment)
{
	LWLockAcquire(arena->lock, LW_EXCLUSIVE);
	give_segments_locked(segment);
	give_slot_locked(slot);
	LWLockRelease(arena->lock);
}

/* A granule of 64 bytes, or CX_NONE when there is none. */
uint32
cx_arena_alloc_granule(void)
{
	uint32		slot;

	LWLockAcquire(arena->lock, LW_EXCLUSIVE);
	slot = take_slot_locked();
	LWLockRelease(arena->lock);
	return slot;
}

void
cx_arena_free_granule(uint32 slot)
{
	LWLockAcquire(arena->lock, LW_EXCLUSIVE);
	give_slot_locked(slot);
	LWLockRelease(arena->lock);
}

/* Bytes that values and slots occupy now; read without the lock. */
uint64
cx_arena_used(void)
{
	return arena->used_chunks * CX_CHUNK_SIZE + arena->used_slots * CX_SLOT_SIZE;
}

/* Bytes that values and slots can occupy. */
uint64
cx_arena_total(void)
{
	return (uint64) (arena->npages - 1) * CX_PAGE_SIZE;
}

/* Steps over the end of a segment. */
static inline void
advance(CxCursor *cursor)
{
	if (cursor->offset == cx_arena_segment_size(cursor->segment))
	{
		cursor->segment = cx_arena_map.next[cursor->segment & ~CX_WHOLE_PAGE];
		cursor->offset = 0;
	}
}

/* Bytes that can be had at the cursor in one piece, at most want. */
static inline Size
piece(const CxCursor *cursor, Size want)
{
	Size		left = cx_arena_segment_size(cursor->segment) - cursor->offset;

	return Min(left, want);
}

/* Writes bytes at the cursor and moves it. */
void
cx_arena_write(CxCursor *cursor, const void *src, Size bytes)
{
	const char *p = src;

	while (bytes > 0)
	{
		Size		n;

		advance(cursor);
		n = piece(cursor, bytes);
		memcpy(cx_arena_address(cursor->segment) + cursor->offset, p, n);
		cursor->offset += n;
		p += n;
		bytes -= n;
	}
}

/* Reads bytes at the cursor and moves it. */
void
cx_arena_read(CxCursor *cursor, void *dst, Size bytes)
{
	char	   *p = dst;

	while (bytes > 0)
	{
		Size		n;

		advance(cursor);
		n = piece(cursor, bytes);
		memcpy(p, cx_arena_address(cursor->segment) + cursor->offset, n);
		cursor->offset += n;
		p += n;
		bytes -= n;
	}
}

void
cx_arena_skip(CxCursor *cursor, Size bytes)
{
	while (bytes > 0)
	{
		Size		n;

		advance(cursor);
		n = piece(cursor, bytes);
		cursor->offset += n;
		bytes -= n;
	}
}

/* Whether the next len bytes equal bytes; moves the cursor if they do. */
bool
cx_arena_equal(CxCursor *cursor, const void *bytes, Size len)
{
	const char *p = bytes;

	while (len > 0)
	{
		Size		n;

		advance(cursor);
		n = piece(cursor, len);
		if (memcmp(p, cx_arena_address(cursor->segment) + cursor->offset, n) != 0)
			return false;
		cursor->offset += n;
		p += n;
		len -= n;
	}
	return true;
}

/*
 * Compares the books with the pages, and with what the caller found alive.
 * Returns NULL or what is wrong.  Holds the lock over all pages: for tests.
 */
const char *
cx_arena_check(uint64 live_chunks, uint64 live_slots)
{
	uint64		free_chunks = 0;
	uint64		used_slots = 0;
	uint64		used_chunks = 0;
	const char *fault = NULL;

	LWLockAcquire(arena->lock, LW_EXCLUSIVE);
	for (uint32 n = 1; n < arena->npages; n++)
	{
		Page	   *page = &arena->pages[n];
		int			nfree = pg_popcount64(page->free);

		if (page->kind == PAGE_FREE)
			free_chunks += CX_PAGE_CHUNKS;
		else if (page->kind == PAGE_WHOLE)
			used_chunks += CX_PAGE_CHUNKS;
		else if (page->kind == PAGE_CHUNKS)
		{
			free_chunks += nfree;
			used_chunks += CX_PAGE_CHUNKS - nfree;
		}
		else
			used_slots += CX_PAGE_SLOTS - nfree;
		if (page->listed != (page->kind != PAGE_WHOLE &&
							 (page->kind == PAGE_FREE || page->free != 0)))
			fault = "a page is in the wrong list";
	}
	if (free_chunks != arena->free_chunks)
		fault = "free chunks are miscounted";
	else if (used_chunks != arena->used_chunks)
		fault = "used chunks are miscounted";
	else if (used_slots != arena->used_slots)
		fault = "used slots are miscounted";
	else if (used_chunks != live_chunks)
		fault = "chunks are held by no entry";
	else if (used_slots != live_slots)
		fault = "slots are held by no entry";
	LWLockRelease(arena->lock);
	return fault;
}
