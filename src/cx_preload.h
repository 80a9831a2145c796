/*
 * cx_preload.h
 *	  Whether the library was loaded when the server started.
 */
#ifndef CX_PRELOAD_H
#define CX_PRELOAD_H

#include "cx_compat.h"

extern bool cx_preloaded;		/* the shared memory is there */

pg_noreturn extern void cx_preload_missing(void);

/* First line of every function that SQL can call */
#define CX_REQUIRE_PRELOAD() \
	do { \
		if (unlikely(!cx_preloaded)) \
			cx_preload_missing(); \
	} while (0)

#endif							/* CX_PRELOAD_H */
