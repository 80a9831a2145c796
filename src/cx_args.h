/*
 * cx_args.h
 *	  From the arguments of an SQL function to a question for the engine.
 *	  Whatever is wrong with them is an error here, before anything changes.
 */
#ifndef CX_ARGS_H
#define CX_ARGS_H

#include "fmgr.h"
#include "utils/array.h"

#include "cx_cache.h"

/* How long an entry is to live, as the caller says it. */
typedef struct CxLife
{
	bool		has_ttl;
	int64		ttl_us;
	bool		has_expires;
	TimestampTz expires;
	bool		has_stale;		/* else as the cache says */
	int64		stale_us;
	bool		stale_by_row;	/* the loader's row says so */
} CxLife;

/* The scope of a call; name NULL: there is none. */
typedef struct CxScope
{
	const char *name;
	Size		len;
} CxScope;

extern text *cx_args_text(FunctionCallInfo fcinfo, int n, const char *what,
						  Size longest);
extern CxCache *cx_args_cache(FunctionCallInfo fcinfo, int n);
extern void cx_args_ask(FunctionCallInfo fcinfo, int key_arg, int scope_arg,
						uint8 needs, CxAsk *ask);
extern void cx_args_ask_key(CxAsk *ask, CxCache *cache, text *key,
							CxScope scope, uint8 needs);
extern CxScope cx_args_scope(FunctionCallInfo fcinfo, int n, CxCache *cache);
extern void cx_args_check_key(const char *key, Size len);
extern CxLife cx_args_life(FunctionCallInfo fcinfo, int ttl_arg,
						   int expires_arg);
extern void cx_args_stale(FunctionCallInfo fcinfo, int n, CxAsk *ask,
						  CxLife *life);
extern ArrayType *cx_args_array(FunctionCallInfo fcinfo, int n);
extern char *cx_args_cstring(FunctionCallInfo fcinfo, int n);
extern void cx_args_tags(CxNewEntry *entry, ArrayType *tags);
extern void cx_args_writable(const char *function);

#endif							/* CX_ARGS_H */
