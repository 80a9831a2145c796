/*
 * cx_share.h
 *	  Could another role have computed the same?
 */
#ifndef CX_SHARE_H
#define CX_SHARE_H

#include "nodes/pg_list.h"
#include "nodes/nodes.h"

/* What speaks against sharing a result, or has to be checked first. */
typedef struct CxSharing
{
	bool		personal;		/* it may depend on who computes it */
	List	   *functions;		/* OIDs: EXECUTE is not everybody's */
	List	   *schemas;		/* OIDs of schemas that names were found in */
} CxSharing;

extern void cx_share_node(Node *node, CxSharing *sharing);
extern void cx_share_function(Oid function, CxSharing *sharing);
extern void cx_share_queries(List *queries, CxSharing *sharing);

#endif							/* CX_SHARE_H */
