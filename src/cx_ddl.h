/*
 * cx_ddl.h
 *	  What cachex does when objects are dropped and databases are changed.
 */
#ifndef CX_DDL_H
#define CX_DDL_H

extern void cx_ddl_install_hooks(void);

#endif							/* CX_DDL_H */
