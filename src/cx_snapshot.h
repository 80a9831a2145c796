/*
 * cx_snapshot.h
 *	  The file in which entries outlive a clean restart.
 */
#ifndef CX_SNAPSHOT_H
#define CX_SNAPSHOT_H

extern bool cx_snapshot_load(void);
extern uint64 cx_snapshot_restored(void);
extern uint64 cx_snapshot_dropped(void);
extern const char *cx_snapshot_failure(void);

#endif							/* CX_SNAPSHOT_H */
