/*
 * catalog.pml
 *	  Changes that act through invalidation messages and not through
 *	  snapshots: functions, policies, columns, partitions.  Their marks are hard.
 *
 * A transaction that changes a catalog is first seen by snapshots, then runs
 * its callback, then sends its messages, then releases its locks, that of its
 * xid among them.  COMMIT PREPARED: the same, without a callback.
 *
 * What must hold: what is served was computed with every catalog change whose
 * messages were out when the fetch began.
 *
 *	 PREP=n		  changes that are prepared, as a set of xids
 *	 QUIETPATH	  readers take the short cut for quiet times
 *	 BOOT		  xid 1 was prepared before a restart, its mark is gone
 *	 WITNESS	  "violated" when a hit can happen after all changes
 *	 M_...		  one safeguard is missing
 *
 * The line has room for everybody here; what overflow does is in protocol.pml.
 */
#ifndef NDDL
#define NDDL 2
#endif
#ifndef NR
#define NR 2
#endif
#ifndef NF
#define NF 2
#endif
#ifndef PREP
#define PREP 0
#endif
#define BIT(x)			(1 << (x))
#define IS_PREPARED(x)	((PREP & BIT(x)) != 0)

/* the server */
byte next_xid = 1, latest = 0;
byte running = 0, visible = 0, sent = 0;	/* sets of xids */
byte locked = 0;				/* xids whose lock is held */

/* the line */
byte doubt = 0, resolved = 0;	/* sets of xids */
byte in_doubt, prepared, max_xid;

bool e_there = 0;
byte e_cat;						/* the changes it was computed with */

/* generations: their order is all that matters, so they have no gaps */
byte last = 0;
byte gen, e_gen, held[NR];

byte started = 0;
#ifdef WITNESS
byte finished = 0;
#endif
hidden byte h_i, h_v, h_rank, h_any;

inline renumber()
{
	h_v = 1; h_rank = 0;
	do
	:: h_v <= last ->
		h_any = (gen == h_v || e_gen == h_v); h_i = 0;
		do
		:: h_i < NR -> h_any = h_any || held[h_i] == h_v; h_i++
		:: else -> break
		od;
		h_rank = h_rank + h_any;
		if :: gen == h_v -> gen = h_rank :: else fi;
		if :: e_gen == h_v -> e_gen = h_rank :: else fi;
		h_i = 0;
		do
		:: h_i < NR -> if :: held[h_i] == h_v -> held[h_i] = h_rank :: else fi; h_i++
		:: else -> break
		od;
		h_v++
	:: else -> break
	od;
	last = h_rank
}

inline draw(me)
{
	last++; held[me] = last; renumber()
}

inline resolve(x)
{
	doubt = doubt & ~BIT(x); resolved = resolved | BIT(x);
	last++; gen = last			/* the caller renumbers */
}

proctype Ddl(byte x)
{
#ifdef BOOT
	if :: x == 1 -> goto finish :: else fi;
#endif
	atomic {
		(next_xid == x) -> next_xid++;
		running = running | BIT(x); locked = locked | BIT(x)
	}
	d_step { if :: x > max_xid -> max_xid = x :: else fi };
	if :: !IS_PREPARED(x) -> in_doubt++ :: else fi;
#ifndef M_NOMARK
	d_step { doubt = doubt | BIT(x); if :: IS_PREPARED(x) -> prepared++ :: else fi };
#endif
finish:
	if
	:: atomic { locked & BIT(x); d_step {
			running = running & ~BIT(x); visible = visible | BIT(x);
			if :: x > latest -> latest = x :: else fi
		} };
#ifdef M_ATCOMMIT
		if :: !IS_PREPARED(x) -> d_step { resolve(x); renumber() }; in_doubt-- :: else fi;
#endif
		sent = sent | BIT(x);
#ifdef BOOT
		if :: x == 1 -> goto unlock :: else fi;
#endif
#ifndef M_ATCOMMIT
		if :: !IS_PREPARED(x) -> d_step { resolve(x); renumber() }; in_doubt-- :: else fi
#endif
	:: atomic { locked & BIT(x); d_step {
			running = running & ~BIT(x);
			if :: x > latest -> latest = x :: else fi
		} };
#ifdef BOOT
		if :: x == 1 -> goto unlock :: else fi;
#endif
		if :: !IS_PREPARED(x) -> doubt = doubt & ~BIT(x); in_doubt-- :: else fi
	fi;
unlock:
	locked = locked & ~BIT(x)
#ifdef WITNESS
	; finished++
#endif
}

#define SEES(x) ((x) < smax && !(sxip & BIT(x)))

inline take_snapshot()
{
	smax = latest + 1; sxip = running & (BIT(smax) - 1);
	smin = smax; h_i = 1;
	do
	:: h_i < smin -> if :: sxip & BIT(h_i) -> smin = h_i :: else -> h_i++ fi
	:: else -> break
	od
}

/*
 * One critical section.  The test of xid locks is a call that must not be made
 * under a lock of ours; made before it says the same: what is free stays free.
 */
inline judge()
{
	admitted = 1; h_i = 1;
	do
	:: h_i <= NDDL ->
		if
		:: (resolved & BIT(h_i)) && !SEES(h_i) -> admitted = 0
		:: (doubt & BIT(h_i)) && !SEES(h_i) ->
			/* messages care for no snapshot: nobody passes a hard mark */
#ifndef M_UNSEEN
			admitted = 0
#else
			skip
#endif
		:: (doubt & BIT(h_i)) && SEES(h_i) ->
			if
#ifdef M_PREPVISIBLE
			:: IS_PREPARED(h_i) ->
#else
			:: IS_PREPARED(h_i) && !(locked & BIT(h_i)) ->
#endif
				resolve(h_i); prepared--
			:: else -> admitted = 0
			fi
		:: else
		fi;
		h_i++
	:: else -> break
	od;
	renumber()
}

proctype Reader(byte me)
{
	byte smax, smin, sxip;
	byte known = 0;				/* changes that this session's caches contain */
	byte needed = 0;			/* for the assertion */
	byte copy = 0, n = 0;
	bool quiet = 0, admitted = 0, found = 0;

	atomic { (started == me) -> started++; d_step { take_snapshot() } };
fetch:
	needed = sent;
#ifdef BOOT
	if
	:: smin <= 1 -> goto next
#ifndef M_BOOTVISIBLE
	:: smin > 1 && (locked & BIT(1)) -> goto next
#endif
	:: else
	fi;
#endif
#ifdef QUIETPATH
	quiet = (in_doubt == 0);
	quiet = quiet && prepared == 0;
#endif
	d_step { found = e_there; if :: found -> held[me] = e_gen; copy = e_cat :: else fi };
	if :: !found -> goto miss :: else fi;
#ifdef QUIETPATH
	quiet = quiet && max_xid < smin;
#endif
	if
	:: quiet
	:: else ->
		d_step { judge() };
		if :: !admitted -> goto miss :: else fi
	fi;
	if :: gen > held[me] -> goto miss :: else fi;
#ifdef WITNESS
	assert(finished < NDDL);
#endif
	assert((needed & ~copy) == 0);
	goto next;

miss:
	found = 0;
#if defined(M_ACCEPTFIRST)
	known = known | sent;
	d_step { draw(me) };
#elif defined(M_GENLATE)
	known = known | sent;
#else
	d_step { draw(me) };
	known = known | sent;		/* accepts invalidation messages */
#endif
	/* plans and runs; what is not in the session's caches is read anew */
	if :: known = known | visible :: skip fi;
#ifdef M_GENLATE
	d_step { draw(me) };
#endif
	d_step { judge() };
	if :: !admitted -> goto next :: else fi;
	if :: gen > held[me] -> goto next :: else fi;
	d_step {
		if
		:: e_there && e_gen > held[me]
		:: else -> e_there = 1; e_gen = held[me]; e_cat = known
		fi
	};

next:
	atomic {
		d_step { held[me] = 0; renumber() };
		needed = 0; copy = 0; quiet = 0; admitted = 0; found = 0; n++;
		if
		:: n == NF -> smax = 0; smin = 0; sxip = 0; known = 0
		:: n < NF -> d_step { take_snapshot() }; goto fetch
		:: n < NF -> goto fetch
		fi
	}
}

init {
	byte i;

	atomic {
#ifdef BOOT
		running = BIT(1); locked = BIT(1); next_xid = 2;
#endif
		for (i : 1 .. NDDL) { run Ddl(i) }
		for (i : 0 .. NR - 1) { run Reader(i) }
		i = 0
	}
}
