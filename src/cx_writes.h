/*
 * cx_writes.h
 *	  The relations that the current transaction has written or altered.
 *
 * It only grows until the transaction ends: what a savepoint takes back is
 * still here, which costs a miss.
 */
#ifndef CX_WRITES_H
#define CX_WRITES_H

#include "cx_notes.h"
#include "cx_rels.h"

typedef struct CxWrite
{
	Oid			db;
	Oid			rel;			/* whose generation moves */
	Oid			cause;			/* the table that was written */
	uint8		aspect;
	char		command;
	bool		late;			/* takes effect when the locks are released */
	bool		created;		/* rel is new: its name may hide another; it
								 * gets no mark */
	bool		marked;			/* its mark stands and is to be resolved */
	bool		stored;			/* it is in the table of invalidations */
} CxWrite;

extern bool cx_writes_any;		/* the list is not empty */
extern bool cx_writes_ddl;		/* the transaction has changed definitions */

extern CxWrite *cx_writes_add(const CxWrite *write);
extern bool cx_writes_own(Oid rel, uint8 aspects);
extern int	cx_writes_count(void);
extern CxWrite *cx_writes_get(int n);	/* valid until the next add */
extern void cx_writes_forget(void);

#endif							/* CX_WRITES_H */
