/*
 * cx_jobs.c
 *	  Which refreshes are there to be done, and what became of them?
 *
 * Two tables.  Sessions only insert into the one, which has no index, so that
 * no writer waits for another; the visiting worker, one at a time in a
 * database, turns what it finds there into rows of the other, of which there
 * is one that is pending or running for each identity and loader.  It does so
 * between runs: what was asked for while a job ran is another job.
 *
 * That a run has begun is written before it begins: one that ends with its
 * worker is found by the next visit, and counts as an attempt.
 *
 * Every function here is SQL on these tables (cx_books.c); who may call it is
 * checked by the caller.  A transaction is under way.
 *
 * Locking: none of cachex's; those of the tables, until the transaction ends.
 *
 * Not done here: running (cx_refresh.c), waking the launcher (a trigger on
 * the table does).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cx_books.h"
#include "cx_compat.h"
#include "cx_guc.h"
#include "cx_jobs.h"
#include "cx_settings.h"
#include "cx_visits.h"

#define KEPT_JOBS "10000"		/* that have ended, whatever their age */
#define KEYS_ATTEMPTS 3			/* of a job that a watch asks for */
#define MAX_JOB_BYTES (1024 * 1024)

/* After attempt number attempts; $1 = milliseconds after the first. */
#define PAUSE \
	" least($1 * power(4, least(attempts, 12) - 1), 3600000)" \
	" * interval '1 ms'"

#define HAS_ENDED " status IN ('done', 'failed')"

/* Of a job that is over nothing is kept but how it went. */
#define NOTHING_LEFT_IF(over) \
	" query = CASE WHEN NOT (" over ") THEN query END," \
	" params = CASE WHEN NOT (" over ") THEN params END," \
	" settings = CASE WHEN NOT (" over ") THEN settings END"

static void
begin(CxBooks *books)
{
	cx_books_begin(books, "job");
}

static void
add_interval_ms(CxBooksArgs *args, double ms)
{
	cx_books_arg(args, FLOAT8OID, Float8GetDatum(ms), false);
}

/* ---- sessions ---- */

/* Tells loaders of one identity apart, in every session and server. */
static int64
hash_of(const CxRefresh *r)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) r->settings,
										   (int) r->settings_len, r->session);

	if (r->query)
		hash = hash_bytes_extended((const unsigned char *) r->query,
								   (int) r->query_len, hash);
	if (r->params)
		hash = hash_bytes_extended((const unsigned char *) VARDATA(r->params),
								   (int) VARSIZE(r->params) - VARHDRSZ, hash);
	return (int64) hash;
}

/* Whom it is for: $1 ... $4. */
static CxBooksArgs
identity(const char *cache, const char *scope, Size scope_len,
		 const char *key, Size key_len, Oid role)
{
	CxBooksArgs args = {0};

	cx_books_text(&args, cache);
	cx_books_text_len(&args, scope, scope_len);
	cx_books_text_len(&args, key, key_len);
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	return args;
}

#define IS_IDENTITY \
	" WHERE cache = $1 AND scope IS NOT DISTINCT FROM $2 AND key = $3" \
	" AND role = $4"

static int64
first_id(uint64 n)
{
	bool		isnull = true;
	Datum		id = (Datum) 0;

	if (n > 0)
		id = cx_books_value(0, 1, &isnull);
	return isnull ? 0 : DatumGetInt64(id);
}

/*
 * Raises an error where a role has as many jobs waiting as it may: everybody
 * who may write to a cache can ask, and there is one worker for all.
 */
static void
check_number(Oid role)
{
	CxBooksArgs args = {0};
	bool		isnull;

	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	(void) cx_books_run("SELECT count(*) FROM"
						" (SELECT FROM cachex.job WHERE role = $1"
						"  AND status = 'pending'"
						" UNION ALL"
						" SELECT FROM cachex.job_request WHERE role = $1)"
						" AS j", &args);
	if (DatumGetInt64(cx_books_value(0, 1, &isnull)) >= cx_guc_max_jobs)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many jobs of role \"%s\" wait to be run",
						GetUserNameFromId(role, false)),
				 errdetail("A role can have %d.", cx_guc_max_jobs),
				 errhint("Wait for them, or have the server's administrator raise cachex.max_jobs.")));
}

static void
check_size(const CxRefresh *r)
{
	Size		size = r->query_len + r->settings_len +
	(r->params ? VARSIZE(r->params) : 0);

	if (size > MAX_JOB_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("query, parameters and settings are too long for a job"),
				 errdetail("They have %zu bytes, the limit is %d.", size,
						   MAX_JOB_BYTES)));
}

/*
 * Asks for a job, to be run once the transaction has committed; returns its
 * id, or that of one that waits to be run for the same.
 */
int64
cx_jobs_add(const CxRefresh *r, int max_attempts)
{
	CxBooksArgs args = identity(r->cache, r->scope, r->scope_len, r->key,
								r->key_len, r->role);
	bytea	   *settings = palloc(VARHDRSZ + r->settings_len);
	CxBooks		books;
	int64		id;

	check_size(r);
	SET_VARSIZE(settings, VARHDRSZ + r->settings_len);
	memcpy(VARDATA(settings), r->settings, r->settings_len);
	cx_books_arg(&args, INT8OID, Int64GetDatum(hash_of(r)), false);
	begin(&books);
	id = first_id(cx_books_run("SELECT min(id) FROM"
							   " (SELECT id FROM cachex.job" IS_IDENTITY
							   " AND loader = $5 AND status = 'pending'"
							   " UNION ALL"
							   " SELECT id FROM cachex.job_request" IS_IDENTITY
							   " AND loader = $5) AS j", &args));
	if (id == 0)
	{
		check_number(r->role);
		cx_books_text_len(&args, r->query, r->query_len);
		cx_books_arg(&args, TEXTARRAYOID, PointerGetDatum(r->params),
					 r->params == NULL);
		cx_books_arg(&args, BYTEAOID, PointerGetDatum(settings), false);
		cx_books_arg(&args, INT4OID, Int32GetDatum(max_attempts), false);
		cx_books_arg(&args, OIDOID, ObjectIdGetDatum(r->session), false);
		id = first_id(cx_books_run("INSERT INTO cachex.job_request (cache,"
								   " scope, key, role, loader, query, params,"
								   " settings, max_attempts, session) VALUES"
								   " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
								   " RETURNING id", &args));
	}
	cx_books_end(&books);
	return id;
}

/*
 * Asks for a job a key, with the cache's loader, as a role and under the
 * settings that a session of his has by default.
 */
void
cx_jobs_add_keys(const char *cache, Oid role, ArrayType *keys)
{
	static SPIPlanPtr plan = NULL;
	CxBooksArgs args = {0};
	CxBooks		books;

	cx_books_text(&args, cache);
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	cx_books_arg(&args, TEXTARRAYOID, PointerGetDatum(keys), false);
	cx_books_arg(&args, INT4OID, Int32GetDatum(KEYS_ATTEMPTS), false);
	begin(&books);
	(void) cx_books_run_kept(&plan, "INSERT INTO cachex.job_request"
							 " (cache, key, session, role, loader, max_attempts)"
							 " SELECT $1, k, $2, $2, 0, $4 FROM unnest($3) AS k",
							 &args, false);
	cx_books_end(&books);
}

/* The cache is being dropped: so are its jobs. */
void
cx_jobs_forget(const char *cache)
{
	CxBooksArgs args = {0};
	CxBooks		books;

	cx_books_text(&args, cache);
	begin(&books);
	(void) cx_books_run("DELETE FROM cachex.job WHERE cache = $1", &args);
	(void) cx_books_run("DELETE FROM cachex.job_request WHERE cache = $1",
						&args);
	cx_books_end(&books);
}

/* Whether a job for an identity waits to be run, or is being run. */
bool
cx_jobs_pending(const char *cache, const char *scope, Size scope_len,
				const char *key, Size key_len, Oid role)
{
	static SPIPlanPtr plan = NULL;
	CxBooksArgs args = identity(cache, scope, scope_len, key, key_len, role);
	CxBooks		books;
	bool		pending;

	begin(&books);
	pending = cx_books_run_kept(&plan,
								"SELECT 1 WHERE EXISTS"
								" (SELECT FROM cachex.job" IS_IDENTITY
								" AND status IN ('pending', 'running'))"
								" OR EXISTS"
								" (SELECT FROM cachex.job_request" IS_IDENTITY
								")", &args, true) > 0;
	cx_books_end(&books);
	return pending;
}

/* ---- the worker ---- */

/* At the beginning of a visit: jobs whose worker did not live to end them. */
void
cx_jobs_adopt(void)
{
	CxBooksArgs args = {0};

	add_interval_ms(&args, cx_guc_retry_pause);
	(void) cx_books_run_alone("job", "UPDATE cachex.job SET finished = clock_timestamp(),"
							  " last_error = 'the worker ended before the job did',"
							  " status = CASE WHEN attempts < max_attempts"
							  " THEN 'pending' ELSE 'failed' END,"
							  " not_before = clock_timestamp() +" PAUSE ","
							  NOTHING_LEFT_IF("attempts >= max_attempts")
							  " WHERE status = 'running'", &args);
}

/* Turns requests into jobs, the oldest of equal ones. */
static void
admit(void)
{
	CxBooksArgs none = {0};

	(void) cx_books_run("WITH gone AS (DELETE FROM cachex.job_request"
						" WHERE ctid = ANY (ARRAY(SELECT ctid"
						"  FROM cachex.job_request LIMIT 1000"
						"  FOR UPDATE SKIP LOCKED))"
						" RETURNING *)"
						" INSERT INTO cachex.job (id, cache, scope, key, session,"
						"  role, loader, query, params, settings, max_attempts,"
						"  created)"
						" SELECT DISTINCT ON (cache, key, role, loader, scope)"
						"  id, cache, scope, key, session, role, loader, query,"
						"  params, settings, max_attempts, created"
						" FROM gone ORDER BY cache, key, role, loader, scope,"
						"  id"
						" ON CONFLICT DO NOTHING", &none);
}

/* Columns of the row that cx_jobs_take reads. */
enum
{
	J_ID = 1,
	J_CACHE,
	J_SCOPE,
	J_KEY,
	J_SESSION,
	J_ROLE,
	J_QUERY,
	J_PARAMS,
	J_SETTINGS
};

/* The bytes of a text or bytea, NULL for NULL. */
static char *
read_bytes(int column, Size *len)
{
	bool		isnull;
	Datum		value = cx_books_value(0, column, &isnull);
	char	   *copy;

	*len = 0;
	if (isnull)
		return NULL;
	value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	*len = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	copy = palloc(*len + 1);
	memcpy(copy, VARDATA_ANY(DatumGetPointer(value)), *len);
	copy[*len] = '\0';
	return copy;
}

static void
read_job(CxJob *job)
{
	CxRefresh  *r = &job->refresh;
	Datum		params;
	bool		isnull;
	Size		len;

	memset(job, 0, sizeof(CxJob));
	job->id = DatumGetInt64(cx_books_value(0, J_ID, &isnull));
	strlcpy(r->cache, read_bytes(J_CACHE, &len), NAMEDATALEN);
	r->scope = read_bytes(J_SCOPE, &r->scope_len);
	r->key = read_bytes(J_KEY, &r->key_len);
	r->session = DatumGetObjectId(cx_books_value(0, J_SESSION, &isnull));
	r->role = DatumGetObjectId(cx_books_value(0, J_ROLE, &isnull));
	r->query = read_bytes(J_QUERY, &r->query_len);
	r->settings = read_bytes(J_SETTINGS, &r->settings_len);
	params = cx_books_value(0, J_PARAMS, &isnull);
	if (!isnull)
		r->params = DatumGetArrayTypePCopy(params);
	r->type = JSONBOID;
}

/* Whose job began last, in any worker; InvalidOid: none did. */
static Oid
find_last_role(void)
{
	CxBooksArgs none = {0};
	bool		isnull;

	if (cx_books_run("SELECT role FROM cachex.job WHERE started IS NOT NULL"
					 " ORDER BY started DESC LIMIT 1", &none) == 0)
		return InvalidOid;
	return DatumGetObjectId(cx_books_value(0, 1, &isnull));
}

/* The next job of a role beyond another one, in the row read last; false: none. */
static bool
find_beyond(Oid role)
{
	CxBooksArgs args = {0};

	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	return cx_books_run("SELECT id, session, role FROM cachex.job"
						" WHERE status = 'pending' AND role > $1"
						" AND not_before <= clock_timestamp()"
						" ORDER BY role, not_before, id LIMIT 1"
						" FOR UPDATE SKIP LOCKED", &args) > 0;
}

/* The same, of this process's user and role. */
static bool
find_own(void)
{
	CxBooksArgs args = {0};
	Oid			session;
	Oid			role;

	if (!cx_secure_whose(&session, &role))
		return false;
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(session), false);
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	return cx_books_run("SELECT id, session, role FROM cachex.job"
						" WHERE status = 'pending' AND session = $1"
						" AND role = $2 AND not_before <= clock_timestamp()"
						" ORDER BY not_before, id LIMIT 1"
						" FOR UPDATE SKIP LOCKED", &args) > 0;
}

/* Notes that the job of an id begins, and reads it. */
static void
start_job(Datum id, MemoryContext context, CxJob *job)
{
	CxBooksArgs args = {0};
	MemoryContext old;

	cx_books_arg(&args, INT8OID, id, false);
	(void) cx_books_run("UPDATE cachex.job SET status = 'running',"
						" started = clock_timestamp(), finished = NULL,"
						" attempts = attempts + 1 WHERE id = $1"
						" RETURNING id, cache, scope, key, session, role,"
						" query, params, settings", &args);
	old = MemoryContextSwitchTo(context);
	read_job(job);
	MemoryContextSwitchTo(old);
}

/*
 * Notes that a job begins, and copies it into the caller's memory context.
 * Roles take turns, so that nobody waits for all jobs of another; of a role's
 * jobs the one that waits longest is next.  If that is for another process to
 * run, none begins.  own: a job that this process may run goes before others.
 */
CxTaken
cx_jobs_take(bool own, CxJob *job)
{
	static Oid	last_role = InvalidOid;
	CxTaken		taken = CX_TAKEN_NONE;
	CxBooks		books;
	bool		isnull;

	begin(&books);
	admit();
	/* this worker may be new */
	if (!OidIsValid(last_role))
		last_role = find_last_role();
	if ((own && find_own()) || find_beyond(last_role) ||
		find_beyond(InvalidOid))
	{
		Datum		id = cx_books_value(0, 1, &isnull);
		Oid			session = DatumGetObjectId(cx_books_value(0, 2, &isnull));
		Oid			role = DatumGetObjectId(cx_books_value(0, 3, &isnull));

		taken = CX_TAKEN_OTHERS;
		if (cx_secure_belongs_to(session, role))
		{
			taken = CX_TAKEN;
			start_job(id, books.caller, job);
			last_role = role;
		}
	}
	cx_books_end(&books);
	return taken;
}

/* Appends what a role has set for its sessions in this database. */
void
cx_jobs_role_settings(Oid role, StringInfo out)
{
	CxBooksArgs args = {0};
	CxBooks		books;
	uint64		n;

	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(role), false);
	cx_books_arg(&args, OIDOID, ObjectIdGetDatum(MyDatabaseId), false);
	begin(&books);
	/* the most specific one comes last and wins */
	n = cx_books_run("SELECT split_part(c, '=', 1),"
					 " substr(c, position('=' in c) + 1)"
					 " FROM pg_db_role_setting, unnest(setconfig) AS c"
					 " WHERE setrole IN (0, $1) AND setdatabase IN (0, $2)"
					 " ORDER BY setrole <> 0, setdatabase <> 0", &args);
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		char	   *name = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);

		if (cx_settings_counts(name))
			cx_settings_append(out, name,
							   SPI_getvalue(row, SPI_tuptable->tupdesc, 2));
	}
	cx_books_end(&books);
}

/* Notes how a run ended; error is NULL when it ended well. */
void
cx_jobs_finish(const CxJob *job, const char *error)
{
	CxBooksArgs args = {0};

	add_interval_ms(&args, cx_guc_retry_pause);
	cx_books_arg(&args, INT8OID, Int64GetDatum(job->id), false);
	cx_books_text(&args, error);
	(void) cx_books_run_alone("job", "UPDATE cachex.job SET finished = clock_timestamp(),"
							  " last_error = coalesce($3, last_error),"
							  " status = CASE WHEN $3 IS NULL THEN 'done'"
							  " WHEN attempts < max_attempts THEN 'pending'"
							  " ELSE 'failed' END,"
							  " not_before = clock_timestamp() +" PAUSE ","
							  NOTHING_LEFT_IF("$3 IS NULL OR attempts >= max_attempts")
							  " WHERE id = $2 AND status = 'running'", &args);
}

/* Forgets what has ended long ago, or is too much. */
void
cx_jobs_clean(void)
{
	CxBooksArgs args = {0};

	cx_books_arg(&args, INT4OID, Int32GetDatum(cx_guc_job_retention), false);
	(void) cx_books_run_alone("job", "DELETE FROM cachex.job WHERE" HAS_ENDED
							  " AND finished < greatest("
							  " clock_timestamp() - $1 * interval '1 s',"
							  " (SELECT finished FROM cachex.job WHERE" HAS_ENDED
							  "  ORDER BY finished DESC OFFSET " KEPT_JOBS
							  "  LIMIT 1))", &args);
}

/*
 * When a visit is to be made for jobs, CX_VISIT_NEVER if for none.  What was
 * left over now, because others have locked it, is not tried at once.
 */
TimestampTz
cx_jobs_next(void)
{
	CxBooksArgs args = {0};
	TimestampTz next = CX_VISIT_NEVER;
	CxBooks		books;
	bool		isnull;

	cx_books_arg(&args, INT4OID, Int32GetDatum(cx_guc_job_retention), false);
	begin(&books);
	(void) cx_books_run("SELECT CASE WHEN t > clock_timestamp() THEN t"
						" ELSE clock_timestamp() + interval '1 s' END"
						" FROM (SELECT least("
						"  (SELECT min(not_before) FROM cachex.job"
						"   WHERE status = 'pending'),"
						"  (SELECT max(finished) + $1 * interval '1 s'"
						"   FROM cachex.job WHERE" HAS_ENDED "),"
						"  (SELECT '-infinity'::timestamptz"
						"   FROM cachex.job_request LIMIT 1))) AS d(t)"
						" WHERE t IS NOT NULL", &args);
	if (SPI_processed > 0)
		next = DatumGetTimestampTz(cx_books_value(0, 1, &isnull));
	cx_books_end(&books);
	return next;
}
