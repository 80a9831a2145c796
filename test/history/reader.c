/*
 * reader.c
 *	  Readers: every isolation level, snapshots new and old, own writes.
 */
#include "history.h"

/* A write that is rolled back, read before and after. */
static Run
write_and_undo(Worker *w, const Kind *kind)
{
	Run			status = run(w, kind, "SAVEPOINT a");

	if (status != RUN_OK)
		return status;
	status = write_once(w, kind);
	if (status == RUN_OK)
		status = judge(w, kind);
	if (status != RUN_LOST)
		status = run(w, kind, "ROLLBACK TO a");
	if (status == RUN_OK)
		status = judge(w, kind);
	return status;
}

static Run
read_step(Worker *w, const Kind *kind, bool may_write)
{
	Run			status;

	if (may_write && chance(w, 12))
	{
		status = write_once(w, kind);
		if (status != RUN_OK)
			return status;
	}
	else if (may_write && chance(w, 5))
		return write_and_undo(w, kind);
	if (chance(w, 40))
		sleep_ms(pick(w, 20));
	return judge(w, chance(w, 80) ? kind : &kinds[pick_kind(w)]);
}

/*
 * Takes the snapshot and lets the others write on: for some time, or until
 * there were more of them than are remembered one by one.
 */
static Run
grow_old(Worker *w, const Kind *kind)
{
	Run			status = run(w, kind, "SELECT 1");
	atomic_long *commits = &shared->commits[kind - kinds];
	long		enough = *commits + 5 + pick(w, 10);
	int			i;

	if (chance(w, 50))
		sleep_ms(pick(w, 300));
	else
		for (i = 0; i < 200 && *commits < enough && !shared->stop; i++)
			sleep_ms(10);
	sleep_ms(5);
	return status;
}

static void
read_in_transaction(Worker *w, const Kind *kind, const char *isolation)
{
	bool		may_write = !strstr(isolation, "READ ONLY") && chance(w, 50);
	int			steps = 3 + pick(w, 6);
	Run			status = begin(w, kind, isolation);

	if (status != RUN_OK)
		return;
	if (w->old_snapshot && chance(w, 60))
		status = grow_old(w, kind);
	while (status == RUN_OK && steps-- > 0 && !shared->stop)
		status = read_step(w, kind, may_write);
	if (status != RUN_LOST)
		(void) finish(w, kind, WAY_READER, status == RUN_OK && chance(w, 60));
}

void
read_until_stop(Worker *w)
{
	while (!shared->stop)
	{
		const Kind *kind = &kinds[pick_kind(w)];
		int			r = pick(w, 100);
		int			i;

		if (r < 50)
			for (i = 0; i < 25 && !shared->stop; i++)
				(void) judge(w, kind);
		else
			read_in_transaction(w, kind,
								r < 62 ? "READ COMMITTED" :
								r < 86 ? "REPEATABLE READ" :
								r < 92 ? "REPEATABLE READ READ ONLY" :
								r < 98 ? "SERIALIZABLE" :
								"SERIALIZABLE READ ONLY DEFERRABLE");
	}
}
