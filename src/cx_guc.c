/*
 * cx_guc.c
 *	  Defines the settings.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "cx_guc.h"

int			cx_guc_memory = 128;
int			cx_guc_max_value_size = 1024;
int			cx_guc_sweep_interval = -1;
int			cx_guc_warmer_timeout = 60000;
int			cx_guc_refresh_timeout = 60000;
int			cx_guc_retry_pause = 5000;
int			cx_guc_job_retention = 86400;
int			cx_guc_max_jobs = 10000;
char	   *cx_guc_databases = NULL;
bool		cx_guc_enabled = true;
double		cx_guc_ttl_factor = 1.0;
int			cx_guc_load_timeout = 10000;
bool		cx_guc_synchronous = false;

/* Settings that need the shared memory, so they are fixed at server start. */
static void
define_postmaster(void)
{
	DefineCustomIntVariable("cachex.memory",
							"Shared memory that cachex uses, all of it.",
							NULL, &cx_guc_memory, 128, 8, 262144,
							PGC_POSTMASTER, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.max_value_size",
							"Largest value that is kept.",
							"A larger value is counted and not stored.",
							&cx_guc_max_value_size, 1024, 1, CX_MAX_VALUE_KB,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
}

static void
define_reloadable(void)
{
	DefineCustomIntVariable("cachex.sweep_interval",
							"Longest pause of the sweeper; -1 sleeps until something is due.",
							NULL, &cx_guc_sweep_interval, -1, -1, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.warmer_timeout",
							"Longest run of one warmer; 0 turns the limit off.",
							NULL, &cx_guc_warmer_timeout, 60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.refresh_timeout",
							"Longest run of a loader in the background; 0 turns the limit off.",
							NULL, &cx_guc_refresh_timeout, 60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.retry_pause",
							"Pause after the first attempt of a job that failed, and after a refresh for readers that did.",
							"For a job it is four times as long after each further attempt, up to an hour.",
							&cx_guc_retry_pause, 5000, 1, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.job_retention",
							"How long jobs that have ended are shown.",
							NULL, &cx_guc_job_retention, 86400, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.max_jobs",
							"Jobs that one role can have waiting in a database.",
							NULL, &cx_guc_max_jobs, 10000, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("cachex.databases",
							   "Databases that background workers visit, separated by commas.",
							   "* means every database.",
							   &cx_guc_databases, "*",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_session(void)
{
	DefineCustomBoolVariable("cachex.enabled",
							 "Uses the cache; off runs every loader.",
							 NULL, &cx_guc_enabled, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cachex.load_timeout",
							"How long to wait for another session that loads the same; 0 does not wait.",
							NULL, &cx_guc_load_timeout, 10000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("cachex.ttl_factor",
							 "Multiplies every time to live that this session stores.",
							 NULL, &cx_guc_ttl_factor, 1.0, 0.0, 1000.0,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("cachex.synchronous",
							 "Refreshes at once, in the session, what would be left to a worker.",
							 "Meant for tests.",
							 &cx_guc_synchronous, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

/* Called once, from _PG_init. */
void
cx_guc_define(void)
{
	define_postmaster();
	define_reloadable();
	define_session();
	MarkGUCPrefixReserved("cachex");
}
