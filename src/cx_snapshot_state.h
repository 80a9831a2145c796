/*
 * cx_snapshot_state.h
 *	  What must be the same at a start as it was at the shutdown before.
 */
#ifndef CX_SNAPSHOT_STATE_H
#define CX_SNAPSHOT_STATE_H

#include "catalog/pg_control.h"

/* Written to the file as it is: no pointers, and zeroed before it is filled. */
typedef struct CxServerState
{
	ControlFileData control;	/* all of it, checksum included */
	uint64		inode;			/* of the control file: a copy has another */
	char		version[64];	/* of the server */
	char		libc[32];		/* it sorts and formats */
} CxServerState;

extern const char *cx_snapshot_state_get(CxServerState *state);
extern const char *cx_snapshot_state_compare(const CxServerState *then,
											 const CxServerState *now);

#endif							/* CX_SNAPSHOT_STATE_H */
