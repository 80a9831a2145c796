/*
 * judge.c
 *	  One statement that asks the cache and asks directly, and the verdict.
 *
 * Plain changes respect snapshots, so both answers must be the same.  TRUNCATE,
 * ALTER TABLE, the replacement of a function and the like do not: what a query
 * returns changes at once under any snapshot.  Then the answers may differ
 * without fault if such DDL went on meanwhile, which the workers know of each
 * other.  If the direct answer was the same before and after the cached one,
 * and a lock ensured that it was so in between, that is no excuse.
 *
 * A backend hears of DDL when it takes a lock that it has not got.  So in a
 * transaction it may go on to use a function that others see replaced, and any
 * answer may be the old one ("lags").  Half of the statements listen first,
 * then that is no excuse.
 */
#include "history.h"

/* In which order the statement asks. */
typedef enum Order
{
	CACHED_FIRST,
	DIRECT_FIRST,
	NORDERS
} Order;

typedef struct Ask
{
	const Kind *kind;
	const Query *query;
	int			key;
	Order		order;
	long		ddl_begun;
	bool		quiet;			/* no DDL was under way */
	bool		heard;			/* it has heard of all DDL before */
	char		sql[SQL_SIZE];
} Ask;

typedef struct Answers
{
	const char *cached;			/* NULL is SQL's */
	const char *direct;
	const char *again;			/* of swaps: after having heard of all DDL */
	const char *snapshot;
} Answers;

static bool
same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ---- the statement ---- */

/* The expression that asks the cache. */
static void
cached_expression(Worker *w, const Ask *ask, char *sql, size_t size)
{
	const Query *q = ask->query;
	char		params[40] = "";
	const char *mode = "normal";

	if (q->nkeys)
		snprintf(params, sizeof(params), ", params => ARRAY['%d']", ask->key);
	if (chance(w, 4))
		mode = chance(w, 70) ? "refresh" : "bypass";
	if (q->rows == NULL)
		snprintf(sql, size, "cachex.fetch('h_%s', '%d:%d', $q$%s$q$%s,"
				 " mode => '%s')::text", ask->kind->name,
				 (int) (q - ask->kind->queries), ask->key, q->query, params, mode);
	else if (q->rows[0] == '(')
		snprintf(sql, size, "(SELECT jsonb_agg(to_jsonb(r)) FROM"
				 " cachex.query($q$%s$q$%s, mode => '%s') AS r %s)::text",
				 q->query, params, mode, q->rows);
	else
		snprintf(sql, size, "(SELECT jsonb_agg(to_jsonb(r)) FROM"
				 " cachex.query_as(NULL::%s, $q$%s$q$%s, mode => '%s') AS r)::text",
				 q->rows, q->query, params, mode);
}

/* The query that gives the truth, with the key in place of $1. */
static void
direct_query(const Ask *ask, char *sql, size_t size)
{
	const Query *q = ask->query;
	const char *from = q->twin ? q->twin : q->query;
	char		filled[4000];
	char	   *to = filled;

	while (*from && to < filled + sizeof(filled) - 16)
	{
		if (from[0] == '$' && from[1] == '1')
		{
			to += sprintf(to, "'%d'", ask->key);
			from += 2;
		}
		else
			*to++ = *from++;
	}
	*to = '\0';
	snprintf(sql, size, q->rows ? "SELECT jsonb_agg(to_jsonb(r)) FROM (%s) AS r"
			 : "SELECT to_jsonb(value) FROM (%s) AS d", filled);
}

/* The list is evaluated from left to right, a subquery when it is its turn. */
static void
compose(Worker *w, Ask *ask)
{
	char		cached[5000];
	char		query[5000];
	char		direct[6000];
	char		again[6000] = "NULL";
	const char *listen = "";

	cached_expression(w, ask, cached, sizeof(cached));
	direct_query(ask, query, sizeof(query));
	/* as part of the statement it is planned, and takes locks, beforehand */
	if (!ask->kind->swaps && chance(w, 60))
		snprintf(direct, sizeof(direct), "(%s)::text", query);
	else
		snprintf(direct, sizeof(direct), "hist.direct($d$%s$d$)::text", query);
	if (ask->kind->swaps)
		snprintf(again, sizeof(again), "hist.heard($d$%s$d$)::text", query);
	ask->heard = ask->kind->lags && chance(w, 50);
	if (ask->heard)
		listen = "pg_relation_size('hist.listen'), ";
	ask->order = pick(w, NORDERS);
	if (ask->order == CACHED_FIRST)
		snprintf(ask->sql, sizeof(ask->sql), "SELECT %s%s AS cached,"
				 " %s AS direct, %s AS again, pg_current_snapshot() AS snapshot",
				 listen, cached, direct, again);
	else
		snprintf(ask->sql, sizeof(ask->sql), "SELECT %s%s AS direct,"
				 " %s AS cached, %s AS again, pg_current_snapshot() AS snapshot",
				 listen, direct, cached, again);
}

/* ---- running it ---- */

static Run
ask_plainly(Worker *w, Ask *ask)
{
	return run(w, ask->kind, ask->sql);
}

/* Through a cursor, whose snapshot is old when it is read. */
static Run
ask_by_cursor(Worker *w, Ask *ask)
{
	char		declare[SQL_SIZE + 40];
	Run			status;

	snprintf(declare, sizeof(declare), "DECLARE c NO SCROLL CURSOR FOR %s",
			 ask->sql);
	status = run(w, ask->kind, declare);
	if (status == RUN_OK && chance(w, 30) && !strstr(w->isolation, "READ ONLY"))
		status = write_once(w, ask->kind);
	if (status == RUN_OK)
	{
		sleep_ms(pick(w, 20));
		status = run(w, ask->kind, "FETCH c");
	}
	return status;
}

static Run
ask_all(Worker *w, Ask *ask, bool *cursor)
{
	int			k = ask->kind - kinds;
	long		ended = shared->ddl_ended[k];

	ask->ddl_begun = shared->ddl_begun[k];
	ask->quiet = ask->ddl_begun - ended == w->own_ddl[k];
	*cursor = w->isolation != NULL && chance(w, 8);
	return *cursor ? ask_by_cursor(w, ask) : ask_plainly(w, ask);
}

/* ---- the verdict ---- */

static const char *
column(Worker *w, const char *name)
{
	int			n = PQfnumber(w->result, name);

	return PQgetisnull(w->result, 0, n) ? NULL : PQgetvalue(w->result, 0, n);
}

static const char *
shown(const char *answer)
{
	return answer ? answer : "NULL";
}

static void
report(Worker *w, const Ask *ask, const Answers *a, const char *remark)
{
	char		what[DETAIL_SIZE];

	snprintf(what, sizeof(what),
			 "  %s\n  cached:   %.900s\n  direct:   %.900s\n%s%.900s%s"
			 "  snapshot: %.200s\n  statement: %.2000s", remark,
			 shown(a->cached), shown(a->direct),
			 ask->kind->swaps ? "  again:    " : "",
			 ask->kind->swaps ? shown(a->again) : "",
			 ask->kind->swaps ? "\n" : "", shown(a->snapshot), ask->sql);
	violation(w, ask->kind, ask->query->query, what);
}

/* Under one snapshot and without own writes an answer never changes. */
static void
check_repeated(Worker *w, const Ask *ask, const Answers *a)
{
	char		remark[1200];
	int			i;

	if (!w->old_snapshot || w->wrote || ask->kind->swaps)
		return;
	for (i = 0; i < w->nseen; i++)
	{
		Seen	   *seen = &w->seen[i];

		if (seen->query != ask->query || seen->key != ask->key)
			continue;
		if (!same(seen->answer, a->cached))
		{
			snprintf(remark, sizeof(remark),
					 "the transaction was told before: %.1000s",
					 shown(seen->answer));
			report(w, ask, a, remark);
		}
		return;
	}
	if (w->nseen < MAX_SEEN)
	{
		w->seen[w->nseen].query = ask->query;
		w->seen[w->nseen].key = ask->key;
		w->seen[w->nseen].answer = a->cached ? strdup(a->cached) : NULL;
		w->nseen++;
	}
}

/* May DDL of others have come between the answers? */
static bool
excused(const Worker *w, const Ask *ask, const Answers *a)
{
	if (!ask->kind->swaps)
		return false;
	if (ask->kind->lags && w->isolation && !ask->heard)
		return true;
	if (ask->quiet && shared->ddl_begun[ask->kind - kinds] == ask->ddl_begun)
		return false;
	return ask->kind->lags || ask->order == CACHED_FIRST ||
		!same(a->direct, a->again);
}

static void
check(Worker *w, const Ask *ask)
{
	Answers		a;

	a.cached = column(w, "cached");
	a.direct = column(w, "direct");
	a.again = column(w, "again");
	a.snapshot = column(w, "snapshot");
	shared->comparisons[ask->kind - kinds]++;
	if (same(a.cached, a.direct))
		check_repeated(w, ask, &a);
	else if (excused(w, ask, &a))
		shared->excused[ask->kind - kinds]++;
	else
		report(w, ask, &a, ask->order == CACHED_FIRST ?
			   "the cache was asked first" : "the cache was asked last");
}

static Run
judge_query(Worker *w, const Kind *kind, const Query *query, int key)
{
	Ask			ask = {.kind = kind,.query = query,.key = key};
	bool		cursor;
	Run			status;

	compose(w, &ask);
	status = ask_all(w, &ask, &cursor);
	if (status != RUN_OK)
		return status;
	check(w, &ask);
	return cursor ? run(w, kind, "CLOSE c") : RUN_OK;
}

/* ---- what to ask ---- */

/* Asks something of a kind, and compares. */
Run
judge(Worker *w, const Kind *kind)
{
	const Query *query = kind->queries;
	int			n = 0;

	while (query[n].query)
		n++;
	query += pick(w, n);
	return judge_query(w, kind, query,
					   query->nkeys ? 1 + pick(w, query->nkeys) : 0);
}

/* Asks everything twice, at the end. */
void
judge_all(Worker *w)
{
	const Query *query;
	int			k,
				key,
				i;

	for (k = 0; k < nkinds; k++)
	{
		if (!shared->options.use[k])
			continue;
		for (query = kinds[k].queries; query->query; query++)
			for (key = query->nkeys ? 1 : 0; key <= query->nkeys; key++)
				for (i = 0; i < 2; i++)
					(void) judge_query(w, &kinds[k], query, key);
	}
}
