/*
 * cx_refusals.h
 *	  Counting and saying that a result is not kept, and why.
 */
#ifndef CX_REFUSALS_H
#define CX_REFUSALS_H

#include "cx_counters.h"
#include "cx_current.h"
#include "cx_judge.h"

extern CxCounter cx_refusals_counter(CxRefusal refusal);
extern void cx_refusals_announce(const char *cache, CxRefusal refusal,
								 const char *culprit);
extern void cx_refusals_announce_type(const char *cache, Oid type);
extern void cx_refusals_note_denied(const CxAsk *ask);

#endif							/* CX_REFUSALS_H */
