/*
 * late.c
 *	  A library that writes before a commit or PREPARE, in a callback.
 *
 * late_arm(text) gives it SQL, which it runs at the end of the transaction.
 * Callbacks run in the reverse order of registration: where the library stands
 * before cachex in shared_preload_libraries, its own runs when that of cachex
 * has run already.
 *
 * late_pause(file) makes the transaction rest after its commit, when others
 * can see it and have no invalidation messages from it, until there is such a
 * file, or for three minutes; late_pause_before(file) before it, when what comes
 * before it in the order of callbacks is done.
 *
 * late.secret is a setting that not everybody may see.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

PG_FUNCTION_INFO_V1(late_arm);
PG_FUNCTION_INFO_V1(late_pause);
PG_FUNCTION_INFO_V1(late_pause_before);

static char *armed = NULL;		/* in TopTransactionContext */
static char *secret = NULL;
static char pause_until[MAXPGPATH];
static char pause_before[MAXPGPATH];

static void
run(const char *sql)
{
	int			result;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "late: %s", SPI_result_code_string(result));
	SPI_finish();
	PopActiveSnapshot();
}

static void
rest(char *until)
{
	for (int i = 0; i < 18000 && until[0] != '\0' && access(until, F_OK) != 0; i++)
		pg_usleep(10000L);
	until[0] = '\0';
}

static void
xact_cb(XactEvent event, void *arg)
{
	const char *sql = armed;

	if (event == XACT_EVENT_PRE_COMMIT)
		rest(pause_before);
	if (event == XACT_EVENT_COMMIT)
		rest(pause_until);
	if (event == XACT_EVENT_ABORT)
		pause_until[0] = pause_before[0] = '\0';
	armed = NULL;
	if (sql && (event == XACT_EVENT_PRE_COMMIT ||
				event == XACT_EVENT_PRE_PREPARE))
		run(sql);
}

void
_PG_init(void)
{
	RegisterXactCallback(xact_cb, NULL);
	DefineCustomStringVariable("late.secret", "A setting to be kept secret.",
							   NULL, &secret, "secret", PGC_SUSET,
							   GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
}

/* late_arm(sql): run this when the transaction is about to end. */
Datum
late_arm(PG_FUNCTION_ARGS)
{
	armed = MemoryContextStrdup(TopTransactionContext,
								text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/* late_pause(file): rest after the commit until the file is there. */
Datum
late_pause(PG_FUNCTION_ARGS)
{
	strlcpy(pause_until, text_to_cstring(PG_GETARG_TEXT_PP(0)), MAXPGPATH);
	PG_RETURN_VOID();
}

/* late_pause_before(file): rest before the commit until the file is there. */
Datum
late_pause_before(PG_FUNCTION_ARGS)
{
	strlcpy(pause_before, text_to_cstring(PG_GETARG_TEXT_PP(0)), MAXPGPATH);
	PG_RETURN_VOID();
}
