/*
 * cx_codec.c
 *	  Which bytes stand for a value, and which value bytes stand for.
 *
 * A value's bytes are its Datum, detoasted and flattened, without the varlena
 * header: they mean the same in every backend, and at any alignment.  What
 * they mean depends on the type, so a hash of the type's layout goes with
 * them.  For a type without structure that hash is 0 and costs nothing; for
 * others it is worked out from the catalogs once and remembered by the session
 * until pg_type or pg_attribute changes.
 *
 * Locking: none; nothing here touches shared memory.  Everything may read the
 * catalogs, raise errors and allocate, so no LWLock may be held.
 *
 * Not done here: compression, checksums, and comparing a stored typhash with
 * the one of now, which is the caller's duty before it decodes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "cx_codec.h"
#include "cx_compat.h"

/* Types may nest this deep; deeper ones are refused. */
#define MAX_TYPE_DEPTH 32

/* What is hashed of each attribute of a composite type; no padding. */
typedef struct AttributeLayout
{
	Oid			type;
	int32		typmod;
	uint32		nested;			/* typhash of type */
	int16		len;
	char		align;
	char		dropped;
} AttributeLayout;

typedef struct MemoEntry
{
	Oid			type;			/* hash key */
	uint32		typhash;
} MemoEntry;

static HTAB *memo = NULL;		/* typhashes worked out so far */
static bool memo_stale = false; /* the catalogs changed since */
static uint64 catalog_changes = 0;	/* counts what makes the memo stale */

static uint32 hash_type(Oid type, int depth);

/*
 * True for the types met most, which have no structure.
 */
static inline bool
is_plain(Oid type)
{
	switch (type)
	{
		case JSONBOID:
		case TEXTOID:
		case INT4OID:
		case INT8OID:
		case BOOLOID:
		case NUMERICOID:
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
		case DATEOID:
		case UUIDOID:
		case FLOAT8OID:
		case FLOAT4OID:
		case INT2OID:
		case VARCHAROID:
		case BYTEAOID:
		case JSONOID:
			return true;
		default:
			return false;
	}
}

static void
forget_memo_cb(Datum arg pg_attribute_unused(),
			   int cacheid pg_attribute_unused(),
			   uint32 hashvalue pg_attribute_unused())
{
	memo_stale = true;
	catalog_changes++;
}

/*
 * Make the memo usable: it exists, and holds nothing older than the catalogs.
 */
static void
refresh_memo(void)
{
	HASHCTL		ctl;

	if (memo != NULL && !memo_stale)
		return;
	if (memo == NULL && catalog_changes == 0)
	{
		CacheRegisterSyscacheCallback(TYPEOID, forget_memo_cb, (Datum) 0);
		CacheRegisterSyscacheCallback(ATTNUM, forget_memo_cb, (Datum) 0);
		catalog_changes = 1;
	}
	if (memo != NULL)
	{
		HTAB	   *old = memo;

		memo = NULL;
		hash_destroy(old);
	}
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(MemoEntry);
	memo = hash_create("cachex type layouts", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS);
	memo_stale = false;
}

/*
 * The typhash of a composite type: its attributes in order, dropped ones too,
 * as their place in the tuple remains.
 */
static uint32
hash_composite(Oid relid, int depth)
{
	HeapTuple	tuple;
	int			natts;
	int			attnum;
	uint32		hash;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return CX_TYPHASH_GONE;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);

	hash = hash_bytes_uint32((uint32) natts);
	for (attnum = 1; attnum <= natts; attnum++)
	{
		AttributeLayout layout;
		Form_pg_attribute att;

		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
								Int16GetDatum(attnum));
		if (!HeapTupleIsValid(tuple))
			return CX_TYPHASH_GONE;
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		layout.type = att->attisdropped ? InvalidOid : att->atttypid;
		layout.typmod = att->atttypmod;
		layout.len = att->attlen;
		layout.align = att->attalign;
		layout.dropped = att->attisdropped ? 1 : 0;
		layout.nested = 0;
		ReleaseSysCache(tuple);

		if (!layout.dropped)
			layout.nested = hash_type(layout.type, depth + 1);
		if (layout.nested == CX_TYPHASH_GONE)
			return CX_TYPHASH_GONE;
		hash = hash_combine(hash, hash_bytes((const unsigned char *) &layout,
											 sizeof(layout)));
	}
	if (hash == CX_TYPHASH_GONE || hash == 0)
		hash = 1;
	return hash;
}

/*
 * The type that the layout of the given one rests upon: an array's element, a
 * domain's base, a range's subtype, a multirange's range; InvalidOid where
 * there is none.
 */
static Oid
inner_type(Oid type, Form_pg_type form)
{
	switch (form->typtype)
	{
		case TYPTYPE_DOMAIN:
			return form->typbasetype;
		case TYPTYPE_RANGE:
			return get_range_subtype(type);
		case TYPTYPE_MULTIRANGE:
			return get_multirange_range(type);
		default:
			return IsTrueArrayType(form) ? form->typelem : InvalidOid;
	}
}

/*
 * The typhash by the catalogs, CX_TYPHASH_GONE when there is no such type.
 * Raises an error for pseudo-types.
 */
static uint32
read_layout(Oid type, int depth)
{
	HeapTuple	tuple;
	Form_pg_type form;
	char		typtype;
	Oid			relid;
	Oid			inner;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return CX_TYPHASH_GONE;
	form = (Form_pg_type) GETSTRUCT(tuple);
	typtype = form->typisdefined ? form->typtype : TYPTYPE_PSEUDO;
	relid = form->typrelid;
	inner = inner_type(type, form);
	ReleaseSysCache(tuple);

	if (typtype == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("values of type %s cannot be cached",
						format_type_be(type)),
				 errhint("Cast the value to a named type or to jsonb.")));
	if (typtype == TYPTYPE_COMPOSITE)
		return hash_composite(relid, depth);
	if (OidIsValid(inner))
		return hash_type(inner, depth + 1);
	return 0;
}

/*
 * cx_codec_typhash for a type that is nested "depth" levels deep in another.
 */
static uint32
hash_type(Oid type, int depth)
{
	MemoEntry  *entry;
	uint64		changes;
	uint32		hash;

	if (is_plain(type))
		return 0;
	if (depth > MAX_TYPE_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("type %s is nested too deeply to be cached",
						format_type_be(type))));

	refresh_memo();
	entry = hash_search(memo, &type, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->typhash;

	/* A catalog change seen while reading may have come too late for us. */
	changes = catalog_changes;
	hash = read_layout(type, depth);
	if (hash != CX_TYPHASH_GONE && changes == catalog_changes)
	{
		entry = hash_search(memo, &type, HASH_ENTER, NULL);
		entry->typhash = hash;
	}
	return hash;
}

/*
 * cx_codec_typhash
 *
 * Returns a hash of the type's layout: 0 for a type without structure,
 * CX_TYPHASH_GONE for a type that does not exist (any more).  Two calls that
 * return the same value for the same OID, other than CX_TYPHASH_GONE, mean
 * that bytes encoded at the first can be decoded at the second.  Raises
 * ERRCODE_FEATURE_NOT_SUPPORTED for record and other pseudo-types.
 */
uint32
cx_codec_typhash(Oid type)
{
	return hash_type(type, 0);
}

/*
 * cx_codec_encode
 *
 * Fills *out.  Its data is in the current memory context or inside the datum
 * itself, and lives as long as both.  Raises ERRCODE_FEATURE_NOT_SUPPORTED
 * for record and other pseudo-types, also when the value is NULL, and
 * whatever detoasting raises.
 */
void
cx_codec_encode(Datum datum, bool isnull, Oid type, CxValue *out)
{
	int16		typlen;
	bool		typbyval;

	out->type = type;
	out->typhash = cx_codec_typhash(type);
	out->isnull = isnull;
	out->data = NULL;
	out->len = 0;
	if (isnull)
		return;

	get_typlenbyval(type, &typlen, &typbyval);
	if (typbyval)
	{
		char	   *copy = palloc(sizeof(Datum));

		memcpy(copy, &datum, sizeof(Datum));
		out->data = copy;
		out->len = sizeof(Datum);
	}
	else if (typlen == -1)
	{
		struct varlena *flat = PG_DETOAST_DATUM_PACKED(datum);

		out->data = VARDATA_ANY(flat);
		out->len = VARSIZE_ANY_EXHDR(flat);
	}
	else if (typlen == -2)
	{
		out->data = DatumGetCString(datum);
		out->len = strlen(out->data) + 1;
	}
	else
	{
		out->data = DatumGetPointer(datum);
		out->len = typlen;
	}
}

/*
 * Raises ERRCODE_DATA_CORRUPTED unless the bytes are as many as the type's
 * values have; they may come from a file.
 */
static void
check_len(const CxValue *value, int16 typlen, bool typbyval)
{
	bool		sound = true;

	if (typbyval)
		sound = value->len == sizeof(Datum);
	else if (typlen > 0)
		sound = value->len == (Size) typlen;
	else if (typlen == -2)
		sound = value->len > 0 && value->data[value->len - 1] == '\0';
	if (!sound)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("cached value of type %s is damaged",
						format_type_be(value->type)),
				 errdetail("It has %zu bytes.", value->len)));
}

/*
 * cx_codec_decode
 *
 * Returns a Datum of value->type in the current memory context; 0 for SQL
 * NULL.  The caller has checked that value->typhash is the type's of now.
 * Raises ERRCODE_DATA_CORRUPTED for bytes that no value of the type has, as far
 * as their number tells.
 */
Datum
cx_codec_decode(const CxValue *value)
{
	int16		typlen = -1;
	bool		typbyval = false;
	Size		header;
	char	   *holder;
	Datum		datum;

	if (value->isnull)
		return (Datum) 0;

	if (value->type != JSONBOID && value->type != TEXTOID)
	{
		get_typlenbyval(value->type, &typlen, &typbyval);
		check_len(value, typlen, typbyval);
	}
	if (typbyval)
	{
		memcpy(&datum, value->data, sizeof(Datum));
		return datum;
	}
	header = typlen == -1 ? VARHDRSZ : 0;
	holder = palloc(header + value->len);
	memcpy(holder + header, value->data, value->len);
	if (header > 0)
		SET_VARSIZE(holder, header + value->len);
	return PointerGetDatum(holder);
}

/*
 * cx_codec_to_jsonb
 *
 * Returns what to_jsonb() makes of a value of any type, record included, in
 * the current memory context, or NULL for SQL NULL.  A jsonb value is
 * returned as it is, detoasted, not copied.  Raises what to_jsonb() raises.
 */
Jsonb *
cx_codec_to_jsonb(Datum datum, bool isnull, Oid type)
{
	FmgrInfo	flinfo;
	Const	   *argument;
	FuncExpr   *call;

	if (isnull)
		return NULL;
	if (type == JSONBOID)
		return DatumGetJsonbP(datum);

	/* to_jsonb() learns its argument's type from the call's expression. */
	argument = makeConst(type, -1, InvalidOid, -1, (Datum) 0, true, false);
	call = makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
						InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	fmgr_info(F_TO_JSONB, &flinfo);
	fmgr_info_set_expr((Node *) call, &flinfo);
	return DatumGetJsonbP(FunctionCall1(&flinfo, datum));
}
