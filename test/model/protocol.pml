/*
 * protocol.pml
 *	  Hits, fills and commits of cx_cache and cx_deps, and the server's side of
 *	  it: transaction ids, the array of running transactions,
 *	  latestCompletedXid, snapshots.
 *
 * A d_step is one critical section, or one read or write of a shared word.
 * Between any two of them everybody else may run, and a step may be delayed
 * for ever.
 *
 * What must hold: a served value is the one that the reader's snapshot sees.
 * A value is, for each relation, the set of committed writers it contains.
 * "committed" is known to the assertion only, never to the protocol.
 *
 * Sizes: NW writers, NR readers of NF fetches each, NREL relations that share
 * one line with PLACES places.
 *	 W1 W2 W3	  what each of three writers changes, as sets of relations (bit
 *				  r); else they change any,
 *				  or roll back
 *	 PREP=n		  writers that are prepared, as a set of xids (bit x)
 *	 QUIETPATH	  readers take the short cut for quiet times
 *	 ONEGEN		  the relations share a generation, too
 *	 TWINS		  a bystander asks for another dependency, which the line
 *				  cannot tell from relation 0: same line, same hash there
 *	 SETTLER	  somebody settles the marks of prepared transactions that are
 *				  over, whatever they depend on
 *	 PUT		  relation 0 is an identity: writers replace the entry, with a
 *				  value that contains all relations; of relation 1 they are
 *				  invalidations of what the entry depends on
 *	 BOOT		  xid 1 was prepared before a restart, its marks are gone
 *	 OWNFETCH	  a prepared writer fetches between its marks and its PREPARE
 *	 LIVE		  in the end a fresh snapshot must be admitted
 *	 WITNESS	  "violated" when a hit can happen after all writers are done
 *	 M_...		  one safeguard is missing
 *	 CELL		  another model, at the end: reading a set of generations
 */
#ifndef CELL

#ifndef NW
#define NW 2
#endif
#ifndef NR
#define NR 2
#endif
#ifndef NF
#define NF 2
#endif
#ifndef NREL
#define NREL 1
#endif
#ifndef PLACES
#define PLACES 1				/* few, so that lines overflow */
#endif
#ifndef PREP
#define PREP 0
#endif
#ifdef BOOT
#define X0 1
#else
#define X0 0
#endif

#define BIT(x)			(1 << (x))
#define IS_PREPARED(x)	((PREP & BIT(x)) != 0)
#ifdef ONEGEN
#define GEN(r)			gen[0]
#else
#define GEN(r)			gen[r]
#endif
#ifdef TWINS
#define HASH(r)			0
#else
#define HASH(r)			(r)
#endif

/* the server */
byte next_xid = 1;
byte latest = 0;				/* latestCompletedXid */
byte running = 0;				/* set of xids, prepared ones among them */
byte committed[NREL];			/* for the assertion: sets of xids */

/* the line of writers; an xid is in doubt while its latest is 0 */
byte m_xid[PLACES], m_latest[PLACES], m_hash[PLACES];
byte m_dep[PLACES];				/* of a prepared one in doubt */
byte over_count, over_min, over_max, over_prepared;
byte floor_xid, floor_latest;
#ifdef PUT
/* resolved while others were in doubt in the line; as a set of places */
byte rivals, floor_rival;
#endif

/* read by every hit */
byte in_doubt, prepared, max_xid;

/*
 * Generations.  Nothing but their order matters, so after each draw they are
 * renumbered without gaps; that makes the state space finite and small.
 */
#ifdef PUT
#define DRAWN(x) held[NR + (x) - 1]			/* by a writer, for its entry */
#endif
#if defined(PUT) && NREL > 1
#define HANGS					/* the entry depends on relation 1 */
#define HOLDERS (NR + 2 * NW)
#define BEGUN(x) held[NR + NW + (x) - 1]	/* the last before its marks */
byte disturbed;					/* set of writers: others have drawn since */
#define DRAW(x) last++; disturbed = disturbed | (BIT(NW + 1) - 1) & ~BIT(x)
#elif defined(PUT)
#define HOLDERS (NR + NW)
#define DRAW(x) last++
#else
#define HOLDERS NR
#define DRAW(x) last++
#endif
#define NOBODY 0
byte last;						/* the last one drawn */
byte gen[NREL];
byte floor_gen;
byte held[HOLDERS];				/* of a copied entry, or drawn for a new one */

/* the entry */
bool e_there;
byte e_gen, e_val[NREL];

byte boot_bound = 0;
byte started = 0;				/* readers start in order: they are alike */
#ifdef WITNESS
byte finished = 0;
bool witness = 0;
#endif

/* scratch, meaningless between steps */
hidden byte h_i, h_p, h_v, h_r, h_l, h_rank, h_any;

/* ---- generations ---- */

inline rename(from, to)
{
	h_i = 0;
	do
	:: h_i < NREL -> if :: gen[h_i] == from -> gen[h_i] = to :: else fi; h_i++
	:: else -> break
	od;
	h_i = 0;
	do
	:: h_i < HOLDERS -> if :: held[h_i] == from -> held[h_i] = to :: else fi; h_i++
	:: else -> break
	od;
	if :: floor_gen == from -> floor_gen = to :: else fi;
	if :: e_gen == from -> e_gen = to :: else fi
}

inline renumber()
{
	h_v = 1; h_rank = 0;
	do
	:: h_v <= last ->
		h_any = (floor_gen == h_v || e_gen == h_v); h_i = 0;
		do
		:: h_i < NREL -> h_any = h_any || gen[h_i] == h_v; h_i++
		:: else -> break
		od;
		h_i = 0;
		do
		:: h_i < HOLDERS -> h_any = h_any || held[h_i] == h_v; h_i++
		:: else -> break
		od;
		if
		:: h_any -> h_rank++; if :: h_rank != h_v -> rename(h_v, h_rank) :: else fi
		:: else
		fi;
		h_v++
	:: else -> break
	od;
	last = h_rank
}

inline bump(r, x)
{
	if
	:: r < NREL -> DRAW(x); GEN(r) = last; renumber()
	:: else						/* of no concern to the entry */
	fi
}

/* ---- the line ---- */

inline to_floor(x, l)
{
#ifndef M_NOFLOOR
	if :: x > floor_xid -> floor_xid = x :: else fi;
	if :: l > floor_latest -> floor_latest = l :: else fi
#else
	skip
#endif
}

#ifdef PUT
#define IS_RIVAL(p) ((rivals & BIT(p)) != 0)
inline rival_to_floor(is_rival, l)
{
#ifndef M_NORIVALFLOOR
	if :: is_rival && l > floor_rival -> floor_rival = l :: else fi
#else
	skip
#endif
}
inline set_rival(p, is_rival)
{
	rivals = (rivals & ~BIT(p)) | (is_rival -> BIT(p) : 0)
}
#else
#define IS_RIVAL(p) 0
inline rival_to_floor(is_rival, l)
{
	skip
}
inline set_rival(p, is_rival)
{
	skip
}
#endif

/* h_p: a free place, a resolved member's, or PLACES = all are in doubt */
inline make_place()
{
	h_p = PLACES; h_i = 0;
	do
	:: h_i < PLACES ->
		if
		:: m_xid[h_i] == 0 -> h_p = h_i; break
		:: m_xid[h_i] != 0 && m_latest[h_i] != 0 &&
		   (h_p == PLACES || m_latest[h_i] < m_latest[h_p]) -> h_p = h_i
		:: else
		fi;
		h_i++
	:: else -> break
	od;
	if
	:: h_p < PLACES && m_xid[h_p] != 0 ->
		to_floor(m_xid[h_p], m_latest[h_p]);
		rival_to_floor(IS_RIVAL(h_p), m_latest[h_p]);
		set_rival(h_p, 0);
		m_xid[h_p] = 0
	:: else
	fi
}

/* h_p: the place of x's mark, or PLACES = it overflowed */
inline find_mark(r, x)
{
	h_p = 0;
	do
	:: h_p < PLACES && !(m_xid[h_p] == x && m_latest[h_p] == 0 &&
						 m_hash[h_p] == HASH(r)) -> h_p++
	:: else -> break
	od
}

inline remember(p, x, l, hash)
{
	m_xid[p] = x; m_hash[p] = hash; m_dep[p] = 0;
	m_latest[p] = (l == 0 -> 1 : l)
}

inline mark(r, x)
{
	make_place();
	if
	:: h_p < PLACES ->
		m_xid[h_p] = x; m_latest[h_p] = 0; m_hash[h_p] = HASH(r);
		if :: IS_PREPARED(x) -> prepared++; m_dep[h_p] = r :: else fi
	:: h_p == PLACES && IS_PREPARED(x) ->
		if :: over_prepared == 0 -> prepared++ :: else fi;
		if :: x > over_prepared -> over_prepared = x :: else fi
	:: else ->
		if :: over_count == 0 || x < over_min -> over_min = x :: else fi;
		if :: x > over_max -> over_max = x :: else fi;
		over_count++
	fi
}

inline over_less()
{
	over_count--;
	if :: over_count == 0 -> over_min = 0; over_max = 0 :: else fi
}

/* who resolves holds the line's lock for several steps */
#ifdef HANGS
bool locked = 0;
#define FREE !locked
#else
#define FREE true
#endif

inline resolve(r, x, l)
{
#ifndef M_NOBUMP
#ifdef PUT
	if :: r != 0 -> bump(r, x) :: else fi;
#else
	bump(r, x);
#endif
#endif
	remember_writer(r, x, l)
}

inline remember_writer(r, x, l)
{
	/* whether it is a rival */
	h_l = l; h_any = over_count > 0 && (over_min != x || over_max != x); h_i = 0;
	do
	:: h_i < PLACES ->
		h_any = h_any || (m_xid[h_i] != 0 && m_latest[h_i] == 0 && m_xid[h_i] != x);
		h_i++
	:: else -> break
	od;
#ifdef M_NORIVAL
	h_any = 0;
#endif
	h_v = h_any;
	find_mark(r, x);
	if
	:: h_p < PLACES -> remember(h_p, x, h_l, HASH(r)); set_rival(h_p, h_v)
	:: else ->
		over_less();
		make_place();
		if
		:: h_p < PLACES -> remember(h_p, x, h_l, HASH(r)); set_rival(h_p, h_v)
		:: else -> to_floor(x, h_l); rival_to_floor(h_v, h_l)
		fi
	fi
}

inline unmark(r, x)
{
	find_mark(r, x);
	if
	:: h_p < PLACES -> m_xid[h_p] = 0; m_hash[h_p] = 0
	:: else -> over_less()
	fi
}

/* ---- what a snapshot sees ---- */

#define SEES(x) ((x) < smax && !(sxip & BIT(x)))
#define SEEN(r) (committed[r] & (BIT(smax) - 1) & ~sxip)

/* own: the caller's xid, which its snapshot does not list as running, or 0 */
inline take_snapshot(own)
{
	smax = latest + 1;
	sxip = running & (BIT(smax) - 1) & ~(own == 0 -> 0 : BIT(own));
	smin = (own != 0 && own < smax -> own : smax); h_i = 1;
	do
	:: h_i < smin -> if :: sxip & BIT(h_i) -> smin = h_i :: else -> h_i++ fi
	:: else -> break
	od
}

#ifdef M_SETTLEOWN
#define IS_OWN(x, own) false
#else
#define IS_OWN(x, own) ((x) == (own))
#endif

#define ADMITTED 0
#define REFUSED 1
#define PREPARED_SEEN 2

/* verdict: what the line says about relation r under the snapshot */
inline judge(r, own)
{
	verdict = ADMITTED; h_i = 0;
	do
	:: h_i < PLACES && verdict == ADMITTED ->
		if
		:: m_xid[h_i] == 0 || m_hash[h_i] != HASH(r)
		:: else ->
			if
			:: m_latest[h_i] != 0 ->
#ifndef M_NOSEE
				if :: !SEES(m_xid[h_i]) -> verdict = REFUSED :: else fi
#else
				skip
#endif
			:: m_latest[h_i] == 0 && SEES(m_xid[h_i]) ->
#ifndef M_NODOUBT
				verdict = REFUSED;
#endif
				if
				:: IS_PREPARED(m_xid[h_i]) && !IS_OWN(m_xid[h_i], own) ->
					verdict = PREPARED_SEEN
				:: else
				fi
			:: else
			fi
		fi;
		h_i++
	:: else -> break
	od;
	if
	:: verdict != ADMITTED
#ifndef M_DROPOVER
	:: verdict == ADMITTED && over_count > 0 && over_min < smax &&
	   !(over_min == over_max && !SEES(over_min)) -> verdict = REFUSED
#endif
	:: else ->
		if
#ifndef M_DROPOVERPREP
		:: over_prepared != 0 ->
			verdict = (smin > over_prepared -> PREPARED_SEEN : REFUSED)
#endif
		:: else ->
			if
#ifdef M_NONSTRICT
			:: floor_xid != 0 && !(smin > floor_xid || smax - 1 >= floor_latest) ->
#elif defined(M_NOXMIN)
			:: floor_xid != 0 && !(smax - 1 > floor_latest) ->
#else
			:: floor_xid != 0 && !(smin > floor_xid || smax - 1 > floor_latest) ->
#endif
				verdict = REFUSED
			:: else
			fi
		fi
	fi
}

#ifdef M_SETTLEASKED
#define DEP_OF(p, r) (r)
#else
#define DEP_OF(p, r) m_dep[p]
#endif

inline settle_overflow()
{
	if
	:: over_prepared != 0 && smin > over_prepared ->
		to_floor(over_prepared, latest);
		over_prepared = 0;
#ifndef M_OVERNOBUMP
		DRAW(NOBODY); floor_gen = last; renumber();
#endif
		prepared--
	:: else
	fi
}

/* prepared writers of relation r that the snapshot sees are over */
inline settle(r)
{
	h_p = 0;
	do
	:: h_p < PLACES ->
		if
		:: m_xid[h_p] != 0 && m_latest[h_p] == 0 && IS_PREPARED(m_xid[h_p]) &&
		   m_hash[h_p] == HASH(r) && SEES(m_xid[h_p]) ->
#ifndef M_PREPNOBUMP
			h_l = DEP_OF(h_p, r);
			bump(h_l, NOBODY);
#endif
			remember(h_p, m_xid[h_p], latest, m_hash[h_p]);
			prepared--
		:: else
		fi;
		h_p++
	:: else -> break
	od;
	settle_overflow()
}

/* ---- writers ---- */

/* it is over for everybody else; r is a scratch variable of the caller */
inline end_transaction(x, commits)
{
	h_r = 0;
	do
	:: h_r < NREL ->
		if
		:: commits && (writes & BIT(h_r)) -> committed[h_r] = committed[h_r] | BIT(x)
		:: else
		fi;
		h_r++
	:: else -> break
	od;
	running = running & ~BIT(x);
	if :: x > latest -> latest = x :: else fi
}

#ifdef PUT
/* h_any: whether a rival was resolved, since x's mark or before, of whom it is
   not known that x came after him */
inline identity_overtaken(x, l)
{
#ifdef M_LATESTOFPUT
	/* as if l had been read just when x completed */
	h_any = floor_latest > l; h_i = 0;
#else
	h_any = floor_rival >= x; h_i = 0;
#endif
	do
	:: h_i < PLACES ->
		h_any = h_any || (m_xid[h_i] != 0 && m_xid[h_i] != x && m_hash[h_i] == HASH(0) &&
#ifdef M_LATESTOFPUT
						  m_latest[h_i] + IS_RIVAL(h_i) > l);
#else
						  IS_RIVAL(h_i) && m_latest[h_i] >= x);
#endif
		h_i++
	:: else -> break
	od;
#ifdef M_NOTOVERTAKEN
	h_any = 0
#endif
}

#endif

#ifdef HANGS
/* h_any: whether another one has resolved relation 1 whose latest is since or more */
inline lines_tell(who, since)
{
	h_any = floor_latest >= since; h_i = 0;
	do
	:: h_i < PLACES ->
		h_any = h_any || (m_xid[h_i] != 0 && m_xid[h_i] != who && m_hash[h_i] == HASH(1) &&
						  m_latest[h_i] >= since);
		h_i++
	:: else -> break
	od
}

#define MOVED(x) (gen[1] > BEGUN(x) || floor_gen > BEGUN(x))

/* Has somebody who may have completed later resolved relation 1 already? */
inline look_for_later(x)
{
#ifdef M_MOVEDFIRST
	told = MOVED(x);
	atomic { FREE -> d_step { lines_tell(x, x); lost = lost || (told && h_any); told = 0 } }
#else
	atomic { FREE -> d_step { lines_tell(x, x); told = h_any } };
	d_step { lost = lost || (told && MOVED(x)); told = 0 }
#endif
}

/* Moves relation 1 in steps: the generation is drawn, then kept. */
inline resolve_slowly(r, x, rl)
{
	atomic { FREE -> locked = 1 };
#ifndef M_LATESTOUTSIDE
	rl = latest;
#endif
	d_step { DRAW(x); DRAWN(x) = last; renumber() };
	d_step { gen[r] = DRAWN(x); DRAWN(x) = 0; renumber() };
	d_step { remember_writer(r, x, rl); rl = 0; locked = 0 }
}
#endif

proctype Writer(byte x)
{
	byte writes = 0;			/* set of relations */
	byte r = 0;
	byte l = 0;
#ifdef PUT
	byte value[NREL];
	bool lost = 0;
#endif
#ifdef HANGS
	bool told = 0;
	byte rl = 0;				/* latest for a resolve */
#endif
#ifdef OWNFETCH
	byte smax, smin, sxip, verdict;
#endif

	atomic {
		(next_xid == x) -> next_xid++;
		running = running | BIT(x);
		/* also none: it still moves latestCompletedXid */
#ifdef W1
		writes = (x == 1 -> W1 : (x == 2 -> W2 : W3));
#else
		select(writes : 0 .. BIT(NREL) - 1);
#endif
#ifdef PUT
		/* a put is refused there */
		if :: IS_PREPARED(x) -> writes = writes & ~1 :: else fi
#endif
	}
	if :: writes == 0 -> goto unmarked :: else fi;

	/* before the commit or the PREPARE */
#ifdef HANGS
	d_step { BEGUN(x) = last; disturbed = disturbed & ~BIT(x) };
#endif
	d_step { if :: x > max_xid -> max_xid = x :: else fi };
	if :: !IS_PREPARED(x) -> in_doubt++ :: else fi;
#if !defined(M_NOMARK) && !defined(M_LATEMARK)
	do
	:: r < NREL -> atomic { FREE -> d_step { if :: writes & BIT(r) -> mark(r, x) :: else fi; r++ } }
	:: else -> break
	od;
	r = 0;
#endif
#ifdef OWNFETCH
	/* somebody else's callback looks something up */
	if
	:: !IS_PREPARED(x)
	:: else ->
		d_step { take_snapshot(x); judge(0, x) };
		if
		:: verdict == PREPARED_SEEN -> d_step { settle(0) }
		:: else
		fi;
		d_step { smax = 0; smin = 0; sxip = 0; verdict = 0 }
	fi;
#endif
#ifdef M_EARLYLATEST
	l = latest;
#endif
	if
	:: d_step {
			end_transaction(x, 1);
#ifdef PUT
			h_r = 0;
			do
			:: h_r < NREL -> value[h_r] = committed[h_r]; h_r++
			:: else -> break
			od;
			h_r = 0
#endif
		};
		/* a prepared one's own backend does no more */
		if :: IS_PREPARED(x) -> goto done :: else fi;
#ifdef M_DECEARLY
		in_doubt--;
#endif
#ifndef M_EARLYLATEST
		l = latest;
#endif
#ifdef PUT
		/* with changes of its own it asks before it resolves them, else after
		   it has drawn the entry's generation */
#if defined(HANGS) && !defined(M_NOTJUDGED)
		if
#ifdef M_JUDGESHORT
		:: writes == 3 && (disturbed & BIT(x)) -> look_for_later(x)
#else
		:: writes == 3 -> look_for_later(x)
#endif
		:: else
		fi;
#endif
		r = 1;
#endif
#ifdef HANGS
#ifdef M_LATESTOUTSIDE
		rl = latest;
#endif
		if :: writes & 2 -> resolve_slowly(1, x, rl) :: else fi;
		r = 2;
#endif
		do
		:: r < NREL -> d_step {
				if
				:: writes & BIT(r) ->
#if defined(M_NOMARK)
					bump(r, x)
#elif defined(M_LATEMARK)
					mark(r, x); resolve(r, x, l)
#elif defined(M_EARLYLATEST)
					resolve(r, x, l)
#else
					resolve(r, x, latest)
#endif
				:: else
				fi;
				r++
			}
		:: else -> break
		od;
#ifdef PUT
		if
		:: writes & 1 ->
			d_step { DRAW(x); DRAWN(x) = last; renumber() };
#if defined(HANGS) && !defined(M_NOTASKED)
			if
			:: !(disturbed & BIT(x))		/* who draws now draws a later one */
			:: (disturbed & BIT(x)) && writes == 3 ->
				atomic { FREE -> d_step { lines_tell(x, l); told = h_any } };
				d_step { lost = lost || (told && MOVED(x)); told = 0 }
			:: (disturbed & BIT(x)) && writes != 3 -> look_for_later(x)
			fi;
#endif
			/* in place, or nothing, together with the resolve */
			atomic { FREE -> d_step {
				identity_overtaken(x, l);
				if
				:: h_any || lost -> e_there = 0; e_gen = 0; h_r = 0;
					do
					:: h_r < NREL -> e_val[h_r] = 0; h_r++
					:: else -> break
					od
				:: else -> e_there = 1; e_gen = DRAWN(x); h_r = 0;
					do
					:: h_r < NREL -> e_val[h_r] = value[h_r]; h_r++
					:: else -> break
					od
				fi;
				h_r = 0;
				DRAWN(x) = 0; lost = 0;
#ifdef M_EARLYLATEST
				resolve(0, x, l)
#else
				resolve(0, x, latest)
#endif
			} }
		:: else
		fi;
#endif
#ifndef M_DECEARLY
		in_doubt--
#endif
#ifndef W1
	:: d_step { end_transaction(x, 0) };
		if :: IS_PREPARED(x) -> goto done :: else fi;
#if !defined(M_NOMARK) && !defined(M_LATEMARK)
		do
		:: r < NREL -> atomic { FREE -> d_step { if :: writes & BIT(r) -> unmark(r, x) :: else fi; r++ } }
		:: else -> break
		od;
#endif
		in_doubt--
#endif
	fi;
	goto done;
unmarked:
	atomic { r = 0; d_step { end_transaction(x, 0) } };
done:
	atomic { r = 0; d_step {
		writes = 0; l = 0;
#ifdef PUT
		h_r = 0;
		do
		:: h_r < NREL -> value[h_r] = 0; h_r++
		:: else -> break
		od;
		h_r = 0;
#endif
#ifdef HANGS
		BEGUN(x) = 0; disturbed = disturbed & ~BIT(x); renumber();
#endif
#ifdef WITNESS
		finished++
#endif
	} }
}

/* ---- readers ---- */

/* all dependencies, one after the other; goto on_no at the first objection */
#define ASK_ALL(on_no) \
	do \
	:: r < NREL -> \
		atomic { FREE -> d_step { judge(r, 0); if :: verdict == ADMITTED -> r++ :: else fi } }; \
		if \
		:: verdict == ADMITTED \
		:: verdict == REFUSED -> goto on_no \
		:: verdict == PREPARED_SEEN -> \
			atomic { FREE -> d_step { settle(r); verdict = 0; tries++ } }; \
			if :: tries == 2 -> goto on_no :: else fi \
		fi \
	:: else -> break \
	od; \
	atomic { r = 0; tries = 0 }

#define COMPARE_ALL(on_no) \
	do \
	:: r < NREL -> \
		d_step { \
			verdict = (GEN(r) > held[me] || floor_gen > held[me] -> REFUSED : ADMITTED); \
			r++ }; \
		if :: verdict == REFUSED -> goto on_no :: else fi \
	:: else -> break \
	od; \
	r = 0

inline forget_copy()
{
	h_r = 0;
	do
	:: h_r < NREL -> copy[h_r] = 0; h_r++
	:: else -> break
	od
}

proctype Reader(byte me)
{
	byte smax = 0, smin = 0, sxip = 0;
	byte n = 0, r = 0, tries = 0, verdict = 0;
	byte copy[NREL];
	bool quiet = 0, found = 0;

	atomic { (started == me) -> started++; d_step { take_snapshot(0) } };
fetch:
#ifndef M_NOBOOT
	if :: smin <= boot_bound -> goto next :: else fi;
#endif
#if defined(QUIETPATH) && defined(M_QUIETLATE)
	quiet = 1;					/* hopes for the best and looks afterwards */
#elif defined(QUIETPATH)
	quiet = (in_doubt == 0);
#ifndef M_PREPUNCOUNTED
	quiet = quiet && prepared == 0;
#endif
#endif
look:
	atomic { FREE -> verdict = 0; d_step {
		found = e_there;
		if
		:: e_there ->
			held[me] = e_gen; h_r = 0;
			do
			:: h_r < NREL -> copy[h_r] = e_val[h_r]; h_r++
			:: else -> break
			od
		:: else
		fi;
#ifdef PUT
		/* writers of the identity are asked where they replace the entry */
		if
		:: e_there && !quiet ->
			judge(0, 0);
			if :: verdict != ADMITTED -> found = 0 :: else fi;
			verdict = 0
		:: else
		fi
#endif
	} };
	if :: !found -> goto miss :: else fi;
#ifdef QUIETPATH
#ifdef M_QUIETLATE
	if :: quiet && (in_doubt != 0 || prepared != 0) -> quiet = 0; goto look :: else fi;
#endif
#ifndef M_NOMAX
	if :: quiet && max_xid >= smin -> quiet = 0; goto look :: else fi;
#endif
#endif
#ifdef M_GENSFIRST
	COMPARE_ALL(miss);
#endif
	if
	:: quiet
	:: else -> ASK_ALL(miss)
	fi;
#ifndef M_GENSFIRST
	COMPARE_ALL(miss);
#endif
	d_step {
		h_r = 0;
		do
		:: h_r < NREL -> assert(copy[h_r] == SEEN(h_r)); h_r++
		:: else -> break
		od;
#ifdef WITNESS
		witness = finished == NW;
#endif
		h_r = 0
	};
	goto next;

miss:
	atomic { r = 0; d_step { forget_copy(); tries = 0; verdict = 0; quiet = 0; found = 0; held[me] = 0; renumber() } };
#ifndef M_GENLATE
	d_step { DRAW(NOBODY); held[me] = last; renumber() };
#endif
	/* the loader runs here; what it returns is SEEN, whenever it runs */
#ifndef M_FILLUNCHECKED
	ASK_ALL(next);
#endif
#ifdef M_GENLATE
	d_step { DRAW(NOBODY); held[me] = last; renumber() };
#endif
#ifndef R_FILLNOCOMPARE
	COMPARE_ALL(next);
#endif
	atomic { FREE -> d_step {
#ifdef PUT
		judge(0, 0);
#endif
		if
#ifndef R_FILLREPLACES
		:: e_there && e_gen > held[me]
#endif
#ifdef PUT
		:: verdict != ADMITTED
#endif
		:: else ->
			e_there = 1; e_gen = held[me]; h_r = 0;
			do
			:: h_r < NREL -> e_val[h_r] = SEEN(h_r); h_r++
			:: else -> break
			od
		fi
	} };

next:
	atomic { r = 0; d_step {
		forget_copy(); held[me] = 0; renumber();
		tries = 0; verdict = 0; quiet = 0; found = 0; n++;
		if :: n == NF -> smax = 0; smin = 0; sxip = 0 :: else fi
	} };
	if
	:: n == NF
	:: n < NF -> d_step { take_snapshot(0) }; goto fetch
	:: n < NF -> goto fetch		/* REPEATABLE READ */
	fi
}

#ifdef TWINS
proctype Bystander()
{
	byte smax, smin, sxip, verdict;

	d_step { take_snapshot(0) };
	d_step { judge(NREL, 0) };
	if
	:: verdict == PREPARED_SEEN -> d_step { settle(NREL) }
	:: else
	fi;
	d_step { smax = 0; smin = 0; sxip = 0; verdict = 0 }
}
#endif

#ifdef SETTLER
/* Looks at each place once, at any time. */
proctype Settler()
{
	byte p = 0, x = 0, l = 0;
	byte smax, smin, sxip;

	do
	:: p < PLACES ->
		x = (m_latest[p] == 0 && IS_PREPARED(m_xid[p]) -> m_xid[p] : 0);
#ifdef M_SETTLEEARLYLATEST
		l = latest;
#endif
#ifndef M_SETTLERUNNING
		if :: running & BIT(x) -> x = 0 :: else fi;
#endif
		atomic { FREE -> d_step {
#ifndef M_SETTLEEARLYLATEST
			l = latest;
#endif
			if
			:: x != 0 && m_xid[p] == x && m_latest[p] == 0 ->
				h_l = m_dep[p];
#ifndef M_PREPNOBUMP
				bump(h_l, NOBODY);
#endif
				remember(p, x, l, m_hash[p]);
				prepared--
			:: else
			fi;
			x = 0; l = 0; p++
		} }
	:: else -> break
	od;
	skip;
	FREE;
	d_step { take_snapshot(0); settle_overflow(); smax = 0; smin = 0; sxip = 0; p = 0 }
}
#endif

#ifdef BOOT
proctype Finisher()
{
	byte writes = 1;

	if
	:: d_step { end_transaction(1, 1) }
	:: d_step { end_transaction(1, 0) }
	fi
}
#endif

init {
	byte i;
#ifdef LIVE
	byte smax, smin, sxip, verdict;
#endif

	atomic {
#ifdef BOOT
		running = BIT(1); next_xid = 2; boot_bound = 1; run Finisher();
#endif
#ifdef TWINS
		run Bystander();
#endif
#ifdef SETTLER
		run Settler();
#endif
		for (i : 1 .. NW) { run Writer(X0 + i) }
		for (i : 0 .. NR - 1) { run Reader(i) }
		i = 0
	}
#ifdef WITNESS
end:
	witness -> assert(false)
#endif
#ifdef LIVE
	timeout -> d_step {
		take_snapshot(0);
		assert(smin > boot_bound && in_doubt == 0);
		for (i : 0 .. NREL - 1) {
			judge(i, 0);
			if :: verdict == PREPARED_SEEN -> settle(i); judge(i, 0) :: else fi;
			assert(verdict == ADMITTED)
		}
		assert(prepared == 0)
	}
#endif
}

#else							/* CELL */

/*
 * A set of generations: cx_gens_get reads the ways one after the other, with
 * no lock, while cx_gens_bump replaces the least.  The answer must not be
 * earlier than the dependency's generation was when the reading began.
 *
 * Who finds no way of the dependency looks a second time for the least: a
 * dependency that lost its way during the first pass had the least generation
 * then, so from there on every way is later.  A least that was collected in
 * the first pass (M_ONEPASS) may be of a way that was replaced since.
 */
#ifndef WAYS
#define WAYS 3
#endif
#ifndef BUMPS
#define BUMPS 6
#endif
#define NDEPS (WAYS + 2)

byte way[WAYS], owner[WAYS];	/* owner 0: nobody's */
byte last = 0;
byte truth = 0;					/* generation of dependency 1 */

active proctype Bumper()
{
	byte n = 0, d = 0, i = 0, v = 0;

	do
	:: n < BUMPS ->
		select(d : 1 .. NDEPS);
		n++;
		d_step {
			v = 0; i = 0;
			do
			:: i < WAYS ->
				if
				:: owner[i] == d -> v = i; break
				:: owner[i] != d && way[i] < way[v] -> v = i
				:: else
				fi;
				i++
			:: else -> break
			od;
			last++; way[v] = last; owner[v] = d;
			if :: d == 1 -> truth = last :: else fi;
			d = 0; i = 0; v = 0
		}
	:: else -> break
	od
}

active proctype Getter()
{
	byte begin, i = 0, w = 0, o = 0, least = 255;

	begin = truth;
	do
	:: i < WAYS ->
		d_step { w = way[i]; o = owner[i] };
		if :: o == 1 -> least = w; goto found :: else fi;
#ifdef M_ONEPASS
		least = (w < least -> w : least);
#endif
		i++
	:: else -> break
	od;
#ifndef M_ONEPASS
	i = 0;
	do
	:: i < WAYS -> w = way[i]; least = (w < least -> w : least); i++
	:: else -> break
	od;
#endif
found:
	assert(least >= begin)
}

#endif							/* CELL */
