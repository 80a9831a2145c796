/*
 * cachex.c
 *	  What the server calls when it loads the library.  src/README.md says
 *	  which file does what.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "cx_collect.h"
#include "cx_ddl.h"
#include "cx_guc.h"
#include "cx_launcher.h"
#include "cx_shmem.h"
#include "cx_sweeper.h"
#include "cx_xact.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	/* later there is no shared memory to be had; functions say so */
	if (!process_shared_preload_libraries_in_progress)
		return;
	cx_guc_define();
	cx_shmem_install_hooks();
	cx_xact_register();
	cx_ddl_install_hooks();
	cx_collect_install_hooks();
	cx_sweeper_register();
	cx_launcher_register();
}
