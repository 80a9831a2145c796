/*
 * own.pml
 *	  A fetch in the midst of its own transaction's statement.  Own runs
 *	  UPDATE over two rows; for each of them a volatile function takes a new
 *	  snapshot, which shows the rows changed so far, and fetches.  Other
 *	  fetches from outside.
 *
 * The table gets into the transaction's dirty set before the first row changes
 * (BEFORE STATEMENT); a fetch that depends on a dirty table runs its loader,
 * looks nothing up and stores nothing.
 *
 *	 M_AFTER	  dirty from the end of the statement on (AFTER STATEMENT)
 *	 M_HITDIRTY	  a dirty table does not keep from hits
 *	 M_FILLDIRTY  a dirty table does not keep from fills
 *	 WITNESS	  "violated" when a hit can happen after the commit
 */
byte committed = 0;				/* rows changed by Own that others see */
bool completed = 0;
byte state = 0;					/* of Own's mark: 0 none, 1 in doubt, 2 resolved */
byte last = 1, gen = 1;
bool e_there = 0;
byte e_gen, e_val;

/* sees, truth: whether the snapshot sees Own's end; the value that it shows */
inline fetch(dirty, sees, truth)
{
	found = 0;
#ifndef M_HITDIRTY
	if :: dirty :: else ->
#endif
		d_step { found = e_there; g = e_gen; copy = e_val };
		if
		:: found ->
			d_step { if :: (state == 1 && sees) || (state == 2 && !sees) -> found = 0 :: else fi };
			found = found && gen <= g;
			if
			:: found ->
				assert(copy == truth);
#ifdef WITNESS
				assert(truth == 0)
#endif
			:: else
			fi
		:: else
		fi
#ifndef M_HITDIRTY
	fi
#endif
	;
#ifdef M_FILLDIRTY
	if :: found
#else
	if :: found || dirty
#endif
	:: else ->
		d_step { last++; g = last };
		d_step { found = (state == 1 && sees) || (state == 2 && !sees) };
		if
		:: !found && gen <= g ->
			d_step {
				if
				:: e_there && e_gen > g
				:: else -> e_there = 1; e_gen = g; e_val = truth
				fi
			}
		:: else
		fi
	fi;
	d_step { g = 0; copy = 0; found = 0 }
}

proctype Own()
{
	bool dirty = 0, sees = 0, found = 0;
	byte mine = 0, base = 0, g = 0, copy = 0, n = 0;

	fetch(dirty, 0, 0);			/* before it writes anything */
#ifndef M_AFTER
	dirty = 1;
#endif
	do
	:: n < 2 -> mine++; fetch(dirty, 0, mine); n++
	:: else -> break
	od;
	dirty = 1;
	fetch(dirty, 0, mine);		/* the next statement */
	state = 1;
	if
	:: d_step { committed = mine; completed = 1; mine = 0; dirty = 0 };
		d_step { state = 2; last++; gen = last }
	:: d_step { completed = 1; mine = 0; dirty = 0 };
		state = 0
	fi;
	d_step { base = committed; sees = completed };
	fetch(dirty, sees, base)	/* the next transaction */
}

proctype Other()
{
	bool sees = 0, found = 0;
	byte truth = 0, g = 0, copy = 0, n = 0;

	do
	:: n < 3 ->
		d_step { truth = committed; sees = completed };
		fetch(0, sees, truth);
		n++
	:: else -> break
	od
}

init { atomic { run Own(); run Other() } }
