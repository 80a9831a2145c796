/*
 * cx_names.h
 *	  Whether names mean in this session what they mean in others.
 */
#ifndef CX_NAMES_H
#define CX_NAMES_H

#include "nodes/parsenodes.h"

extern uint64 cx_names_temporary_runs;

extern bool cx_names_is_temporary_type(Oid type);
extern bool cx_names_is_temporary_value(Node *node);
extern bool cx_names_is_temporary(Query *query);
extern int	cx_names_count(int cache, const char *name);
extern bool cx_names_hidden(void);
extern uint64 cx_names_version(void);

#endif							/* CX_NAMES_H */
