/*
 * cx_fingerprint.h
 *	  What decides a loader's result besides data, as one number.
 */
#ifndef CX_FINGERPRINT_H
#define CX_FINGERPRINT_H

#include "utils/array.h"

extern uint64 cx_fingerprint_loader(const char *query, Size query_len,
									ArrayType *params, uint64 seed);

#endif							/* CX_FINGERPRINT_H */
