/*
 * cx_launcher.h
 *	  The process that starts a worker for each database that is to be
 *	  visited; what a transaction asks of it for its end.
 */
#ifndef CX_LAUNCHER_H
#define CX_LAUNCHER_H

#include "cx_compat.h"

extern Size cx_launcher_size(void);
extern void cx_launcher_init(void *memory);
extern void cx_launcher_register(void);

extern void cx_launcher_ask_at_commit(Oid db);
extern void cx_launcher_hold_database(Oid db);
extern bool cx_launcher_serves(const char *database);

pg_noreturn extern PGDLLEXPORT void cx_launcher_main(Datum main_arg);

#endif							/* CX_LAUNCHER_H */
