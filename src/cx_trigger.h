/*
 * cx_trigger.h
 *	  The triggers of watches, as pg_trigger has them.
 */
#ifndef CX_TRIGGER_H
#define CX_TRIGGER_H

#include "nodes/pg_list.h"

/* Bytes of the part of a trigger's name that all of a watch have */
#define CX_TRIGGER_PREFIX (sizeof("cachex_0123456789abcdef") - 1)

/* The arguments that are looked at here: the cache, the first; the tags */
#define CX_TRIGGER_TAGS 2

/* A trigger that calls on_change */
typedef struct CxTrigger
{
	Oid			relid;
	char	   *name;
	char	   *cache;			/* its first argument, or NULL */
	bool		is_bare;		/* without arguments: for exact caches */
	bool		names_tags;
	bool		is_clone;
	bool		always;
} CxTrigger;

extern List *cx_trigger_find(Oid trigger, Oid relid);
extern char cx_trigger_letter(const CxTrigger *found);
extern CxTrigger *cx_trigger_by_name(List *triggers, const char *prefix,
									 char letter);

#endif							/* CX_TRIGGER_H */
