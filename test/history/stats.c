/*
 * stats.c
 *	  What the cache counts, and what is printed.
 */
#include "history.h"

#define MAX_CACHES		64
#define NAME_SIZE		64

/* A counter of cachex.stats that starts again when the server does. */
typedef struct Count
{
	long		last;
	long		sum;
} Count;

typedef struct CacheCounts
{
	char		name[NAME_SIZE];
	Count		hits;
	Count		misses;
} CacheCounts;

static CacheCounts caches[MAX_CACHES];
static int	ncaches = 0;
static bool first_poll = true;

static const char *const way_names[NWAYS] = {
	"single", "multi", "savepoint", "prepared", "burst", "gang", "DDL", "reader"
};

static void
count(Count *c, long value)
{
	if (!first_poll)
		c->sum += value >= c->last ? value - c->last : value;
	c->last = value;
}

static CacheCounts *
cache_named(const char *name)
{
	int			i;

	for (i = 0; i < ncaches; i++)
		if (strcmp(caches[i].name, name) == 0)
			return &caches[i];
	if (ncaches == MAX_CACHES)
		return NULL;
	snprintf(caches[ncaches].name, NAME_SIZE, "%s", name);
	return &caches[ncaches++];
}

/* Once a second, since a restart resets the counters. */
void
poll_stats(PGconn *conn)
{
	PGresult   *result;
	int			i;

	result = PQexec(conn, "SELECT cache, coalesce(hits + negative_hits, 0),"
					" coalesce(misses, 0) FROM cachex.stats");
	for (i = 0; i < PQntuples(result); i++)
	{
		CacheCounts *c = cache_named(PQgetvalue(result, i, 0));

		if (c == NULL)
			continue;
		count(&c->hits, atol(PQgetvalue(result, i, 1)));
		count(&c->misses, atol(PQgetvalue(result, i, 2)));
	}
	if (PQntuples(result) > 0)
		first_poll = false;
	PQclear(result);
}

long
hits_judged(void)
{
	long		sum = 0;
	int			i;

	for (i = 0; i < ncaches; i++)
		sum += caches[i].hits.sum;
	return sum;
}

static long
total(const atomic_long *counts, int n)
{
	long		sum = 0;

	while (n-- > 0)
		sum += counts[n];
	return sum;
}

void
print_line(void)
{
	printf("%5.0f s: %ld comparisons, %ld hits, %ld commits, %ld aborts,"
		   " %ld errors, %ld reconnects, %ld excused, %ld violations\n",
		   (now_ms() - shared->start) / 1000.0,
		   total(shared->comparisons, MAX_KINDS), hits_judged(),
		   total(shared->commits, MAX_KINDS), (long) shared->aborts,
		   total(shared->errors, NCLASSES), (long) shared->reconnects,
		   total(shared->excused, MAX_KINDS), (long) shared->violations);
	fflush(stdout);
}

/* Those that have not been printed. */
void
print_details(void)
{
	static int	shown = 0,
				told = 0;

	while (shown < MAX_DETAILS && shared->detail_done[shown])
		printf("%s\n", shared->detail[shown++]);
	while (told < MAX_DETAILS && shared->trouble_done[told])
		printf("%s\n", shared->trouble[told++]);
	fflush(stdout);
}

static char
digit36(int n)
{
	return n < 10 ? '0' + n : 'A' + n - 10;
}

void
print_summary(void)
{
	int			i;

	printf("\n%-10s %11s %9s %9s %9s %8s\n", "kind", "comparisons", "hits",
		   "misses", "commits", "excused");
	for (i = 0; i < nkinds; i++)
	{
		char		name[NAME_SIZE];
		CacheCounts *c;

		snprintf(name, sizeof(name), "h_%s", kinds[i].name);
		c = cache_named(name);
		if (shared->options.use[i] && c)
			printf("%-10s %11ld %9ld %9ld %9ld %8ld\n", kinds[i].name,
				   (long) shared->comparisons[i], c->hits.sum, c->misses.sum,
				   (long) shared->commits[i], (long) shared->excused[i]);
	}
	for (i = 0; i < ncaches; i++)
		if (strncmp(caches[i].name, "h_", 2) != 0 && caches[i].hits.sum +
			caches[i].misses.sum > 0)
			printf("(%s)%*s %20ld %9ld\n", caches[i].name,
				   (int) (8 - strlen(caches[i].name)) > 0 ?
				   (int) (8 - strlen(caches[i].name)) : 0, "",
				   caches[i].hits.sum, caches[i].misses.sum);
	printf("\ncommits:");
	for (i = 0; i < NWAYS; i++)
		printf(" %s %ld", way_names[i], (long) shared->ways[i]);
	printf("; aborts %ld\nerrors tolerated, by class:", (long) shared->aborts);
	for (i = 0; i < NCLASSES; i++)
		if (shared->errors[i] > 0)
			printf(" %c%c: %ld", digit36(i / 36), digit36(i % 36),
				   (long) shared->errors[i]);
	printf("\nreconnects %ld, troubles %ld\n", (long) shared->reconnects,
		   (long) shared->troubles);
	printf("comparisons %ld, hits judged %ld, excused %ld, violations %ld\n",
		   total(shared->comparisons, MAX_KINDS), hits_judged(),
		   total(shared->excused, MAX_KINDS), (long) shared->violations);
	if (shared->violations > 0)
		printf("first violation after %.1f s\n",
			   shared->first_violation / 1000.0);
	fflush(stdout);
}
