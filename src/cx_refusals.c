/*
 * cx_refusals.c
 *	  What is counted, and what a user is told, when a result is not kept.
 *
 * Each thing is said once in a session: a loader that is called all the time
 * would drown everything else.
 *
 * Locking: none.
 * Not here: why it is not kept (cx_judge.c, cx_cache.c).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "cx_refusals.h"

/* What is counted, and said, of what an exact cache does not keep */
static const struct
{
	CxCounter	counter;
	const char *message;		/* %s: the culprit, where there is one */
	const char *hint;
}			refusals[CX_NREFUSALS] =

{
	[CX_NOT_REFUSED] = {CX_NCOUNTERS, NULL, NULL},
	[CX_UNWATCHED] = {CX_REFUSED_UNWATCHED,
		"table \"%s\" is not watched",
	"Its owner can use cachex.watch() on it; or use a cache with consistency \"ttl\"."},
	[CX_VOLATILE] = {CX_REFUSED_VOLATILE,
		"%s is volatile",
	"Declare your own functions STABLE where they are; else use a cache with consistency \"ttl\"."},
	[CX_UNKNOWN_FUNCTION] = {CX_REFUSED_FUNCTION,
		"what %s returns may change unseen",
	"Declare it STABLE if it reads anything; else leave it out of the query, or use a cache with consistency \"ttl\"."},
	[CX_UNKNOWN_RELATION] = {CX_REFUSED_RELATION,
		"\"%s\" is no ordinary table",
	"Foreign tables and catalogs change unseen: use a cache with consistency \"ttl\". Temporary tables are the session's own."},
	[CX_UNKNOWN_QUERY] = {CX_REFUSED_QUERY,
		"the query uses %s",
	"Leave it out of the query, or use a cache with consistency \"ttl\"."},
	[CX_TOO_MANY_RELATIONS] = {CX_REFUSED_TABLES,
		"the query reads too many tables",
	"An entry can depend on 128 tables; partitions of one that is read count as one."},
};

/* What a refusal is counted as; CX_NCOUNTERS = not at all. */
CxCounter
cx_refusals_counter(CxRefusal refusal)
{
	return refusals[refusal].counter;
}

/*
 * Says why an exact cache does not keep a result.  culprit is a function, table
 * or construct, NULL = unknown.
 */
void
cx_refusals_announce(const char *cache, CxRefusal refusal, const char *culprit)
{
	static bool said[CX_NREFUSALS];

	if (said[refusal])
		return;
	said[refusal] = true;
	ereport(NOTICE,
			(errmsg("result is not kept in cache \"%s\"", cache),
			 errdetail_internal(refusals[refusal].message,
								culprit ? culprit : "something"),
			 errhint("%s", refusals[refusal].hint)));
}

/* Says why rows with a column of a type are not kept. */
void
cx_refusals_announce_type(const char *cache, Oid type)
{
	static bool said = false;

	if (said)
		return;
	said = true;
	ereport(NOTICE,
			(errmsg("result is not kept in cache \"%s\"", cache),
			 errdetail("It has a column of type %s.", format_type_be(type)),
			 errhint("Cast the value to a named type or to jsonb.")));
}

/*
 * Counts a call by a role that may not use the cache, or not fill it: the
 * loader answers him.  Says so once in a session.
 */
void
cx_refusals_note_denied(const CxAsk *ask)
{
	static bool said = false;
	bool		reads = (ask->may & CX_MAY_READ) != 0;

	if (ask->cache->number >= 0)
		cx_counters_add(ask->cache->number, CX_DENIED, 1);
	if (said)
		return;
	said = true;
	ereport(NOTICE,
			(errmsg(reads ? "role \"%s\" does not fill cache \"%s\""
					: "role \"%s\" does not use cache \"%s\"",
					GetUserNameFromId(GetUserId(), false),
					ask->cache->name),
			 errhint("Its owner can use cachex.grant_cache() to give the privilege \"%s\".",
					 reads ? "write" : "read")));
}
