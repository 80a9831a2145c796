/*
 * cx_secure.h
 *	  Running something as another role, with no more power than that role
 *	  has, and under a search_path that nobody else can write to.
 */
#ifndef CX_SECURE_H
#define CX_SECURE_H

/* What is to be restored; an error leaves that to the transaction's abort. */
typedef struct CxSecure
{
	Oid			user;
	int			security;
	int			nest_level;
} CxSecure;

extern int	cx_secure_pin_path(void);
extern bool cx_secure_put_temp_last(void);
extern void cx_secure_begin(CxSecure *secure, Oid role);
extern void cx_secure_begin_as(CxSecure *secure, Oid session, Oid role);
extern void cx_secure_end(const CxSecure *secure);

/* For a worker's process */
extern void cx_secure_name_superuser(void);
extern bool cx_secure_belongs_to(Oid session, Oid role);
extern bool cx_secure_whose(Oid *session, Oid *role);

#endif							/* CX_SECURE_H */
