/*
 * cx_snapshot_file.c
 *	  Blocks with a checksum each, one file at a time.
 *
 * A block carries its number and a number that is the file's own, so that
 * blocks of another file, or out of place, are found out as well as damaged
 * ones.  The last block is empty and nothing follows it, so a file that was
 * cut is found out too.  No byte is handed out before its block is checked.
 *
 * Locking: none; for the postmaster, at its start and at its end.  Raises no
 * error and allocates nothing.
 *
 * Not done here: what the bytes mean (cx_snapshot.c), making the file durable.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "port/pg_crc32c.h"
#include "storage/fd.h"

#include "cx_snapshot_file.h"

#define MAGIC		0x43785331U
#define BLOCK_SIZE	(128 * 1024)

typedef struct Head
{
	uint32		magic;
	uint32		number;			/* from 0 */
	uint64		file;			/* the same in all blocks of a file */
	uint32		len;			/* bytes that follow */
	pg_crc32c	crc;			/* of all this but the crc, and the bytes */
} Head;

StaticAssertDecl(sizeof(Head) == 24, "the head of a block has no holes");

static struct
{
	Head		head;
	char		bytes[BLOCK_SIZE];
}			block;

static int	fd = -1;
static bool failed = false;
static int	failed_errno = 0;
static uint32 at = 0;			/* bytes of the block that are read or written */

static pg_crc32c
checksum(void)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &block.head, offsetof(Head, crc));
	COMP_CRC32C(crc, block.bytes, block.head.len);
	FIN_CRC32C(crc);
	return crc;
}

/* ---- writing ---- */

static void
fail(int err)
{
	if (!failed)
		failed_errno = err;
	failed = true;
}

/* Begins a file. Returns false with errno set. */
bool
cx_snapshot_file_create(const char *path)
{
	fd = OpenTransientFilePerm(path, O_CREAT | O_TRUNC | O_WRONLY | PG_BINARY,
							   S_IRUSR | S_IWUSR);
	memset(&block.head, 0, sizeof(Head));
	block.head.magic = MAGIC;
	at = 0;
	failed = fd < 0;
	failed_errno = errno;
	if (!failed && !pg_strong_random(&block.head.file, sizeof(uint64)))
		fail(EIO);
	return fd >= 0;
}

static void
write_block(void)
{
	const char *p = (const char *) &block;
	Size		left = sizeof(Head) + at;

	block.head.len = at;
	block.head.crc = checksum();
	while (!failed && left > 0)
	{
		ssize_t		n;

		errno = 0;
		n = write(fd, p, left);
		if (n > 0)
		{
			p += n;
			left -= n;
		}
		else if (errno != EINTR)
			fail(errno ? errno : ENOSPC);
	}
	block.head.number++;
	at = 0;
}

void
cx_snapshot_file_put(const void *bytes, Size len)
{
	const char *p = bytes;

	while (len > 0)
	{
		Size		n = Min(len, BLOCK_SIZE - at);

		memcpy(block.bytes + at, p, n);
		at += n;
		p += n;
		len -= n;
		if (at == BLOCK_SIZE)
			write_block();
	}
}

/*
 * Ends and closes the file.  Returns false with errno set when anything since
 * cx_snapshot_file_create() has failed.
 */
bool
cx_snapshot_file_finish(void)
{
	if (at > 0)
		write_block();
	write_block();
	if (CloseTransientFile(fd) != 0)
		fail(errno);
	fd = -1;
	errno = failed_errno;
	return !failed;
}

/* ---- reading ---- */

/* Returns false with errno set when the file cannot be opened. */
bool
cx_snapshot_file_open(const char *path)
{
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	memset(&block.head, 0, sizeof(Head));
	at = 0;
	failed = false;
	return fd >= 0;
}

/* Reads just so many bytes. */
static bool
read_all(void *to, Size len)
{
	char	   *p = to;

	while (len > 0)
	{
		ssize_t		n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* The next block; the first one says which file this is. */
static bool
read_block(uint32 number)
{
	uint64		file = block.head.file;

	at = 0;
	block.head.len = 0;
	if (!read_all(&block.head, sizeof(Head)) ||
		block.head.magic != MAGIC || block.head.number != number ||
		(number > 0 && block.head.file != file) ||
		block.head.len > BLOCK_SIZE ||
		!read_all(block.bytes, block.head.len) ||
		block.head.crc != checksum())
	{
		block.head.len = 0;
		failed = true;
	}
	return !failed;
}

/*
 * Points *bytes to what comes next, most bytes at most.  Returns how many;
 * 0 when the file is damaged or ends here.  Valid until the next call.
 */
Size
cx_snapshot_file_piece(Size most, const char **bytes)
{
	Size		n;

	if (!failed && block.head.magic == 0)
		(void) read_block(0);
	else if (!failed && at == block.head.len)
		(void) read_block(block.head.number + 1);
	if (failed)
		return 0;
	n = Min(most, block.head.len - at);
	*bytes = block.bytes + at;
	at += n;
	return n;
}

/* Reads len bytes; false when the file does not have them. */
bool
cx_snapshot_file_get(void *to, Size len)
{
	char	   *p = to;

	while (len > 0)
	{
		const char *bytes;
		Size		n = cx_snapshot_file_piece(len, &bytes);

		if (n == 0)
			return false;
		memcpy(p, bytes, n);
		p += n;
		len -= n;
	}
	return true;
}

/* The same, into nowhere. */
bool
cx_snapshot_file_skip(Size len)
{
	while (len > 0)
	{
		const char *bytes;
		Size		n = cx_snapshot_file_piece(len, &bytes);

		if (n == 0)
			return false;
		len -= n;
	}
	return true;
}

/* Whether all has been read: the empty block, and nothing after it. */
bool
cx_snapshot_file_ended(void)
{
	char		more;

	return !failed && block.head.magic != 0 && at == block.head.len &&
		read_block(block.head.number + 1) && block.head.len == 0 &&
		read(fd, &more, 1) == 0;
}

void
cx_snapshot_file_close(void)
{
	if (fd >= 0)
		(void) CloseTransientFile(fd);
	fd = -1;
}
