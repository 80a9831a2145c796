/*
 * cx_access.h
 *	  Whom an entry of a shared cache may be served to.
 */
#ifndef CX_ACCESS_H
#define CX_ACCESS_H

#include "nodes/plannodes.h"

#include "cx_share.h"
#include "cx_store.h"

extern bool cx_access_has_row_security(Oid rel);
extern void cx_access_begin(CxAccess *access, Oid filler);
extern void cx_access_add_sharing(CxAccess *access, const CxSharing *sharing);
extern void cx_access_add_plan(CxAccess *access, const PlannedStmt *stmt);
extern void cx_access_add_table(CxAccess *access, Oid table);
extern bool cx_access_check(const CxIdent *ident, const CxHit *hit);

/* Whether the current role may be served what was found. */
static inline bool
cx_access_allows(const CxIdent *ident, const CxHit *hit)
{
	return likely(!hit->entry.has_access) || cx_access_check(ident, hit);
}

#endif							/* CX_ACCESS_H */
