/*
 * options.c
 *	  The command line.
 */
#include <getopt.h>

#include "history.h"

static const struct option long_options[] = {
	{"connection", required_argument, NULL, 'c'},
	{"setup", required_argument, NULL, 'f'},
	{"seconds", required_argument, NULL, 't'},
	{"writers", required_argument, NULL, 'w'},
	{"readers", required_argument, NULL, 'r'},
	{"rate", required_argument, NULL, 'R'},
	{"seed", required_argument, NULL, 's'},
	{"kinds", required_argument, NULL, 'k'},
	{"min-hits", required_argument, NULL, 'm'},
	{"stop-at-first", no_argument, NULL, '1'},
	{"no-disruptor", no_argument, NULL, 'd'},
	{NULL, 0, NULL, 0}
};

static void
usage(void)
{
	int			k;

	fprintf(stderr, "usage: history --setup FILE [OPTION...]\n"
			"  --setup FILE         what makes the tables (setup.sql)\n"
			"  --connection STRING  of libpq; its environment by default\n"
			"  --seconds N          how long (60)\n"
			"  --writers N          (8)\n"
			"  --readers N          (10)\n"
			"  --rate N             transactions a second of each writer (8)\n"
			"  --seed N             of what workers do; the clock by default\n"
			"  --kinds A,B          only these workloads\n"
			"  --min-hits N         fewer are no test (1000)\n"
			"  --stop-at-first      violation\n"
			"  --no-disruptor       nobody cancels or terminates workers\n"
			"kinds:");
	for (k = 0; k < nkinds; k++)
		fprintf(stderr, " %s", kinds[k].name);
	fprintf(stderr, "\n");
	exit(2);
}

static long
number(const char *word, long least, long most)
{
	char	   *end;
	long		n = strtol(word, &end, 10);

	if (*word == '\0' || *end != '\0' || n < least || n > most)
	{
		fprintf(stderr, "history: \"%s\" is no number from %ld to %ld\n", word,
				least, most);
		exit(2);
	}
	return n;
}

static void
choose_kinds(Options *o, char *names)
{
	char	   *name;
	int			k;

	for (k = 0; k < nkinds; k++)
		o->use[k] = false;
	for (name = strtok(names, ","); name; name = strtok(NULL, ","))
	{
		for (k = 0; k < nkinds && strcmp(kinds[k].name, name) != 0; k++)
			;
		if (k == nkinds)
			usage();
		o->use[k] = true;
	}
}

static void
set_option(Options *o, int c)
{
	switch (c)
	{
		case 'c':
			o->connection = optarg;
			break;
		case 'f':
			o->setup = optarg;
			break;
		case 't':
			o->seconds = number(optarg, 1, 1000000);
			break;
		case 'w':
			o->writers = number(optarg, 0, 20);
			break;
		case 'r':
			o->readers = number(optarg, 0, 40);
			break;
		case 'R':
			o->rate = number(optarg, 1, 1000);
			break;
		case 's':
			o->seed = number(optarg, 0, 1000000000);
			break;
		case 'k':
			choose_kinds(o, optarg);
			break;
		case 'm':
			o->min_hits = number(optarg, 0, 1000000000);
			break;
		case '1':
			o->stop_at_first = true;
			break;
		case 'd':
			o->disrupt = false;
			break;
		default:
			usage();
	}
}

void
parse_options(Options *o, int argc, char **argv)
{
	int			c,
				k;
	bool		any = false;

	o->connection = "";
	o->seconds = 60;
	o->writers = 8;
	o->readers = 10;
	o->rate = 8;
	o->seed = now_ms() % 1000000;
	o->min_hits = 1000;
	o->disrupt = true;
	for (k = 0; k < nkinds; k++)
		o->use[k] = true;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(o, c);
	for (k = 0; k < nkinds; k++)
		any |= o->use[k];
	if (optind < argc || o->setup == NULL || !any)
		usage();
}
