/*
 * cx_settings.h
 *	  The settings that change what a query returns: as one number, and as
 *	  text for another process.
 */
#ifndef CX_SETTINGS_H
#define CX_SETTINGS_H

#include "lib/stringinfo.h"

extern uint64 cx_settings_hash(void);

extern void cx_settings_append(StringInfo out, const char *name,
							   const char *value);
extern void cx_settings_write(StringInfo out);
extern bool cx_settings_counts(const char *name);
extern void cx_settings_apply(const char *settings, Size len);
extern int	cx_settings_placeholders(void);
extern bool cx_settings_cover(const char *settings, Size len);

#endif							/* CX_SETTINGS_H */
