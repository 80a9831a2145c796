/*
 * cx_key.c
 *	  Hashes that name entries and their dependencies.
 *
 * Every hash is seeded at server start, so nobody can choose keys that
 * collide.  To an identity a cache contributes its uid, which is never used
 * twice, so a name that is dropped and created again has none of its
 * predecessor's entries.  To a dependency it contributes its name, so what a
 * transaction invalidated in the one is invalid in the other.
 *
 * Locking: none.  Does not compare anything; cx_entry does.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "cx_bug.h"
#include "cx_key.h"

/* Set in the postmaster before the first fork. */
uint64		cx_key_seed = 0;

#define KIND_SCOPE	UINT64CONST(0x9e3779b97f4a7c15)
#define KIND_TAG	UINT64CONST(0xc2b2ae3d27d4eb4f)
#define KIND_CACHE	UINT64CONST(0x165667b19e3779f9)
#define KIND_FILLS	UINT64CONST(0x27d4eb2f165667c5)

static inline uint64
hash_string(const char *bytes, Size len, uint64 salt)
{
	if (CX_BUG_IS(CX_BUG_EQUAL_HASHES))
		return 1;
	return hash_bytes_extended((const unsigned char *) bytes, (int) len,
							   cx_key_seed ^ salt);
}

/*
 * What the dependencies of a cache are hashed with; open: everybody may change
 * it.
 */
uint64
cx_key_of_name(Oid db, const char *cache, Size len, bool open)
{
	return cx_key_beside(hash_string(cache, len, cx_key_mix(db) ^ KIND_CACHE),
						 open ? CX_KEY_OPEN : 0);
}

uint64
cx_key_of_key(uint64 cache_deps, const char *key, Size len)
{
	return cx_key_beside(hash_string(key, len, cache_deps), cache_deps);
}

uint64
cx_key_of_scope(uint64 cache_deps, const char *scope, Size len)
{
	return cx_key_beside(hash_string(scope, len, cache_deps ^ KIND_SCOPE),
						 cache_deps);
}

uint64
cx_key_of_scoped_key(uint64 key_id, uint64 scope_id)
{
	return cx_key_beside(cx_key_mix(key_id ^ scope_id * KIND_CACHE), key_id);
}

uint64
cx_key_of_tag(Oid db, const char *tag, Size len)
{
	return cx_key_beside(hash_string(tag, len, cx_key_mix(db) ^ KIND_TAG), 0);
}

uint64
cx_key_of_cache(uint64 cache_deps)
{
	return cx_key_beside(cx_key_mix((cx_key_seed ^ KIND_CACHE) + cache_deps),
						 cache_deps);
}

/* What every fill of a cache depends on, and no hit. */
uint64
cx_key_of_fills(uint64 cache_deps)
{
	return cx_key_beside(cx_key_mix((cx_key_seed ^ KIND_FILLS) + cache_deps),
						 cache_deps);
}

/* scope is NULL where there is none; an empty scope is a scope. */
void
cx_key_make(CxIdent *ident, uint16 cache, uint64 cache_uid,
			uint64 cache_deps, Oid role, const char *key, Size key_len,
			const char *scope, Size scope_len)
{
	uint64		h;

	ident->cache = cache;
	ident->role = role;
	ident->key = key;
	ident->key_len = (uint16) key_len;
	ident->has_scope = (scope != NULL);
	ident->scope = scope;
	ident->scope_len = scope ? (uint8) scope_len : 0;
	ident->key_id = cx_key_of_key(cache_deps, key, key_len);
	ident->scope_id = scope ? cx_key_of_scope(cache_deps, scope, scope_len) : 0;
	ident->scoped_key_id = scope
		? cx_key_of_scoped_key(ident->key_id, ident->scope_id) : 0;

	h = ident->key_id + (uint64) role * KIND_SCOPE + cx_key_mix(cache_uid);
	if (scope)
		h ^= ident->scope_id * KIND_TAG;
	if (CX_BUG_IS(CX_BUG_EQUAL_HASHES))
		h = 1;
	ident->id = cx_key_beside(cx_key_mix(h), cache_deps);
}

/* ---- not seeded: collisions cost misses of the tier, no more ---- */

static inline uint64
hash_stable(const char *bytes, Size len, uint64 salt)
{
	return hash_bytes_extended((const unsigned char *) bytes, (int) len, salt);
}

/* What the others are hashed with for a cache. */
uint64
cx_key_stable_name(const char *cache, Size len)
{
	return hash_stable(cache, len, KIND_CACHE);
}

uint64
cx_key_stable_key(uint64 stable, const char *key, Size len)
{
	return hash_stable(key, len, stable);
}

uint64
cx_key_stable_scope(uint64 stable, const char *scope, Size len)
{
	return hash_stable(scope, len, stable ^ KIND_SCOPE);
}

/* The key in its scope, for every role. */
uint64
cx_key_stable_scoped(uint64 stable, const CxIdent *ident)
{
	return cx_key_of_scoped_key(cx_key_stable_key(stable, ident->key,
												  ident->key_len),
								cx_key_stable_scope(stable, ident->scope,
													ident->scope_len));
}

/* The identity. */
uint64
cx_key_stable_ident(uint64 stable, const CxIdent *ident)
{
	uint64		h = ident->has_scope ? cx_key_stable_scoped(stable, ident)
	: cx_key_stable_key(stable, ident->key, ident->key_len);

	return cx_key_mix(h + (uint64) ident->role * KIND_SCOPE + KIND_TAG);
}

uint64
cx_key_stable_tag(const char *tag, Size len)
{
	return hash_stable(tag, len, KIND_TAG);
}

uint64
cx_key_stable_cache(uint64 stable)
{
	return cx_key_mix(KIND_CACHE + stable);
}

/* What patterns of invalidate_like go by. */
uint64
cx_key_stable_like(uint64 stable)
{
	return cx_key_mix(KIND_FILLS + stable);
}

/* The shape of a relation; relation 0: of any. */
uint64
cx_key_stable_rel(Oid rel)
{
	return cx_key_mix(KIND_SCOPE ^ rel);
}
