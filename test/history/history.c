/*
 * history.c
 *	  Do cached answers stay what the query returns?  Writers change tables in
 *	  every way there is; readers ask the cache and the tables in one statement
 *	  and compare.  See README.md.
 *
 * Exit status: 0 no violation, 1 violations, 2 it was no test.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history.h"

#define END_SECONDS		60
#define INITIAL_TOTAL	"40000"

Shared	   *shared;

static pid_t child[MAX_WORKERS];
static int	nchildren = 0;

static void
die(const char *what, const char *detail)
{
	fprintf(stderr, "history: %s: %s\n", what, detail);
	exit(2);
}

/* ---- setup ---- */

static char *
read_file(const char *path)
{
	FILE	   *file = fopen(path, "r");
	size_t		size = 1 << 20;
	char	   *content = malloc(size);

	if (file == NULL || content == NULL)
		die(path, strerror(errno));
	content[fread(content, 1, size - 1, file)] = '\0';
	fclose(file);
	return content;
}

static void
must(Worker *w, const char *sql)
{
	PQclear(w->result);
	w->result = PQexec(w->conn, sql);
	if (PQresultStatus(w->result) != PGRES_COMMAND_OK &&
		PQresultStatus(w->result) != PGRES_TUPLES_OK)
		die("setup", PQerrorMessage(w->conn));
}

static void
set_up(Worker *w)
{
	char	   *sql = read_file(shared->options.setup);
	char		create[200];
	int			k;

	w->conn = PQconnectdb(shared->options.connection);
	if (PQstatus(w->conn) != CONNECTION_OK)
		die("no connection", PQerrorMessage(w->conn));
	PQsetNoticeProcessor(w->conn, ignore_notice, NULL);
	must(w, "SET client_min_messages = 'warning'");
	must(w, sql);
	free(sql);
	for (k = 0; k < nkinds; k++)
	{
		snprintf(create, sizeof(create), "SELECT cachex.create_cache('h_%s',"
				 " consistency => 'exact')", kinds[k].name);
		must(w, create);
	}
	poll_stats(w->conn);
}

/* ---- processes ---- */

/* Every two seconds or so, somebody's statement or connection ends. */
static void
disrupt_until_stop(Worker *w)
{
	char		sql[100];

	while (!shared->stop)
	{
		int			victim = 1 + pick(w, shared->options.writers +
									  shared->options.readers);

		sleep_ms(1000 + pick(w, 2000));
		if (shared->backend[victim] == 0)
			continue;
		snprintf(sql, sizeof(sql), "SELECT pg_%s_backend(%d)",
				 chance(w, 50) ? "cancel" : "terminate",
				 (int) shared->backend[victim]);
		(void) run(w, NULL, sql);
	}
}

static void
start(void (*work) (Worker *w))
{
	Worker		w = {.number = nchildren + 1};
	pid_t		parent = getpid();
	pid_t		pid = fork();

	if (pid < 0)
		die("fork", strerror(errno));
	if (pid > 0)
	{
		child[nchildren++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(2);
	w.random = (shared->options.seed + 1) * 0x9E3779B97F4A7C15 +
		w.number * 0xBF58476D1CE4E5B9;
	if (worker_connect(&w))
		work(&w);
	PQfinish(w.conn);
	_exit(0);
}

/* A worker that ends by itself, before the end, has crashed. */
static int
collect(Worker *w)
{
	int			left = 0;
	int			i,
				status;

	for (i = 0; i < nchildren; i++)
	{
		if (child[i] == 0)
			continue;
		if (waitpid(child[i], &status, WNOHANG) == 0)
			left++;
		else
		{
			child[i] = 0;
			if (status != 0 || !shared->stop)
				trouble(w, "a worker process has ended");
		}
	}
	return left;
}

static void
stop_workers(Worker *w)
{
	int64_t		until = now_ms() + END_SECONDS * 1000;
	int			i;

	shared->stop = 1;
	while (collect(w) > 0 && now_ms() < until)
		usleep(20000);
	for (i = 0; i < nchildren; i++)
	{
		if (child[i] == 0)
			continue;
		trouble(w, "a worker does not end");
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
}

/* ---- the run ---- */

static void
poll_again(Worker *w)
{
	if (PQstatus(w->conn) != CONNECTION_OK)
		PQreset(w->conn);
	if (PQstatus(w->conn) == CONNECTION_OK)
		poll_stats(w->conn);
}

static void
change_hot_kind(Worker *w)
{
	int			kind;

	do
		kind = pick(w, nkinds);
	while (!shared->options.use[kind]);
	shared->hot = kind;
}

static void
watch_workers(Worker *w)
{
	int64_t		end = shared->start + shared->options.seconds * 1000;
	int			tick;

	for (tick = 1; now_ms() < end && !shared->stop; tick++)
	{
		usleep(100000);
		(void) collect(w);
		print_details();
		if (tick % 10 == 0)
			poll_again(w);
		if (tick % 20 == 0)
			change_hot_kind(w);
		if (tick % 100 == 0)
			print_line();
	}
}

/* Nothing may be left prepared; then everything is asked once more. */
static void
settle(Worker *w)
{
	PGresult   *left;
	char		sql[200];
	int			i;

	if (!worker_connect(w))
		return;
	poll_stats(w->conn);
	left = PQexec(w->conn,
				  "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'hist%'");
	for (i = 0; i < PQntuples(left); i++)
	{
		snprintf(sql, sizeof(sql), "%s PREPARED '%s'",
				 i % 2 ? "COMMIT" : "ROLLBACK", PQgetvalue(left, i, 0));
		(void) run(w, NULL, sql);
	}
	PQclear(left);
	for (i = 0; i < nkinds; i++)
		shared->ddl_ended[i] = (long) shared->ddl_begun[i];
	if (!shared->options.stop_at_first || shared->violations == 0)
		judge_all(w);
	if (run(w, NULL, "SELECT sum(balance) FROM hist.account") == RUN_OK &&
		strcmp(PQgetvalue(w->result, 0, 0), INITIAL_TOTAL) != 0)
		trouble(w, "transfers have changed the total");
	poll_again(w);
}

static int
verdict(Worker *w)
{
	char		content[100];

	if (shared->violations == 0 && hits_judged() < shared->options.min_hits)
	{
		snprintf(content, sizeof(content), "%ld hits are too few", hits_judged());
		trouble(w, content);
	}
	print_details();
	print_summary();
	return shared->violations > 0 ? 1 : shared->troubles > 0 ? 2 : 0;
}

int
main(int argc, char **argv)
{
	Worker		w = {.number = 0};
	int			i;

	shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap", strerror(errno));
	parse_options(&shared->options, argc, argv);
	shared->serial = 1;
	w.random = (shared->options.seed + 1) * 0x9E3779B97F4A7C15;
	shared->start = now_ms();
	printf("seed %ld\n", shared->options.seed);
	set_up(&w);
	change_hot_kind(&w);
	fflush(stdout);

	shared->start = now_ms();
	for (i = 0; i < shared->options.writers; i++)
		start(write_until_stop);
	for (i = 0; i < shared->options.readers; i++)
		start(read_until_stop);
	if (shared->options.disrupt && nchildren > 0)
		start(disrupt_until_stop);
	watch_workers(&w);
	stop_workers(&w);
	settle(&w);
	return verdict(&w);
}
