/*
 * cx_warmer.h
 *	  Runs warmers: queries that fill a cache ahead of its readers.
 */
#ifndef CX_WARMER_H
#define CX_WARMER_H

extern void cx_warmer_check(const char *query);

extern PGDLLEXPORT void cx_warmer_main(Datum main_arg) pg_attribute_noreturn();

#endif							/* CX_WARMER_H */
