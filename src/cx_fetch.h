/*
 * cx_fetch.h
 *	  Get it from the cache, or compute it and keep it: what fetch, fetch_many
 *	  and query have in common.
 */
#ifndef CX_FETCH_H
#define CX_FETCH_H

#include "common/hashfn.h"
#include "miscadmin.h"

#include "cx_args.h"
#include "cx_codec.h"
#include "cx_counters.h"
#include "cx_flight.h"
#include "cx_judge.h"
#include "cx_loader.h"

typedef enum CxFetchMode
{
	CX_FETCH_NORMAL,
	CX_FETCH_BYPASS,			/* neither read nor fill */
	CX_FETCH_REFRESH,			/* load in any case, and fill */
	CX_FETCH_CACHED				/* never load */
} CxFetchMode;

/* One call: what is asked for, and how it is computed. */
typedef struct CxFetch
{
	CxAsk		ask;
	char		cache[NAMEDATALEN];
	uint64		cache_uid;
	bool		exact;			/* the cache is */
	bool		is_shared;		/* likewise */
	CxFetchMode mode;
	Oid			type;			/* of the result */
	const char *query;			/* NULL: there is none; terminated once the
								 * loader runs */
	Size		query_len;
	const char *function;		/* the cache's loader, when it is the query */
	ArrayType  *params;
	uint64		loader;			/* fingerprint of all that */
	CxLife		life;
	ArrayType  *tags;
	uint64		old_gen;		/* of an entry in the way, 0 = none */
	uint8		frequency;		/* its */
	bool		other_loader;	/* the entry in the way has */
	bool		alone;			/* loads without regard to others */
	bool		staged;			/* what is loaded is the transaction's own, as
								 * if it had put it */
	CxClaim		claim;			/* of this call, to load for all */
	bool		due;			/* what was found is to be refreshed */
	bool		other_settings; /* it depends on settings by name */

	/* of a run of the loader */
	uint64		gen;			/* from before it, 0 = not to be kept */
	CxRefusal	refusal;
	bool		invalid;		/* the value violates the cache's validation */
	CxReads		reads;
	const CxAccess *access;		/* in a shared cache, else NULL */
} CxFetch;

/*
 * The same for all calls that one run of a loader answers, or what its error
 * says.
 */
static inline uint64
cx_fetch_id(const CxFetch *f)
{
	return hash_combine64(hash_combine64(f->ask.ident.id, f->loader),
						  GetSessionUserId());
}

typedef void (*CxFetchRun) (CxFetch *f, void *arg);

extern CxFetchMode cx_fetch_mode(FunctionCallInfo fcinfo, int n);
extern void cx_fetch_use_function(CxFetch *f, bool many);
extern void cx_fetch_begin(CxFetch *f);
extern bool cx_fetch_find(CxFetch *f, CxHit *hit);
extern void cx_fetch_load(CxFetch *f, CxFetchRun run, void *arg);
extern bool cx_fetch_find_cache_again(CxFetch *f);
extern void cx_fetch_store(CxFetch *f, const CxLoaded *loaded,
						   const CxValue *value);
extern void cx_fetch_count_load(const CxFetch *f, double cost_us);
extern void cx_fetch_refuse_to_load(const CxFetch *f);

#endif							/* CX_FETCH_H */
