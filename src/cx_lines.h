/*
 * cx_lines.h
 *	  Lines of writers: the transactions that move dependencies which share a
 *	  line.
 */
#ifndef CX_LINES_H
#define CX_LINES_H

#include "port/atomics.h"

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
	uint64		cache;			/* CX_DEP_CACHE, in a mark: by
								 * cx_registry_pack */
	uint8		aspects;		/* CX_DEP_RELATION: which of them, just one in
								 * a mark */
} CxDep;

/* In the mark of a prepared transaction */
#define CX_XID_PREPARED (UINT64CONST(1) << 63)
/* and of one whose change takes effect when its locks are released */
#define CX_XID_LATE		(UINT64CONST(1) << 62)
#define CX_XID_FLAGS	(CX_XID_PREPARED | CX_XID_LATE)

#define CX_MEMBERS	4			/* of a line */

/*
 * Writers of the dependencies that share a line.  latest[i] is 0 while
 * xid[i] is in doubt, later latestCompletedXid at its completion or after.
 * While a prepared one is in doubt it says what the mark stands for instead:
 * who resolves that need not have asked for it.  So see cx_lines_latest.
 * A rival is a writer who was resolved while others in the line were in doubt.
 */
typedef struct CxLine
{
	uint64		xid[CX_MEMBERS];	/* 0 = free */
	uint64		latest[CX_MEMBERS];
	uint32		hash[CX_MEMBERS];
	uint32		over_count;		/* plain writers in doubt without a place */
	uint32		over_late:31;	/* of these, late ones */
	uint32		over_mixed:1;	/* there was another xid than over_min */
	uint64		over_min;		/* least of their xids */
	uint64		over_prepared;	/* greatest prepared one without a place */
	uint64		floor_xid;		/* greatest resolved one that lost its place */
	uint64		floor_latest;
	uint64		floor_rival;	/* greatest latest of a rival that did */
} CxLine;

StaticAssertDecl(sizeof(CxLine) == 128, "a line of writers is two cache lines");

/* In latest: of a rival */
#define CX_LATEST_RIVAL (UINT64CONST(1) << 63)

/* latest of a resolved writer, 0 while it is in doubt. */
static inline uint64
cx_lines_latest(const CxLine *line, int i)
{
	return (line->xid[i] & CX_XID_PREPARED) ? 0 :
		line->latest[i] & ~CX_LATEST_RIVAL;
}

/* What a line says of a dependency under a snapshot. */
typedef enum CxVerdict
{
	CX_ADMITTED,
	CX_REFUSED,
	CX_PREPARED_SEEN			/* ask again after cx_lines_settle_seen */
} CxVerdict;

extern uint32 cx_lines_tag(CxDep dep);
extern bool cx_lines_is_of(uint32 hash, CxDep dep);
extern void cx_lines_bump(CxDep dep, uint32 hash);
extern int	cx_lines_make_place(CxLine *line);
extern void cx_lines_put(CxLine *line, int place, CxDep dep, uint64 xid);
extern void cx_lines_remember(CxLine *line, int place, uint64 xid,
							  uint64 latest, uint32 hash);
extern void cx_lines_remember_in_floor(CxLine *line, uint64 xid, uint64 latest);
extern bool cx_lines_overtaken(const CxLine *line, CxDep dep, uint64 xid,
							   uint64 since);
extern CxVerdict cx_lines_judge(const CxLine *line, const CxView *view,
								CxDep dep, uint64 *late);
extern uint32 cx_lines_settle_seen(CxLine *line, const CxView *view, CxDep dep,
								   uint64 late, uint64 latest);
extern uint32 cx_lines_settle_overflow(CxLine *line, const CxView *view,
									   uint64 id, uint64 latest);
extern int	cx_lines_prepared(const CxLine *line, uint64 *xids);
extern uint32 cx_lines_settle_over(CxLine *line, uint64 id, const uint64 *over,
								   int nover, uint64 latest);

#endif							/* CX_LINES_H */
