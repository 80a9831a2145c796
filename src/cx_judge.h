/*
 * cx_judge.h
 *	  Whether all that a plan's result depends on can be known.
 */
#ifndef CX_JUDGE_H
#define CX_JUDGE_H

#include "nodes/plannodes.h"

#include "cx_share.h"

/* Why a result cannot be kept by an exact cache */
typedef enum CxRefusal
{
	CX_NOT_REFUSED,
	CX_UNWATCHED,				/* a table that nobody watches */
	CX_VOLATILE,				/* a volatile function */
	CX_UNKNOWN_FUNCTION,		/* one that may depend on anything */
	CX_UNKNOWN_RELATION,		/* foreign, temporary, a catalog ... */
	CX_UNKNOWN_QUERY,			/* a sample, system columns, a cursor ... */
	CX_TOO_MANY_RELATIONS
} CxRefusal;

#define CX_NREFUSALS (CX_TOO_MANY_RELATIONS + 1)

typedef struct CxJudgement
{
	CxRefusal	refusal;
	Oid			function;		/* the culprit, or invalid */
	const char *what;			/* the culprit that is not a function, or NULL */
	bool		user_code;		/* functions may run queries of their own */
	bool		privileges;		/* functions may ask what somebody may do */
	List	   *settings;		/* char *: names that are read */
	Oid			unbelieved;		/* a function that may have read unseen */
	Oid			session;		/* one that may depend on the session */
	bool		temporary;		/* the session has temporary objects */
	bool		share;			/* the following is wanted */
	CxSharing	sharing;
} CxJudgement;

extern void cx_judge_plan(const PlannedStmt *stmt, bool share,
						  CxJudgement *judgement);

#endif							/* CX_JUDGE_H */
