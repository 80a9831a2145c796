/*
 * cx_snapshot_save.h
 *	  Writing the file, at the end of the server.
 */
#ifndef CX_SNAPSHOT_SAVE_H
#define CX_SNAPSHOT_SAVE_H

extern void cx_snapshot_save(int code, Datum arg);

#endif							/* CX_SNAPSHOT_SAVE_H */
