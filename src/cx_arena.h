/*
 * cx_arena.h
 *	  The memory for entries: pages of 4 kB, whole, split into chunks of 128
 *	  bytes, or split into granules of 64 bytes (slots).
 *
 * A value is a chain of segments, each a whole page or a chunk, in any mix:
 * whatever was freed can hold whatever comes next.
 */
#ifndef CX_ARENA_H
#define CX_ARENA_H

#define CX_PAGE_SIZE	4096
#define CX_CHUNK_SIZE	128
#define CX_SLOT_SIZE	64
#define CX_PAGE_CHUNKS	(CX_PAGE_SIZE / CX_CHUNK_SIZE)
#define CX_PAGE_SLOTS	(CX_PAGE_SIZE / CX_SLOT_SIZE)

/* A segment: the number of its first chunk, and this bit for a whole page. */
#define CX_WHOLE_PAGE	0x80000000U
#define CX_NONE			0		/* page 0 is never handed out */

/* Where a reader or writer of a value stands. */
typedef struct CxCursor
{
	uint32		segment;
	uint32		offset;			/* bytes into the segment */
} CxCursor;

/* In shared memory; the pointers are the same in every process. */
typedef struct CxArenaMap
{
	char	   *pages;
	uint32	   *next;			/* by chunk number: the next segment */
} CxArenaMap;

extern CxArenaMap cx_arena_map;

extern Size cx_arena_size(uint32 npages);
extern void cx_arena_init(void *memory, uint32 npages);
extern uint32 cx_arena_alloc(Size bytes, uint32 *segment, uint16 *charge);
extern void cx_arena_free(uint32 slot, uint32 segment);
extern uint32 cx_arena_alloc_granule(void);
extern void cx_arena_free_granule(uint32 slot);
extern uint64 cx_arena_used(void);
extern uint64 cx_arena_total(void);
extern void cx_arena_write(CxCursor *cursor, const void *src, Size bytes);
extern void cx_arena_read(CxCursor *cursor, void *dst, Size bytes);
extern void cx_arena_skip(CxCursor *cursor, Size bytes);
extern bool cx_arena_equal(CxCursor *cursor, const void *bytes, Size len);
extern const char *cx_arena_check(uint64 live_chunks, uint64 live_slots);

/* Address of 64-byte granule n; valid for any n inside the arena. */
static inline void *
cx_arena_slot(uint32 n)
{
	return cx_arena_map.pages + (Size) n * CX_SLOT_SIZE;
}

static inline char *
cx_arena_address(uint32 segment)
{
	return cx_arena_map.pages +
		(Size) (segment & ~CX_WHOLE_PAGE) * CX_CHUNK_SIZE;
}

static inline uint32
cx_arena_segment_size(uint32 segment)
{
	return (segment & CX_WHOLE_PAGE) ? CX_PAGE_SIZE : CX_CHUNK_SIZE;
}

#endif							/* CX_ARENA_H */
