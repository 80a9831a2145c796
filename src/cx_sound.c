/*
 * cx_sound.c
 *	  Whether bytes from a file are an entry, before anything relies on them.
 *
 * Locking: none; the entry is not yet reachable.
 */
#include "postgres.h"

#include "cx_sound.h"

/* Whether each tag has a text, and they are as long as all together. */
static bool
tags_are_sound(const CxEntry *entry)
{
	CxCursor	c = entry->tags;
	Size		len = 0;
	uint8		one;
	int			i;

	cx_arena_skip(&c, entry->ntags * sizeof(uint64));
	for (i = 0; i < entry->ntags && len < entry->tags_len; i++)
	{
		cx_arena_read(&c, &one, 1);
		cx_arena_skip(&c, one);
		len += 1 + one;
	}
	return i == entry->ntags && len == entry->tags_len;
}

/* The same for the names of settings, which a zero byte ends. */
static bool
settings_are_sound(const CxEntry *entry)
{
	CxCursor	c = entry->tags;
	char		last;

	if (entry->settings_len == 0)
		return true;
	cx_arena_skip(&c, entry->ntags * sizeof(uint64) + entry->tags_len +
				  sizeof(uint64) + entry->settings_len - 1);
	cx_arena_read(&c, &last, 1);
	return last == '\0';
}

/*
 * Whether len bytes that came from outside are an entry, as far as one can
 * see: reading it stays within them.  Fills entry, its cursor for tags too.
 */
bool
cx_sound_entry(const CxSlot *slot, uint32 len, CxEntry *entry)
{
	CxCursor	c;

	if (len < CX_ENTRY_HEADER || cx_entry_len(slot) != len)
		return false;
	cx_entry_read(slot, entry);
	/* a sum beyond len shows as a value that is longer */
	if (entry->metadata_len > len || entry->value_len > len ||
		entry->key_len > CX_MAX_KEY || entry->ntags > CX_MAX_TAGS ||
		entry->nread + entry->nabove > CX_MAX_RELATIONS ||
		entry->settings_len > CX_MAX_SETTINGS ||
		entry->access_len > CX_MAX_ACCESS ||
		((entry->scope_len > 0 || entry->has_link) &&
		 (entry->flags & CX_ENTRY_SCOPE) == 0))
		return false;
	c = entry->names;
	cx_arena_skip(&c, entry->scope_len + entry->key_len);
	entry->tags = c;
	return tags_are_sound(entry) && settings_are_sound(entry);
}
