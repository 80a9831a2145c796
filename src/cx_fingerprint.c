/*
 * cx_fingerprint.c
 *	  Hashes the text of a query, its parameters, and the settings.
 *
 * It is seeded as all hashes are, so nobody can make up parameters that collide;
 * the seed is the server's, or the cache's where entries outlive the server.
 * Taken on every fetch, so what is mostly the same is compared with what it
 * was the last time.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "cx_compat.h"
#include "cx_fingerprint.h"
#include "cx_settings.h"

/*
 * The hash of a query's text.  A loop asks with the same one each time, and
 * comparing is faster than hashing.
 */
static uint64
hash_query(const char *query, Size len, uint64 seed)
{
	static char last[1024];
	static Size last_len = 0;
	static uint64 last_seed;
	static uint64 last_hash;
	uint64		hash;

	if (len == last_len && seed == last_seed &&
		memcmp(query, last, len) == 0 && len > 0)
		return last_hash;
	hash = hash_bytes_extended((const unsigned char *) query, (int) len,
							   seed);
	if (len <= sizeof(last))
	{
		memcpy(last, query, len);
		last_len = len;
		last_seed = seed;
		last_hash = hash;
	}
	return hash;
}

/*
 * cx_fingerprint_loader
 *
 * Returns a hash, never 0, of what decides a loader's result besides data:
 * its text, its parameters (detoasted; NULL for none) and the settings that
 * change results.  Allocates nothing and raises nothing, unless search_path
 * has to be resolved.
 */
uint64
cx_fingerprint_loader(const char *query, Size query_len, ArrayType *params,
					  uint64 seed)
{
	uint64		hash = hash_query(query, query_len, seed);

	if (params != NULL)
		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(params),
								   (int) VARSIZE_ANY_EXHDR(params), hash);
	hash = hash_combine64(hash, cx_settings_hash());
	return hash == 0 ? 1 : hash;
}
