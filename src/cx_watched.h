/*
 * cx_watched.h
 *	  Whether every change of a relation's rows is seen.
 */
#ifndef CX_WATCHED_H
#define CX_WATCHED_H

#include "cx_judge.h"
#include "utils/rel.h"

extern bool cx_watched_has_triggers(Relation rel);
extern bool cx_watched_is_subscribed(Oid relid);
extern CxRefusal cx_watched_judge(Oid relid, const char **culprit);

#endif							/* CX_WATCHED_H */
