/*
 * cx_secure.c
 *	  The one place where a role and a search_path are set for what cachex
 *	  runs by itself.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "cx_secure.h"

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

/*
 * Becomes a role for a security-restricted operation (no SET ROLE, no
 * temporary tables), with the path pinned.
 */
void
cx_secure_begin(CxSecure *secure, Oid role)
{
	GetUserIdAndSecContext(&secure->user, &secure->security);
	SetUserIdAndSecContext(role, secure->security |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	secure->nest_level = cx_secure_pin_path();
}

/* Ends it, and undoes settings that were made meanwhile. */
void
cx_secure_end(const CxSecure *secure)
{
	AtEOXact_GUC(false, secure->nest_level);
	SetUserIdAndSecContext(secure->user, secure->security);
}
