/*
 * cx_entry.h
 *	  How an entry lies in its segments: a header of 16 bytes, its place in
 *	  its scope, optional fields, scope, key, tags, what was read, metadata,
 *	  value.
 */
#ifndef CX_ENTRY_H
#define CX_ENTRY_H

#include "cx_key.h"
#include "cx_slot.h"

#define CX_ENTRY_SCOPE		0x01	/* has a scope */
#define CX_ENTRY_NULL		0x02	/* the value is SQL NULL */
#define CX_ENTRY_MANUAL		0x04	/* written by hand, not by a loader */
#define CX_ENTRY_LOADER		0x08	/* has a loader's fingerprint */
#define CX_ENTRY_TYPED		0x10	/* the value is not jsonb */
#define CX_ENTRY_CREATED	0x20	/* the time of creation is kept by itself */
#define CX_ENTRY_TAGS		0x40
#define CX_ENTRY_METADATA	0x80

/*
 * The place of an entry with CX_SLOT_IN_SCOPE among those of its scope: see
 * cx_scopes.c.  Policy lock, but for the id.
 */
typedef struct CxScopeLink
{
	uint64		id;				/* scope_id of its identity; fixed */
	uint32		prev;			/* a ring, from the oldest to the latest */
	uint32		next;
	uint32		chain;			/* the next scope of the bucket; of the oldest */
	uint32		count;			/* entries of the scope; of the oldest */
} CxScopeLink;

#define CX_ENTRY_HEADER 16		/* bytes that each entry has */
#define CX_MAX_RELATIONS 128	/* that an entry may depend on */
#define CX_MAX_SETTINGS 512		/* bytes of the names of settings */
#define CX_SETTING_SCHEMA "current_schema"	/* among them: what that returns */

/*
 * What a loader has read: relations of the database, first those that it
 * read, then those above them; and settings, by name, each ended by a zero
 * byte, with a hash of their values.
 */
typedef struct CxReads
{
	bool		known;			/* false: nothing is known of it */
	bool		exact;			/* it depends on nothing else */
	uint16		nread;
	uint16		nabove;
	uint16		settings_len;
	uint64		settings_hash;
	Oid			rel[CX_MAX_RELATIONS];
	char		settings[CX_MAX_SETTINGS];
} CxReads;

#define CX_MAX_ACCESS 256		/* words of what must be checked */
#define CX_CHECKED_ROLES 4		/* that an entry remembers */

/*
 * Whom the result of a loader may be served to, in a shared cache: who could
 * run it himself.  The words are what is to be checked for a role: cx_access.c.
 */
typedef struct CxAccess
{
	Oid			filler;			/* is not checked; InvalidOid: everybody is */
	bool		filler_only;	/* nobody else is served */
	uint16		len;
	uint32		word[CX_MAX_ACCESS];
} CxAccess;

/* What is to be stored. Pointers into the caller's memory. */
typedef struct CxNewEntry
{
	bool		isnull;
	bool		manual;
	bool		has_loader;
	bool		from_table;		/* it is a row of stored entries already */
	Oid			type;			/* JSONBOID or another */
	uint32		typhash;
	uint64		loader;			/* fingerprint */
	TimestampTz created;
	TimestampTz expires;		/* CX_NEVER = does not */
	uint32		stale_ms;		/* kept so long past that, or past being dead */
	bool		stale_by_row;	/* the loader's row says so */
	double		cost_us;
	const CxReads *reads;		/* NULL = not known */
	const CxAccess *access;		/* NULL = who may read the cache */
	int			ntags;
	uint64		tag_id[CX_MAX_TAGS];
	const char *tag[CX_MAX_TAGS];	/* not terminated */
	uint8		tag_len[CX_MAX_TAGS];
	const char *metadata;		/* jsonb without its length word, or NULL */
	uint32		metadata_len;
	const char *value;
	Size		value_len;
} CxNewEntry;

/* What is stored, without the bytes of tags, metadata and value. */
typedef struct CxEntry
{
	Oid			role;
	uint8		flags;
	uint8		scope_len;
	uint16		key_len;
	uint16		ntags;
	uint16		tags_len;		/* of their texts, a length byte before each */
	bool		has_link;		/* is one of a limited scope */
	bool		has_stale;
	bool		stale_by_row;
	uint32		stale_ms;
	uint32		seen_ms;		/* since creation: when it was last known to
								 * be fresh */
	bool		has_reads;
	bool		exact;			/* as in CxReads, as are the next three */
	uint16		nread;
	uint16		nabove;
	uint16		settings_len;
	bool		has_access;
	bool		filler_only;	/* as in CxAccess, as are the next two */
	Oid			filler;
	uint16		access_len;
	Oid			checked[CX_CHECKED_ROLES];	/* roles that may be served */
	Oid			type;
	uint32		typhash;
	uint64		loader;
	TimestampTz created;
	uint32		metadata_len;
	uint32		value_len;
	CxCursor	names;			/* scope and key */
	CxCursor	tags;			/* ids, then texts */
} CxEntry;

#define CX_MAX_STALE_MS PG_INT32_MAX	/* 24 days */

extern TimestampTz cx_entry_end(const CxNewEntry *entry);
extern void cx_entry_set_checked(const CxSlot *slot, Oid role);
extern void cx_entry_set_seen(const CxSlot *slot, uint32 seen_ms);
extern Size cx_entry_size(const CxIdent *ident, const CxNewEntry *entry,
						  bool in_scope);
extern void cx_entry_write(CxSlot *slot, const CxIdent *ident,
						   const CxNewEntry *entry);
extern void cx_entry_read(const CxSlot *slot, CxEntry *entry);
extern uint32 cx_entry_len(const CxSlot *slot);
extern bool cx_entry_matches(const CxSlot *slot, const CxIdent *ident,
							 CxEntry *entry);
extern CxScopeLink *cx_entry_link(const CxSlot *slot);
extern uint8 cx_entry_scope(const CxSlot *slot, char *scope);
extern bool cx_entry_has_scope(const CxSlot *slot, const char *scope,
							   uint8 len);
extern void cx_entry_reads(const CxEntry *entry, CxReads *reads);
extern void cx_entry_access(const CxEntry *entry, CxAccess *access);
extern CxCursor cx_entry_metadata(const CxEntry *entry);
extern CxCursor cx_entry_value(const CxEntry *entry);

#endif							/* CX_ENTRY_H */
