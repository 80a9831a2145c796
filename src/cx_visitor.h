/*
 * cx_visitor.h
 *	  The worker that runs what is due in one database.
 */
#ifndef CX_VISITOR_H
#define CX_VISITOR_H

#include "cx_compat.h"

pg_noreturn extern PGDLLEXPORT void cx_visitor_main(Datum main_arg);

#endif							/* CX_VISITOR_H */
