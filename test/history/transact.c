/*
 * transact.c
 *	  Beginning and ending transactions, and one write in them.
 */
#include "history.h"

/* Whatever it was, it is over. */
void
forget(Worker *w)
{
	w->isolation = NULL;
	w->old_snapshot = w->wrote = false;
	while (w->nseen > 0)
		free(w->seen[--w->nseen].answer);
}

Run
begin(Worker *w, const Kind *kind, const char *isolation)
{
	char		sql[100];
	Run			status;

	forget(w);
	snprintf(sql, sizeof(sql), "BEGIN ISOLATION LEVEL %s", isolation);
	status = run(w, kind, sql);
	if (status == RUN_OK)
	{
		w->isolation = isolation;
		w->old_snapshot = strncmp(isolation, "READ COMMITTED", 14) != 0;
	}
	return status;
}

/* Ends the transaction if one is open, and counts what it did. */
Run
finish(Worker *w, const Kind *kind, Way way, bool commit)
{
	bool		wrote = w->wrote;
	Run			status = RUN_OK;

	if (w->isolation)
	{
		status = run(w, kind, commit ? "COMMIT" : "ROLLBACK");
		if (status == RUN_ERROR)
			(void) run(w, kind, "ROLLBACK");
		/* that of a failed transaction says ROLLBACK */
		else if (status == RUN_OK && wrote)
		{
			if (strcmp(PQcmdStatus(w->result), "COMMIT") == 0)
			{
				shared->commits[kind - kinds]++;
				shared->ways[way]++;
			}
			else
				shared->aborts++;
		}
	}
	forget(w);
	return status;
}

/* A write of the kind, in the transaction or as one. */
Run
write_once(Worker *w, const Kind *kind)
{
	char		sql[SQL_SIZE];
	const char *pattern;
	int			n = 0;
	Run			status;

	while (kind->writes[n])
		n++;
	pattern = chance(w, 15) ? kind->own : kind->writes[pick(w, n)];
	expand(w, pattern, sql);
	if (w->isolation)
		w->wrote = true;
	status = run(w, kind, sql);
	if (status == RUN_OK && !w->isolation)
	{
		shared->commits[kind - kinds]++;
		shared->ways[WAY_SINGLE]++;
	}
	return status;
}

/* The worker's DDL is committed or rolled back. */
void
end_ddl(Worker *w, const Kind *kind)
{
	int			k = kind - kinds;

	if (w->own_ddl[k] == 0)
		return;
	w->own_ddl[k] = 0;
	shared->ddl_ended[k]++;
}
