/*
 * cx_writes.c
 *	  A list in the transaction's memory.
 *
 * Locking: none; this backend's memory only.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "cx_writes.h"

bool		cx_writes_any = false;
bool		cx_writes_ddl = false;

static CxWrite *writes = NULL;	/* in TopTransactionContext */
static int	nwrites = 0;
static int	space = 0;
static int	last = 0;			/* where the last one was found */

static bool
is_same(const CxWrite *a, const CxWrite *b)
{
	return a->rel == b->rel && a->db == b->db && a->aspect == b->aspect &&
		a->late == b->late;
}

static void
grow(void)
{
	if (writes == NULL)
	{
		space = 16;
		writes = MemoryContextAlloc(TopTransactionContext,
									space * sizeof(CxWrite));
	}
	else if (nwrites == space)
	{
		writes = repalloc_huge(writes, (Size) space * 2 * sizeof(CxWrite));
		space *= 2;
	}
}

/*
 * Adds a write unless it is there already; returns its place in the list,
 * valid until the next call.  Raises an error when there is no memory.
 */
CxWrite *
cx_writes_add(const CxWrite *write)
{
	if (last < nwrites && is_same(&writes[last], write))
		return &writes[last];
	for (last = 0; last < nwrites; last++)
	{
		if (is_same(&writes[last], write))
			return &writes[last];
	}
	grow();
	writes[nwrites++] = *write;
	cx_writes_any = true;
	return &writes[last];
}

/* Whether the transaction has written one of these aspects of a relation. */
bool
cx_writes_own(Oid rel, uint8 aspects)
{
	for (int i = 0; i < nwrites; i++)
	{
		if (writes[i].rel == rel && writes[i].db == MyDatabaseId &&
			(aspects & CX_ASPECT(writes[i].aspect)))
			return true;
	}
	return false;
}

int
cx_writes_count(void)
{
	return nwrites;
}

CxWrite *
cx_writes_get(int n)
{
	return &writes[n];
}

/* At the end of the transaction. Cannot fail. */
void
cx_writes_forget(void)
{
	writes = NULL;
	nwrites = space = last = 0;
	cx_writes_any = false;
	cx_writes_ddl = false;
}
