/*
 * cx_memo.c
 *	  Answers about functions that are kept until the catalogs change.
 *
 * Any function may have been found by any name, so a change of one, or of what
 * names are looked up in, ends all answers; also one that is made meanwhile.
 * Code is read as standard_conforming_strings has it, so that ends them too.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "parser/parser.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "cx_memo.h"

/* What this session has heard of: all changes, and those but for types. */
static uint64 all_changes = 0;
static uint64 changes = 0;

static void
catalog_cb(Datum arg, int cache, uint32 hash)
{
	all_changes++;
	if (DatumGetBool(arg))
		changes++;
}

static inline uint64
changes_of(const CxMemo *memo)
{
	return memo->types ? all_changes : changes;
}

static void
register_callback(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterSyscacheCallback(PROCOID, catalog_cb, BoolGetDatum(true));
	CacheRegisterSyscacheCallback(OPEROID, catalog_cb, BoolGetDatum(true));
	CacheRegisterSyscacheCallback(CASTSOURCETARGET, catalog_cb, BoolGetDatum(true));
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_cb, BoolGetDatum(true));
	/* a new table is a type as well, so these are many */
	CacheRegisterSyscacheCallback(TYPEOID, catalog_cb, BoolGetDatum(false));
	CacheRegisterSyscacheCallback(CONSTROID, catalog_cb, BoolGetDatum(false));
	registered = true;
}

/* Forgets all answers. */
static void
reset(CxMemo *memo)
{
	HASHCTL		ctl;

	register_callback();
	memo->answers = NULL;
	if (memo->context)
		MemoryContextDelete(memo->context);
	memo->context = NULL;
	memo->context = AllocSetContextCreate(CacheMemoryContext, "cachex memo",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextSetIdentifier(memo->context, memo->name);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = memo->answer_size;
	ctl.hcxt = memo->context;
	memo->answers = hash_create(memo->name, 64, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memo->as_of = changes_of(memo);
	memo->strings = standard_conforming_strings;
}

/*
 * The answer about a function, or NULL: it is to be found out, and entered.
 * Valid until the next call for this memo.
 */
void *
cx_memo_find(CxMemo *memo, Oid function)
{
	if (memo->answers == NULL || memo->as_of != changes_of(memo) ||
		memo->strings != standard_conforming_strings)
		reset(memo);
	return hash_search(memo->answers, &function, HASH_FIND, NULL);
}

/*
 * A new answer, to be filled after cx_memo_find has found none.  What it points
 * to has to be in memo->context.
 */
void *
cx_memo_enter(CxMemo *memo, Oid function)
{
	return hash_search(memo->answers, &function, HASH_ENTER, NULL);
}
