/*
 * cx_catalog.h
 *	  This session's picture of the caches of its database.
 */
#ifndef CX_CATALOG_H
#define CX_CATALOG_H

#include "cx_key.h"
#include "cx_policy.h"
#include "cx_registry.h"

#define CX_TTL_NEVER	PG_INT64_MAX

/* What of a cache outlives the server */
typedef enum CxPersist
{
	CX_PERSIST_NONE,
	CX_PERSIST_SNAPSHOT,		/* a file, from a clean shutdown to the start */
	CX_PERSIST_TABLE			/* a table, read where memory has nothing */
} CxPersist;

/* Privileges on a cache */
#define CX_MAY_READ		0x01	/* be served what is there */
#define CX_MAY_WRITE	0x02	/* fill, put and invalidate */
#define CX_MAY_ALL		(CX_MAY_READ | CX_MAY_WRITE)

/* What a role has been granted; role InvalidOid: everybody. */
typedef struct CxGrant
{
	Oid			role;
	uint8		may;			/* CX_MAY_... */
} CxGrant;

/* A cache, as its row says. Valid until the next cx_catalog_ call. */
typedef struct CxCache
{
	char		name[NAMEDATALEN];	/* hash key */
	int			name_len;
	int64		id;
	bool		has_row;		/* false: default or queries, as they are
								 * built in */
	Oid			owner;
	int64		ttl_us;			/* CX_TTL_NEVER = entries do not expire */
	int64		negative_ttl_us;
	int64		stale_us;		/* how long past its end a value may be served */
	CxPersist	persist;
	double		beta;			/* of early refreshes, 0 = none */
	double		jitter;			/* share by which a time to live may be cut */
	CxLimits	limits;
	bool		exact;
	bool		enabled;
	bool		is_shared;		/* entries are not each role's own */
	char	   *scoped_by;		/* setting that says the scope, or NULL */
	CxGrant    *grants;
	int			ngrants;
	Oid			known_role;		/* cx_grants.c: privileges of the last one */
	uint8		known_may;
	uint64		known_at;
	char	   *loader;			/* function, as text, or NULL */
	char	   *validate;		/* expression that values must meet, or NULL */
	uint64		required;		/* set of required warmers, 0 = none */
	uint64		loader_seed;	/* of its loaders' fingerprints */
	uint64		stable_dep_seed;	/* the same after a restart */

	/* in shared memory */
	int			number;			/* -1: no number could be had */
	uint64		uid;			/* the number's, when the row was read */
	uint64		dep_seed;		/* of database and name: what the identities
								 * of its dependencies are made of */
	CxSharedCache *shmem;		/* NULL without a number */
} CxCache;

extern CxCache *cx_catalog_find(const char *name, Size len);
extern CxCache *cx_catalog_get(const char *name, Size len);
extern CxCache **cx_catalog_all(int *n);
extern uint64 cx_catalog_public_memory(void);
extern bool cx_catalog_any_in_table(void);
extern Oid	cx_catalog_table(const char *name);
extern Oid	cx_catalog_on_change(void);
extern Oid	cx_catalog_invalidate_tags(void);

/* Adds a warmer to a set of required ones, in any order. */
static inline void
cx_catalog_require(uint64 *required, int64 warmer)
{
	*required += cx_key_mix((uint64) warmer) | 1;
}

/* Whether the cache's number is still its own. */
static inline bool
cx_catalog_usable(const CxCache *cache)
{
	return cache->number >= 0 && cache->shmem->uid == cache->uid;
}

#endif							/* CX_CATALOG_H */
