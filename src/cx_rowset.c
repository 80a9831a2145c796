/*
 * cx_rowset.c
 *	  Which bytes stand for a set of rows, and which rows bytes stand for.
 *
 * A header, the type of each column, then the rows: of each a head, the
 * bitmap of its NULLs where there are any, and its attributes as they lie in
 * a tuple.  All parts begin at MAXALIGN, so that attributes can be read where
 * they are.  Nothing is taken on trust when bytes are read: a length that
 * leads out of them ends the set early, which the caller takes for a miss.
 *
 * Locking: none; nothing here touches shared memory.  Everything may read the
 * catalogs, raise errors and allocate, so no LWLock may be held.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "cx_compat.h"
#include "cx_rowset.h"

typedef struct SetHead
{
	uint64		nrows;
	uint32		natts;
	uint32		unused;
} SetHead;

typedef struct Column
{
	Oid			type;
	int32		typmod;
} Column;

typedef struct RowHead
{
	uint32		len;			/* of the attributes */
	uint16		natts;			/* fewer than the set's: the rest is NULL */
	uint16		has_nulls;
} RowHead;

StaticAssertDecl(sizeof(SetHead) == 16 && sizeof(Column) == 8 &&
				 sizeof(RowHead) == 8, "what is stored has no padding");

/* ---- columns ---- */

/*
 * cx_rowset_obstacle
 *
 * Returns the type of a column that cannot be kept, or InvalidOid.  Record
 * and the like mean something in this session only.
 */
Oid
cx_rowset_obstacle(TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			type = TupleDescAttr(desc, i)->atttypid;

		if (get_typtype(type) == TYPTYPE_PSEUDO)
			return type;
	}
	return InvalidOid;
}

/* A hash of the layouts of all columns, as cx_codec_typhash is of one. */
static uint32
hash_layouts(const Column *columns, int natts)
{
	uint32		hash = hash_bytes_uint32((uint32) natts);

	for (int i = 0; i < natts; i++)
	{
		uint32		layout = cx_codec_typhash(columns[i].type);

		if (layout == CX_TYPHASH_GONE)
			return CX_TYPHASH_GONE;
		hash = hash_combine(hash, layout);
	}
	return hash == CX_TYPHASH_GONE ? 0 : hash;
}

/* ---- writing ---- */

static inline Size
bitmap_size(HeapTuple tuple)
{
	return HeapTupleHasNulls(tuple)
		? MAXALIGN(BITMAPLEN(HeapTupleHeaderGetNatts(tuple->t_data))) : 0;
}

static inline Size
attributes_size(HeapTuple tuple)
{
	return tuple->t_len - tuple->t_data->t_hoff;
}

static inline Size
row_size(HeapTuple tuple)
{
	return MAXALIGN(sizeof(RowHead)) + bitmap_size(tuple) +
		MAXALIGN(attributes_size(tuple));
}

/*
 * The bytes that the set takes; once they are more than limit, any number
 * that is.
 */
static Size
set_size(const CxRows *rows, Size limit)
{
	Size		size = sizeof(SetHead) + rows->desc->natts * sizeof(Column);

	for (uint64 i = 0; i < rows->n && size <= limit; i++)
	{
		CHECK_FOR_INTERRUPTS();
		size += row_size(rows->tuples[i]);
	}
	return size;
}

/* Writes a row into zeroed bytes; returns where the next one goes. */
static char *
write_row(char *to, HeapTuple tuple)
{
	HeapTupleHeader data = tuple->t_data;
	RowHead		head;

	Assert(!HeapTupleHasExternal(tuple));
	head.len = (uint32) attributes_size(tuple);
	head.natts = HeapTupleHeaderGetNatts(data);
	head.has_nulls = HeapTupleHasNulls(tuple) ? 1 : 0;
	memcpy(to, &head, sizeof(head));
	to += MAXALIGN(sizeof(head));
	if (head.has_nulls)
		memcpy(to, data->t_bits, BITMAPLEN(head.natts));
	to += bitmap_size(tuple);
	memcpy(to, (char *) data + data->t_hoff, head.len);
	return to + MAXALIGN(head.len);
}

/*
 * cx_rowset_encode
 *
 * Fills *out with the bytes of the rows, in the current memory context.  With
 * more of them than limit, which is less than MaxAllocSize, there is only the
 * length.  cx_rowset_obstacle has found none, and the rows hold no pointers
 * to TOAST tables.
 */
void
cx_rowset_encode(const CxRows *rows, Size limit, CxValue *out)
{
	SetHead		head = {rows->n, (uint32) rows->desc->natts, 0};
	Column	   *columns;
	char	   *to;

	columns = palloc((head.natts + 1) * sizeof(Column));
	for (uint32 i = 0; i < head.natts; i++)
	{
		columns[i].type = TupleDescAttr(rows->desc, i)->atttypid;
		columns[i].typmod = TupleDescAttr(rows->desc, i)->atttypmod;
	}
	out->type = RECORDOID;
	out->typhash = hash_layouts(columns, (int) head.natts);
	out->isnull = false;
	out->data = NULL;
	out->len = set_size(rows, limit);
	if (out->len > limit)
		return;
	out->data = to = palloc0(out->len);
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memcpy(to, columns, head.natts * sizeof(Column));
	to += head.natts * sizeof(Column);
	for (uint64 i = 0; i < rows->n; i++)
		to = write_row(to, rows->tuples[i]);
	Assert(to == out->data + out->len);
	pfree(columns);
}

/* ---- reading ---- */

/*
 * The bytes of a varlena at the place, of which left are there; 0 when that
 * is not all of it, or when it is elsewhere.
 */
static Size
varlena_size(const char *at, Size left)
{
	Size		size;

	if (VARATT_IS_1B_E(at))
		return 0;
	if (VARATT_IS_1B(at))
		return VARSIZE_1B(at);
	if (left < VARHDRSZ)
		return 0;
	size = VARSIZE_4B(at);
	if (size < (VARATT_IS_4B_C(at) ? VARHDRSZ_COMPRESSED : VARHDRSZ))
		return 0;
	return size;
}

/*
 * Reads the attribute at *offset of a row's attributes, and moves behind it.
 * Returns false when it is not there in full.
 */
static bool
read_attribute(const char *data, Size len, Form_pg_attribute att,
			   Size *offset, Datum *value)
{
	Size		at = *offset;
	Size		size;

	if (at >= len)
		return false;
	at = att_align_pointer(at, att->attalign, att->attlen, data + at);
	if (at >= len)
		return false;
	if (att->attlen > 0)
		size = att->attlen;
	else if (att->attlen == -1)
		size = varlena_size(data + at, len - at);
	else
		size = strnlen(data + at, len - at) + 1;
	if (size == 0 || size > len - at)
		return false;
	*value = fetch_att(data + at, att->attbyval, att->attlen);
	*offset = at + size;
	return true;
}

/* The attributes of a row; false when they are not there in full. */
static bool
read_attributes(TupleDesc desc, const RowHead *head, const bits8 *bitmap,
				const char *data, Datum *values, bool *nulls)
{
	Size		offset = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		nulls[i] = i >= head->natts ||
			(head->has_nulls && att_isnull(i, bitmap));
		values[i] = (Datum) 0;
		if (!nulls[i] && !read_attribute(data, head->len,
										 TupleDescAttr(desc, i), &offset,
										 &values[i]))
			return false;
	}
	return true;
}

/*
 * cx_rowset_open
 *
 * Begins to read a set from bytes that begin at MAXALIGN.  Returns false when
 * they are no set, or when the type of a column is no more what it was.
 */
bool
cx_rowset_open(CxRowset *set, const CxValue *value)
{
	SetHead		head;
	const Column *columns;

	if (value->type != RECORDOID || value->len < sizeof(head))
		return false;
	memcpy(&head, value->data, sizeof(head));
	if (head.natts > MaxTupleAttributeNumber ||
		value->len - sizeof(head) < head.natts * sizeof(Column))
		return false;
	columns = (const Column *) (value->data + sizeof(head));
	if (value->typhash == CX_TYPHASH_GONE ||
		value->typhash != hash_layouts(columns, (int) head.natts))
		return false;
	set->desc = CreateTemplateTupleDesc((int) head.natts);
	for (uint32 i = 0; i < head.natts; i++)
		TupleDescInitEntry(set->desc, (AttrNumber) (i + 1), NULL,
						   columns[i].type, columns[i].typmod, 0);
	set->left = head.nrows;
	set->next = (const char *) (columns + head.natts);
	set->end = value->data + value->len;
	return true;
}

/*
 * cx_rowset_next
 *
 * Reads the next row; its values lie in the set's bytes.  Returns false at
 * the end, and where the bytes are not what was written: cx_rowset_at_end
 * tells.
 */
bool
cx_rowset_next(CxRowset *set, Datum *values, bool *nulls)
{
	Size		size = set->end - set->next;
	const bits8 *bitmap = NULL;
	const char *data;
	RowHead		head;
	Size		before = MAXALIGN(sizeof(head));

	if (set->left == 0 || size < before)
		return false;
	memcpy(&head, set->next, sizeof(head));
	if (head.has_nulls)
	{
		bitmap = (const bits8 *) (set->next + before);
		before += MAXALIGN(BITMAPLEN(head.natts));
	}
	if (size < before || size - before < MAXALIGN((Size) head.len))
		return false;
	data = set->next + before;
	if (!read_attributes(set->desc, &head, bitmap, data, values, nulls))
		return false;
	set->next = data + MAXALIGN((Size) head.len);
	set->left--;
	return true;
}

/* Whether all rows were read, and nothing is behind them. */
bool
cx_rowset_at_end(const CxRowset *set)
{
	return set->left == 0 && set->next == set->end;
}
