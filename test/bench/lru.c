/*
 * lru.c
 *	  Reads a trace, says what LRU makes of it, and writes it as tables.
 *
 * usage: lru DIRECTORY LIMIT <trace
 *
 * The trace is big-endian integers of 32 bits, or text with one integer a
 * line; LIMIT requests of it are taken, 0 = all.  DIRECTORY gets "requests"
 * (number and array of keys) and "items" (key, size in bytes, cost in
 * microseconds), to be read by COPY.  Size and cost are made of the key, so
 * every policy sees the same.  Printed are "total REQUESTS KEYS BYTES COST"
 * and, for 1 % and 10 % of the keys and of their bytes, a line
 * "lru equal|sized PERCENT CAPACITY HIT_PERCENT SAVED_PERCENT".
 */
#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 1000				/* requests a row */
#define NONE  UINT32_MAX

typedef struct Item
{
	uint32_t	key;
	uint32_t	size;
	uint32_t	cost;
	uint32_t	newer;
	uint32_t	older;
	int			cached;
} Item;

static uint32_t *request;		/* first keys, then numbers of items */
static size_t nrequests;
static Item *item;
static uint32_t nitems;

static void
die(const char *why)
{
	fprintf(stderr, "lru: %s\n", why);
	exit(1);
}

static void *
allocate(size_t n, size_t size)
{
	void	   *p = calloc(n ? n : 1, size);

	if (p == NULL)
		die("out of memory");
	return p;
}

static unsigned char *
read_all(size_t *len)
{
	size_t		max = 1 << 20;
	size_t		n;
	unsigned char *bytes = allocate(max + 1, 1);

	*len = 0;
	while ((n = fread(bytes + *len, 1, max - *len, stdin)) > 0)
	{
		*len += n;
		if (*len == max && (bytes = realloc(bytes, (max *= 2) + 1)) == NULL)
			die("out of memory");
	}
	bytes[*len] = '\0';
	return bytes;
}

static void
parse(size_t limit)
{
	size_t		len;
	unsigned char *bytes = read_all(&len);
	char	   *p = (char *) bytes;
	int			text = 1;

	for (size_t i = 0; i < len && i < 4096; i++)
		text = text && (isdigit(bytes[i]) || isspace(bytes[i]));
	if (!text && len % 4 != 0)
		die("neither integers of 32 bits nor an integer a line");
	request = allocate(text ? len : len / 4, sizeof(uint32_t));
	for (size_t i = 0; !text && i < len; i += 4)
		request[nrequests++] = (uint32_t) bytes[i] << 24 | bytes[i + 1] << 16 |
			bytes[i + 2] << 8 | bytes[i + 3];
	while (text && *(p += strspn(p, " \t\r\n")) != '\0')
	{
		if (!isdigit((unsigned char) *p))
			die("a line is not an integer");
		request[nrequests++] = (uint32_t) strtoul(p, &p, 10);
	}
	if (limit > 0 && limit < nrequests)
		nrequests = limit;
	if (nrequests == 0)
		die("the trace is empty");
	free(bytes);
}

/* The step of splitmix64. */
static uint64_t
mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* From least to most, evenly in the logarithm. */
static uint32_t
spread(uint64_t h, double least, double most)
{
	double		u = (double) (h >> 11) / 9007199254740992.0;

	return (uint32_t) floor(least * pow(most / least, u));
}

static int
compare(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* Makes the items and turns requests into their numbers. */
static void
make_items(void)
{
	uint32_t   *keys = allocate(nrequests, sizeof(uint32_t));

	memcpy(keys, request, nrequests * sizeof(uint32_t));
	qsort(keys, nrequests, sizeof(uint32_t), compare);
	for (size_t i = 0; i < nrequests; i++)
	{
		if (i == 0 || keys[i] != keys[nitems - 1])
			keys[nitems++] = keys[i];
	}
	item = allocate(nitems, sizeof(Item));
	for (uint32_t i = 0; i < nitems; i++)
	{
		uint64_t	h = mix(keys[i]);

		item[i].key = keys[i];
		item[i].size = spread(h, 20, 65536);
		item[i].cost = spread(mix(h), 1000, 5000000);
	}
	for (size_t i = 0; i < nrequests; i++)
		request[i] = (uint32_t *) bsearch(&request[i], keys, nitems,
										  sizeof(uint32_t), compare) - keys;
	free(keys);
}

static FILE *
create(const char *directory, const char *name)
{
	char		path[4096];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "w");
	if (f == NULL)
		die("cannot write into the directory");
	return f;
}

static void
write_tables(const char *directory)
{
	FILE	   *requests = create(directory, "requests");
	FILE	   *items = create(directory, "items");

	for (size_t i = 0; i < nrequests; i++)
	{
		if (i % BLOCK == 0)
			fprintf(requests, "%zu\t{", i / BLOCK);
		fprintf(requests, "%u%s", item[request[i]].key,
				(i + 1) % BLOCK == 0 || i + 1 == nrequests ? "}\n" : ",");
	}
	for (uint32_t i = 0; i < nitems; i++)
		fprintf(items, "%u\t%u\t%u\n", item[i].key, item[i].size, item[i].cost);
	if (fclose(requests) != 0 || fclose(items) != 0)
		die("cannot write the tables");
}

static void
unlink_item(Item *it, uint32_t *newest, uint32_t *oldest)
{
	*(it->newer == NONE ? newest : &item[it->newer].older) = it->older;
	*(it->older == NONE ? oldest : &item[it->older].newer) = it->newer;
	it->cached = 0;
}

static void
link_newest(Item *it, uint32_t *newest, uint32_t *oldest)
{
	it->newer = NONE;
	it->older = *newest;
	*(*newest == NONE ? oldest : &item[*newest].newer) = (uint32_t) (it - item);
	*newest = (uint32_t) (it - item);
	it->cached = 1;
}

/* An item weighs its size, or 1, and its loader takes its cost, or 1. */
static void
simulate(int sized, int percent, uint64_t capacity)
{
	uint32_t	newest = NONE;
	uint32_t	oldest = NONE;
	uint64_t	used = 0;
	uint64_t	hits = 0;
	double		saved = 0;
	double		all = 0;

	for (uint32_t i = 0; i < nitems; i++)
		item[i].cached = 0;
	for (size_t i = 0; i < nrequests; i++)
	{
		Item	   *it = &item[request[i]];
		uint64_t	weight = sized ? it->size : 1;

		all += sized ? it->cost : 1;
		if (it->cached)
		{
			hits++;
			saved += sized ? it->cost : 1;
			unlink_item(it, &newest, &oldest);
		}
		else if (weight > capacity)
			continue;
		else
			used += weight;
		for (; used > capacity; unlink_item(&item[oldest], &newest, &oldest))
			used -= sized ? item[oldest].size : 1;
		link_newest(it, &newest, &oldest);
	}
	printf("lru %s %d %llu %.2f %.2f\n", sized ? "sized" : "equal", percent,
		   (unsigned long long) capacity, 100.0 * hits / nrequests,
		   100.0 * saved / all);
}

int
main(int argc, char **argv)
{
	uint64_t	bytes = 0;
	double		cost = 0;

	if (argc != 3)
		die("usage: lru DIRECTORY LIMIT <trace");
	parse(strtoul(argv[2], NULL, 10));
	make_items();
	write_tables(argv[1]);
	for (uint32_t i = 0; i < nitems; i++)
		bytes += item[i].size;
	for (size_t i = 0; i < nrequests; i++)
		cost += item[request[i]].cost;
	printf("total %zu %u %llu %.0f\n", nrequests, nitems,
		   (unsigned long long) bytes, cost);
	for (int percent = 1; percent <= 10; percent *= 10)
	{
		simulate(0, percent, (uint64_t) llround(nitems * percent / 100.0));
		simulate(1, percent, (bytes * percent + 50) / 100);
	}
	return 0;
}
