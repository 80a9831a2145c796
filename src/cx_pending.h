/*
 * cx_pending.h
 *	  What the current transaction will do to the cache when it commits: a log
 *	  in this backend's memory.
 */
#ifndef CX_PENDING_H
#define CX_PENDING_H

#include "cx_deps.h"

typedef enum CxOpKind
{
	CX_OP_WRITE,				/* put, update, take ...: an identity changes */
	CX_OP_INVALIDATE,			/* a dependency's generation moves */
	CX_OP_LIKE,					/* keys that match a pattern */
	CX_OP_MATCHED,				/* a key that did, as of the commit; what the
								 * transaction wrote after the pattern stays */
	CX_OP_ROW_ADDED,			/* a cache's row was inserted */
	CX_OP_ROW_CHANGED,
	CX_OP_ROW_DELETED,
	CX_OP_DATABASE_DROPPED,
	CX_OP_STORED				/* for the table of stored entries only */
} CxOpKind;

#define CX_OP_NONE PG_UINT32_MAX

typedef struct CxOp
{
	uint64		id;				/* identity or dependency; 0 for rows */
	uint8		kind;
	uint8		dep_kind;		/* of CX_OP_INVALIDATE */
	bool		marked;			/* its mark stands and is to be resolved */
	bool		stored;			/* it is in the table of invalidations */
	char		command;		/* of an invalidation, CX_COMMAND_ */
	uint16		cache;
	Oid			cause;			/* the table whose change it is, or invalid */
	uint32		before;			/* earlier operation with the same id */
	uint64		stable;			/* as id, for tables of stored entries; 0 =
								 * not for them */
	union
	{
		struct
		{
			uint64		key_id; /* dependencies, as in CxIdent */
			uint64		scope_id;
			uint64		scoped_key_id;
			uint64		cache_id;
			uint64		fills_id;
			uint64		stage_gen;
			uint64		base_gen;	/* as in CxPublish */
			uint64		check_gen;	/* loses to what moved after this; 0 = to
									 * nothing */
			uint64		reads_gen;	/* the same for relations */
			uint32		slot;	/* CX_NONE: the entry goes */
			bool		has_deps;
			bool		loaded; /* by a loader, when check_gen was drawn */
			bool		lost;	/* after the commit: to be given up */
			bool		beside_pattern; /* one may have looked before */
			bool		in_scope;	/* the slot has CX_SLOT_IN_SCOPE */
			bool		deferred;	/* the row is left to a worker */
			struct CxTierNew *kept; /* copy for a row, or NULL */
			struct CxTierBase *base;	/* of an atomic change, or NULL */
		}			write;
		uint64		packed_cache;	/* by cx_registry_pack */
		uint64		matched;	/* the key's dependency */
		struct
		{
			uint64		deps;	/* of the cache */
			char	   *pattern;
		}			like;
		struct
		{
			int64		id;
			uint64		max_entries;
			uint64		max_bytes;
			uint64		max_per_scope;
			bool		keep;	/* entries outlive a restart */
		}			row;
	}			u;
} CxOp;

extern bool cx_pending_any;		/* the log is not empty */

extern uint32 cx_pending_count(void);
extern CxOp *cx_pending_get(uint32 n);
extern CxOp *cx_pending_add(CxOpKind kind, uint64 id);
extern void cx_pending_blame(Oid rel, char command);
extern uint32 cx_pending_last(uint64 id);
extern uint32 cx_pending_last_invalidation(void);
extern bool cx_pending_later(uint64 id, uint32 n);
extern bool cx_pending_same_level(uint32 n);
extern uint32 cx_pending_level_start(int level);
extern void cx_pending_truncate(uint32 n);
extern void cx_pending_end_level(int level);
extern void cx_pending_forget(void);
extern char *cx_pending_strdup(const char *s);

#endif							/* CX_PENDING_H */
