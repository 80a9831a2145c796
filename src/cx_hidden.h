/*
 * cx_hidden.h
 *	  For what a hit uses of other files.
 *
 * Before 16 everything of an extension can be seen from outside, and is
 * reached with a detour; not what is hidden.
 */
#ifndef CX_HIDDEN_H
#define CX_HIDDEN_H

#ifdef __GNUC__
#define CX_HIDDEN __attribute__((visibility("hidden")))
#else
#define CX_HIDDEN
#endif

#endif							/* CX_HIDDEN_H */
