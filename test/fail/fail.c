/*
 * fail.c
 *	  Counts the calls of fail.h, fails one of them, and writes a line "cachex
 *	  fault" to the server's log where one is made that must not fail.
 *
 * It must not while the process holds one of the library's locks, in a
 * critical section, and when a transaction ends: others may already see it.
 * Only the process's own memory is used, and no function of the server that
 * could itself fail there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"

#include "cx_preload.h"

/* From here on calls are calls. */
#undef cstring_to_text
#undef psprintf
#undef errstart
#undef errstart_cold

#define MAX_FAULTS 64

PG_FUNCTION_INFO_V1(cx_fail_at);
PG_FUNCTION_INFO_V1(cx_fail_passed);

int			cx_fail_spins = 0;

static int64 fail_at = 0;		/* 0: none */
static int64 passed = 0;
static bool counting = false;
static const char *failed_in = NULL;

/* as in cx_shmem.c */
static const struct
{
	const char *name;
	int			n;
}			tranches[] =

{
	{"cachex_table", 128},
	{"cachex_deps", 64},
	{"cachex_boot", 1},
	{"cachex_policy", 1},
	{"cachex_arena", 1},
	{"cachex_registry", 1},
	{"cachex_launcher", 1},
	{"cachex_requests", 1},
	{"cachex_waits", 1},
	{"cachex_tier", 1},
};

static LWLock *locks[lengthof(tranches)];

/* The name of a lock that this process holds, or NULL. */
static const char *
held_lock(void)
{
	if (!IsUnderPostmaster || !cx_preloaded)
		return NULL;
	for (int i = 0; i < (int) lengthof(tranches); i++)
	{
		if (locks[i] == NULL)
			locks[i] = &GetNamedLWLockTranche(tranches[i].name)->lock;
		if (LWLockAnyHeldByMe(locks[i], tranches[i].n, sizeof(LWLockPadded)))
			return tranches[i].name;
	}
	return NULL;
}

/*
 * Whether a transaction or subtransaction is being committed or rolled back.
 * In a block that has failed a statement can still be run.
 */
static bool
is_ending(void)
{
	return !IsTransactionState() && GetCurrentTransactionNestLevel() > 0 &&
		!IsAbortedTransactionBlockState();
}

/* Why nothing may fail now, or NULL; is_error: nor be raised. */
static const char *
objection(bool is_error)
{
	if (cx_fail_spins > 0)
		return "a spinlock";
	if (held_lock() != NULL)
		return held_lock();
	if (CritSectionCount > 0)
		return "a critical section";
	if (is_error && is_ending())
		return "the end of a transaction";
	return NULL;
}

/* Each place once in a process. */
static void
report(const char *what, const char *file, int line, const char *why)
{
	static struct
	{
		const char *file;
		int			line;
	}			said[MAX_FAULTS];
	static int	nsaid = 0;

	for (int i = 0; i < nsaid; i++)
	{
		if (said[i].line == line && strcmp(said[i].file, file) == 0)
			return;
	}
	if (nsaid == MAX_FAULTS)
		return;
	said[nsaid].file = file;
	said[nsaid++].line = line;
	write_stderr("cachex fault: %s at %s:%d under %s\n", what, file, line,
				 why);
}

/* A message; what says that it is an error. */
void
cx_fail_look(const char *what, const char *file, int line)
{
	const char *why = objection(what != NULL);

	if (why)
		report(what ? what : "a message", file, line, why);
}

void
cx_fail_point(const char *what, const char *file, int line)
{
	const char *why = objection(true);

	if (why)
	{
		report(what, file, line, why);
		return;
	}
	if (!counting || proc_exit_inprogress)
		return;
	if (++passed != fail_at)
		return;
	failed_in = what;
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("failed on purpose: %s at %s:%d", what, file, line)));
}

/* cx_fail_at(n): the n-th call from now on fails; 0: none, they are counted. */
Datum
cx_fail_at(PG_FUNCTION_ARGS)
{
	fail_at = PG_GETARG_INT64(0);
	passed = 0;
	counting = true;
	failed_in = NULL;
	PG_RETURN_VOID();
}

/* How many calls there were since, and which one failed; ends the counting. */
Datum
cx_fail_passed(PG_FUNCTION_ARGS)
{
	counting = false;
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT " %s", passed,
											  failed_in ? failed_in : "none")));
}
