/*
 * history.h
 *	  What the parts of the history test share.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpq-fe.h"

#define MAX_WORKERS		64
#define MAX_KINDS		20
#define MAX_PREPARED	14
#define MAX_DETAILS		5
#define MAX_SEEN		64
#define DETAIL_SIZE		6000
#define SQL_SIZE		16384
#define NCLASSES		(36 * 36)

/* A query whose cached answer is compared; names start at zero. */
typedef struct Query
{
	const char *query;			/* $1 is the key, where it has one */
	int			nkeys;			/* keys are 1 to nkeys; 0: it has none */
	const char *rows;			/* NULL: fetch; "(...)": query; else query_as */
	const char *twin;			/* to compare with; NULL: query */
} Query;

/*
 * A workload.  In the statements :a and :b are random from 1 to 20, :m from 0
 * to 3, :n from 1 to 1000, :w is the worker's own from 1 to 20, and :s grows.
 */
typedef struct Kind
{
	const char *name;
	bool		swaps;			/* its DDL does not respect snapshots */
	bool		lags;			/* a backend may be slow to notice its DDL */
	const Query *queries;
	const char *own;			/* a write that meets no other worker's */
	const char *const *writes;
	const char *const *ddls;	/* NULL: none */
} Kind;

extern const Kind kinds[];
extern int	nkinds;

typedef enum Way
{
	WAY_SINGLE,
	WAY_MULTI,
	WAY_SAVEPOINT,
	WAY_PREPARED,
	WAY_BURST,
	WAY_GANG,
	WAY_DDL,
	WAY_READER,
	NWAYS
} Way;

/* Transactions that are prepared, or may be. */
typedef enum PreparedState
{
	PREPARED_FREE,
	PREPARED_BUSY,				/* somebody prepares or finishes it */
	PREPARED_READY
} PreparedState;

typedef struct Prepared
{
	atomic_int	state;
	int			kind;
	bool		ddl;
	int64_t		due;
} Prepared;

typedef struct Options
{
	const char *connection;
	const char *setup;
	int			seconds;
	int			writers;
	int			readers;
	int			rate;
	long		seed;
	long		min_hits;
	bool		stop_at_first;
	bool		disrupt;
	bool		use[MAX_KINDS];
} Options;

/* In memory that all processes share. */
typedef struct Shared
{
	Options		options;
	int64_t		start;			/* milliseconds */
	atomic_int	stop;
	atomic_int	backend[MAX_WORKERS];	/* process ids at the server */
	atomic_int	hot;			/* this kind is used more than others */
	atomic_long serial;

	/* six and more commits at once */
	atomic_int	gang;			/* grows with each */
	atomic_int	gang_kind;
	_Atomic int64_t gang_time;

	/* DDL that has begun and ended; equal: there is none under way */
	atomic_long ddl_begun[MAX_KINDS];
	atomic_long ddl_ended[MAX_KINDS];
	Prepared	prepared[MAX_PREPARED];

	atomic_long comparisons[MAX_KINDS];
	atomic_long excused[MAX_KINDS];
	atomic_long commits[MAX_KINDS];
	atomic_long ways[NWAYS];
	atomic_long aborts;
	atomic_long reconnects;
	atomic_long errors[NCLASSES];

	atomic_long violations;
	_Atomic int64_t first_violation;
	atomic_int	detail_done[MAX_DETAILS];
	char		detail[MAX_DETAILS][DETAIL_SIZE];
	atomic_long troubles;
	atomic_int	trouble_done[MAX_DETAILS];
	char		trouble[MAX_DETAILS][DETAIL_SIZE];
} Shared;

/* An answer in this transaction. */
typedef struct Seen
{
	const Query *query;
	int			key;
	char	   *answer;
} Seen;

typedef enum Run
{
	RUN_OK,
	RUN_ERROR,					/* of the statement; a transaction has failed */
	RUN_LOST					/* the connection, and what it was doing */
} Run;

typedef struct Worker
{
	int			number;			/* from 1 on; 0 is the parent */
	PGconn	   *conn;
	PGresult   *result;			/* of the last statement */
	char		state[6];		/* its SQLSTATE */
	uint64_t	random;

	/* the transaction */
	const char *isolation;		/* NULL: none is open */
	bool		old_snapshot;	/* one for all of it */
	bool		wrote;
	int			own_ddl[MAX_KINDS];
	int			nseen;
	Seen		seen[MAX_SEEN];
} Worker;

extern Shared *shared;

/* worker.c */
extern int64_t now_ms(void);
extern void sleep_ms(int ms);
extern int	pick(Worker *w, int n);
extern bool chance(Worker *w, int percent);
extern int	pick_kind(Worker *w);
extern void ignore_notice(void *arg, const char *message);
extern bool worker_connect(Worker *w);
extern Run	run(Worker *w, const Kind *kind, const char *sql);
extern void expand(Worker *w, const char *pattern, char *sql);
extern void violation(Worker *w, const Kind *kind, const char *query,
					  const char *what);
extern void trouble(Worker *w, const char *what);

/* transact.c */
extern void forget(Worker *w);
extern Run	begin(Worker *w, const Kind *kind, const char *isolation);
extern Run	finish(Worker *w, const Kind *kind, Way way, bool commit);
extern Run	write_once(Worker *w, const Kind *kind);
extern void end_ddl(Worker *w, const Kind *kind);

/* options.c */
extern void parse_options(Options *o, int argc, char **argv);

/* stats.c */
extern void poll_stats(PGconn *conn);
extern long hits_judged(void);
extern void print_line(void);
extern void print_details(void);
extern void print_summary(void);

/* judge.c */
extern Run	judge(Worker *w, const Kind *kind);
extern void judge_all(Worker *w);

/* reader.c, writer.c */
extern void read_until_stop(Worker *w);
extern void write_until_stop(Worker *w);
extern void finish_prepared(Worker *w);

#endif							/* HISTORY_H */
