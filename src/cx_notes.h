/*
 * cx_notes.h
 *	  Who changed a table or a tag last.  For people only: nothing is decided by
 *	  it.  Prepared transactions leave no note.
 */
#ifndef CX_NOTES_H
#define CX_NOTES_H

#include "datatype/timestamp.h"

#define CX_COMMAND_INSERT 'i'
#define CX_COMMAND_UPDATE 'u'
#define CX_COMMAND_DELETE 'd'
#define CX_COMMAND_TRUNCATE 't'
#define CX_COMMAND_DDL 'c'
#define CX_COMMAND_CALL 'x'		/* of a function of cachex */
#define CX_COMMAND_APPLY 'a'	/* a row that was replicated */

typedef struct CxNote
{
	TimestampTz at;				/* end of the transaction */
	uint64		xid;
	Oid			rel;			/* the table written, or invalid */
	char		command;		/* CX_COMMAND_ */
} CxNote;

extern Size cx_notes_size(void);
extern void cx_notes_init(void *memory);
extern void cx_notes_put(uint64 id, const CxNote *note);
extern bool cx_notes_get(uint64 id, CxNote *note);

#endif							/* CX_NOTES_H */
