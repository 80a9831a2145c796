/*
 * cx_rels.c
 *	  An array of cells that relations share by hash.
 *
 * There is no creating or collecting of cells and the array is never full; a
 * relation that shares another's cell is invalidated with it, no more.
 *
 * Locking: generations are read without a lock; bumps of one partition (id
 * mod CX_GEN_PARTITIONS) are serialized by the caller.
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "cx_gens.h"
#include "cx_rels.h"

typedef struct Cell
{
	pg_atomic_uint64 gen[CX_NASPECTS];
	uint32		owner;			/* hash of the relation that moved last */
	uint32		collisions;		/* how often it was another one than before */
} Cell;

typedef struct Rels
{
	uint32		ncells;			/* a partition */
	Cell	   *cells;
} Rels;

static Rels *rels;

/* Cells take 1/128 of the memory within bounds: 1,024 to 16,384 of them. */
static uint32
count_cells(Size budget)
{
	Size		n = budget / 128 / sizeof(Cell) / CX_GEN_PARTITIONS;

	return (uint32) Min(Max(n, 16), 256);
}

Size
cx_rels_size(Size budget)
{
	return add_size(MAXALIGN(sizeof(Rels)) + PG_CACHE_LINE_SIZE,
					mul_size((Size) count_cells(budget) * CX_GEN_PARTITIONS,
							 sizeof(Cell)));
}

void
cx_rels_init(void *memory, Size budget)
{
	rels = memory;
	memset(memory, 0, cx_rels_size(budget));
	rels->ncells = count_cells(budget);
	rels->cells = (Cell *) CACHELINEALIGN((char *) memory + sizeof(Rels));
	for (uint32 i = 0; i < rels->ncells * CX_GEN_PARTITIONS; i++)
	{
		for (int aspect = 0; aspect < CX_NASPECTS; aspect++)
			pg_atomic_init_u64(&rels->cells[i].gen[aspect], 0);
	}
}

static inline Cell *
cell_of(uint64 id)
{
	return &rels->cells[(id % CX_GEN_PARTITIONS) * rels->ncells +
						(id / CX_GEN_PARTITIONS) % rels->ncells];
}

/* The latest generation of the aspects. */
uint64
cx_rels_gen(uint64 id, uint8 aspects)
{
	Cell	   *cell = cell_of(id);
	uint64		latest = 0;

	for (int aspect = 0; aspect < CX_NASPECTS; aspect++)
	{
		if (aspects & CX_ASPECT(aspect))
			latest = Max(latest, pg_atomic_read_u64(&cell->gen[aspect]));
	}
	return latest;
}

/* Moves the generation of an aspect. The caller holds the partition of id. */
void
cx_rels_bump(uint64 id, CxAspect aspect)
{
	Cell	   *cell = cell_of(id);
	uint32		owner = (uint32) (id >> 32);

	if (cell->owner != 0 && cell->owner != owner)
		cell->collisions++;
	cell->owner = owner;
	pg_atomic_write_u64(&cell->gen[aspect], cx_gens_next());
}

/*
 * How often the cell's owner changed: then a change of one counted as a change
 * of the other.
 */
uint64
cx_rels_collisions(uint64 id)
{
	return cell_of(id)->collisions;
}
