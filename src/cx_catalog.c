/*
 * cx_catalog.c
 *	  Reads the rows of cachex.cache_definition and keeps them in this session
 *	  until they change.
 *
 * Whoever changes a row sends a relcache invalidation for the table (a trigger
 * does), so every session reads it anew after that transaction's commit, and
 * the changing session itself sees its own rows at once.  The same goes for
 * the warmers that a cache cannot do without.
 *
 * Locking: none of cachex's; AccessShareLock on the table while it is read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "cx_catalog.h"
#include "cx_gens.h"
#include "cx_key.h"
#include "cx_tier_queue.h"

/* Columns of cachex.cache_definition, in order */
enum
{
	COL_NAME = 1,
	COL_ID,
	COL_OWNER,
	COL_TTL,
	COL_NEGATIVE_TTL,
	COL_MAX_ENTRIES,
	COL_MAX_MEMORY,
	COL_CONSISTENCY,
	COL_ENABLED,
	COL_VERSION,
	COL_LOADER,
	COL_STALE_FOR,
	COL_PERSIST,
	COL_BETA,
	COL_JITTER,
	COL_VALIDATE,
	COL_SEED,
	COL_SHARED,
	COL_MAX_ENTRIES_PER_SCOPE,
	COL_SCOPED_BY,
	COL_READERS,
	COL_WRITERS,
	NCOLS = COL_WRITERS
};

/* Columns of cachex.warmer_definition that are read here */
enum
{
	WARMER_CACHE = 1,
	WARMER_ID = 3,
	WARMER_REQUIRED = 6
};

/* Ids of the caches that are there without being created */
#define ID_DEFAULT	INT64CONST(-1)
#define ID_QUERIES	INT64CONST(-2)

#define HOUR_US		(INT64CONST(3600) * USECS_PER_SEC)
#define MINUTE_US	(INT64CONST(60) * USECS_PER_SEC)

static HTAB *caches = NULL;
static MemoryContext context = NULL;
static Oid	relation = InvalidOid;
static Oid	warmers = InvalidOid;	/* the table of these */
static bool valid = false;
static uint64 loaded_at = 0;	/* changes of the registry until then */
static CxCache *last_found = NULL;
static bool any_in_table = false;	/* a cache has persist => 'table' */

static void
relcache_cb(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == relation || relid == warmers ||
		relation == InvalidOid)
	{
		valid = false;
		last_found = NULL;
	}
}

/* Before the first look-up. */
static void
register_callback(void)
{
	static bool done = false;

	if (!done)
		CacheRegisterRelcacheCallback(relcache_cb, (Datum) 0);
	done = true;
}

/*
 * A table of the extension, InvalidOid where there is no extension.  A table
 * that only has such a name is somebody else's and not to be trusted.
 */
Oid
cx_catalog_table(const char *name)
{
	Oid			extension = get_extension_oid("cachex", true);
	Oid			schema = get_namespace_oid("cachex", true);
	Oid			table;

	if (!OidIsValid(extension) || !OidIsValid(schema))
		return InvalidOid;
	table = get_relname_relid(name, schema);
	if (!OidIsValid(table) ||
		get_rel_relkind(table) != RELKIND_RELATION ||
		getExtensionOfObject(RelationRelationId, table) != extension)
		return InvalidOid;
	return table;
}

/* A function of the extension, with the same caution. */
static Oid
function_of(const char *name, const Oid *args, int nargs)
{
	Oid			extension = get_extension_oid("cachex", true);
	Oid			schema = get_namespace_oid("cachex", true);
	Oid			function;

	if (!OidIsValid(extension) || !OidIsValid(schema))
		return InvalidOid;
	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							   CStringGetDatum(name),
							   PointerGetDatum(buildoidvector(args, nargs)),
							   ObjectIdGetDatum(schema));
	return OidIsValid(function) &&
		getExtensionOfObject(ProcedureRelationId, function) == extension
		? function : InvalidOid;
}

/* The trigger function of watches. */
Oid
cx_catalog_on_change(void)
{
	return function_of("on_change", NULL, 0);
}

/* The function that reaches into every cache of the database. */
Oid
cx_catalog_invalidate_tags(void)
{
	Oid			args[] = {TEXTARRAYOID};

	return function_of("invalidate_tags", args, 1);
}

static void
create_hash(void)
{
	HASHCTL		ctl;

	last_found = NULL;
	if (context)
		MemoryContextDelete(context);
	context = NULL;
	caches = NULL;
	context = AllocSetContextCreate(CacheMemoryContext, "cachex caches",
									ALLOCSET_SMALL_SIZES);
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(CxCache);
	ctl.hcxt = context;
	caches = hash_create("cachex caches", 32, &ctl,
						 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/*
 * Bytes that a cache which everybody can use may have, unless its row says
 * otherwise: whoever fills those does not evict all others.
 */
uint64
cx_catalog_public_memory(void)
{
	return cx_arena_total() / 4;
}

static CxCache *
enter(const char *name, int64 id)
{
	CxCache    *cache = hash_search(caches, name, HASH_ENTER, NULL);

	cache->name_len = (int) strlen(name);
	cache->id = id;
	cache->has_row = true;
	cache->owner = BOOTSTRAP_SUPERUSERID;
	cache->ttl_us = HOUR_US;
	cache->negative_ttl_us = MINUTE_US;
	cache->stale_us = 0;
	cache->persist = CX_PERSIST_NONE;
	cache->beta = cache->jitter = 0;
	cache->validate = NULL;
	cache->required = 0;
	cache->loader_seed = cx_key_seed;
	cache->stable_dep_seed = cx_key_stable_name(name, cache->name_len);
	cache->limits.entries = cache->limits.bytes = PG_UINT64_MAX;
	cache->limits.per_scope = PG_UINT64_MAX;
	if (cx_registry_is_public(id))
		cache->limits.bytes = cx_catalog_public_memory();
	cache->is_shared = false;
	cache->scoped_by = NULL;
	cache->grants = NULL;
	cache->ngrants = 0;
	cache->known_at = 0;
	cache->exact = false;
	cache->enabled = true;
	cache->loader = NULL;
	cache->number = cx_registry_register(MyDatabaseId, id, name,
										 GetCurrentTimestamp(), &cache->uid);
	cache->shmem = cache->number < 0 ? NULL : cx_registry_get(cache->number);
	cache->dep_seed = cx_key_of_name(MyDatabaseId, name, cache->name_len,
									 cx_registry_is_public(id));
	return cache;
}

static int64
interval_us(Datum datum)
{
	Interval   *i = DatumGetIntervalP(datum);
	int64		days = (int64) i->month * DAYS_PER_MONTH + i->day;
	int64		us;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &us) ||
		pg_add_s64_overflow(us, i->time, &us))
		return CX_TTL_NEVER;
	return us;
}

static CxPersist
persist_of(const char *text)
{
	if (strcmp(text, "snapshot") == 0)
		return CX_PERSIST_SNAPSHOT;
	return strcmp(text, "table") == 0 ? CX_PERSIST_TABLE : CX_PERSIST_NONE;
}

/* Adds what an array of roles has been granted. */
static void
add_grants(CxCache *cache, Datum roles, uint8 may)
{
	ArrayType  *array = DatumGetArrayTypeP(roles);
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, REGROLEOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elems, &nulls, &n);
	if (n == 0)
		return;
	if (cache->grants == NULL)
		cache->grants = MemoryContextAlloc(context, n * sizeof(CxGrant));
	else
		cache->grants = repalloc(cache->grants, (cache->ngrants + n) *
								 sizeof(CxGrant));
	for (int i = 0; i < n; i++)
	{
		CxGrant		grant = {DatumGetObjectId(elems[i]), may};

		if (!nulls[i])
			cache->grants[cache->ngrants++] = grant;
	}
}

/* Takes over one row, which is that of after a generation. */
static void
read_row(TupleDesc desc, HeapTuple tuple, uint64 as_of)
{
	Datum	   *v = palloc(desc->natts * sizeof(Datum));
	bool	   *null = palloc(desc->natts * sizeof(bool));
	TransactionId xmin;
	CxCache    *cache;

#define COL(c) v[COL_##c - 1]
#define ISNULL(c) null[COL_##c - 1]
	heap_deform_tuple(tuple, desc, v, null);
	cache = enter(TextDatumGetCString(COL(NAME)), DatumGetInt64(COL(ID)));
	cache->owner = DatumGetObjectId(COL(OWNER));
	cache->ttl_us = ISNULL(TTL) ? CX_TTL_NEVER : interval_us(COL(TTL));
	if (!ISNULL(NEGATIVE_TTL))
		cache->negative_ttl_us = interval_us(COL(NEGATIVE_TTL));
	if (!ISNULL(MAX_ENTRIES))
		cache->limits.entries = DatumGetInt64(COL(MAX_ENTRIES));
	if (!ISNULL(MAX_MEMORY))
		cache->limits.bytes = DatumGetInt64(COL(MAX_MEMORY));
	cache->exact = strcmp(TextDatumGetCString(COL(CONSISTENCY)), "exact") == 0;
	cache->enabled = DatumGetBool(COL(ENABLED));
	if (!ISNULL(LOADER))
		cache->loader = MemoryContextStrdup(context,
											TextDatumGetCString(COL(LOADER)));
	cache->stale_us = interval_us(COL(STALE_FOR));
	cache->persist = persist_of(TextDatumGetCString(COL(PERSIST)));
	xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	if (!ISNULL(MAX_ENTRIES_PER_SCOPE))
		cache->limits.per_scope = DatumGetInt64(COL(MAX_ENTRIES_PER_SCOPE));
	/* of this transaction's own rows its commit says so */
	if (cache->shmem && !TransactionIdIsCurrentTransactionId(xmin))
		cx_registry_set_row(cache->number, as_of,
							(cache->persist == CX_PERSIST_SNAPSHOT
							 ? CX_ROW_KEEP : 0) |
							(cache->limits.per_scope != PG_UINT64_MAX
							 ? CX_ROW_SCOPES : 0));
	if (cache->persist == CX_PERSIST_TABLE)
	{
		/* what a row remembers of its loader must mean the same next time */
		cache->loader_seed = DatumGetInt64(COL(SEED));
		any_in_table = true;
	}
	cache->beta = DatumGetFloat8(COL(BETA));
	cache->jitter = DatumGetFloat8(COL(JITTER));
	if (!ISNULL(VALIDATE))
		cache->validate = MemoryContextStrdup(context,
											  TextDatumGetCString(COL(VALIDATE)));
	cache->is_shared = DatumGetBool(COL(SHARED));
	if (!ISNULL(SCOPED_BY))
		cache->scoped_by = MemoryContextStrdup(context,
											   TextDatumGetCString(COL(SCOPED_BY)));
	add_grants(cache, COL(READERS), CX_MAY_READ);
	add_grants(cache, COL(WRITERS), CX_MAY_WRITE);
#undef COL
#undef ISNULL
}

static void
read_rows(void)
{
	Relation	rel = table_open(relation, AccessShareLock);
	uint64		as_of = cx_gens_last();
	SysScanDesc scan;
	HeapTuple	tuple;

	if (RelationGetDescr(rel)->natts < NCOLS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"cachex\" in this database is older than its library"),
				 errhint("Run ALTER EXTENSION cachex UPDATE.")));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		read_row(RelationGetDescr(rel), tuple, as_of);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
add_built_in(const char *name, int64 id, bool exact)
{
	if (hash_search(caches, name, HASH_FIND, NULL) == NULL)
	{
		CxCache    *cache = enter(name, id);

		cache->has_row = false;
		cache->exact = exact;
		cache->grants = MemoryContextAlloc(context, sizeof(CxGrant));
		cache->grants[0].role = InvalidOid;
		cache->grants[0].may = CX_MAY_ALL;
		cache->ngrants = 1;
	}
}

/* Adds a required warmer to its cache. */
static void
read_warmer(TupleDesc desc, HeapTuple tuple)
{
	bool		isnull;
	char	   *name;
	CxCache    *cache;

	if (!DatumGetBool(heap_getattr(tuple, WARMER_REQUIRED, desc, &isnull)))
		return;
	name = TextDatumGetCString(heap_getattr(tuple, WARMER_CACHE, desc,
											&isnull));
	if (strlen(name) >= NAMEDATALEN)
		return;
	cache = hash_search(caches, name, HASH_FIND, NULL);
	if (cache)
		cx_catalog_require(&cache->required,
						   DatumGetInt64(heap_getattr(tuple, WARMER_ID, desc,
													  &isnull)));
}

static void
read_warmers(void)
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(warmers))
		return;
	rel = table_open(warmers, AccessShareLock);
	if (RelationGetDescr(rel)->natts >= WARMER_REQUIRED)
	{
		scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			read_warmer(RelationGetDescr(rel), tuple);
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
}

/* Reads everything again. Raises what reading a table can raise. */
static void
load(void)
{
	MemoryContext old;

	register_callback();
	relation = cx_catalog_table("cache_definition");
	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"cachex\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION cachex.")));
	warmers = cx_catalog_table("warmer_definition");
	create_hash();
	any_in_table = false;
	old = MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext,
													  "cachex rows",
													  ALLOCSET_SMALL_SIZES));
	/* an invalidation that arrives while the rows are read counts */
	valid = true;
	loaded_at = cx_registry_changes();
	PG_TRY();
	{
		read_rows();
		add_built_in("default", ID_DEFAULT, false);
		add_built_in("queries", ID_QUERIES, true);
		read_warmers();
	}
	PG_CATCH();
	{
		valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextDelete(MemoryContextSwitchTo(old));
	if (any_in_table)
		cx_tier_queue_start();
}

/* A cache by name, or NULL. Raises an error when the rows cannot be read. */
CxCache *
cx_catalog_find(const char *name, Size len)
{
	char		key[NAMEDATALEN];

	if (last_found && valid && last_found->name_len == (int) len &&
		memcmp(last_found->name, name, len) == 0 &&
		cx_catalog_usable(last_found))
		return last_found;
	if (len >= NAMEDATALEN)
		return NULL;
	memcpy(key, name, len);
	key[len] = '\0';
	for (int tries = 0; tries < 10; tries++)
	{
		if (!valid)
			load();
		last_found = hash_search(caches, key, HASH_FIND, NULL);
		/* a number was lost or could not be had, which may have changed */
		if (last_found && !cx_catalog_usable(last_found) &&
			loaded_at != cx_registry_changes())
			valid = false;
		if (valid)
			break;
	}
	return last_found;
}

/* The same; a cache that does not exist is an error. */
CxCache *
cx_catalog_get(const char *name, Size len)
{
	CxCache    *cache = cx_catalog_find(name, len);

	if (cache == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("cache \"%.*s\" does not exist",
						(int) pg_mbcliplen(name, (int) len, NAMEDATALEN), name),
				 errhint("Create it with cachex.create_cache().")));
	return cache;
}

/*
 * Whether a cache of this database has a table for its entries, by the newest
 * definitions.  false as well where there is no extension, or an older one.
 */
bool
cx_catalog_any_in_table(void)
{
	HeapTuple	tuple;
	Oid			table;
	bool		current;

	AcceptInvalidationMessages();
	if (valid)
		return any_in_table;
	table = cx_catalog_table("cache_definition");
	if (!OidIsValid(table))
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	current = HeapTupleIsValid(tuple) &&
		((Form_pg_class) GETSTRUCT(tuple))->relnatts >= NCOLS;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	for (int tries = 0; current && !valid && tries < 10; tries++)
		load();
	return current && any_in_table;
}

/* All caches of the database, in a palloc'd array. */
CxCache **
cx_catalog_all(int *n)
{
	HASH_SEQ_STATUS seq;
	CxCache   **all;
	CxCache    *cache;

	(void) cx_catalog_find("default", strlen("default"));
	all = palloc(hash_get_num_entries(caches) * sizeof(CxCache *));
	*n = 0;
	hash_seq_init(&seq, caches);
	while ((cache = hash_seq_search(&seq)) != NULL)
		all[(*n)++] = cache;
	return all;
}
