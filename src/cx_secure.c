/*
 * cx_secure.c
 *	  The one place where a role and a search_path are set for what cachex
 *	  runs by itself.
 *
 * A worker connects as nobody in particular, with all privileges.  What asks
 * for the session's user must not find that: he is set to the one of the
 * session that has asked.  And what a session keeps (connections of dblink and
 * postgres_fdw, the seed of random()) must not pass from one user to another:
 * a process is for the first one for whom it runs something.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid_d.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "cx_secure.h"

/* in a worker, for whom it is */
static Oid	my_session = InvalidOid;
static Oid	my_role = InvalidOid;

/*
 * Sets a search_path that holds no object of other users; the result goes to
 * AtEOXact_GUC(false, ...), which also undoes other settings made meanwhile.
 */
int
cx_secure_pin_path(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	return nest_level;
}

/*
 * Has temporary relations, which the session's user may have made, found after
 * all others, until the nest level ends.  Returns false where the path names
 * their schema.
 */
bool
cx_secure_put_temp_last(void)
{
	const char *path = GetConfigOption("search_path", false, false);

	if (strstr(path, "pg_temp") != NULL)
		return false;
	(void) set_config_option("search_path",
							 *path ? psprintf("%s, pg_temp", path) : "pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	return true;
}

static void
restrict_to(const CxSecure *secure, Oid role)
{
	SetUserIdAndSecContext(role, secure->security |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

/*
 * Becomes a role for a security-restricted operation (no SET ROLE, no
 * temporary tables), with the path pinned.
 */
void
cx_secure_begin(CxSecure *secure, Oid role)
{
	GetUserIdAndSecContext(&secure->user, &secure->security);
	restrict_to(secure, role);
	secure->nest_level = cx_secure_pin_path();
}

/*
 * The same in a worker, for a session of some user.  Raises an error where he
 * does not exist.
 */
void
cx_secure_begin_as(CxSecure *secure, Oid session, Oid role)
{
	GetUserIdAndSecContext(&secure->user, &secure->security);
	secure->nest_level = cx_secure_pin_path();
	(void) set_config_option("session_authorization",
							 GetUserNameFromId(session, false),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	restrict_to(secure, role);
}

/* Ends it, and undoes settings that were made meanwhile. */
void
cx_secure_end(const CxSecure *secure)
{
	/* the session's user is not set back under restrictions */
	SetUserIdAndSecContext(secure->user, secure->security);
	AtEOXact_GUC(false, secure->nest_level);
	SetUserIdAndSecContext(secure->user, secure->security);
}

/*
 * Once in a worker that has connected: the setting says who it is, so that it
 * can be set back to that.  No transaction is under way.
 */
void
cx_secure_name_superuser(void)
{
	StartTransactionCommand();
	SetConfigOption("session_authorization",
					GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false),
					PGC_BACKEND, PGC_S_OVERRIDE);
	CommitTransactionCommand();
}

/*
 * Whether this worker may run something for a role in a session of some user:
 * the first ones for whom it asks, and nobody else.
 */
bool
cx_secure_belongs_to(Oid session, Oid role)
{
	if (!OidIsValid(my_role))
	{
		my_session = session;
		my_role = role;
	}
	return session == my_session && role == my_role;
}

/* For whom this worker may run something; false: for nobody yet. */
bool
cx_secure_whose(Oid *session, Oid *role)
{
	*session = my_session;
	*role = my_role;
	return OidIsValid(my_role);
}
