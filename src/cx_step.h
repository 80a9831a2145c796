/*
 * cx_step.h
 *	  Transactions of background workers.
 */
#ifndef CX_STEP_H
#define CX_STEP_H

typedef void (*CxStepRun) (void *arg);

extern void cx_step_start(bool read_only);
extern void cx_step_commit(void);
extern char *cx_step_try(CxStepRun run, void *arg, int timeout_ms);
extern bool cx_step_open_books(void);
extern void cx_step_close_books(MemoryContext context);

#endif							/* CX_STEP_H */
