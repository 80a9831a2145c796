/*
 * cx_check.h
 *	  Checks the invariants of the store, for tests.
 */
#ifndef CX_CHECK_H
#define CX_CHECK_H

extern const char *cx_check_store(void);

#endif							/* CX_CHECK_H */
