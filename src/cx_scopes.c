/*
 * cx_scopes.c
 *	  Which entries a scope has, from the oldest to the latest: for caches that
 *	  limit how many it may have.  Others have nothing of this.
 *
 * What a scope is lies in its entries: they are a ring, and the oldest of them
 * stands for the scope in a table by hash.  Scopes are compared in full.
 *
 * The table grows and shrinks one bucket at a time (linear hashing), in
 * granules of the arena, which the caller brings and takes: under the policy
 * lock none can be had.  Without a new one it is slower, no more.  A bucket is
 * a cache line with the hashes of seven scopes; more hang on the last ones.
 *
 * Locking: the caller's, the policy lock.
 * Not here: who has to go (cx_policy.c).
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "storage/shmem.h"

#include "cx_scopes.h"

#define BUCKET_PLACES	7		/* in a bucket */
#define MEAN_LOAD	4			/* scopes a bucket, on average */
#define DIRECTORY_BUCKETS (CX_SLOT_SIZE / sizeof(uint32))	/* of a directory */

typedef struct Bucket
{
	uint32		hash[BUCKET_PLACES];
	uint32		oldest[BUCKET_PLACES];	/* CX_NONE = empty */
	uint32		overflow;		/* more, by the chain of their oldest */
	uint32		unused;
} Bucket;

StaticAssertDecl(sizeof(Bucket) == CX_SLOT_SIZE, "a bucket is a granule");

typedef struct Scopes
{
	uint64		entries;
	uint32		nscopes;
	uint32		nbuckets;
	uint32		max_buckets;
	uint32		nspare;
	uint32		spare[2];		/* granules for the next bucket */
	/* granules, each of which lists the granules of DIRECTORY_BUCKETS buckets */
	uint32		directory[FLEXIBLE_ARRAY_MEMBER];
} Scopes;

/* Where a scope is found, or would be. */
typedef struct Place
{
	Bucket	   *bucket;
	uint32	   *at;				/* what says its oldest; NULL: it is not there */
} Place;

static Scopes *scopes;

static uint32
count_directories(uint32 max_entries)
{
	return max_entries / (MEAN_LOAD * DIRECTORY_BUCKETS) + 1;
}

/* Bytes of shared memory: one for sixteen entries. */
Size
cx_scopes_size(uint32 max_entries)
{
	return MAXALIGN(add_size(offsetof(Scopes, directory),
							 mul_size(count_directories(max_entries),
									  sizeof(uint32))));
}

/* memory is zeroed. */
void
cx_scopes_init(void *memory, uint32 max_entries)
{
	scopes = memory;
	scopes->max_buckets = count_directories(max_entries) * DIRECTORY_BUCKETS;
}

/* ---- buckets ---- */

static inline CxScopeLink *
link_of(uint32 slot)
{
	return cx_entry_link(cx_slot(slot));
}

static inline uint32
hash_of(uint32 slot)
{
	return (uint32) link_of(slot)->id;
}

/* What says which granule a bucket is. */
static inline uint32 *
bucket_granule(uint32 n)
{
	uint32	   *directory = cx_arena_slot(scopes->directory[n / DIRECTORY_BUCKETS]);

	return &directory[n % DIRECTORY_BUCKETS];
}

static inline Bucket *
bucket(uint32 n)
{
	return cx_arena_slot(*bucket_granule(n));
}

/* The bucket of which another one, not the first, has its part. */
static inline uint32
parent_of(uint32 n)
{
	return n & ~(UINT32_C(1) << pg_leftmost_one_pos32(n));
}

/* The bucket of a hash. */
static inline uint32
number_of(uint32 hash)
{
	uint32		mask = pg_nextpower2_32(scopes->nbuckets) - 1;
	uint32		n = hash & mask;

	return n < scopes->nbuckets ? n : parent_of(n);
}

/* Puts a scope, which is nowhere, into a bucket. */
static void
put_scope(Bucket *b, uint32 hash, uint32 oldest)
{
	for (int i = 0; i < BUCKET_PLACES; i++)
	{
		if (b->oldest[i] != CX_NONE)
			continue;
		b->hash[i] = hash;
		b->oldest[i] = oldest;
		return;
	}
	link_of(oldest)->chain = b->overflow;
	b->overflow = oldest;
}

/* Takes any scope out of a bucket that has some. */
static uint32
take_any_scope(Bucket *b, uint32 *hash)
{
	uint32		oldest = b->overflow;

	if (oldest != CX_NONE)
	{
		b->overflow = link_of(oldest)->chain;
		*hash = hash_of(oldest);
		return oldest;
	}
	for (int i = 0; i < BUCKET_PLACES; i++)
	{
		if (b->oldest[i] == CX_NONE)
			continue;
		oldest = b->oldest[i];
		*hash = b->hash[i];
		b->oldest[i] = CX_NONE;
		break;
	}
	return oldest;
}

/* Puts all of a bucket's scopes where they belong now. */
static void
redistribute(Bucket *b)
{
	Bucket		old = *b;
	uint32		oldest;
	uint32		hash;

	memset(b, 0, sizeof(Bucket));
	while ((oldest = take_any_scope(&old, &hash)) != CX_NONE)
		put_scope(bucket(number_of(hash)), hash, oldest);
}

/* Granules that one more bucket takes: it may begin a directory. */
static inline uint32
granules_needed(void)
{
	return scopes->nbuckets % DIRECTORY_BUCKETS == 0 ? 2 : 1;
}

/* Whether the table wants a granule before the next scope comes. */
bool
cx_scopes_wants(void)
{
	return scopes->nscopes >= scopes->nbuckets * MEAN_LOAD &&
		scopes->nspare < granules_needed() &&
		scopes->nbuckets < scopes->max_buckets;
}

/* Whether there is any place for a scope. */
bool
cx_scopes_is_ready(void)
{
	return scopes->nbuckets > 0 || scopes->nspare >= granules_needed();
}

void
cx_scopes_give(uint32 granule)
{
	Assert(cx_scopes_wants());
	scopes->spare[scopes->nspare++] = granule;
}

/* Granules that the table has. */
uint32
cx_scopes_granules(void)
{
	return scopes->nspare + scopes->nbuckets +
		(scopes->nbuckets + DIRECTORY_BUCKETS - 1) / DIRECTORY_BUCKETS;
}

/* Adds a bucket, if there is memory for it. */
static void
add_bucket(void)
{
	uint32		n = scopes->nbuckets;

	if (scopes->nspare < granules_needed())
		return;
	if (n % DIRECTORY_BUCKETS == 0)
		scopes->directory[n / DIRECTORY_BUCKETS] = scopes->spare[--scopes->nspare];
	*bucket_granule(n) = scopes->spare[--scopes->nspare];
	memset(bucket(n), 0, sizeof(Bucket));
	scopes->nbuckets++;
	if (n > 0)
		redistribute(bucket(parent_of(n)));
}

/* Takes the last bucket away; returns how many granules come free. */
static int
drop_bucket(uint32 *granules)
{
	uint32		n = --scopes->nbuckets;

	if (n > 0)
		redistribute(bucket(n));
	granules[0] = *bucket_granule(n);
	granules[1] = scopes->directory[n / DIRECTORY_BUCKETS];
	return n % DIRECTORY_BUCKETS == 0 ? 2 : 1;
}

/*
 * Gives granules back that a table with fewer scopes does not need, up to max;
 * *n: how many.  Returns whether to call again.
 */
bool
cx_scopes_shrink(uint32 *granules, int max, int *n)
{
	*n = 0;
	while (*n + 2 <= max)
	{
		if (scopes->nbuckets > scopes->nscopes)
			*n += drop_bucket(granules + *n);
		else if (scopes->nbuckets == 0 && scopes->nspare > 0)
			granules[(*n)++] = scopes->spare[--scopes->nspare];
		else
			return false;
	}
	return true;
}

/* Whether a slot belongs to the scope of another one. */
static bool
is_in_scope_of(uint32 n, uint32 other)
{
	char		scope[CX_MAX_SCOPE];

	if (n == other)
		return true;
	if (cx_slot(n)->cache != cx_slot(other)->cache ||
		link_of(n)->id != link_of(other)->id)
		return false;
	return cx_entry_has_scope(cx_slot(other), scope,
							  cx_entry_scope(cx_slot(n), scope));
}

/* Finds the scope of a slot, which need not be in it. */
static Place
find_scope(uint32 n)
{
	uint32		hash = hash_of(n);
	Place		place = {bucket(number_of(hash)), NULL};
	Bucket	   *b = place.bucket;

	for (int i = 0; i < BUCKET_PLACES && place.at == NULL; i++)
	{
		if (b->hash[i] == hash && b->oldest[i] != CX_NONE &&
			is_in_scope_of(n, b->oldest[i]))
			place.at = &b->oldest[i];
	}
	for (uint32 *at = &b->overflow; *at != CX_NONE && place.at == NULL;
		 at = &link_of(*at)->chain)
	{
		if (is_in_scope_of(n, *at))
			place.at = at;
	}
	return place;
}

/* ---- entries ---- */

/* Begins a scope with a slot. */
static void
begin_scope(Bucket *b, uint32 n)
{
	CxScopeLink *link = link_of(n);

	link->prev = link->next = n;
	link->chain = CX_NONE;
	link->count = 1;
	put_scope(b, hash_of(n), n);
	scopes->nscopes++;
}

/* Puts a slot into a ring before the oldest, that is, behind the latest. */
static void
append(uint32 oldest, uint32 n)
{
	CxScopeLink *link = link_of(n);

	link->next = oldest;
	link->prev = link_of(oldest)->prev;
	link_of(link->prev)->next = n;
	link_of(oldest)->prev = n;
	link_of(oldest)->count++;
}

/* Puts another entry of a scope in the place of its oldest. */
static void
replace_oldest(Place place, uint32 other)
{
	link_of(other)->chain = link_of(*place.at)->chain;
	link_of(other)->count = link_of(*place.at)->count;
	*place.at = other;
}

/* Takes a scope that has no other entry off the table. */
static void
end_scope(Place place)
{
	Bucket	   *b = place.bucket;
	uint32		more = b->overflow;

	scopes->nscopes--;
	if (place.at < b->oldest || place.at >= b->oldest + BUCKET_PLACES)
		*place.at = link_of(*place.at)->chain;
	else
	{
		*place.at = CX_NONE;
		if (more == CX_NONE)
			return;
		b->overflow = link_of(more)->chain;
		put_scope(b, hash_of(more), more);
	}
}

/* Adds a slot, with CX_SLOT_IN_SCOPE, to its scope as the latest. */
void
cx_scopes_enter(uint32 n)
{
	Place		place;

	if (scopes->nscopes >= scopes->nbuckets * MEAN_LOAD)
		add_bucket();
	place = find_scope(n);
	if (place.at == NULL)
		begin_scope(place.bucket, n);
	else
		append(*place.at, n);
	scopes->entries++;
}

/* The same as the oldest. */
void
cx_scopes_restore(uint32 n)
{
	cx_scopes_enter(n);
	if (link_of(n)->next != n)
		replace_oldest(find_scope(n), n);
}

/* Takes a slot out of its scope. */
void
cx_scopes_leave(uint32 n)
{
	CxScopeLink *link = link_of(n);
	Place		place = find_scope(n);

	scopes->entries--;
	if (link->next == n)
	{
		end_scope(place);
		return;
	}
	link_of(*place.at)->count--;
	if (*place.at == n)
		replace_oldest(place, link->next);
	link_of(link->prev)->next = link->next;
	link_of(link->next)->prev = link->prev;
}

/* An entry becomes the latest of its scope. */
void
cx_scopes_renew(uint32 n)
{
	Place		place = find_scope(n);

	/* from the oldest to the latest is one step round */
	if (*place.at == n)
		replace_oldest(place, link_of(n)->next);
	else
	{
		cx_scopes_leave(n);
		cx_scopes_enter(n);
	}
}

/*
 * The oldest entry of a slot's scope, or CX_NONE.  The slot itself need not
 * be there.
 */
uint32
cx_scopes_oldest(uint32 n)
{
	Place		place = {NULL, NULL};

	if (scopes->nbuckets > 0)
		place = find_scope(n);
	return place.at ? *place.at : CX_NONE;
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

/* The next scope of a bucket after the i-th, counted from 0; or CX_NONE. */
static uint32
next_scope(const Bucket *b, int *i, uint32 before)
{
	while (*i < BUCKET_PLACES)
	{
		uint32		oldest = b->oldest[(*i)++];

		if (oldest != CX_NONE)
			return oldest;
	}
	return (*i)++ == BUCKET_PLACES ? b->overflow : link_of(before)->chain;
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
		int			i = 0;

		*oldest = CX_NONE;
		while ((*oldest = next_scope(bucket(*n), &i, *oldest)) != CX_NONE)
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
	uint32		count = 0;
	uint32		n = oldest;

	do
	{
		const CxSlot *slot = cx_slot(n);

		if (slot->class == CX_CLASS_NONE ||
			(slot->flags & CX_SLOT_IN_SCOPE) == 0)
			return "a scope holds what is no entry of one";
		if (!is_in_scope_of(n, oldest))
			return "an entry is in the wrong scope";
		if (link_of(link_of(n)->next)->prev != n)
			return "the entries of a scope are not a ring";
		n = link_of(n)->next;
	} while (++count <= scopes->entries && n != oldest);
	if (n != oldest || count != link_of(oldest)->count)
		return "a scope's entries are miscounted";
	*entries += count;
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
		uint32		n = CX_NONE;
		int			i = 0;

		while (!fault && (n = next_scope(bucket(b), &i, n)) != CX_NONE)
		{
			nscopes++;
			fault = number_of(hash_of(n)) != b
				? "a scope is in the wrong bucket" : check_scope(n, &entries);
			if (!fault && cx_scopes_oldest(n) != n)
				fault = "a scope is there twice, or under another hash";
		}
	}
	if (!fault && (entries != scopes->entries || nscopes != scopes->nscopes))
		fault = "scopes are miscounted";
	return fault;
}
