/*
 * cx_preload.c
 *	  The error of a library that came too late to get shared memory.
 */
#include "postgres.h"

#include "cx_preload.h"

bool		cx_preloaded = false;

void
cx_preload_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cachex must be loaded via shared_preload_libraries"),
			 errhint("Add cachex to shared_preload_libraries in postgresql.conf and restart the server.")));
}
