/*
 * cx_gens.c
 *	  Keeps generations in sets of four ways.
 *
 * A way is a generation of 48 bits with 16 bits of the dependency's hash.  A
 * dependency that has no way of its own has at most the least generation of
 * its set, since the least one is the one that is replaced; so what is
 * forgotten errs towards a later generation, which costs a miss.
 *
 * Locking: reading takes none; see cx_gens_get.  Bumps of one partition (id mod CX_GEN_PARTITIONS) are
 * serialized by the caller.
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "cx_gens.h"
#include "cx_key.h"

#define WAYS		4
#define TAG_BITS	16
#define TAG_MASK	((UINT64CONST(1) << TAG_BITS) - 1)

typedef struct Cell
{
	uint64		way[WAYS];		/* generation << 16 | hash */
} Cell;

typedef struct Gens
{
	pg_atomic_uint64 last;		/* the last generation given out */
	pg_atomic_uint64 floor[2];	/* entries stored before this are dead: of
								 * CX_KEY_OPEN caches, and of others */
	uint64		known_from;		/* see cx_gens_known_from; fixed */
	char		pad[PG_CACHE_LINE_SIZE];
	uint32		ncells[2];		/* by kind, a partition */
	Cell	   *cells[2];
} Gens;

static Gens *gens;
static uint64 given_here = 0;	/* generations, to this process */

/* One way an entry for keys, half of one for tags and scopes; 16 at least. */
static uint32
count_cells(CxGenKind kind, uint32 max_entries)
{
	return max_entries / (kind == CX_GEN_KEY ? 1 : 2) / WAYS /
		CX_GEN_PARTITIONS + 4;
}

/* Bytes of shared memory for the generations of so many entries. */
Size
cx_gens_size(uint32 max_entries)
{
	Size		cells = (Size) count_cells(CX_GEN_KEY, max_entries) +
	count_cells(CX_GEN_GROUP, max_entries);

	return add_size(MAXALIGN(sizeof(Gens)) + PG_CACHE_LINE_SIZE,
					mul_size(cells * CX_GEN_PARTITIONS, sizeof(Cell)));
}

void
cx_gens_init(void *memory, uint32 max_entries)
{
	char	   *p = memory;

	memset(memory, 0, cx_gens_size(max_entries));
	gens = memory;
	pg_atomic_init_u64(&gens->last, 1);
	pg_atomic_init_u64(&gens->floor[0], 0);
	pg_atomic_init_u64(&gens->floor[1], 0);
	p = (char *) CACHELINEALIGN(p + sizeof(Gens));
	for (int kind = CX_GEN_KEY; kind <= CX_GEN_GROUP; kind++)
	{
		gens->ncells[kind] = count_cells(kind, max_entries);
		gens->cells[kind] = (Cell *) p;
		p += (Size) gens->ncells[kind] * CX_GEN_PARTITIONS * sizeof(Cell);
	}
}

static inline Cell *
cell_of(CxGenKind kind, uint64 id)
{
	uint32		n = gens->ncells[kind];

	return &gens->cells[kind][(id % CX_GEN_PARTITIONS) * n +
							  cx_key_place(id, id / CX_GEN_PARTITIONS, n)];
}

static inline bool
is_of(uint64 way, uint64 id)
{
	return (way & TAG_MASK) == id >> (64 - TAG_BITS) && way != 0;
}

/* A generation that nobody else has. */
uint64
cx_gens_next(void)
{
	given_here++;
	return pg_atomic_add_fetch_u64(&gens->last, 1);
}

/*
 * Grows with each generation that is given to another process, from a start
 * that says nothing.
 */
uint64
cx_gens_others(void)
{
	return pg_atomic_read_u64(&gens->last) - given_here;
}

/* The last generation given out. */
uint64
cx_gens_last(void)
{
	return pg_atomic_read_u64(&gens->last);
}

static inline pg_atomic_uint64 *
floor_of(uint64 id)
{
	return &gens->floor[(id & CX_KEY_OPEN) ? 0 : 1];
}

/*
 * Entries of id's cache with a generation below this are dead, whatever they
 * depend on.
 */
uint64
cx_gens_floor(uint64 id)
{
	return pg_atomic_read_u64(floor_of(id));
}

/* Moves a generation that several may move at a time; never back. */
void
cx_gens_raise(pg_atomic_uint64 *gen, uint64 to)
{
	uint64		old = pg_atomic_read_u64(gen);

	while (old < to && !pg_atomic_compare_exchange_u64(gen, &old, to))
		;
}

/*
 * Makes all entries dead that were stored before now and may depend on id:
 * those of caches that everybody may change if it is of such a one; else all,
 * since entries of any cache may hang on relations and tags.
 */
void
cx_gens_raise_floor(uint64 id)
{
	uint64		gen = cx_gens_next();

	cx_gens_raise(&gens->floor[0], gen);
	if (!(id & CX_KEY_OPEN))
		cx_gens_raise(&gens->floor[1], gen);
}

/*
 * Goes on where the server has stopped, with entries for which it is known
 * that none of their dependencies had moved.  At the start, before the first
 * session.
 */
void
cx_gens_restore(uint64 last)
{
	pg_atomic_write_u64(&gens->last, last);
	gens->known_from = last;
}

/*
 * Of moves before this generation nothing is known but what they mean for the
 * entries that are there.
 */
uint64
cx_gens_known_from(void)
{
	return gens->known_from;
}

/*
 * The generation of a dependency, or a later one.  It is looked for first: if
 * it is replaced after that, it was the least of its set then, and the least
 * that the second pass finds is later.
 */
uint64
cx_gens_get(CxGenKind kind, uint64 id)
{
	volatile uint64 *way = cell_of(kind, id)->way;
	uint64		least;

	for (int i = 0; i < WAYS; i++)
	{
		uint64		w = way[i];

		if (is_of(w, id))
			return w >> TAG_BITS;
	}
	pg_read_barrier();
	least = way[0];
	for (int i = 1; i < WAYS; i++)
	{
		uint64		w = way[i];

		least = Min(least, w);
	}
	return least >> TAG_BITS;
}

/* Moves the generation of a dependency. */
void
cx_gens_bump(CxGenKind kind, uint64 id)
{
	volatile uint64 *way = cell_of(kind, id)->way;
	int			victim = 0;

	for (int i = 0; i < WAYS; i++)
	{
		if (is_of(way[i], id))
		{
			victim = i;
			break;
		}
		if (way[i] < way[victim])
			victim = i;
	}
	way[victim] = cx_gens_next() << TAG_BITS | id >> (64 - TAG_BITS);
}
