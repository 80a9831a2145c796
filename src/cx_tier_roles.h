/*
 * cx_tier_roles.h
 *	  Who a role is, and whose privileges it has.
 */
#ifndef CX_TIER_ROLES_H
#define CX_TIER_ROLES_H

extern uint64 cx_tier_role(Oid role);
extern uint64 cx_tier_roles(Oid role);

#endif							/* CX_TIER_ROLES_H */
