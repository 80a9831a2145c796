/*
 * cx_current.c
 *	  Has anything moved that an entry depends on?
 *
 * Others' changes are asked twice: whether their writers admit the caller's
 * snapshot, and whether a generation is later than the entry's.  What the
 * transaction itself will invalidate stands in its log (cx_pending.c).
 *
 * Locking: none on entry or return; the questions lock one partition of the
 * dependencies at a time.
 * Not here: the order in which a look-up and a fill ask (cx_cache.c), what of
 * a loader's reads moves (cx_reads.c).
 */
#include "postgres.h"

#include "cx_current.h"
#include "cx_gens.h"
#include "cx_like.h"

/*
 * Whether every dependency of an entry admits the caller's snapshot; the
 * writers of the identity itself are asked in cx_store.
 */
bool
cx_current_admits(const CxAsk *ask, int ntags, const uint64 *tag_id,
				  const CxReads *reads)
{
	const CxIdent *ident = &ask->ident;
	const CxCache *cache = ask->cache;
	CxDep		dep = {cx_key_of_cache(cache->dep_seed), CX_DEP_CACHE};

	if (!cx_deps_admits(&ask->view, dep))
		return false;
	dep.kind = CX_DEP_KEY;
	dep.id = ident->key_id;
	if (!cx_deps_admits(&ask->view, dep))
		return false;
	dep.id = ident->scoped_key_id;
	if (ident->has_scope && !cx_deps_admits(&ask->view, dep))
		return false;
	dep.kind = CX_DEP_GROUP;
	dep.id = ident->scope_id;
	if (ident->has_scope && !cx_deps_admits(&ask->view, dep))
		return false;
	for (int i = 0; i < ntags; i++)
	{
		dep.id = tag_id[i];
		if (!cx_deps_admits(&ask->view, dep))
			return false;
	}

	/*
	 * A pattern names keys that were not there as well.  Asked as a group, so
	 * that one in doubt and unseen is no objection.
	 */
	dep.id = cx_key_of_fills(cache->dep_seed);
	return cx_deps_admits(&ask->view, dep) &&
		(reads == NULL || cx_reads_admit(&ask->view, reads));
}

/*
 * Whether a dependency has moved since a generation was drawn; reads may be
 * NULL.
 */
bool
cx_current_moved_since(const CxAsk *ask, uint64 gen, int ntags,
					   const uint64 *tag_id, const CxReads *reads)
{
	const CxIdent *ident = &ask->ident;

	if (pg_atomic_read_u64(&ask->cache->shmem->gen) > gen ||
		cx_gens_floor(ident->key_id) > gen ||
		cx_gens_get(CX_GEN_KEY, ident->key_id) > gen)
		return true;
	if (ident->has_scope &&
		(cx_gens_get(CX_GEN_KEY, ident->scoped_key_id) > gen ||
		 cx_gens_get(CX_GEN_GROUP, ident->scope_id) > gen))
		return true;
	for (int i = 0; i < ntags; i++)
	{
		if (cx_gens_get(CX_GEN_GROUP, tag_id[i]) > gen)
			return true;
	}
	return reads != NULL && cx_reads_moved_since(reads, gen);
}

/*
 * Whether keys of the cache were invalidated by pattern since then; of before
 * a restart that is not known.
 */
bool
cx_current_patterns_since(const CxAsk *ask, uint64 gen)
{
	return gen < cx_gens_known_from() ||
		cx_gens_get(CX_GEN_GROUP, cx_key_of_fills(ask->cache->dep_seed)) > gen;
}

/* Whether a pattern of this transaction's after operation n matches the key. */
static bool
own_pattern_after(const CxAsk *ask, uint32 n)
{
	const CxIdent *ident = &ask->ident;
	uint32		like = cx_pending_last(cx_key_of_fills(ask->cache->dep_seed));

	while (like != CX_OP_NONE && (n == CX_OP_NONE || like > n))
	{
		CxOp	   *op = cx_pending_get(like);

		if (cx_like_match(ident->key, ident->key_len, op->u.like.pattern,
						  strlen(op->u.like.pattern)))
			return true;
		like = op->before;
	}
	return false;
}

/*
 * Whether this transaction has invalidated a dependency after operation n, or
 * at all (CX_OP_NONE).
 */
bool
cx_current_own_moved_after(const CxAsk *ask, uint32 n, int ntags, const uint64 *tag_id)
{
	const CxIdent *ident = &ask->ident;

	if (cx_pending_later(cx_key_of_cache(ask->cache->dep_seed), n) ||
		cx_pending_later(ident->key_id, n) || own_pattern_after(ask, n))
		return true;
	if (ident->has_scope && (cx_pending_later(ident->scoped_key_id, n) ||
							 cx_pending_later(ident->scope_id, n)))
		return true;
	for (int i = 0; i < ntags; i++)
	{
		if (cx_pending_later(tag_id[i], n))
			return true;
	}
	return false;
}
