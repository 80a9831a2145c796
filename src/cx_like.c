/*
 * cx_like.c
 *	  Matches a key against a LIKE pattern: % any characters, _ one, \ the next
 *	  one itself.
 *
 * A mismatch goes back to the last % only: what an earlier one could take
 * instead, the last one can take as well.  So a match costs at most the
 * product of the two lengths, without recursion.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "cx_key.h"
#include "cx_like.h"

/* Raises an error for a pattern that is too long or ends in an escape. */
void
cx_like_check(const char *pattern, Size len)
{
	if (len > CX_MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("pattern is too long"),
				 errdetail("A pattern can have %d bytes.", CX_MAX_KEY)));
	for (Size i = 0; i < len; i++)
	{
		if (pattern[i] == '\\' && ++i == len)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_ESCAPE_SEQUENCE),
					 errmsg("LIKE pattern must not end with escape character")));
	}
}

bool
cx_like_match(const char *key, Size key_len, const char *pattern,
			  Size pattern_len)
{
	const char *k = key;
	const char *k_end = key + key_len;
	const char *p = pattern;
	const char *p_end = pattern + pattern_len;
	const char *after_star = NULL;	/* behind the last % */
	const char *retry = NULL;	/* where it is tried again */

	while (k < k_end)
	{
		if (p < p_end && *p == '%')
		{
			after_star = ++p;
			retry = k;
			continue;
		}
		if (p < p_end && *p == '_')
		{
			k += Min(pg_mblen(k), k_end - k);
			p++;
			continue;
		}
		if (p < p_end)
		{
			const char *literal = (*p == '\\') ? p + 1 : p;

			if (*literal == *k)
			{
				p = literal + 1;
				k++;
				continue;
			}
		}
		if (after_star == NULL)
			return false;
		p = after_star;
		retry += Min(pg_mblen(retry), k_end - retry);
		k = retry;
	}
	while (p < p_end && *p == '%')
		p++;
	return p == p_end;
}
