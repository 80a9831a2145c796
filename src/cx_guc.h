/*
 * cx_guc.h
 *	  The settings cachex.*; README.md says what each is for.
 */
#ifndef CX_GUC_H
#define CX_GUC_H

extern int	cx_guc_memory;		/* megabytes */
extern int	cx_guc_max_value_size;	/* kilobytes */
extern int	cx_guc_sweep_interval;	/* seconds; -1 = when something is due */
extern int	cx_guc_warmer_timeout;	/* milliseconds; 0 = none */
extern int	cx_guc_refresh_timeout; /* milliseconds; 0 = none */
extern int	cx_guc_retry_pause; /* milliseconds */
extern int	cx_guc_job_retention;	/* seconds */
extern int	cx_guc_max_jobs;	/* of a role, that wait */
extern char *cx_guc_databases;
extern bool cx_guc_enabled;
extern double cx_guc_ttl_factor;
extern int	cx_guc_load_timeout;	/* milliseconds; 0 = do not wait */
extern bool cx_guc_synchronous;

/* An entry's charge is kept in 16 bits, in chunks of 128 bytes. */
#define CX_MAX_VALUE_KB 8000

extern void cx_guc_define(void);

#endif							/* CX_GUC_H */
