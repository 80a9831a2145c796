/*
 * cx_boot.h
 *	  Transactions that the cache knows too little of, because they were
 *	  prepared before the server started, or found no place among the writers.
 *	  While one of them lives, nothing is read from the cache and nothing is
 *	  stored.
 */
#ifndef CX_BOOT_H
#define CX_BOOT_H

extern Size cx_boot_size(void);
extern void cx_boot_init(void *memory);
extern void cx_boot_none(void);
extern bool cx_boot_admits(uint64 xmin);
extern bool cx_boot_hold(uint64 xid);
extern bool cx_boot_xid_is_over(TransactionId xid);
extern int	cx_boot_count(void);

#endif							/* CX_BOOT_H */
