/*
 * cx_like.h
 *	  LIKE over keys, in time that no pattern can make explode.
 */
#ifndef CX_LIKE_H
#define CX_LIKE_H

extern void cx_like_check(const char *pattern, Size len);
extern bool cx_like_match(const char *key, Size key_len,
						  const char *pattern, Size pattern_len);

#endif							/* CX_LIKE_H */
