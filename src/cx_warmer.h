/*
 * cx_warmer.h
 *	  Runs warmers: queries that fill a cache ahead of its readers.
 */
#ifndef CX_WARMER_H
#define CX_WARMER_H

#include "cx_roster.h"

extern void cx_warmer_check(const char *query);
extern int64 cx_warmer_run(const CxWarmer *w);

#endif							/* CX_WARMER_H */
