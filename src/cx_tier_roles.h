/*
 * cx_tier_roles.h
 *	  Whose privileges a role has.
 */
#ifndef CX_TIER_ROLES_H
#define CX_TIER_ROLES_H

extern uint64 cx_tier_roles(Oid role);

#endif							/* CX_TIER_ROLES_H */
