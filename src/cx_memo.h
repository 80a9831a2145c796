/*
 * cx_memo.h
 *	  What this session has found out about functions.
 */
#ifndef CX_MEMO_H
#define CX_MEMO_H

#include "utils/hsearch.h"
#include "utils/palloc.h"

/* Name and size are the owner's, the rest begins as zeros. */
typedef struct CxMemo
{
	const char *name;
	Size		answer_size;	/* of answers, which begin with an Oid */
	bool		types;			/* answers depend on domains and types, too */
	HTAB	   *answers;
	MemoryContext context;		/* for what answers point to */
	uint64		as_of;
	bool		strings;		/* standard_conforming_strings then */
} CxMemo;

extern void *cx_memo_find(CxMemo *memo, Oid function);
extern void *cx_memo_enter(CxMemo *memo, Oid function);

#endif							/* CX_MEMO_H */
