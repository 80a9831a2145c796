/*
 * cx_jobs.h
 *	  Refreshes that survive the server: the tables of jobs.
 */
#ifndef CX_JOBS_H
#define CX_JOBS_H

#include "cx_requests.h"

/* A run of a job. */
typedef struct CxJob
{
	int64		id;
	CxRefresh	refresh;		/* settings NULL: those that the role has by
								 * default */
} CxJob;

typedef enum CxTaken
{
	CX_TAKEN,
	CX_TAKEN_NONE,				/* none is due */
	CX_TAKEN_OTHERS				/* what is due is for another process */
} CxTaken;

/* For sessions */
extern int64 cx_jobs_add(const CxRefresh *r, int max_attempts);
extern void cx_jobs_add_keys(const char *cache, Oid role, ArrayType *keys);
extern void cx_jobs_forget(const char *cache);
extern bool cx_jobs_pending(const char *cache, const char *scope,
							Size scope_len, const char *key, Size key_len,
							Oid role);

/* For the visiting worker */
extern void cx_jobs_adopt(void);
extern CxTaken cx_jobs_take(bool own, CxJob *job);
extern void cx_jobs_role_settings(Oid role, StringInfo out);
extern void cx_jobs_finish(const CxJob *job, const char *error);
extern void cx_jobs_clean(void);
extern TimestampTz cx_jobs_next(void);

#endif							/* CX_JOBS_H */
