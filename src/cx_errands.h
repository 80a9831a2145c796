/*
 * cx_errands.h
 *	  What a visiting worker does besides warmers: jobs, and what readers ask
 *	  for.
 */
#ifndef CX_ERRANDS_H
#define CX_ERRANDS_H

#include "datatype/timestamp.h"

extern void cx_errands_begin(void);
extern void cx_errands_run(bool job_first);
extern TimestampTz cx_errands_linger(TimestampTz next);

#endif							/* CX_ERRANDS_H */
