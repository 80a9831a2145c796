/*
 * visitors.c
 *	  Views pages of CivicQ: threads with a connection each, which wait for one
 *	  page before they ask for the next.
 *
 * usage: visitors CLIENTS SECONDS FILE QUESTIONS CONTESTS CITIES
 *
 * FILE gets a line a page, microseconds and name.  With SECONDS 0, each
 * question and each video is viewed once.  The connection is libpq's
 * environment's.  What is popular follows Zipf's law with exponent 1; rank r
 * of n is the number 1 + r * SPREAD % n, so that who writes can be as partial.
 */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libpq-fe.h"

#define SPREAD 7919				/* prime */

/* What a page function is asked for. */
typedef enum Of
{
	QUESTION, CONTEST, CANDIDATE, CITY, VIDEO, BALLOT, LIST_PAGE, NOF
} Of;

typedef struct Page
{
	const char *name;
	int			weight;
	int			nparams;
	Of			of[2];
	const char *sql;
} Page;

static const Page pages[] = {
	{"question", 45, 1, {QUESTION}, "SELECT civicq.question_page($1)"},
	{"question list", 12, 2, {CITY, LIST_PAGE}, "SELECT civicq.question_list_page($1, $2)"},
	{"trending", 10, 1, {CITY}, "SELECT civicq.trending_page($1)"},
	{"contest", 8, 1, {CONTEST}, "SELECT civicq.contest_page($1)"},
	{"candidate", 8, 1, {CANDIDATE}, "SELECT civicq.candidate_page($1)"},
	{"video", 6, 1, {VIDEO}, "SELECT civicq.video_page($1)"},
	{"ballot", 3, 1, {BALLOT}, "SELECT civicq.ballot_page($1)"},
	{"ballot list", 3, 1, {CITY}, "SELECT civicq.ballots_exact($1), civicq.ballot_list_page($1)"},
	{"settings", 2, 1, {CITY}, "SELECT civicq.settings_exact($1), civicq.city_settings($1)"},
	{"city list", 2, 0, {0}, "SELECT civicq.city_list()"},
	{"analytics", 1, 1, {CITY}, "SELECT civicq.analytics($1)"},
};

#define NPAGES ((int) (sizeof(pages) / sizeof(pages[0])))
#define QUESTION_PAGE 0
#define VIDEO_PAGE 5

typedef struct View
{
	uint32_t	us;
	uint8_t		page;
} View;

typedef struct Client
{
	pthread_t	thread;
	PGconn	   *conn;
	uint64_t	random;
	View	   *view;
	size_t		nviews;
	size_t		max;
} Client;

static int	size[NOF];
static double *share[NOF];		/* of the ranks up to one; NULL: all the same */
static int64_t stop;			/* 0: when all are viewed */
static int	next;				/* the last question viewed by a crawler */

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "visitors: %s: %s\n", what, why);
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
set_popularity(Of of, int n, int zipf)
{
	double		sum = 0;

	size[of] = n;
	if (!zipf)
		return;
	share[of] = malloc(n * sizeof(double));
	if (share[of] == NULL)
		die("memory", "out");
	for (int i = 0; i < n; i++)
		share[of][i] = sum += 1.0 / (i + 1);
	for (int i = 0; i < n; i++)
		share[of][i] /= sum;
}

/* From 0 to less than 1. */
static double
uniform(Client *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (c->random >> 11) * 0x1p-53;
}

static int
pick(Client *c, Of of)
{
	double		u = uniform(c);
	int			low = 0;
	int			high = size[of] - 1;

	if (share[of] == NULL)
		return 1 + (int) (u * size[of]);
	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (share[of][mid] > u)
			high = mid;
		else
			low = mid + 1;
	}
	/* Cities have their low numbers, and a list its first pages, in front. */
	if (of == CITY || of == LIST_PAGE)
		return 1 + low;
	return 1 + (int64_t) low * SPREAD % size[of];
}

static int
pick_page(Client *c)
{
	int			n = (int) (uniform(c) * 100);
	int			page = 0;

	while (page < NPAGES - 1 && n >= pages[page].weight)
		n -= pages[page++].weight;
	return page;
}

static void
view_page(Client *c, int page, int first)
{
	char		number[2][12];
	const char *values[2] = {number[0], number[1]};
	char		name[12];
	int64_t		start;
	PGresult   *result;

	for (int i = 0; i < pages[page].nparams; i++)
		snprintf(number[i], sizeof(number[i]), "%d",
				 first ? first : pick(c, pages[page].of[i]));
	snprintf(name, sizeof(name), "p%d", page);

	start = now_us();
	result = PQexecPrepared(c->conn, name, pages[page].nparams, values,
							NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die(pages[page].name, PQerrorMessage(c->conn));
	if (c->nviews == c->max)
	{
		c->max = c->max ? c->max * 2 : 4096;
		c->view = realloc(c->view, c->max * sizeof(View));
		if (c->view == NULL)
			die("memory", "out");
	}
	c->view[c->nviews].us = (uint32_t) (now_us() - start);
	c->view[c->nviews++].page = page;
	PQclear(result);
}

static void *
visit(void *arg)
{
	Client	   *c = arg;

	while (stop != 0 && now_us() < stop)
		view_page(c, pick_page(c), 0);
	while (stop == 0)
	{
		int			i = __atomic_add_fetch(&next, 1, __ATOMIC_RELAXED);

		if (i > size[QUESTION])
			break;
		view_page(c, QUESTION_PAGE, i);
		if (i <= size[VIDEO])
			view_page(c, VIDEO_PAGE, i);
	}
	return NULL;
}

static void
connect_client(Client *c, int number)
{
	memset(c, 0, sizeof(*c));
	c->random = UINT64_C(0x9e3779b97f4a7c15) * (number + 1);
	c->conn = PQconnectdb("");
	if (PQstatus(c->conn) != CONNECTION_OK)
		die("connection", PQerrorMessage(c->conn));
	for (int i = 0; i < NPAGES; i++)
	{
		char		name[12];
		PGresult   *result;

		snprintf(name, sizeof(name), "p%d", i);
		result = PQprepare(c->conn, name, pages[i].sql, 0, NULL);
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			die(pages[i].name, PQerrorMessage(c->conn));
		PQclear(result);
	}
}

int
main(int argc, char **argv)
{
	int			nclients;
	int			seconds;
	Client	   *client;
	FILE	   *file;

	if (argc != 7)
		die("usage", "visitors CLIENTS SECONDS FILE QUESTIONS CONTESTS CITIES");
	nclients = atoi(argv[1]);
	seconds = atoi(argv[2]);
	set_popularity(QUESTION, atoi(argv[4]), 1);
	set_popularity(CONTEST, atoi(argv[5]), 1);
	set_popularity(CANDIDATE, atoi(argv[5]) * 5, 1);
	set_popularity(CITY, atoi(argv[6]), 1);
	set_popularity(VIDEO, atoi(argv[4]) / 2, 0);
	set_popularity(BALLOT, atoi(argv[6]) * 2, 0);
	set_popularity(LIST_PAGE, 50, 1);

	client = calloc(nclients, sizeof(Client));
	for (int i = 0; i < nclients; i++)
		connect_client(&client[i], i);
	if (seconds > 0)
		stop = now_us() + (int64_t) seconds * 1000000;
	for (int i = 0; i < nclients; i++)
	{
		if (pthread_create(&client[i].thread, NULL, visit, &client[i]) != 0)
			die("thread", "not created");
	}

	for (int i = 0; i < nclients; i++)
		pthread_join(client[i].thread, NULL);
	file = fopen(argv[3], "w");
	if (file == NULL)
		die(argv[3], "cannot be written");
	for (int i = 0; i < nclients; i++)
	{
		for (size_t j = 0; j < client[i].nviews; j++)
			fprintf(file, "%u\t%s\n", client[i].view[j].us,
					pages[client[i].view[j].page].name);
		PQfinish(client[i].conn);
	}
	if (fclose(file) != 0)
		die(argv[3], "cannot be written");
	return 0;
}
