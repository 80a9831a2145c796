/*
 * cx_deps.h
 *	  Generations of what entries depend on, and the writers that move them.
 *
 * A dependency is a key, a tag, a scope, a cache, a cache's fills, or a
 * relation.  Each has a generation; an entry is dead as soon as one of its dependencies has a
 * later one than the entry's own.  Beside the generations stand the
 * transactions that move them: in doubt from just before their commit, then
 * remembered until they are forgotten in a way that errs towards a miss.
 */
#ifndef CX_DEPS_H
#define CX_DEPS_H

#include "port/atomics.h"
#include "cx_gens.h"
#include "cx_view.h"

/* How a dependency's generation is kept. */
typedef enum CxDepKind
{
	CX_DEP_KEY,					/* generation shared with keys that collide */
	CX_DEP_GROUP,				/* a tag or a scope: likewise, apart from keys */
	CX_DEP_CACHE,				/* generation in the registry: exact */
	CX_DEP_IDENTITY,			/* writers only: they replace the entry */
	CX_DEP_FILLS,				/* of a cache, moved by patterns.  Hits and a
								 * fill's first question ask it as
								 * CX_DEP_GROUP; a fill's last one as this:
								 * then none may be in doubt */
	CX_DEP_RELATION				/* a generation for each aspect (cx_rels) */
} CxDepKind;

typedef struct CxDep
{
	uint64		id;
	CxDepKind	kind;
	pg_atomic_uint64 *gen;		/* CX_DEP_CACHE only */
	uint8		aspects;		/* CX_DEP_RELATION: which of them, just one in
								 * a mark */
} CxDep;

/* In the mark of a prepared transaction */
#define CX_XID_PREPARED (UINT64CONST(1) << 63)
/* and of one whose change takes effect when its locks are released */
#define CX_XID_LATE		(UINT64CONST(1) << 62)
#define CX_XID_FLAGS	(CX_XID_PREPARED | CX_XID_LATE)

extern Size cx_deps_size(Size budget);
extern void cx_deps_init(void *memory, Size budget);

/* Readers */
extern bool cx_deps_view(CxView *view, Snapshot snapshot);
extern bool cx_deps_quiet(void);
extern bool cx_deps_settled(const CxView *view);
extern bool cx_deps_admits(const CxView *view, CxDep dep);
extern bool cx_deps_in_doubt(uint64 id, uint64 but);
extern TransactionId cx_deps_unfinished(const CxView *view, CxDep dep);

/* Writers */
extern void cx_deps_begin(uint64 xid);
extern bool cx_deps_mark(CxDep dep, uint64 xid);
extern void cx_deps_resolve(CxDep dep, uint64 xid, uint64 latest);
extern bool cx_deps_overtaken(CxDep dep, uint64 xid, uint64 latest);
extern void cx_deps_unmark(CxDep dep, uint64 xid);
extern void cx_deps_end(void);

typedef struct CxDepsCounts
{
	uint64		in_doubt;		/* transactions between mark and resolve */
	uint64		prepared;		/* marks of prepared transactions */
	uint64		overflows;		/* marks that found no place of their own */
} CxDepsCounts;

extern void cx_deps_counts(CxDepsCounts *counts);

#endif							/* CX_DEPS_H */
