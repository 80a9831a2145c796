/*
 * cx_roster.h
 *	  The tables of warmers: what there is to run, and what became of it.
 */
#ifndef CX_ROSTER_H
#define CX_ROSTER_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

typedef struct CxWarmer
{
	char	   *cache;
	char	   *name;
	char	   *query;
} CxWarmer;

/* For sessions */
extern bool cx_roster_add(const CxWarmer *warmer, const Interval *every);
extern bool cx_roster_remove(const char *cache, const char *name);
extern void cx_roster_forget(const char *cache);
extern List *cx_roster_list(const char *cache, ArrayType *names);
extern void cx_roster_request(const CxWarmer *warmer);

/* For the visiting worker */
extern bool cx_roster_exists(void);
extern List *cx_roster_due(TimestampTz since);
extern bool cx_roster_start(const CxWarmer *warmer);
extern void cx_roster_finish(const CxWarmer *warmer, int64 entries,
							 const char *error);
extern bool cx_roster_next(TimestampTz since, TimestampTz *next);

#endif							/* CX_ROSTER_H */
