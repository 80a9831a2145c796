/*
 * cx_scopes.c
 *	  Which entries a scope has, from the oldest to the latest: for caches that
 *	  limit how many it may have.  Others have nothing of this.
 *
 * All that a scope takes lies in its entries, so one that begins needs no
 * memory and one that ends leaves none: its entries are a ring, and the oldest
 * of them stands for the scope in a table by hash.  Scopes are compared in
 * full.
 *
 * The table grows and shrinks one bucket at a time (linear hashing), in
 * granules of the arena, which the caller brings and takes: under the policy
 * lock none can be had.  Without a new one it is slower, no more.
 *
 * Locking: the caller's, the policy lock.
 * Not here: who has to go (cx_policy.c).
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "storage/shmem.h"

#include "cx_scopes.h"

#define GRANULE_BUCKETS (CX_SLOT_SIZE / sizeof(uint32))
#define LOAD	2				/* scopes a bucket, on average */

typedef struct Scopes
{
	uint64		entries;
	uint32		nscopes;
	uint32		nbuckets;
	uint32		ngranules;		/* there are, some of them not yet used */
	uint32		max_granules;
	uint32		granule[FLEXIBLE_ARRAY_MEMBER];
} Scopes;

static Scopes *scopes;

static uint32
granules_for(uint32 max_entries)
{
	return max_entries / (LOAD * GRANULE_BUCKETS) + 1;
}

/* Bytes of shared memory: one for eight entries. */
Size
cx_scopes_size(uint32 max_entries)
{
	return MAXALIGN(add_size(offsetof(Scopes, granule),
							 mul_size(granules_for(max_entries),
									  sizeof(uint32))));
}

/* memory is zeroed. */
void
cx_scopes_init(void *memory, uint32 max_entries)
{
	scopes = memory;
	scopes->max_granules = granules_for(max_entries);
}

/* ---- the table ---- */

static inline uint32 *
bucket(uint32 n)
{
	uint32	   *granule = cx_arena_slot(scopes->granule[n / GRANULE_BUCKETS]);

	return &granule[n % GRANULE_BUCKETS];
}

static inline CxScopeLink *
link_of(uint32 slot)
{
	return cx_entry_link(cx_slot(slot));
}

/* The bucket of which a new one takes its part. */
static inline uint32
parent_of(uint32 n)
{
	return n & ~(UINT32_C(1) << pg_leftmost_one_pos32(n));
}

static uint32
number_of(uint64 id)
{
	uint32		mask = pg_nextpower2_32(scopes->nbuckets) - 1;
	uint32		n = (uint32) id & mask;

	return n < scopes->nbuckets ? n : parent_of(n);
}

/* Whether the table wants a granule before the next scope comes. */
bool
cx_scopes_wants(void)
{
	return scopes->nbuckets == scopes->ngranules * GRANULE_BUCKETS &&
		scopes->nscopes >= scopes->nbuckets * LOAD &&
		scopes->ngranules < scopes->max_granules;
}

/* Whether there is any place for a scope. */
bool
cx_scopes_is_ready(void)
{
	return scopes->ngranules > 0;
}

void
cx_scopes_give(uint32 granule)
{
	Assert(cx_scopes_wants());
	scopes->granule[scopes->ngranules++] = granule;
}

/* Granules that the table has. */
uint32
cx_scopes_granules(void)
{
	return scopes->ngranules;
}

/* Adds a bucket, if there is memory for it. */
static void
grow(void)
{
	uint32		n = scopes->nbuckets;
	uint32	   *at;

	if (n == scopes->ngranules * GRANULE_BUCKETS)
		return;
	*bucket(n) = CX_NONE;
	scopes->nbuckets++;
	if (n == 0)
		return;
	at = bucket(parent_of(n));
	while (*at != CX_NONE)
	{
		uint32		oldest = *at;
		CxScopeLink *link = link_of(oldest);

		if (number_of(link->id) != n)
		{
			at = &link->chain;
			continue;
		}
		*at = link->chain;
		link->chain = *bucket(n);
		*bucket(n) = oldest;
	}
}

/* Takes the last bucket away. */
static void
drop_bucket(void)
{
	uint32		n = scopes->nbuckets - 1;

	if (n > 0)
	{
		uint32	   *at = bucket(parent_of(n));

		while (*at != CX_NONE)
			at = &link_of(*at)->chain;
		*at = *bucket(n);
	}
	scopes->nbuckets--;
}

/*
 * Does up to max steps to give granules back that a table with fewer scopes
 * does not need; *n: how many.  Returns whether to call again.
 */
bool
cx_scopes_shrink(uint32 *granules, int max, int *n)
{
	*n = 0;
	while (max-- > 0)
	{
		uint32		used = (scopes->nbuckets + GRANULE_BUCKETS - 1) /
		GRANULE_BUCKETS;

		/* far below where another one is wanted */
		if (used < scopes->ngranules &&
			scopes->nscopes <= used * GRANULE_BUCKETS)
			granules[(*n)++] = scopes->granule[--scopes->ngranules];
		else if (scopes->nbuckets > scopes->nscopes * 2)
			drop_bucket();
		else
			return false;
	}
	return true;
}

/*
 * Finds the scope of a slot: what points to its oldest entry, or to nothing,
 * where it would have to.
 */
static uint32 *
find(uint32 n)
{
	uint64		id = link_of(n)->id;
	char		scope[CX_MAX_SCOPE];
	int			len = -1;
	uint32	   *at;

	for (at = bucket(number_of(id)); *at != CX_NONE; at = &link_of(*at)->chain)
	{
		CxSlot	   *oldest = cx_slot(*at);

		if (*at == n)
			break;
		if (oldest->cache != cx_slot(n)->cache || cx_entry_link(oldest)->id != id)
			continue;
		if (len < 0)
			len = cx_entry_scope(cx_slot(n), scope);
		if (cx_entry_has_scope(oldest, scope, (uint8) len))
			break;
	}
	return at;
}

/* ---- entries ---- */

/* Puts another entry of a scope, or none, in the place of its oldest. */
static void
replace_oldest(uint32 *at, uint32 other)
{
	CxScopeLink *old = link_of(*at);

	if (other == CX_NONE)
	{
		*at = old->chain;
		scopes->nscopes--;
		return;
	}
	link_of(other)->chain = old->chain;
	link_of(other)->count = old->count;
	*at = other;
}

/* A slot whose scope has no other. */
static void
begin_scope(uint32 *at, uint32 n)
{
	CxScopeLink *link = link_of(n);

	link->prev = link->next = n;
	link->chain = CX_NONE;
	link->count = 0;
	*at = n;
	scopes->nscopes++;
}

/* Puts a slot into the ring before the oldest, that is, behind the latest. */
static void
append(uint32 oldest, uint32 n)
{
	CxScopeLink *link = link_of(n);

	link->next = oldest;
	link->prev = link_of(oldest)->prev;
	link_of(link->prev)->next = n;
	link_of(oldest)->prev = n;
}

/* Adds a slot; returns where its scope's oldest is noted. */
static uint32 *
add(uint32 n)
{
	uint32	   *at;

	if (scopes->nscopes >= scopes->nbuckets * LOAD)
		grow();
	at = find(n);
	if (*at == CX_NONE)
		begin_scope(at, n);
	else
		append(*at, n);
	link_of(*at)->count++;
	scopes->entries++;
	return at;
}

/* Adds a slot, with CX_SLOT_IN_SCOPE, to its scope as the latest. */
void
cx_scopes_enter(uint32 n)
{
	(void) add(n);
}

/* The same as the oldest. */
void
cx_scopes_restore(uint32 n)
{
	uint32	   *at = add(n);

	if (*at != n)
		replace_oldest(at, n);
}

/* Takes a slot out of its scope. */
void
cx_scopes_leave(uint32 n)
{
	CxScopeLink *link = link_of(n);
	uint32	   *at = find(n);

	link_of(*at)->count--;
	scopes->entries--;
	if (*at == n)
		replace_oldest(at, link->next == n ? CX_NONE : link->next);
	link_of(link->prev)->next = link->next;
	link_of(link->next)->prev = link->prev;
}

/* An entry becomes the latest of its scope. */
void
cx_scopes_renew(uint32 n)
{
	cx_scopes_leave(n);
	cx_scopes_enter(n);
}

/*
 * The oldest entry of a slot's scope, or CX_NONE.  The slot itself need not
 * be there.
 */
uint32
cx_scopes_oldest(uint32 n)
{
	return scopes->nbuckets == 0 ? CX_NONE : *find(n);
}

/* The next entry of the scope; after the latest comes the oldest. */
uint32
cx_scopes_next(uint32 n)
{
	return link_of(n)->next;
}

/* Entries of a scope. */
uint32
cx_scopes_count(uint32 oldest)
{
	return link_of(oldest)->count;
}

/*
 * Looks for a scope of a cache with more than so many entries, from bucket *n
 * on, which moves, up to another.  *oldest: CX_NONE where there is none.
 * Returns whether there are buckets left in all, *n among them.
 */
bool
cx_scopes_find_over(uint32 *n, uint32 end, int cache, uint64 limit,
					uint32 *oldest)
{
	for (; *n < Min(end, scopes->nbuckets); (*n)++)
	{
		for (*oldest = *bucket(*n); *oldest != CX_NONE;
			 *oldest = link_of(*oldest)->chain)
		{
			if (cx_slot(*oldest)->cache == cache &&
				cx_scopes_count(*oldest) > limit)
				return true;
		}
	}
	*oldest = CX_NONE;
	return *n < scopes->nbuckets;
}

/* ---- for tests ---- */

/* Entries of all scopes. */
uint64
cx_scopes_entries(void)
{
	return scopes->entries;
}

/* Walks the ring of a scope; returns NULL or what is wrong. */
static const char *
check_scope(uint32 oldest, uint64 *entries)
{
	char		scope[CX_MAX_SCOPE];
	uint8		len = cx_entry_scope(cx_slot(oldest), scope);
	uint32		count = 0;
	uint32		n = oldest;

	do
	{
		const CxSlot *slot = cx_slot(n);

		if (slot->class == CX_CLASS_NONE ||
			(slot->flags & CX_SLOT_IN_SCOPE) == 0)
			return "a scope holds what is no entry of one";
		if (slot->cache != cx_slot(oldest)->cache ||
			link_of(n)->id != link_of(oldest)->id ||
			!cx_entry_has_scope(slot, scope, len))
			return "an entry is in the wrong scope";
		if (link_of(link_of(n)->next)->prev != n)
			return "the entries of a scope are not a ring";
		n = link_of(n)->next;
	} while (n != oldest && ++count <= scopes->entries);
	if (n != oldest || count + 1 != link_of(oldest)->count)
		return "a scope's entries are miscounted";
	*entries += link_of(oldest)->count;
	return NULL;
}

/* Compares table and rings. Returns NULL, or what is wrong. */
const char *
cx_scopes_check(void)
{
	uint64		entries = 0;
	uint32		nscopes = 0;
	const char *fault = NULL;

	for (uint32 b = 0; b < scopes->nbuckets && !fault; b++)
	{
		for (uint32 n = *bucket(b); n != CX_NONE && !fault;
			 n = link_of(n)->chain)
		{
			nscopes++;
			fault = number_of(link_of(n)->id) != b
				? "a scope is in the wrong bucket" : check_scope(n, &entries);
			if (!fault && *find(n) != n)
				fault = "a scope is there twice";
		}
	}
	if (!fault && (entries != scopes->entries || nscopes != scopes->nscopes))
		fault = "scopes are miscounted";
	return fault;
}
