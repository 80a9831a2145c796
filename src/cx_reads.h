/*
 * cx_reads.h
 *	  Whether what a loader has read is still what it was.
 */
#ifndef CX_READS_H
#define CX_READS_H

#include "cx_deps.h"
#include "cx_entry.h"

extern bool cx_reads_admit(const CxView *view, const CxReads *reads);
extern bool cx_reads_moved_since(const CxReads *reads, uint64 gen);
extern bool cx_reads_same_shapes(const CxView *view, const CxReads *reads,
								 uint64 gen);
extern bool cx_reads_moved_in(Oid db, const CxReads *reads, uint64 gen);
extern bool cx_reads_moved_by_now(const CxReads *reads, uint64 gen);
extern bool cx_reads_are_marked(const CxReads *reads, uint64 but);
extern bool cx_reads_in_doubt(Oid db, const CxReads *reads, uint64 but);
extern bool cx_reads_own(const CxReads *reads);
extern bool cx_reads_lock(const CxReads *reads);
extern uint64 cx_reads_hash_settings(const CxReads *reads);

#endif							/* CX_READS_H */
