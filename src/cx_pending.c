/*
 * cx_pending.c
 *	  The log of a transaction's changes, in the order of the calls.
 *
 * A subtransaction's operations are the log from where it started, so its
 * abort cuts the log there and its commit does nothing.  A hash from identity
 * or dependency to its last operation answers what the transaction itself
 * sees; each operation remembers the one before it, so cutting undoes it.
 *
 * Locking: none, all of it is this backend's.  Raises out of memory when an
 * operation is added, never later.  Does not know what operations mean.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "cx_notes.h"
#include "cx_pending.h"

typedef struct LastOp
{
	uint64		id;
	uint32		op;
	char		status;
} LastOp;

#define SH_PREFIX lastop
#define SH_ELEMENT_TYPE LastOp
#define SH_KEY_TYPE uint64
#define SH_KEY id
#define SH_HASH_KEY(tb, key) ((uint32) ((key) ^ ((key) >> 32)))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

bool		cx_pending_any = false;

static MemoryContext context = NULL;
static CxOp *ops = NULL;
static uint32 nops = 0;
static uint32 max_ops = 0;
static lastop_hash * last_ops = NULL;
static uint32 last_invalidation = CX_OP_NONE;
static Oid	cause = InvalidOid; /* of invalidations, see cx_pending_blame */
static char cause_command = CX_COMMAND_CALL;

/* level_start[i] is the length of the log when level i + 1 began. */
static uint32 *level_start = NULL;
static int	nlevels = 0;
static int	max_levels = 0;

uint32
cx_pending_count(void)
{
	return nops;
}

/* Valid until the next operation is added. */
CxOp *
cx_pending_get(uint32 n)
{
	Assert(n < nops);
	return &ops[n];
}

/* The last operation with an id, or CX_OP_NONE. Allocates nothing. */
uint32
cx_pending_last(uint64 id)
{
	LastOp	   *last;

	if (!cx_pending_any)
		return CX_OP_NONE;
	last = lastop_lookup(last_ops, id);
	return last ? last->op : CX_OP_NONE;
}

static void
create_log(void)
{
	/* of the transaction until all of it is there: it goes with an error */
	MemoryContext new = AllocSetContextCreate(TopTransactionContext,
											  "cachex pending changes",
											  ALLOCSET_DEFAULT_SIZES);

	max_ops = 64;
	ops = MemoryContextAlloc(new, max_ops * sizeof(CxOp));
	max_levels = 8;
	level_start = MemoryContextAlloc(new, max_levels * sizeof(uint32));
	last_ops = lastop_create(new, 64, NULL);
	nops = 0;
	nlevels = 0;
	MemoryContextSetParent(new, TopMemoryContext);
	context = new;
}

/* Levels that began since the last operation begin here. */
static void
note_levels(void)
{
	int			level = GetCurrentTransactionNestLevel();

	if (level > max_levels)
	{
		int			n = Max(level, max_levels * 2);

		level_start = repalloc_huge(level_start, (Size) n * sizeof(uint32));
		max_levels = n;
	}
	while (nlevels < level)
		level_start[nlevels++] = nops;
}

/* What the invalidations are for that follow; for the view dependencies. */
void
cx_pending_blame(Oid rel, char command)
{
	cause = rel;
	cause_command = command;
}

/*
 * The place of an id in the hash.  When that has to grow and there is no
 * memory, simplehash leaves it with the new size and the old elements; the
 * abort is about to look into it.
 */
static LastOp *
insert_last(uint64 id, bool *found)
{
	lastop_hash before = *last_ops;
	LastOp	   *last;

	PG_TRY();
	{
		last = lastop_insert(last_ops, id, found);
	}
	PG_CATCH();
	{
		if (last_ops->data == before.data)
			*last_ops = before;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return last;
}

/*
 * Appends an operation.  The caller fills in the rest, without raising an
 * error before it is filled in.  id 0 is not looked up later.
 */
CxOp *
cx_pending_add(CxOpKind kind, uint64 id)
{
	CxOp	   *op;

	if (context == NULL)
		create_log();
	note_levels();
	if (nops == max_ops)
	{
		if (max_ops > PG_UINT32_MAX / 4)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many cache changes in one transaction")));
		ops = repalloc_huge(ops, (Size) max_ops * 2 * sizeof(CxOp));
		max_ops *= 2;
	}
	op = &ops[nops];
	memset(op, 0, sizeof(CxOp));
	op->kind = kind;
	op->id = id;
	op->before = CX_OP_NONE;
	if (id != 0)
	{
		bool		found;
		LastOp	   *last = insert_last(id, &found);

		if (found)
			op->before = last->op;
		last->op = nops;
	}
	if (kind == CX_OP_INVALIDATE)
	{
		op->cause = cause;
		op->command = cause_command;
		last_invalidation = nops;
	}
	nops++;
	cx_pending_any = true;
	return op;
}

/* Whether an operation belongs to the innermost subtransaction. */
bool
cx_pending_same_level(uint32 n)
{
	note_levels();
	return n >= level_start[nlevels - 1];
}

/* The length of the log when a nesting level began. */
uint32
cx_pending_level_start(int level)
{
	return level <= nlevels ? level_start[level - 1] : nops;
}

/* Cuts the log; what the cut operations hold is given up before. */
void
cx_pending_truncate(uint32 n)
{
	while (nops > n)
	{
		CxOp	   *op = &ops[--nops];

		if (op->id == 0)
			continue;
		if (op->before == CX_OP_NONE)
			lastop_delete(last_ops, op->id);
		else
			lastop_lookup(last_ops, op->id)->op = op->before;
	}
	cx_pending_any = nops > 0;
	while (last_invalidation != CX_OP_NONE &&
		   (last_invalidation >= nops ||
			ops[last_invalidation].kind != CX_OP_INVALIDATE))
		last_invalidation = last_invalidation == 0 ? CX_OP_NONE :
			Min(last_invalidation, nops) - 1;
}

/* The last operation that invalidates, or CX_OP_NONE. */
uint32
cx_pending_last_invalidation(void)
{
	return last_invalidation;
}

/* A level ended: what it logged belongs to the one above. */
void
cx_pending_end_level(int level)
{
	nlevels = Min(nlevels, level - 1);
}

/* The transaction is over. */
void
cx_pending_forget(void)
{
	if (context)
		MemoryContextDelete(context);
	context = NULL;
	ops = NULL;
	last_ops = NULL;
	level_start = NULL;
	nops = max_ops = 0;
	nlevels = max_levels = 0;
	last_invalidation = CX_OP_NONE;
	cx_pending_any = false;
	cx_pending_blame(InvalidOid, CX_COMMAND_CALL);
}

/* A copy that lives as long as the log. */
char *
cx_pending_strdup(const char *s)
{
	if (context == NULL)
		create_log();
	return MemoryContextStrdup(context, s);
}

/*
 * Whether an operation with this id came after operation n; n = CX_OP_NONE:
 * whether there is one at all.
 */
bool
cx_pending_later(uint64 id, uint32 n)
{
	uint32		last = cx_pending_last(id);

	return last != CX_OP_NONE && (n == CX_OP_NONE || last > n);
}
