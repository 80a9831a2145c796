/*
 * cx_try.h
 *	  Running something whose errors are not the caller's.
 */
#ifndef CX_TRY_H
#define CX_TRY_H

/* Whether an error of this SQLSTATE is caught. */
typedef bool (*CxTolerates) (int sqlerrcode);

extern bool cx_try(void (*run) (void *arg), void *arg, CxTolerates tolerates);
extern bool cx_try_tolerates_all(int sqlerrcode);

#endif							/* CX_TRY_H */
