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
#include "cx_lines.h"
#include "cx_view.h"

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
extern void cx_deps_resolve(CxDep dep, uint64 xid);
extern bool cx_deps_any_prepared(void);
extern void cx_deps_settle(uint64 id);
extern void cx_deps_pass(uint64 id);
extern bool cx_deps_plain_in_doubt(uint64 id, uint64 but);
extern bool cx_deps_is_marked(CxDep dep, uint64 but);
extern bool cx_deps_overtaken(CxDep dep, uint64 xid, uint64 since);
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
