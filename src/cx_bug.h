/*
 * cx_bug.h
 *	  Bugs that are planted to see whether test/history finds them.
 *
 * "make CX_BUG=3" builds with the third one, and with pauses where the
 * windows are that it opens.  Nothing of this is in any other build.
 */
#ifndef CX_BUG_H
#define CX_BUG_H

#define CX_BUG_NO_MARK			1	/* no mark before the commit */
#define CX_BUG_MARK_AFTER		2	/* marks when others can see it */
#define CX_BUG_UNCOMPARED		3	/* resolved writers are not compared */
#define CX_BUG_NO_BUMP			4	/* generations do not move */
#define CX_BUG_NO_FLOOR			5	/* what lost its place is forgotten */
#define CX_BUG_UNCHECKED_FILL	6	/* fills are linked unasked */
#define CX_BUG_OWN_WRITES		7	/* own writes are ignored */
#define CX_BUG_AFTER_STATEMENT	8	/* triggers fire after statements */
#define CX_BUG_EQUAL_HASHES		9	/* no bug: what must hold all the same;
									 * for t/equal_hashes */

#ifdef CX_BUG
#define CX_BUG_IS(bug) (CX_BUG == (bug))
#define CX_BUG_PAUSE() pg_usleep(2000L)
#else
#define CX_BUG_IS(bug) false
#define CX_BUG_PAUSE() ((void) 0)
#endif

#endif							/* CX_BUG_H */
