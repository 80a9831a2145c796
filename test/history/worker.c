/*
 * worker.c
 *	  A worker's connection, its statements, and what it reports.
 */
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "history.h"

#define CONNECT_SECONDS	120

int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Returns early when everything stops. */
void
sleep_ms(int ms)
{
	int64_t		until = now_ms() + ms;

	while (!shared->stop)
	{
		int64_t		left = until - now_ms();

		if (left <= 0)
			break;
		usleep((left > 50 ? 50 : left) * 1000);
	}
}

int
pick(Worker *w, int n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (w->random >> 20) % n;
}

bool
chance(Worker *w, int percent)
{
	return pick(w, 100) < percent;
}

/* Every other time the one that is hot just now. */
int
pick_kind(Worker *w)
{
	int			kind = shared->hot;

	if (kind >= 0 && chance(w, 50))
		return kind;
	do
		kind = pick(w, nkinds);
	while (!shared->options.use[kind]);
	return kind;
}

/* ---- reports ---- */

/* Keeps a text if it is one of the first. */
static void
keep(atomic_long *count, atomic_int *done, char (*texts)[DETAIL_SIZE],
	 const char *line)
{
	long		n = atomic_fetch_add(count, 1);

	if (n < MAX_DETAILS)
	{
		snprintf(texts[n], DETAIL_SIZE, "%s", line);
		done[n] = 1;
	}
}

void
violation(Worker *w, const Kind *kind, const char *query, const char *what)
{
	char		line[DETAIL_SIZE];
	int64_t		never = 0;
	int64_t		now = now_ms() - shared->start + 1;

	atomic_compare_exchange_strong(&shared->first_violation, &never, now);
	snprintf(line, sizeof(line),
			 "VIOLATION after %.1f s: %s, worker %d, backend %d, %s%s\n"
			 "  query:    %s\n%s", now / 1000.0, kind->name, w->number,
			 PQbackendPID(w->conn), w->isolation ? w->isolation : "AUTOCOMMIT",
			 w->wrote ? ", after own writes" : "", query, what);
	keep(&shared->violations, shared->detail_done, shared->detail, line);
	if (shared->options.stop_at_first)
		shared->stop = 1;
}

void
trouble(Worker *w, const char *what)
{
	char		line[DETAIL_SIZE];

	snprintf(line, sizeof(line), "TROUBLE after %.1f s, worker %d: %s",
			 (now_ms() - shared->start) / 1000.0, w->number, what);
	keep(&shared->troubles, shared->trouble_done, shared->trouble, line);
}

static int
base36(char c)
{
	return c >= 'A' ? c - 'A' + 10 : c - '0';
}

static bool
starts(const char *line, const char *start)
{
	return strncmp(line, start, strlen(start)) == 0;
}

/*
 * Errors that come with what is done here: conflicts, waiting too long,
 * being cancelled; where there is DDL, what it does to others.
 */
static bool
expected(const Kind *kind, const char *state, const char *message)
{
	if (strstr(message, "statement timeout"))
		return false;
	if (starts(state, "40") || starts(state, "55") || starts(state, "57") ||
		starts(state, "23") || starts(state, "08"))
		return true;
	/* a transaction may write to tables of several kinds */
	if (starts(state, "42") || starts(state, "2BP") || starts(state, "0A"))
		return kind == NULL || kind->swaps;
	if (starts(state, "XX000"))
		return strstr(message, "tuple concurrently") ||
			strstr(message, "cache lookup failed") ||
			strstr(message, "could not open relation");
	return false;
}

static void
note_error(Worker *w, const Kind *kind, const char *sql)
{
	const char *message = PQerrorMessage(w->conn);
	char		line[DETAIL_SIZE];

	if (strcmp(w->state, "HX001") == 0)
	{
		snprintf(line, sizeof(line), "  %s", message);
		violation(w, kind, sql, line);
		return;
	}
	shared->errors[base36(w->state[0]) * 36 + base36(w->state[1])]++;
	if (!expected(kind, w->state, message))
	{
		snprintf(line, sizeof(line), "%s %.2000s  in: %.3000s\n", w->state,
				 message, sql);
		trouble(w, line);
	}
}

/* ---- statements ---- */

static bool
exec_simple(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The end of a server is no news. */
void
ignore_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

/* Waits for the server as long as it may take to start. */
bool
worker_connect(Worker *w)
{
	int64_t		until = now_ms() + CONNECT_SECONDS * 1000;

	PQclear(w->result);
	w->result = NULL;
	w->isolation = NULL;
	w->old_snapshot = w->wrote = false;
	while (now_ms() < until)
	{
		shared->backend[w->number] = 0;
		PQfinish(w->conn);
		w->conn = PQconnectdb(shared->options.connection);
		PQsetNoticeProcessor(w->conn, ignore_notice, NULL);
		if (PQstatus(w->conn) == CONNECTION_OK &&
			exec_simple(w->conn, "SET application_name = 'history';"
						"SET lock_timeout = '1s';"
						"SET statement_timeout = '30s';"
						"SET client_min_messages = 'error'"))
		{
			shared->backend[w->number] = PQbackendPID(w->conn);
			return true;
		}
		if (shared->stop && w->number != 0)
			return false;
		usleep(50000);
	}
	trouble(w, PQerrorMessage(w->conn));
	shared->stop = 1;
	return false;
}

/* The rows of COPY follow its first line. */
static PGresult *
exec_copy(PGconn *conn, const char *sql)
{
	const char *rows = strchr(sql, '\n') + 1;
	char		command[200];
	PGresult   *result;

	snprintf(command, sizeof(command), "%.*s", (int) (rows - sql - 1), sql);
	result = PQexec(conn, command);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		return result;
	PQclear(result);
	if (PQputCopyData(conn, rows, strlen(rows)) == 1)
		PQputCopyEnd(conn, NULL);
	result = PQgetResult(conn);
	PQclear(PQgetResult(conn));
	return result;
}

/*
 * Runs a statement; its result is in w->result.  A connection that is lost
 * has been made again when this returns RUN_LOST, and the transaction is
 * over, one way or the other.
 */
Run
run(Worker *w, const Kind *kind, const char *sql)
{
	const char *state;

	PQclear(w->result);
	w->result = starts(sql, "COPY") ? exec_copy(w->conn, sql) :
		PQexec(w->conn, sql);
	if (PQresultStatus(w->result) == PGRES_COMMAND_OK ||
		PQresultStatus(w->result) == PGRES_TUPLES_OK)
	{
		strcpy(w->state, "00000");
		return RUN_OK;
	}
	state = PQresultErrorField(w->result, PG_DIAG_SQLSTATE);
	snprintf(w->state, sizeof(w->state), "%s", state ? state : "08006");
	note_error(w, kind, sql);
	if (PQstatus(w->conn) == CONNECTION_OK)
		return RUN_ERROR;
	shared->reconnects++;
	worker_connect(w);
	return RUN_LOST;
}

/* Replaces :a and the like; see Kind. */
void
expand(Worker *w, const char *line, char *sql)
{
	int			a = pick(w, 20) + 1;
	int			b = pick(w, 20) + 1;
	int			m = pick(w, 4);
	int			n = pick(w, 1000) + 1;
	long		s = atomic_fetch_add(&shared->serial, 1);
	char	   *end = sql + SQL_SIZE - 24;

	while (*line && sql < end)
	{
		long		value = -1;

		if (line[0] == ':' && line[1] == ':')
			*sql++ = *line++;	/* a cast: both of them */
		else if (line[0] == ':')
			value = line[1] == 'a' ? a : line[1] == 'b' ? b :
				line[1] == 'm' ? m : line[1] == 'n' ? n :
				line[1] == 's' ? s :
				line[1] == 'w' ? 1 + (w->number + 19) % 20 : -1;
		if (value < 0)
			*sql++ = *line++;
		else
		{
			sql += sprintf(sql, "%ld", value);
			line += 2;
		}
	}
	*sql = '\0';
}
