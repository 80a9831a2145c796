/*
 * cx_sweeper.h
 *	  The background worker that gives memory back.
 */
#ifndef CX_SWEEPER_H
#define CX_SWEEPER_H

#include "cx_compat.h"

extern void cx_sweeper_register(void);

pg_noreturn extern PGDLLEXPORT void cx_sweeper_main(Datum main_arg);

#endif							/* CX_SWEEPER_H */
