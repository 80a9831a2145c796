/*
 * cx_watch.h
 *	  Triggers that invalidate what rows of a table name.
 */
#ifndef CX_WATCH_H
#define CX_WATCH_H

extern void cx_watch_clear(const char *name);

extern void cx_watch_trigger_dropped(Oid trigger_oid);
extern void cx_watch_trigger_created(Oid trigger_oid);
extern void cx_watch_trigger_changed(Oid trigger_oid);
extern void cx_watch_table_truncated(Oid relid);

#endif							/* CX_WATCH_H */
