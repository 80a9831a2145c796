/*
 * cx_funcs_depends.c
 *	  What the entries of this database depend on, for the view dependencies:
 *	  those entries that the reader may see.
 *
 * Nothing knows which entries depend on a table: a change moves a number.
 * So this is counted here, in a walk over all entries.
 *
 * Locking: none on entry or return; see cx_scan.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "cx_args.h"
#include "cx_notes.h"
#include "cx_preload.h"
#include "cx_rels.h"
#include "cx_scan.h"
#include "cx_sight.h"

PG_FUNCTION_INFO_V1(cachex_dependencies);

/* A dependency, and how many entries have it */
typedef struct Depended
{
	uint64		id;				/* hash key */
	Oid			rel;			/* invalid for a tag */
	char	   *tag;
	int64		entries;
} Depended;

/* Columns that cachex_dependencies returns */
enum
{
	D_KIND,
	D_RELATION,
	D_TAG,
	D_GENERATION,
	D_ENTRIES,
	D_COLLISIONS,
	D_CHANGED_AT,
	D_CHANGED_TABLE,
	D_CHANGED_BY,
	D_CHANGED_XID,
	D_NCOLS
};

static HTAB *
create_table(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(Depended);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("cachex dependencies", 256, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static Depended *
count(HTAB *table, uint64 id)
{
	bool		found;
	Depended   *d = hash_search(table, &id, HASH_ENTER, &found);

	if (!found)
	{
		d->rel = InvalidOid;
		d->tag = NULL;
		d->entries = 0;
	}
	d->entries++;
	return d;
}

static void
count_entry(HTAB *table, const CxScanned *e)
{
	const char *tag = e->tags;

	for (int i = 0; i < e->entry.nread + e->entry.nabove; i++)
	{
		Oid			rel = cx_scan_relation(e, i);

		/* which is no table */
		if (rel != CX_PRIVILEGES)
			count(table, cx_rels_id(MyDatabaseId, rel))->rel = rel;
	}
	for (int i = 0; i < e->entry.ntags; i++)
	{
		uint8		len = (uint8) *tag++;
		Depended   *d = count(table, e->tag_id[i]);

		if (d->tag == NULL)
			d->tag = pnstrdup(tag, len);
		tag += len;
	}
}

static void
count_cache(HTAB *table, const CxCache *cache)
{
	bool		all = cx_sight_every_entry(cache);
	CxScan	   *scan = cx_scan_begin(cache->number);
	TimestampTz now = GetCurrentTimestamp();
	CxScanned	e;

	while (cx_scan_next(scan, &e))
	{
		if (!e.staged && (all || cx_sight_entry(cache, &e)) &&
			!cx_scan_is_dead(&e, cache->dep_seed, now))
			count_entry(table, &e);
	}
	cx_scan_end(scan);
}

static const char *
command_name(char command)
{
	switch (command)
	{
		case CX_COMMAND_INSERT:
			return "INSERT";
		case CX_COMMAND_UPDATE:
			return "UPDATE";
		case CX_COMMAND_DELETE:
			return "DELETE";
		case CX_COMMAND_TRUNCATE:
			return "TRUNCATE";
		case CX_COMMAND_DDL:
			return "DDL";
		case CX_COMMAND_CALL:
			return "cachex";
		case CX_COMMAND_APPLY:
			return "replication";
		default:
			return NULL;
	}
}

static void
put_change(uint64 id, Datum *v, bool *null)
{
	const char *command;
	CxNote		note;

	if (!cx_notes_get(id, &note))
		return;
	command = command_name(note.command);
	v[D_CHANGED_AT] = TimestampTzGetDatum(note.at);
	v[D_CHANGED_TABLE] = ObjectIdGetDatum(note.rel);
	v[D_CHANGED_BY] = command ? CStringGetTextDatum(command) : (Datum) 0;
	v[D_CHANGED_XID] = TransactionIdGetDatum((TransactionId) note.xid);
	null[D_CHANGED_AT] = null[D_CHANGED_XID] = false;
	null[D_CHANGED_TABLE] = !OidIsValid(note.rel);
	null[D_CHANGED_BY] = command == NULL;
}

static void
put_row(ReturnSetInfo *rsinfo, const Depended *d)
{
	Datum		v[D_NCOLS] = {0};
	bool		null[D_NCOLS];

	memset(null, true, sizeof(null));
	null[D_KIND] = null[D_GENERATION] = null[D_ENTRIES] = false;
	v[D_ENTRIES] = Int64GetDatum(d->entries);
	if (d->tag != NULL)
	{
		v[D_KIND] = CStringGetTextDatum("tag");
		null[D_TAG] = false;
		v[D_TAG] = CStringGetTextDatum(d->tag);
		v[D_GENERATION] = Int64GetDatum(cx_gens_get(CX_GEN_GROUP, d->id));
	}
	else
	{
		v[D_KIND] = CStringGetTextDatum("table");
		null[D_RELATION] = false;
		v[D_RELATION] = ObjectIdGetDatum(d->rel);
		v[D_GENERATION] = Int64GetDatum(cx_rels_gen(d->id, CX_ASPECTS_READ));
		null[D_COLLISIONS] = false;
		v[D_COLLISIONS] = Int64GetDatum(cx_rels_collisions(d->id));
	}
	put_change(d->id, v, null);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, v, null);
}

/* dependencies_found() */
Datum
cachex_dependencies(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HTAB	   *table;
	HASH_SEQ_STATUS seq;
	Depended   *d;
	CxCache   **all;
	int			n;

	CX_REQUIRE_PRELOAD();
	InitMaterializedSRF(fcinfo, 0);
	table = create_table();
	all = cx_catalog_all(&n);
	for (int i = 0; i < n; i++)
	{
		if (cx_catalog_usable(all[i]))
			count_cache(table, all[i]);
	}
	hash_seq_init(&seq, table);
	while ((d = hash_seq_search(&seq)) != NULL)
		put_row(rsinfo, d);
	hash_destroy(table);
	return (Datum) 0;
}
