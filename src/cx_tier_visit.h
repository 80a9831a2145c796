/*
 * cx_tier_visit.h
 *	  What a visiting worker does for the table of stored entries.
 */
#ifndef CX_TIER_VISIT_H
#define CX_TIER_VISIT_H

#include "datatype/timestamp.h"

extern TimestampTz cx_tier_visit(void);

#endif							/* CX_TIER_VISIT_H */
