/*
 * cx_visits.h
 *	  Which databases are to be visited by a worker, and when.
 */
#ifndef CX_VISITS_H
#define CX_VISITS_H

#include "datatype/timestamp.h"
#include "storage/latch.h"

#define CX_VISIT_NEVER PG_INT64_MAX

/* What a visiting worker is told, in bgw_extra. */
typedef struct CxVisit
{
	Oid			db;
	uint32		ticket;			/* tells it from earlier workers */
} CxVisit;

/* A warmer that is being run. */
typedef struct CxRunning
{
	NameData	cache;
	NameData	name;
	TimestampTz since;
	int64		rows;			/* that the query has returned so far */
} CxRunning;

extern Size cx_visits_size(void);
extern void cx_visits_init(void *memory);
extern TimestampTz cx_visits_server_start(void);

/* For sessions */
extern void cx_visits_due_now(Oid db);
extern bool cx_visits_request_waits(Oid db);
extern void cx_visits_due_by(Oid db, TimestampTz when);
extern bool cx_visits_hold(Oid db);
extern void cx_visits_wait(Oid db);
extern void cx_visits_release(Oid db);
extern bool cx_visits_has_launcher(void);
extern bool cx_visits_running(Oid db, CxRunning *running);

/* For the launcher */
extern void cx_visits_attach(Latch *latch);
extern bool cx_visits_all_due(TimestampTz now);
extern bool cx_visits_crowded(void);
extern bool cx_visits_make_due(Oid db);
extern Oid	cx_visits_next(TimestampTz now, TimestampTz *due);
extern void cx_visits_begin(Oid db, CxVisit *visit);
extern void cx_visits_failed(const CxVisit *visit);
extern void cx_visits_forget(Oid db);

/* For the visiting worker */
extern bool cx_visits_enter(const CxVisit *visit);
extern bool cx_visits_listen(void);
extern void cx_visits_set_running(const char *cache, const char *name);
extern void cx_visits_set_rows(int64 rows);
extern void cx_visits_done(TimestampTz next_due);

#endif							/* CX_VISITS_H */
