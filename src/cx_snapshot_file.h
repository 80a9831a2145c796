/*
 * cx_snapshot_file.h
 *	  A stream of bytes in a file, in blocks that say whether they are whole.
 */
#ifndef CX_SNAPSHOT_FILE_H
#define CX_SNAPSHOT_FILE_H

/* Writing: errors are remembered until finish. */
extern bool cx_snapshot_file_create(const char *path);
extern void cx_snapshot_file_put(const void *bytes, Size len);
extern bool cx_snapshot_file_finish(void);

/* Reading */
extern bool cx_snapshot_file_open(const char *path);
extern bool cx_snapshot_file_get(void *to, Size len);
extern Size cx_snapshot_file_piece(Size most, const char **bytes);
extern bool cx_snapshot_file_skip(Size len);
extern bool cx_snapshot_file_ended(void);
extern void cx_snapshot_file_close(void);

#endif							/* CX_SNAPSHOT_FILE_H */
