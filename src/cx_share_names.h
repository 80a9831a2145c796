/*
 * cx_share_names.h
 *	  What must another role be able to use to say the same?
 */
#ifndef CX_SHARE_NAMES_H
#define CX_SHARE_NAMES_H

#include "nodes/pg_list.h"
#include "nodes/nodes.h"

/* What speaks against sharing a result, or has to be checked first. */
typedef struct CxSharing
{
	bool		personal;		/* it may depend on who computes it */
	List	   *functions;		/* OIDs: EXECUTE is not everybody's */
	List	   *schemas;		/* OIDs of schemas that names were found in */
} CxSharing;

extern void cx_share_names_schema(CxSharing *sharing, Oid schema);
extern void cx_share_names(Node *node, CxSharing *sharing);
extern bool cx_share_names_is_checked(Oid type);
extern bool cx_share_names_may_check(const char *word);

#endif							/* CX_SHARE_NAMES_H */
