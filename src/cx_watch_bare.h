/*
 * cx_watch_bare.h
 *	  The triggers that tell exact caches of changes of a table.
 */
#ifndef CX_WATCH_BARE_H
#define CX_WATCH_BARE_H

extern void cx_watch_bare_install(Oid relid);
extern void cx_watch_bare_adopt(Oid relid);
extern void cx_watch_bare_remove(Oid relid);

#endif							/* CX_WATCH_BARE_H */
