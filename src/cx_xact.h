/*
 * cx_xact.h
 *	  Ties pending changes to the end of transactions and subtransactions.
 */
#ifndef CX_XACT_H
#define CX_XACT_H

extern void cx_xact_register(void);

#endif							/* CX_XACT_H */
