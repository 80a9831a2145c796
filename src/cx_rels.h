/*
 * cx_rels.h
 *	  Generations of relations.
 *
 * A relation here is a table, a view, or one of two stand-ins: the catalogs
 * of a database (functions, types, names) and the roles of the cluster.
 */
#ifndef CX_RELS_H
#define CX_RELS_H

#include "port/atomics.h"

#include "cx_key.h"

/* What of a relation changes; each has a generation of its own. */
typedef enum CxAspect
{
	CX_ROWS,					/* rows, by a statement that names it */
	CX_ROWS_BELOW,				/* rows of a table below it */
	CX_SHAPE,					/* definition, privileges, triggers, file */
	CX_SHAPE_BELOW				/* the same of a table below it */
} CxAspect;

#define CX_NASPECTS 4

/* Sets of aspects, as dependencies have them */
#define CX_ASPECT(aspect) (1 << (aspect))
#define CX_ASPECTS_READ 0xf		/* of a relation that was read */
#define CX_ASPECTS_ABOVE (CX_ASPECT(CX_ROWS) | CX_ASPECT(CX_SHAPE)) /* of one above it */
#define CX_ASPECTS_SHAPE (CX_ASPECT(CX_SHAPE) | CX_ASPECT(CX_SHAPE_BELOW))

/*
 * The stand-ins: catalogs are relation 0 of a database, with definitions of
 * functions, types and the like as CX_SHAPE, and more tables than can be told
 * apart as CX_SHAPE_BELOW; roles are relation 0 of database 0.  What functions
 * such as has_table_privilege() tell is relation 1 of a database, an OID that
 * no relation has, for loaders that call one of them.
 */
#define CX_CATALOGS InvalidOid
#define CX_CLUSTER InvalidOid
#define CX_PRIVILEGES ((Oid) 1)

/* What a relation is called among dependencies. */
static inline uint64
cx_rels_id(Oid db, Oid rel)
{
	return cx_key_beside(cx_key_mix(cx_key_seed ^ ((uint64) db << 32 | rel)), 0);
}

extern Size cx_rels_size(Size budget);
extern void cx_rels_init(void *memory, Size budget);
extern uint64 cx_rels_gen(uint64 id, uint8 aspects);
extern void cx_rels_bump(uint64 id, CxAspect aspect);
extern uint64 cx_rels_collisions(uint64 id);

#endif							/* CX_RELS_H */
