/*
 * cx_snapshot_state.c
 *	  Has anything changed since the server was shut down?
 *
 * Nothing has, when the control file is byte for byte the one that the
 * shutdown left: any start and any tool that changes the data writes to it.
 * And nothing will before the first session, when there is no recovery to
 * come and no prepared transaction that could still commit.
 *
 * Locking: none.  Raises no error; for the postmaster, where an error would be
 * the end.  So it reads the control file itself instead of get_controlfile().
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "access/xlog.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "cx_snapshot_state.h"

#define CONTROL_FILE	"global/pg_control"
#define TWOPHASE		"pg_twophase"

/* Reads the control file; false when that fails or it is damaged. */
static bool
read_control(CxServerState *state)
{
	ControlFileData *control = &state->control;
	struct stat st;
	pg_crc32c	crc;
	bool		whole;
	int			fd = BasicOpenFile(CONTROL_FILE, O_RDONLY | PG_BINARY);

	if (fd < 0)
		return false;
	whole = fstat(fd, &st) == 0 &&
		read(fd, control, sizeof(*control)) == (ssize_t) sizeof(*control);
	(void) close(fd);
	if (!whole)
		return false;
	state->inode = (uint64) st.st_ino;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, control, offsetof(ControlFileData, crc));
	FIN_CRC32C(crc);
	return EQ_CRC32C(crc, control->crc) &&
		control->pg_control_version == PG_CONTROL_VERSION;
}

/* Whether a file is there, or that cannot be told. */
static bool
may_exist(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 || errno != ENOENT;
}

/* The same for files of prepared transactions; a clean shutdown writes all. */
static bool
may_have_prepared(void)
{
	DIR		   *dir = AllocateDir(TWOPHASE);
	struct dirent *entry;
	bool		found;

	if (dir == NULL)
		return true;
	do
	{
		errno = 0;
		entry = readdir(dir);
		found = entry ? entry->d_name[0] != '.' : errno != 0;
	} while (entry && !found);
	(void) FreeDir(dir);
	return found;
}

/*
 * Fills state as of now.  Returns NULL, or why entries cannot outlive the
 * time between a shutdown and the start after it.
 */
const char *
cx_snapshot_state_get(CxServerState *state)
{
	const char *version = GetConfigOption("server_version", true, false);

	memset(state, 0, sizeof(*state));
	if (!read_control(state))
		return "the control file cannot be read";
	strlcpy(state->version, version ? version : "", sizeof(state->version));
#ifdef __GLIBC__
	strlcpy(state->libc, gnu_get_libc_version(), sizeof(state->libc));
#endif
	if (state->control.state != DB_SHUTDOWNED)
		return "the server was not shut down cleanly";
	if (may_exist(STANDBY_SIGNAL_FILE) || may_exist(RECOVERY_SIGNAL_FILE) ||
		may_exist(BACKUP_LABEL_FILE))
		return "the server is to be a standby or a restored backup";
	if (may_have_prepared())
		return "there are prepared transactions";
	return NULL;
}

/* Returns NULL when then is now, or what is different. */
const char *
cx_snapshot_state_compare(const CxServerState *then, const CxServerState *now)
{
	if (then->control.system_identifier != now->control.system_identifier)
		return "it is from another database cluster";
	if (memcmp(&then->control, &now->control, sizeof(ControlFileData)) != 0)
		return "the server has run since it was written";
	if (then->inode != now->inode)
		return "the data directory is a copy";
	if (memcmp(then->version, now->version, sizeof(now->version)) != 0 ||
		memcmp(then->libc, now->libc, sizeof(now->libc)) != 0)
		return "it is from another version of the server or of its C library";
	return NULL;
}
