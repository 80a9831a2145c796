/*
 * cx_collect.h
 *	  What a loader reads, found out while it runs.
 */
#ifndef CX_COLLECT_H
#define CX_COLLECT_H

#include "cx_entry.h"
#include "cx_judge.h"

typedef struct CxCollector CxCollector;

extern void cx_collect_install_hooks(void);
extern CxCollector *cx_collect_begin(bool exact, bool shared);
extern CxRefusal cx_collect_end(CxCollector *collector, CxReads *reads);
extern void cx_collect_abandon(CxCollector *collector);
extern void cx_collect_abandon_all(void);
extern void cx_collect_caught(void);
extern const CxAccess *cx_collect_access(const CxCollector *collector);
extern char *cx_collect_culprit(const CxCollector *collector);
extern bool cx_collect_is_active(void);
extern void cx_collect_cached(const CxReads *reads, bool exact);

#endif							/* CX_COLLECT_H */
