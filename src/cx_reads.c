/*
 * cx_reads.c
 *	  Asks about each relation that a loader has read, and each setting.
 *
 * An exact entry stands and falls with the rows and the shape of what was
 * read, with the database's catalogs and the cluster's roles; any other one
 * with the shape of its relations, with the roles, and with what moves when one
 * transaction has changed too many tables to tell them apart.
 *
 * Locking: none of cachex's on entry or return.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "cx_bug.h"
#include "cx_compat.h"
#include "cx_reads.h"
#include "cx_rels.h"
#include "cx_writes.h"

/* A hit in REPEATABLE READ locks no more tables of one tree. */
#define MAX_LEAVES 128

/* Relation number i of reads, or one of the two stand-ins after them. */
static inline CxDep
dep_of(Oid db, const CxReads *reads, int i)
{
	CxDep		dep = {0, CX_DEP_RELATION, 0, CX_ASPECTS_SHAPE};
	int			nrels = reads->nread + reads->nabove;

	if (i < nrels)
	{
		dep.id = cx_rels_id(db, reads->rel[i]);
		if (reads->exact)
			dep.aspects = i < reads->nread ? CX_ASPECTS_READ : CX_ASPECTS_ABOVE;
	}
	else if (i == nrels)
	{
		dep.id = cx_rels_id(db, CX_CATALOGS);
		if (!reads->exact)
			dep.aspects = CX_ASPECT(CX_SHAPE_BELOW);
	}
	else
		dep.id = cx_rels_id(CX_CLUSTER, CX_CATALOGS);
	return dep;
}

static inline int
count_deps(const CxReads *reads)
{
	return reads->known ? reads->nread + reads->nabove + 2 : 0;
}

/* Whether every relation admits the snapshot: see cx_deps_admits. */
bool
cx_reads_admit(const CxView *view, const CxReads *reads)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
	{
		if (!cx_deps_admits(view, dep_of(MyDatabaseId, reads, i)))
			return false;
	}
	return true;
}

/* Whether a relation of a database has changed since a generation was drawn. */
bool
cx_reads_moved_in(Oid db, const CxReads *reads, uint64 gen)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
	{
		CxDep		dep = dep_of(db, reads, i);

		if (cx_rels_gen(dep.id, dep.aspects) > gen)
			return true;
	}
	return false;
}

/* The same for this database. */
bool
cx_reads_moved_since(const CxReads *reads, uint64 gen)
{
	return cx_reads_moved_in(MyDatabaseId, reads, gen);
}

/* The same, of everybody who has drawn a generation by now. */
bool
cx_reads_moved_by_now(const CxReads *reads, uint64 gen)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
		cx_deps_pass(dep_of(MyDatabaseId, reads, i).id);
	return cx_reads_moved_since(reads, gen);
}

/* The same as cx_reads_in_doubt, but for what only shares a line with one. */
bool
cx_reads_are_marked(const CxReads *reads, uint64 but)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
	{
		if (cx_deps_is_marked(dep_of(MyDatabaseId, reads, i), but))
			return true;
	}
	return false;
}

/* Whether a mark stands for one of them: see cx_deps_in_doubt. */
bool
cx_reads_in_doubt(Oid db, const CxReads *reads, uint64 but)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
	{
		if (cx_deps_in_doubt(dep_of(db, reads, i).id, but))
			return true;
	}
	return false;
}

/*
 * Whether the definitions of what was read, and privileges on it, are the same
 * as when a generation was drawn, whatever has become of its rows.
 */
bool
cx_reads_same_shapes(const CxView *view, const CxReads *reads, uint64 gen)
{
	int			n = count_deps(reads);

	for (int i = 0; i < n; i++)
	{
		CxDep		dep = dep_of(MyDatabaseId, reads, i);

		dep.aspects &= CX_ASPECTS_SHAPE;
		if (dep.aspects != 0 &&
			(!cx_deps_admits(view, dep) ||
			 cx_rels_gen(dep.id, dep.aspects) > gen))
			return false;
	}
	return true;
}

/*
 * Whether this transaction may have changed what was read; after a definition
 * that is anything.
 */
bool
cx_reads_own(const CxReads *reads)
{
	int			nrels = reads->nread + reads->nabove;

	if ((!cx_writes_any && !cx_writes_ddl) || CX_BUG_IS(CX_BUG_OWN_WRITES))
		return false;
	if (cx_writes_ddl)
		return reads->known;
	for (int i = 0; i < nrels; i++)
	{
		if (cx_writes_own(reads->rel[i],
						  dep_of(MyDatabaseId, reads, i).aspects))
			return true;
	}
	return false;
}

/* Locks a relation until the end of the transaction; false: not at once. */
static bool
lock_one(Oid rel)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, rel);
	result = cx_compat_try_lock(&tag, AccessShareLock);
	if (result == LOCKACQUIRE_OK)
		AcceptInvalidationMessages();
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Locks what was read against changes that are not MVCC-safe, until the end
 * of the transaction, as running the loader would; of a partitioned table the
 * partitions too, which reads does not name.  Returns false when that would
 * have to wait.
 */
bool
cx_reads_lock(const CxReads *reads)
{
	List	   *leaves;
	ListCell   *lc;

	for (int i = 0; i < reads->nread; i++)
	{
		if (!lock_one(reads->rel[i]))
			return false;
		if (get_rel_relkind(reads->rel[i]) != RELKIND_PARTITIONED_TABLE)
			continue;
		leaves = find_all_inheritors(reads->rel[i], NoLock, NULL);
		/* running the loader may lock only a few */
		if (list_length(leaves) > MAX_LEAVES)
			return false;
		foreach(lc, leaves)
		{
			if (!lock_one(lfirst_oid(lc)))
				return false;
		}
	}
	return true;
}

/* The schema that current_schema() names, which may be this session's own. */
static const char *
first_schema(void)
{
	List	   *path = fetch_search_path(false);
	const char *name = path ? get_namespace_name(linitial_oid(path)) : NULL;

	list_free(path);
	return name;
}

/*
 * What current_setting() returns, NULL when there is no such setting; one that
 * was set and has been reset is there, and empty.
 */
static const char *
setting_value(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == NULL && cx_compat_find_setting(name) != NULL ? "" : value;
}

/* A hash of the present values of the settings, 0 when there are none. */
uint64
cx_reads_hash_settings(const CxReads *reads)
{
	uint64		hash = 0;

	for (int at = 0; at < reads->settings_len;)
	{
		const char *name = reads->settings + at;
		const char *value = strcmp(name, CX_SETTING_SCHEMA) == 0
		? first_schema() : setting_value(name);

		/* a setting that is not there is not an empty one */
		hash = hash_combine64(hash, value == NULL ? 1
							  : hash_bytes_extended((const unsigned char *) value,
													(int) strlen(value), 2));
		/* the name of when the session began, which may be another's now */
		if (strcmp(name, "session_authorization") == 0)
			hash = hash_combine64(hash, GetSessionUserId());
		at += (int) strlen(name) + 1;
	}
	return hash;
}
