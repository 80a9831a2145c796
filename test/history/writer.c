/*
 * writer.c
 *	  Writers: transactions of all shapes, several at once, prepared ones.
 */
#include <unistd.h>

#include "history.h"

#define GANG_DELAY		150

static const char *
any_isolation(Worker *w)
{
	int			r = pick(w, 10);

	return r < 7 ? "READ COMMITTED" : r < 9 ? "REPEATABLE READ" : "SERIALIZABLE";
}

static Run
write_own(Worker *w, const Kind *kind)
{
	char		sql[SQL_SIZE];

	expand(w, kind->own, sql);
	w->wrote = true;
	return run(w, kind, sql);
}

/* Ends what is open unless the connection is lost. */
static void
end(Worker *w, const Kind *kind, Way way, Run status, int percent_commit)
{
	if (status != RUN_LOST)
		(void) finish(w, kind, way, status == RUN_OK && chance(w, percent_commit));
}

/* ---- shapes of transactions ---- */

static void
write_single(Worker *w, const Kind *kind)
{
	char		sql[100];

	if (chance(w, 2))
	{
		snprintf(sql, sizeof(sql), "SELECT cachex.clear('h_%s')", kind->name);
		(void) run(w, kind, sql);
	}
	else
		(void) write_once(w, kind);
}

static void
write_multi(Worker *w, const Kind *kind)
{
	int			steps = 1 + pick(w, 4);
	Run			status = begin(w, kind, any_isolation(w));

	while (status == RUN_OK && steps-- > 0)
	{
		if (chance(w, 20))
			status = judge(w, kind);
		if (status == RUN_OK)
			status = write_once(w, chance(w, 70) ? kind : &kinds[pick_kind(w)]);
		if (status == RUN_OK && chance(w, 30))
			status = judge(w, kind);
		if (chance(w, 20))
			sleep_ms(pick(w, 20));
	}
	end(w, kind, WAY_MULTI, status, 80);
}

/* One that is released, one that is rolled back; in either order. */
static void
write_savepoints(Worker *w, const Kind *kind)
{
	int			i,
				undone = pick(w, 2);
	Run			status = begin(w, kind, any_isolation(w));

	for (i = 0; i < 2 && status != RUN_LOST; i++)
	{
		if (status == RUN_OK)
			status = run(w, kind, "SAVEPOINT a");
		if (status != RUN_OK)
			break;
		status = write_once(w, kind);
		if (status == RUN_OK && chance(w, 30))
			status = judge(w, kind);
		if (status == RUN_LOST)
			break;
		status = run(w, kind, i == undone || status != RUN_OK ?
					 "ROLLBACK TO a" : "RELEASE a");
		if (status == RUN_OK && chance(w, 30))
			status = judge(w, kind);
	}
	end(w, kind, WAY_SAVEPOINT, status, 90);
}

/* Small commits in a row: what remembers writers has few places. */
static void
write_burst(Worker *w, const Kind *kind)
{
	int			n = 3 + pick(w, 6);
	Run			status = RUN_OK;

	while (n-- > 0 && status == RUN_OK && !shared->stop)
	{
		status = begin(w, kind, "READ COMMITTED");
		if (status == RUN_OK)
			status = write_own(w, kind);
		end(w, kind, WAY_BURST, status, 95);
	}
}

static void
write_ddl(Worker *w, const Kind *kind)
{
	char		sql[SQL_SIZE];
	int			n = 0;
	Run			status;

	while (kind->ddls[n])
		n++;
	shared->ddl_begun[kind - kinds]++;
	w->own_ddl[kind - kinds] = 1;
	status = begin(w, kind, "READ COMMITTED");
	if (status == RUN_OK)
		status = run(w, kind, "SET LOCAL lock_timeout = '300ms'");
	if (status == RUN_OK && chance(w, 30))
		status = judge(w, kind);
	if (status == RUN_OK)
	{
		expand(w, kind->ddls[pick(w, n)], sql);
		w->wrote = true;
		status = run(w, kind, sql);
	}
	if (status == RUN_OK && chance(w, 30))
		status = judge(w, kind);
	if (status == RUN_OK && chance(w, 30))
		status = write_once(w, kind);
	end(w, kind, WAY_DDL, status, 80);
	end_ddl(w, kind);
}

/* ---- many at once ---- */

/* Calls the others, who come when they have time. */
static void
call_gang(const Kind *kind)
{
	if (now_ms() < shared->gang_time)
		return;
	shared->gang_kind = kind - kinds;
	shared->gang_time = now_ms() + GANG_DELAY;
	shared->gang++;
}

static void
join_gang(Worker *w)
{
	static int	joined = 0;
	int			gang = shared->gang;
	const Kind *kind = &kinds[shared->gang_kind];
	Run			status;

	if (joined == gang || now_ms() >= shared->gang_time)
		return;
	joined = gang;
	status = begin(w, kind, "READ COMMITTED");
	if (status == RUN_OK)
		status = write_own(w, kind);
	while (now_ms() < shared->gang_time && !shared->stop)
		usleep(200);
	end(w, kind, WAY_GANG, status, 95);
	if (chance(w, 50))
		(void) judge(w, kind);
}

/* ---- prepared transactions ---- */

static Prepared *
take_prepared(PreparedState state, int64_t due)
{
	int			i;

	for (i = 0; i < MAX_PREPARED; i++)
	{
		Prepared   *p = &shared->prepared[i];
		int			is = state;

		if (p->state == is && (state == PREPARED_FREE || p->due <= due) &&
			atomic_compare_exchange_strong(&p->state, &is, PREPARED_BUSY))
			return p;
	}
	return NULL;
}

static void
prepare(Worker *w, const Kind *kind, Prepared *p)
{
	char		sql[SQL_SIZE];
	Run			status = begin(w, kind, any_isolation(w));

	p->kind = kind - kinds;
	p->ddl = kind->ddls && chance(w, 15);
	if (status == RUN_OK)
		status = write_own(w, kind);
	if (p->ddl)
	{
		shared->ddl_begun[p->kind]++;
		w->own_ddl[p->kind] = 1;
		expand(w, kind->ddls[0], sql);
		if (status == RUN_OK)
			status = run(w, kind, sql);
	}
	if (status == RUN_OK && chance(w, 30))
		status = judge(w, kind);
	if (status == RUN_OK)
	{
		snprintf(sql, sizeof(sql), "PREPARE TRANSACTION 'hist_%d'",
				 (int) (p - shared->prepared));
		status = run(w, kind, sql);
		/* a lost connection may have prepared it */
		if (status == RUN_LOST || (status == RUN_OK &&
								   !strcmp(PQcmdStatus(w->result),
										   "PREPARE TRANSACTION")))
		{
			/* the rest is up to the one who finishes it */
			forget(w);
			w->own_ddl[p->kind] = 0;
			p->due = now_ms() + pick(w, p->ddl ? 100 : 700);
			p->state = PREPARED_READY;
			return;
		}
	}
	end(w, kind, WAY_PREPARED, status, 0);
	end_ddl(w, kind);
	p->state = PREPARED_FREE;
}

/* Tries until the transaction is gone; only then its place is free. */
static void
finish_one(Worker *w, Prepared *p)
{
	char		sql[100];
	bool		commit = chance(w, 70);
	Run			status;

	snprintf(sql, sizeof(sql), "%s PREPARED 'hist_%d'",
			 commit ? "COMMIT" : "ROLLBACK", (int) (p - shared->prepared));
	do
	{
		status = run(w, NULL, sql);
		if (status == RUN_OK && commit)
		{
			shared->commits[p->kind]++;
			shared->ways[WAY_PREPARED]++;
		}
		if (status == RUN_OK || strcmp(w->state, "42704") == 0)
		{
			if (p->ddl)
				shared->ddl_ended[p->kind]++;
			p->state = PREPARED_FREE;
			return;
		}
		usleep(10000);
	} while (!shared->stop);
}

void
finish_prepared(Worker *w)
{
	Prepared   *p = take_prepared(PREPARED_READY, now_ms());
	int			kind;

	if (p == NULL)
		return;
	kind = p->kind;
	finish_one(w, p);
	if (chance(w, 50))
		(void) judge(w, &kinds[kind]);
}

/* ---- all of it ---- */

static void
write_something(Worker *w, const Kind *kind)
{
	int			r = pick(w, 100);
	Prepared   *p;

	if (kind->ddls && chance(w, 10))
		write_ddl(w, kind);
	else if (r < 40)
		write_single(w, kind);
	else if (r < 55)
		write_multi(w, kind);
	else if (r < 67)
		write_savepoints(w, kind);
	else if (r < 77)
		write_burst(w, kind);
	else if (r < 80)
		call_gang(kind);
	else if ((p = take_prepared(PREPARED_FREE, 0)) != NULL)
		prepare(w, kind, p);
}

void
write_until_stop(Worker *w)
{
	while (!shared->stop)
	{
		const Kind *kind = &kinds[pick_kind(w)];
		int64_t		until = now_ms() + pick(w, 2000 / shared->options.rate + 1);

		write_something(w, kind);
		if (chance(w, 20))
			(void) judge(w, kind);
		if (chance(w, 60))
			finish_prepared(w);
		while (!shared->stop && now_ms() < until)
		{
			join_gang(w);
			usleep(2000);
		}
	}
}
