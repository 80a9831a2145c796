/*
 * cx_define.h
 *	  The settings of a cache as create_cache and alter_cache take them.
 */
#ifndef CX_DEFINE_H
#define CX_DEFINE_H

#include "utils/jsonb.h"

#include "cx_catalog.h"

/* A setting, and the column of cachex.cache_definition of the same name. */
typedef struct CxSetting
{
	const char *name;
	const char *type;			/* its text is cast to this */
	bool		nullable;
	bool		option;			/* create_cache takes it in options */
	bool		owner_only;		/* the database's owner may not set it */

	/*
	 * raises an error for a text that cannot be its value; NULL: its type
	 * says
	 */
	void		(*check) (const struct CxSetting *setting, const char *value);
	double		max;			/* of a number */
	const char *const *words;	/* its values, NULL at the end */
} CxSetting;

#define CX_DEFINITIONS "cache_definition"	/* the table */
#define CX_MAX_CHANGES 20		/* at least the number of settings */

extern const CxSetting *cx_define_find(const char *name, bool options);
extern const char *cx_define_value(const CxSetting *setting,
								   const JsonbValue *v);
extern void cx_define_check(const char *name, const char *value);
extern const char *cx_define_bytes(const char *size);
extern const char *cx_define_loader(Oid function);
extern void cx_define_built_in(const CxCache *cache);

#endif							/* CX_DEFINE_H */
