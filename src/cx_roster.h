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
	int64		id;				/* never used twice */
	bool		required;		/* what is not in the cache may be on its way */
	bool		replace;		/* what the query does not return has to go */
} CxWarmer;

/* For sessions */
extern bool cx_roster_add(const CxWarmer *warmer, const Interval *every);
extern bool cx_roster_remove(const char *cache, const char *name);
extern void cx_roster_forget(const char *cache);
extern List *cx_roster_list(const char *cache, ArrayType *names);
extern void cx_roster_request(const CxWarmer *warmer);

/* For the visiting worker */
extern List *cx_roster_due(const int64 *wanted, int nwanted);
extern void cx_roster_publish(void);
extern bool cx_roster_start(const CxWarmer *warmer);
extern void cx_roster_finish(const CxWarmer *warmer, int64 entries,
							 const char *error);
extern bool cx_roster_next(TimestampTz *next);

#endif							/* CX_ROSTER_H */
