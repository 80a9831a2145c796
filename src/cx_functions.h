/*
 * cx_functions.h
 *	  Does a call of a function leave a result such that it may be kept?
 */
#ifndef CX_FUNCTIONS_H
#define CX_FUNCTIONS_H

#include "nodes/pg_list.h"

typedef enum CxFunctionVerdict
{
	CX_FUNCTION_OK,
	CX_FUNCTION_VOLATILE,
	CX_FUNCTION_UNKNOWN			/* depends on what nobody can watch */
} CxFunctionVerdict;

/* Calls of cx_functions_judge add to it; all zero at first. */
typedef struct CxFunctionUse
{
	bool		user_code;		/* SQL or PL/pgSQL code may run: its queries
								 * must not run in parallel workers */
	bool		privileges;		/* it may ask what somebody may do */
	List	   *settings;		/* char *, names read by current_setting
								 * ('constant'); no name twice */
	Oid			culprit;		/* function to blame for the last verdict
								 * other than OK */
	Oid			unbelieved;		/* one that may have read unseen, and not as
								 * the one who runs it, or invalid */
	Oid			session;		/* one that may depend on the session in any
								 * way, or invalid */
} CxFunctionUse;

extern CxFunctionVerdict cx_functions_judge(Oid function, CxFunctionUse *use);

#endif							/* CX_FUNCTIONS_H */
