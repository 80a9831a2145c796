/*
 * cx_builtins.h
 *	  The server's own stable functions whose results can be kept.
 */
#ifndef CX_BUILTINS_H
#define CX_BUILTINS_H

extern bool cx_builtins_keepable(const char *name, bool *runs_queries);
extern bool cx_builtins_impersonal(const char *name);
extern bool cx_builtins_user(const char *name);
extern bool cx_builtins_privileges(const char *name);
extern bool cx_builtins_cursor(const char *name);

#endif							/* CX_BUILTINS_H */
