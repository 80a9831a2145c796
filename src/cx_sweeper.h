/*
 * cx_sweeper.h
 *	  The background worker that gives memory back.
 */
#ifndef CX_SWEEPER_H
#define CX_SWEEPER_H

extern void cx_sweeper_register(void);

extern PGDLLEXPORT void cx_sweeper_main(Datum main_arg) pg_attribute_noreturn();

#endif							/* CX_SWEEPER_H */
