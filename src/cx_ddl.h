/*
 * cx_ddl.h
 *	  Hooks on DDL: what it means for cached results, for watches and for
 *	  databases.
 */
#ifndef CX_DDL_H
#define CX_DDL_H

extern void cx_ddl_install_hooks(void);

#endif							/* CX_DDL_H */
