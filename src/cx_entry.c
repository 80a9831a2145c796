/*
 * cx_entry.c
 *	  Writes entries into segments and reads them back.
 *
 * A small entry, a key of 10 bytes with a value of 100, fits one chunk: what
 * most entries do not need is optional, and the time of creation is the
 * expiry less a life in milliseconds wherever that is exact.
 *
 * Behind the header come the fields with what changes after an entry was
 * written: when one that may be served stale was last found fresh, and which
 * roles one of a shared cache was found to be for.
 *
 * Locking: the writer's entry is not yet reachable; readers hold the
 * partition's lock or a reference.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "cx_entry.h"

typedef struct Header
{
	Oid			role;
	uint32		len;			/* of the whole entry */
	uint32		life_ms;		/* from creation to the slot's expiry */
	uint16		key_len:12;
	uint16		has_link:1;
	uint16		has_access:1;
	uint16		has_stale:1;
	uint16		has_reads:1;
	uint8		scope_len;
	uint8		flags;
} Header;

StaticAssertDecl(sizeof(Header) == CX_ENTRY_HEADER, "the header of an entry is small");

typedef struct StaleField
{
	uint32		stale_ms:31;
	uint32		by_row:1;
	uint32		seen_ms;
} StaleField;

typedef struct AccessField
{
	Oid			filler;
	uint16		filler_only;
	uint16		len;
	Oid			checked[CX_CHECKED_ROLES];
} AccessField;

typedef struct TypeField
{
	Oid			type;
	uint32		typhash;
} TypeField;

typedef struct TagsField
{
	uint16		ntags;
	uint16		len;
} TagsField;

typedef struct ReadsField
{
	uint16		exact:1;
	uint16		nread:15;
	uint16		nabove;
	uint16		settings_len;
} ReadsField;

/* When the entry is of no use to anybody any more; CX_NEVER = never. */
TimestampTz
cx_entry_end(const CxNewEntry *entry)
{
	TimestampTz end;

	if (entry->expires == CX_NEVER ||
		pg_add_s64_overflow(entry->expires, (int64) entry->stale_ms * 1000,
							&end) ||
		!IS_VALID_TIMESTAMP(end))
		return CX_NEVER;
	return end;
}

/* Whether creation follows from the end and a life in milliseconds. */
static bool
life_is_exact(const CxNewEntry *entry)
{
	TimestampTz end = cx_entry_end(entry);
	int64		life = end - entry->created;

	return end != CX_NEVER && life >= 0 && life % 1000 == 0 &&
		life / 1000 <= PG_UINT32_MAX;
}

static uint8
flags_of(const CxIdent *ident, const CxNewEntry *entry)
{
	uint8		flags = 0;

	if (ident->has_scope)
		flags |= CX_ENTRY_SCOPE;
	if (entry->isnull)
		flags |= CX_ENTRY_NULL;
	if (entry->manual)
		flags |= CX_ENTRY_MANUAL;
	if (entry->has_loader)
		flags |= CX_ENTRY_LOADER;
	if (entry->type != JSONBOID)
		flags |= CX_ENTRY_TYPED;
	if (!life_is_exact(entry))
		flags |= CX_ENTRY_CREATED;
	if (entry->ntags > 0)
		flags |= CX_ENTRY_TAGS;
	if (entry->metadata)
		flags |= CX_ENTRY_METADATA;
	return flags;
}

static uint16
tags_len(const CxNewEntry *entry)
{
	Size		len = 0;

	for (int i = 0; i < entry->ntags; i++)
		len += 1 + entry->tag_len[i];
	return (uint16) len;
}

static inline bool
has_reads(const CxNewEntry *entry)
{
	return entry->reads != NULL && entry->reads->known;
}

/* Bytes of what was read and is to be checked, behind the tags. */
static Size
reads_len(int nrels, Size settings_len, int access_len)
{
	return (settings_len > 0 ? sizeof(uint64) + settings_len : 0) +
		nrels * sizeof(Oid) + access_len * sizeof(uint32);
}

/*
 * Bytes that the entry takes; raises an error only beyond any memory.
 * in_scope: its slot will have CX_SLOT_IN_SCOPE.
 */
Size
cx_entry_size(const CxIdent *ident, const CxNewEntry *entry, bool in_scope)
{
	uint8		flags = flags_of(ident, entry);
	Size		size = sizeof(Header) + ident->key_len + ident->scope_len;

	if (in_scope)
		size += sizeof(CxScopeLink);
	if (entry->stale_ms > 0)
		size += sizeof(StaleField);
	if (entry->access)
		size += sizeof(AccessField) + reads_len(0, 0, entry->access->len);
	if (flags & CX_ENTRY_LOADER)
		size += sizeof(uint64);
	if (flags & CX_ENTRY_TYPED)
		size += sizeof(TypeField);
	if (flags & CX_ENTRY_CREATED)
		size += sizeof(TimestampTz);
	if (flags & CX_ENTRY_TAGS)
		size += sizeof(TagsField) + entry->ntags * sizeof(uint64) +
			tags_len(entry);
	if (has_reads(entry))
		size += sizeof(ReadsField) +
			reads_len(entry->reads->nread + entry->reads->nabove,
					  entry->reads->settings_len, 0);
	if (flags & CX_ENTRY_METADATA)
		size = add_size(size, add_size(sizeof(uint32), entry->metadata_len));
	return add_size(size, entry->value_len);
}

static void
write_fields(CxCursor *c, uint8 flags, const CxNewEntry *entry)
{
	if (entry->stale_ms > 0)
	{
		StaleField	field = {entry->stale_ms, entry->stale_by_row, 0};

		cx_arena_write(c, &field, sizeof(field));
	}
	if (entry->access)
	{
		AccessField field = {entry->access->filler, entry->access->filler_only,
		entry->access->len};

		cx_arena_write(c, &field, sizeof(field));
	}
	if (flags & CX_ENTRY_LOADER)
		cx_arena_write(c, &entry->loader, sizeof(uint64));
	if (flags & CX_ENTRY_TYPED)
	{
		TypeField	field = {entry->type, entry->typhash};

		cx_arena_write(c, &field, sizeof(field));
	}
	if (flags & CX_ENTRY_CREATED)
		cx_arena_write(c, &entry->created, sizeof(TimestampTz));
	if (flags & CX_ENTRY_TAGS)
	{
		TagsField	field = {(uint16) entry->ntags, tags_len(entry)};

		cx_arena_write(c, &field, sizeof(field));
	}
	if (has_reads(entry))
	{
		ReadsField	field = {entry->reads->exact, entry->reads->nread,
		entry->reads->nabove, entry->reads->settings_len};

		cx_arena_write(c, &field, sizeof(field));
	}
	if (flags & CX_ENTRY_METADATA)
		cx_arena_write(c, &entry->metadata_len, sizeof(uint32));
}

static void
write_reads(CxCursor *c, const CxReads *reads)
{
	if (reads->settings_len > 0)
	{
		cx_arena_write(c, &reads->settings_hash, sizeof(uint64));
		cx_arena_write(c, reads->settings, reads->settings_len);
	}
	cx_arena_write(c, reads->rel,
				   (reads->nread + reads->nabove) * sizeof(Oid));
}

/* Writes the entry into slot->data, which has room for cx_entry_size bytes. */
void
cx_entry_write(CxSlot *slot, const CxIdent *ident, const CxNewEntry *entry)
{
	bool		in_scope = (slot->flags & CX_SLOT_IN_SCOPE) != 0;
	CxScopeLink link = {ident->scope_id};
	CxCursor	c = {slot->data, 0};
	Header		header;

	header.role = ident->role;
	header.len = (uint32) cx_entry_size(ident, entry, in_scope);
	header.flags = flags_of(ident, entry);
	header.life_ms = (header.flags & CX_ENTRY_CREATED) ? 0
		: (uint32) ((cx_entry_end(entry) - entry->created) / 1000);
	header.key_len = ident->key_len;
	header.has_link = in_scope;
	header.has_stale = entry->stale_ms > 0;
	header.has_access = entry->access != NULL;
	header.has_reads = has_reads(entry);
	header.scope_len = ident->scope_len;
	cx_arena_write(&c, &header, sizeof(header));
	if (in_scope)
		cx_arena_write(&c, &link, sizeof(link));
	write_fields(&c, header.flags, entry);
	cx_arena_write(&c, ident->scope, ident->scope_len);
	cx_arena_write(&c, ident->key, ident->key_len);
	cx_arena_write(&c, entry->tag_id, entry->ntags * sizeof(uint64));
	for (int i = 0; i < entry->ntags; i++)
	{
		cx_arena_write(&c, &entry->tag_len[i], 1);
		cx_arena_write(&c, entry->tag[i], entry->tag_len[i]);
	}
	if (has_reads(entry))
		write_reads(&c, entry->reads);
	if (entry->access)
		cx_arena_write(&c, entry->access->word,
					   entry->access->len * sizeof(uint32));
	if (entry->metadata)
		cx_arena_write(&c, entry->metadata, entry->metadata_len);
	cx_arena_write(&c, entry->value, entry->value_len);
}

/* The fields of what changes. */
static void
read_changing(CxCursor *c, CxEntry *entry)
{
	entry->stale_ms = entry->seen_ms = 0;
	entry->stale_by_row = false;
	if (entry->has_stale)
	{
		StaleField	field;

		cx_arena_read(c, &field, sizeof(field));
		entry->stale_ms = field.stale_ms;
		entry->stale_by_row = field.by_row;
		entry->seen_ms = field.seen_ms;
	}
	entry->access_len = 0;
	if (entry->has_access)
	{
		AccessField field;

		cx_arena_read(c, &field, sizeof(field));
		entry->filler = field.filler;
		entry->filler_only = field.filler_only;
		entry->access_len = field.len;
		memcpy(entry->checked, field.checked, sizeof(field.checked));
	}
}

static void
read_fields(CxCursor *c, CxEntry *entry)
{
	read_changing(c, entry);
	entry->loader = 0;
	entry->type = JSONBOID;
	entry->typhash = 0;
	entry->ntags = entry->tags_len = 0;
	entry->exact = false;
	entry->nread = entry->nabove = entry->settings_len = 0;
	entry->metadata_len = 0;
	if (entry->flags & CX_ENTRY_LOADER)
		cx_arena_read(c, &entry->loader, sizeof(uint64));
	if (entry->flags & CX_ENTRY_TYPED)
	{
		TypeField	field;

		cx_arena_read(c, &field, sizeof(field));
		entry->type = field.type;
		entry->typhash = field.typhash;
	}
	if (entry->flags & CX_ENTRY_CREATED)
		cx_arena_read(c, &entry->created, sizeof(TimestampTz));
	if (entry->flags & CX_ENTRY_TAGS)
	{
		TagsField	field;

		cx_arena_read(c, &field, sizeof(field));
		entry->ntags = field.ntags;
		entry->tags_len = field.len;
	}
	if (entry->has_reads)
	{
		ReadsField	field;

		cx_arena_read(c, &field, sizeof(field));
		entry->exact = field.exact;
		entry->nread = field.nread;
		entry->nabove = field.nabove;
		entry->settings_len = field.settings_len;
	}
	if (entry->flags & CX_ENTRY_METADATA)
		cx_arena_read(c, &entry->metadata_len, sizeof(uint32));
}

/* Where the fields begin. */
static inline uint32
fields_at(const Header *header)
{
	return sizeof(Header) + (header->has_link ? sizeof(CxScopeLink) : 0);
}

/* Fills entry from a slot; the cursor for tags is still before the names. */
void
cx_entry_read(const CxSlot *slot, CxEntry *entry)
{
	const Header *header = (const Header *) cx_arena_address(slot->data);
	CxCursor	c = {slot->data, fields_at(header)};
	uint32		before;

	entry->role = header->role;
	entry->flags = header->flags;
	entry->scope_len = header->scope_len;
	entry->key_len = header->key_len;
	entry->has_reads = header->has_reads;
	entry->has_link = header->has_link;
	entry->has_stale = header->has_stale;
	entry->has_access = header->has_access;
	entry->created = slot->expires - (int64) header->life_ms * 1000;
	read_fields(&c, entry);
	entry->names = c;
	before = fields_at(header) + (entry->has_stale ? sizeof(StaleField) : 0) +
		(entry->has_access ? sizeof(AccessField) : 0) +
		((entry->flags & CX_ENTRY_LOADER) ? sizeof(uint64) : 0) +
		((entry->flags & CX_ENTRY_TYPED) ? sizeof(TypeField) : 0) +
		((entry->flags & CX_ENTRY_CREATED) ? sizeof(TimestampTz) : 0) +
		((entry->flags & CX_ENTRY_TAGS) ? sizeof(TagsField) : 0) +
		(entry->has_reads ? sizeof(ReadsField) : 0) +
		((entry->flags & CX_ENTRY_METADATA) ? sizeof(uint32) : 0) +
		entry->scope_len + entry->key_len +
		entry->ntags * sizeof(uint64) + entry->tags_len +
		reads_len(entry->nread + entry->nabove, entry->settings_len,
				  entry->access_len) + entry->metadata_len;
	entry->value_len = header->len - before;
	entry->tags = c;
}

/* Bytes of the whole entry. */
uint32
cx_entry_len(const CxSlot *slot)
{
	return ((const Header *) cx_arena_address(slot->data))->len;
}

/*
 * Notes that an entry with a stale field was fresh so long after its creation.
 * Others may read or write it at the same time: the value is one word.
 */
void
cx_entry_set_seen(const CxSlot *slot, uint32 seen_ms)
{
	char	   *address = cx_arena_address(slot->data);
	char	   *field = address + fields_at((const Header *) address);

	*(volatile uint32 *) (field + offsetof(StaleField, seen_ms)) = seen_ms;
}

/*
 * Notes that a role may be served an entry with an access field.  Others may
 * do the same at the same time, and one of the notes be lost.
 */
void
cx_entry_set_checked(const CxSlot *slot, Oid role)
{
	const Header *header = (const Header *) cx_arena_address(slot->data);
	AccessField *field = (AccessField *)
	(cx_arena_address(slot->data) + fields_at(header) +
	 (header->has_stale ? sizeof(StaleField) : 0));
	volatile Oid *checked = field->checked;
	int			n = 0;

	while (n < CX_CHECKED_ROLES && OidIsValid(checked[n]))
		n++;
	checked[n < CX_CHECKED_ROLES ? n : role % CX_CHECKED_ROLES] = role;
}

/*
 * Whether the slot holds the entry of an identity; compares all of it.  If
 * so, entry is filled and its cursor for tags is set.
 */
bool
cx_entry_matches(const CxSlot *slot, const CxIdent *ident, CxEntry *entry)
{
	const Header *header = (const Header *) cx_arena_address(slot->data);
	CxCursor	c;

	if (slot->cache != ident->cache || header->role != ident->role ||
		header->key_len != ident->key_len ||
		header->scope_len != ident->scope_len ||
		((header->flags & CX_ENTRY_SCOPE) != 0) != ident->has_scope)
		return false;
	cx_entry_read(slot, entry);
	c = entry->names;
	if (!cx_arena_equal(&c, ident->scope, ident->scope_len) ||
		!cx_arena_equal(&c, ident->key, ident->key_len))
		return false;
	entry->tags = c;
	return true;
}

/* Of a slot with CX_SLOT_IN_SCOPE; it lies in the first segment. */
CxScopeLink *
cx_entry_link(const CxSlot *slot)
{
	return (CxScopeLink *) (cx_arena_address(slot->data) + sizeof(Header));
}

/* Copies the scope, up to CX_MAX_SCOPE bytes; returns how many. */
uint8
cx_entry_scope(const CxSlot *slot, char *scope)
{
	CxEntry		entry;

	cx_entry_read(slot, &entry);
	cx_arena_read(&entry.names, scope, entry.scope_len);
	return entry.scope_len;
}

/* Whether an entry that has a scope has this one. */
bool
cx_entry_has_scope(const CxSlot *slot, const char *scope, uint8 len)
{
	CxEntry		entry;

	cx_entry_read(slot, &entry);
	return entry.scope_len == len &&
		cx_arena_equal(&entry.names, scope, len);
}

/* What the loader has read; entry->tags must be set. */
void
cx_entry_reads(const CxEntry *entry, CxReads *reads)
{
	CxCursor	c = entry->tags;

	reads->known = entry->has_reads;
	reads->exact = entry->exact;
	reads->nread = entry->nread;
	reads->nabove = entry->nabove;
	reads->settings_len = entry->settings_len;
	if (!entry->has_reads)
		return;
	cx_arena_skip(&c, entry->ntags * sizeof(uint64) + entry->tags_len);
	if (entry->settings_len > 0)
	{
		cx_arena_read(&c, &reads->settings_hash, sizeof(uint64));
		cx_arena_read(&c, reads->settings, entry->settings_len);
	}
	cx_arena_read(&c, reads->rel,
				  (entry->nread + entry->nabove) * sizeof(Oid));
}

/* What must be checked before others are served; entry->tags must be set. */
void
cx_entry_access(const CxEntry *entry, CxAccess *access)
{
	CxCursor	c = entry->tags;

	access->filler = entry->filler;
	access->filler_only = entry->filler_only;
	access->len = entry->access_len;
	cx_arena_skip(&c, entry->ntags * sizeof(uint64) + entry->tags_len +
				  reads_len(entry->nread + entry->nabove,
							entry->settings_len, 0));
	cx_arena_read(&c, access->word, entry->access_len * sizeof(uint32));
}

/* Where the metadata begins; entry->tags must be set. */
CxCursor
cx_entry_metadata(const CxEntry *entry)
{
	CxCursor	c = entry->tags;

	cx_arena_skip(&c, entry->ntags * sizeof(uint64) + entry->tags_len +
				  reads_len(entry->nread + entry->nabove,
							entry->settings_len, entry->access_len));
	return c;
}

/* Where the value begins; entry->tags must be set. */
CxCursor
cx_entry_value(const CxEntry *entry)
{
	CxCursor	c = cx_entry_metadata(entry);

	cx_arena_skip(&c, entry->metadata_len);
	return c;
}
