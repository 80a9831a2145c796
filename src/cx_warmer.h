/*
 * cx_warmer.h
 *	  Runs warmers: queries that fill a cache ahead of its readers.
 */
#ifndef CX_WARMER_H
#define CX_WARMER_H

#include "cx_compat.h"

extern void cx_warmer_check(const char *query);

pg_noreturn extern PGDLLEXPORT void cx_warmer_main(Datum main_arg);

#endif							/* CX_WARMER_H */
