/*
 * cx_template.h
 *	  What a watch says: names of keys and tags with columns in them, as in
 *	  "user:<id>", and the other arguments of its triggers.
 */
#ifndef CX_TEMPLATE_H
#define CX_TEMPLATE_H

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

/* Text as it is, and a column after it. */
typedef struct CxPiece
{
	const char *literal;
	int			literal_len;
	const char *column;			/* NULL: nothing follows */
	AttrNumber	attnum;
	bool		is_cast;		/* to_text is a cast, else a type's output */
	FmgrInfo	to_text;
} CxPiece;

typedef struct CxTemplate
{
	const char *source;
	int			npieces;
	CxPiece    *pieces;
	bool		has_columns;
} CxTemplate;

/* The arguments of a trigger, as text; '' is what NULL is to watch() */
enum
{
	CX_WATCH_CACHE,
	CX_WATCH_KEYS,
	CX_WATCH_TAGS,
	CX_WATCH_ACTION,
	CX_WATCH_COLUMNS,
	CX_WATCH_SCOPE,
	CX_WATCH_NARGS
};

typedef struct CxWatchSpec
{
	const char *cache;			/* or NULL */
	CxTemplate *keys;
	int			nkeys;
	CxTemplate *tags;
	int			ntags;
	CxTemplate *scope;			/* of the keys, or NULL: all */
	bool		bare;			/* for exact caches only */
	bool		has_columns;	/* in one of the templates */
	bool		put;			/* the action; else invalidate */
	bool		stale;			/* invalidate what may then be served stale */
	bool		refresh;		/* and have a job compute the keys again */
	char	  **columns;		/* an UPDATE of others does not count */
	AttrNumber *attnums;		/* theirs; 0 = there is none */
	int			ncolumns;
} CxWatchSpec;

extern void cx_template_read_args(FunctionCallInfo fcinfo, int first,
								  char **args);
extern int	cx_template_count_args(char **args);
extern uint64 cx_template_hash_args(char **args);
extern void cx_template_parse_spec(CxWatchSpec *spec, int nargs, char **args);
extern const char *cx_template_bind(CxWatchSpec *spec, TupleDesc desc,
									bool *needs_settings);
extern const char *cx_template_bind_columns(CxWatchSpec *spec, TupleDesc desc);
extern bool cx_template_has_virtual(TupleDesc desc);

extern bool cx_template_render(CxTemplate *t, TupleTableSlot *slot,
							   StringInfo name);
extern bool cx_template_differs(const CxWatchSpec *spec,
								TupleTableSlot *old_row,
								TupleTableSlot *new_row);
extern int	cx_template_fix_settings(void);
extern void cx_template_restore_settings(int nest);

#endif							/* CX_TEMPLATE_H */
