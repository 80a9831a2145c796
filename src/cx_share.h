/*
 * cx_share.h
 *	  Could another role have computed the same?
 */
#ifndef CX_SHARE_H
#define CX_SHARE_H

#include "cx_share_names.h"

extern void cx_share_node(Node *node, CxSharing *sharing);
extern void cx_share_function(Oid function, CxSharing *sharing);
extern void cx_share_json(CxSharing *sharing);
extern void cx_share_queries(List *queries, CxSharing *sharing);

#endif							/* CX_SHARE_H */
