/*
 * cx_settings.h
 *	  The settings that change what a query returns, as one number.
 */
#ifndef CX_SETTINGS_H
#define CX_SETTINGS_H

extern uint64 cx_settings_hash(void);

#endif							/* CX_SETTINGS_H */
