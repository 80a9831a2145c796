/*
 * cx_key.h
 *	  Who an entry is: its identity and the identities of what it depends on,
 *	  as 64-bit hashes.
 */
#ifndef CX_KEY_H
#define CX_KEY_H

#define CX_MAX_KEY 1024			/* bytes */
#define CX_MAX_SCOPE 255
#define CX_MAX_TAG 255
#define CX_MAX_TAGS 64

/*
 * Set in the hashes of a cache that everybody may change.  Its writers and
 * generations have a quarter of the places, and all others the rest: who
 * fills those makes no other cache forget.
 */
#define CX_KEY_OPEN (UINT64CONST(1) << 47)

/*
 * An identity.  key and scope point into the caller's memory and are not
 * terminated.  id stands for all of it; entries are compared in full as well.
 */
typedef struct CxIdent
{
	uint64		id;				/* cache, scope, role and key */
	uint64		key_id;			/* cache and key: what invalidate() names */
	uint64		scope_id;		/* cache and scope; 0 = no scope */
	uint64		scoped_key_id;	/* cache, scope and key; 0 likewise */
	uint16		cache;			/* number in the registry */
	uint8		scope_len;
	bool		has_scope;
	uint16		key_len;
	Oid			role;
	const char *key;
	const char *scope;
} CxIdent;

extern uint64 cx_key_seed;

/* Spreads every bit of h over the result (the finalizer of splitmix64). */
static inline uint64
cx_key_mix(uint64 h)
{
	h ^= h >> 30;
	h *= UINT64CONST(0xbf58476d1ce4e5b9);
	h ^= h >> 27;
	h *= UINT64CONST(0x94d049bb133111eb);
	h ^= h >> 31;
	return h;
}

/* The place of an id among n, which is 4 at least; h is what tells them apart. */
static inline uint32
cx_key_place(uint64 id, uint64 h, uint32 n)
{
	uint32		open = n / 4;

	return (id & CX_KEY_OPEN) ? h % open : open + h % (n - open);
}

/* What all ids share that have a place among n. */
static inline uint64
cx_key_of_place(uint32 place, uint32 n)
{
	return place < n / 4 ? CX_KEY_OPEN : 0;
}

/* h, among those that id is one of. */
static inline uint64
cx_key_beside(uint64 h, uint64 id)
{
	return (h & ~CX_KEY_OPEN) | (id & CX_KEY_OPEN);
}

extern uint64 cx_key_of_name(Oid db, const char *cache, Size len, bool open);
extern void cx_key_make(CxIdent *ident, uint16 cache, uint64 cache_uid,
						uint64 cache_deps, Oid role, const char *key, Size key_len,
						const char *scope, Size scope_len);
extern uint64 cx_key_of_key(uint64 cache_deps, const char *key, Size len);
extern uint64 cx_key_of_scope(uint64 cache_deps, const char *scope, Size len);
extern uint64 cx_key_of_scoped_key(uint64 key_id, uint64 scope_id);
extern uint64 cx_key_of_tag(Oid db, const char *tag, Size len);
extern uint64 cx_key_of_cache(uint64 cache_deps);
extern uint64 cx_key_of_fills(uint64 cache_deps);

/* The same after a restart; for what is stored in tables */
extern uint64 cx_key_stable_name(const char *cache, Size len);
extern uint64 cx_key_stable_key(uint64 stable, const char *key, Size len);
extern uint64 cx_key_stable_scope(uint64 stable, const char *scope, Size len);
extern uint64 cx_key_stable_scoped(uint64 stable, const CxIdent *ident);
extern uint64 cx_key_stable_ident(uint64 stable, const CxIdent *ident);
extern uint64 cx_key_stable_tag(const char *tag, Size len);
extern uint64 cx_key_stable_cache(uint64 stable);
extern uint64 cx_key_stable_like(uint64 stable);
extern uint64 cx_key_stable_rel(Oid rel);

#endif							/* CX_KEY_H */
