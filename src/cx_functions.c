/*
 * cx_functions.c
 *	  Does a call of a function leave a result such that it may be kept?
 *
 * A result may be kept if all that it depends on is known.  What the executor
 * sees is known, and it sees the queries of SQL and PL/pgSQL functions; but
 * PL/pgSQL evaluates simple expressions without the executor, and the planner
 * puts bodies of simple SQL functions into such expressions.  So these bodies
 * are read here: every name with a parenthesis after it may be a call, and
 * every operator may be any of that name.  Names are looked up in all schemas,
 * which makes the answer independent of the search_path; in doubt, one bad
 * function of a name is enough to refuse.
 *
 * All functions that can be reached are collected, each once.  The answer for
 * the function asked for is kept in the session until anything is changed that
 * it was made of.
 *
 * The planner calls IMMUTABLE functions, and a plan is kept with what they
 * returned: what they read then was seen by nobody, by another role perhaps and
 * with other settings.  So such a function is not believed if its code, or
 * that of a function which it may call, can run a query that reads a table, or
 * ask for a setting or the user.  For that all code is read, also what only
 * the executor runs.
 *
 * Not covered: what core functions and the executor call for a type by
 * themselves (input and output functions, support functions of operator
 * classes, casts to json), whose authors vouch for them; a CHECK of a domain,
 * which decides about an error only; cursors that come as an argument and are
 * read after another one was opened.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * catalogs are read, and errors raised.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "cx_builtins.h"
#include "cx_candidates.h"
#include "cx_functions.h"
#include "cx_lexer.h"
#include "cx_memo.h"
#include "cx_proc.h"

/* An answer that is kept, with its strings in the memo's memory. */
typedef struct Answer
{
	Oid			function;		/* hash key */
	CxFunctionVerdict verdict;
	CxFunctionUse use;
} Answer;

/* The answer being made, and what is still to be asked for it. */
typedef struct Walk
{
	CxFunctionVerdict verdict;
	CxFunctionUse use;
	List	   *reached[2];		/* functions to ask or asked, each once;
								 * [true]: from an IMMUTABLE one */
	bool		folded;			/* which of these is asked */
	bool		peeks;			/* what returns rows is read as well */
	Oid			asked;			/* the function that is asked now */
} Walk;

static CxMemo memo = {"cachex functions", sizeof(Answer)};

/* It is not the same each time; but that says nothing of the session. */
static void
suspect(Walk *walk, CxFunctionVerdict verdict, Oid culprit)
{
	if (walk->verdict == CX_FUNCTION_OK)
	{
		walk->verdict = verdict;
		walk->use.culprit = culprit;
	}
}

/* What it has read may have been seen by nobody. */
static void
disbelieve(Walk *walk, Oid culprit)
{
	suspect(walk, CX_FUNCTION_UNKNOWN, culprit);
	if (!OidIsValid(walk->use.unbelieved))
		walk->use.unbelieved = culprit;
}

/* It asks for what an IMMUTABLE function must not depend on. */
static void
disbelieve_folded(Walk *walk, Oid culprit)
{
	if (walk->folded)
		disbelieve(walk, culprit);
}

/* What it depends on is not known: anything that a session is or has. */
static void
blame(Walk *walk, CxFunctionVerdict verdict, Oid culprit)
{
	suspect(walk, verdict, culprit);
	disbelieve_folded(walk, culprit);
	if (!OidIsValid(walk->use.session))
		walk->use.session = culprit;
}

/* The list that what is reached goes to. */
static inline List **
reached(Walk *walk)
{
	return &walk->reached[walk->folded];
}

static void
reach(Walk *walk, Oid function)
{
	*reached(walk) = list_append_unique_oid(*reached(walk), function);
}

/* Add a copy of the name to the list unless it is there. */
static List *
add_setting(List *settings, const char *name)
{
	ListCell   *cell;

	foreach(cell, settings)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return settings;
	}
	return lappend(settings, pstrdup(name));
}

/* It reads a setting. */
static void
take_setting(Walk *walk, const char *name)
{
	walk->use.settings = add_setting(walk->use.settings, name);
	disbelieve_folded(walk, walk->asked);
}

/* ---- parsed code: arguments' defaults, bodies in the SQL standard's form ---- */

static bool
reach_cb(Oid function, void *walk)
{
	reach(walk, function);
	return false;
}

static void
walk_value(Walk *walk, SQLValueFunctionOp op)
{
	/* what it names is compared only where a plan shows it */
	if (op == SVFOP_CURRENT_SCHEMA)
		blame(walk, CX_FUNCTION_UNKNOWN, F_CURRENT_SCHEMA);
	else if (op == SVFOP_SESSION_USER)
		take_setting(walk, "session_authorization");
	else if (op == SVFOP_CURRENT_ROLE || op == SVFOP_CURRENT_USER ||
			 op == SVFOP_USER)
		disbelieve_folded(walk, walk->asked);
}

static bool
reads_table(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
		if (lfirst_node(RangeTblEntry, lc)->rtekind == RTE_RELATION)
		return true;
	return false;
}

static bool
walk_node(Node *node, void *context)
{
	Walk	   *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		if (reads_table((Query *) node))
			disbelieve_folded(walk, walk->asked);
		return query_tree_walker((Query *) node, walk_node, context, 0);
	}
	if (IsA(node, SQLValueFunction))
		walk_value(walk, ((SQLValueFunction *) node)->op);
	if (IsA(node, FuncExpr) &&
		(((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT ||
		 ((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT_BOOL))
	{
		Const	   *name = linitial(((FuncExpr *) node)->args);

		if (IsA(name, Const) && !name->constisnull)
		{
			take_setting(walk, TextDatumGetCString(name->constvalue));
			return expression_tree_walker(node, walk_node, context);
		}
	}
	check_functions_in_node(node, reach_cb, context);
	return expression_tree_walker(node, walk_node, context);
}

/* Walk through a column of pg_proc. */
static void
walk_column(Walk *walk, HeapTuple proc, AttrNumber column)
{
	bool		isnull;
	Datum		tree = SysCacheGetAttr(PROCOID, proc, column, &isnull);

	if (!isnull)
		walk_node(stringToNode(TextDatumGetCString(tree)), walk);
}

/* ---- functions ---- */

static void
read_text(Walk *walk, const FormData_pg_proc *form, const char *source)
{
	CxMentions	mentions;
	bool		xids;
	int			i;

	if (!cx_lexer_read(source, &mentions))
	{
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
		return;
	}
	if (mentions.reads || mentions.user)
		disbelieve_folded(walk, form->oid);
	xids = mentions.xids || cx_proc_takes_xid(form);
	*reached(walk) = cx_candidates_unnamed(*reached(walk));
	for (i = 0; i < mentions.n; i++)
	{
		const CxMention *m = &mentions.items[i];

		switch (m->kind)
		{
			case CX_MENTION_CALL:
			case CX_MENTION_COLUMN:
			case CX_MENTION_OPERATOR:
				*reached(walk) = walk->folded
					? cx_candidates_any(*reached(walk), m)
					: cx_candidates_mentioned(*reached(walk), m, xids);
				break;
			case CX_MENTION_SETTING:
				take_setting(walk, m->name);
				break;
			case CX_MENTION_ANY_SETTING:
				blame(walk, CX_FUNCTION_UNKNOWN, F_CURRENT_SETTING_TEXT);
				break;
			case CX_MENTION_OBSCURE:
				blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
				break;
			case CX_MENTION_CURSOR:
				disbelieve(walk, form->oid);
				break;
		}
	}
}

static void ask_all(Walk *walk, Oid function);

/*
 * The planner may put the query of a SQL function that returns rows into
 * another one, whose plan shows what it calls, but for what is folded.
 */
static void
peek(Walk *walk, Oid function)
{
	Walk		inside = {CX_FUNCTION_OK};

	inside.peeks = true;
	ask_all(&inside, function);
	if (OidIsValid(inside.use.unbelieved))
		disbelieve(walk, inside.use.unbelieved);
}

/*
 * Read the body of a SQL function that the planner may put into an expression
 * (what that needs, see inline_function), or of one in PL/pgSQL.
 */
static void
read_body(Walk *walk, HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);
	bool		sql = form->prolang == SQLlanguageId;
	bool		inlined = !form->prosecdef &&
	heap_attisnull(proc, Anum_pg_proc_proconfig, NULL);
	Datum		source;
	bool		isnull;

	walk->use.user_code = true;
	if (sql && !walk->folded)
	{
		if (inlined && form->proretset && !walk->peeks)
			peek(walk, form->oid);
		if (!inlined || (!cx_candidates_callable(form) &&
						 !(form->proretset && walk->peeks)))
			return;
	}
	if (sql && !heap_attisnull(proc, Anum_pg_proc_prosqlbody, NULL))
	{
		*reached(walk) = cx_candidates_unnamed(*reached(walk));
		walk_column(walk, proc, Anum_pg_proc_prosqlbody);
		return;
	}
	source = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_prosrc, &isnull);
	/* with its own rules for strings it is not read here as PL/pgSQL does */
	if (isnull || cx_proc_sets(proc, "standard_conforming_strings="))
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else
		read_text(walk, form, TextDatumGetCString(source));
}

/* The functions that a user-defined aggregate consists of. */
static void
reach_aggregate(Walk *walk, Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	int			i;

	if (!HeapTupleIsValid(tuple))
	{
		blame(walk, CX_FUNCTION_UNKNOWN, aggregate);
		return;
	}
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	{
		const Oid	parts[] = {
			form->aggtransfn, form->aggfinalfn, form->aggcombinefn,
			form->aggserialfn, form->aggdeserialfn, form->aggmtransfn,
			form->aggminvtransfn, form->aggmfinalfn
		};

		for (i = 0; i < (int) lengthof(parts); i++)
			if (OidIsValid(parts[i]))
				reach(walk, parts[i]);
	}
	ReleaseSysCache(tuple);
}

/* One of the server's own. */
static void
ask_core(Walk *walk, const FormData_pg_proc *form)
{
	const char *name = NameStr(form->proname);
	bool		told = cx_builtins_privileges(name);
	bool		queries;

	walk->use.privileges |= told;
	if (form->prokind == PROKIND_PROCEDURE)
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (form->provolatile == PROVOLATILE_VOLATILE &&
			 cx_builtins_impersonal(name))
	{
		suspect(walk, CX_FUNCTION_VOLATILE, form->oid);
		disbelieve_folded(walk, form->oid);
	}
	else if (form->provolatile == PROVOLATILE_VOLATILE)
		blame(walk, CX_FUNCTION_VOLATILE, form->oid);
	else if (form->provolatile == PROVOLATILE_IMMUTABLE)
		;						/* it is what it says */
	else if (form->prolang == SQLlanguageId)
		walk->use.user_code = true;
	else if (told || cx_builtins_impersonal(name))
	{
		suspect(walk, CX_FUNCTION_UNKNOWN, form->oid);
		disbelieve_folded(walk, form->oid);
	}
	else if (form->oid >= FirstGenbkiObjectId ||
			 !cx_builtins_keepable(name, &queries))
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (queries)
	{
		walk->use.user_code = true;
		disbelieve_folded(walk, form->oid);
	}
	else if (cx_builtins_user(name))
		disbelieve_folded(walk, form->oid);
	if (cx_builtins_cursor(name))
		disbelieve(walk, form->oid);
}

/* One whose author wrote the code, in any language. */
static void
ask_code(Walk *walk, HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);
	bool		native = form->prolang == INTERNALlanguageId ||
	form->prolang == ClanguageId;

	if (form->prolang == SQLlanguageId ||
		form->prolang == get_language_oid("plpgsql", true))
	{
		if (form->provolatile == PROVOLATILE_VOLATILE)
			suspect(walk, CX_FUNCTION_VOLATILE, form->oid);
		read_body(walk, proc);
	}
	else if (form->provolatile == PROVOLATILE_VOLATILE)
		blame(walk, CX_FUNCTION_VOLATILE, form->oid);
	else if (!native)
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (form->provolatile == PROVOLATILE_STABLE)
	{
		bool		folded = walk->folded;

		/* often it has just not been declared IMMUTABLE, as unaccent() */
		walk->folded = folded && form->proretset;
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
		walk->folded = folded;
	}
}

static void
ask_users(Walk *walk, HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);

	if (form->provolatile == PROVOLATILE_IMMUTABLE && !walk->folded &&
		form->prokind != PROKIND_AGGREGATE)
	{
		walk->reached[true] = list_append_unique_oid(walk->reached[true],
													 form->oid);
		return;
	}
	/* Who asks sees the arguments of the first one's call, or what is left */
	if (form->oid == linitial_oid(walk->reached[false]))
		walk->reached[true] = cx_proc_folded_defaults(proc,
													  walk->reached[true]);
	else if (form->pronargdefaults > 0)
		walk_column(walk, proc, Anum_pg_proc_proargdefaults);
	/* whether it may become that role, the session's user decides */
	if (cx_proc_sets(proc, "role=") ||
		cx_proc_sets(proc, "session_authorization="))
		take_setting(walk, "session_authorization");

	if (form->prokind == PROKIND_PROCEDURE ||
		form->prorettype == TRIGGEROID ||
		form->prorettype == EVENT_TRIGGEROID)
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (form->prokind == PROKIND_AGGREGATE)
		reach_aggregate(walk, form->oid);
	else if (cx_proc_is_our_reader(form))
	{
		walk->use.user_code = true;
		disbelieve_folded(walk, form->oid);
	}
	else
		ask_code(walk, proc);
}

static void
ask(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	walk->asked = function;
	if (!HeapTupleIsValid(tuple))
	{
		blame(walk, CX_FUNCTION_UNKNOWN, function);
		return;
	}
	if (function < FirstNormalObjectId)
		ask_core(walk, (Form_pg_proc) GETSTRUCT(tuple));
	else
		ask_users(walk, tuple);
	ReleaseSysCache(tuple);
}

static void
ask_list(Walk *walk, bool folded)
{
	int			i;

	walk->folded = folded;
	for (i = 0; i < list_length(walk->reached[folded]); i++)
	{
		/* on after a bad one: a ttl cache keeps the result and wants settings */
		CHECK_FOR_INTERRUPTS();
		ask(walk, list_nth_oid(walk->reached[folded], i));
	}
}

/* Ask about the function and all that are reached from it. */
static void
ask_all(Walk *walk, Oid function)
{
	reach(walk, function);
	ask_list(walk, false);
	ask_list(walk, true);
}

/* ---- answers ---- */

/* Add what one answer says to what a caller has. */
static CxFunctionVerdict
report(const Answer *answer, CxFunctionUse *use)
{
	ListCell   *cell;

	use->user_code |= answer->use.user_code;
	use->privileges |= answer->use.privileges;
	if (OidIsValid(answer->use.unbelieved))
		use->unbelieved = answer->use.unbelieved;
	if (OidIsValid(answer->use.session))
		use->session = answer->use.session;
	foreach(cell, answer->use.settings)
		use->settings = add_setting(use->settings, lfirst(cell));
	if (answer->verdict != CX_FUNCTION_OK)
		use->culprit = answer->use.culprit;
	return answer->verdict;
}

/*
 * Make an answer, and keep it.  The memory that this takes goes before; the
 * answer goes with the memo.
 */
static Answer *
make_answer(Oid function)
{
	Walk		walk = {CX_FUNCTION_OK};
	List	   *settings = NIL;
	ListCell   *cell;
	Answer	   *answer;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "cachex function",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);

	ask_all(&walk, function);
	MemoryContextSwitchTo(memo.context);
	foreach(cell, walk.use.settings)
		settings = lappend(settings, pstrdup(lfirst(cell)));
	walk.use.settings = settings;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);

	answer = cx_memo_enter(&memo, function);
	answer->verdict = walk.verdict;
	answer->use = walk.use;
	return answer;
}

/*
 * cx_functions_judge
 *
 * Returns whether a call of the function leaves a result such that it may be
 * kept, and adds to *use what must be known besides; names are allocated in
 * the current memory context.  For current_setting, whose argument is not
 * known here, the answer is CX_FUNCTION_UNKNOWN.  A transaction is needed.
 * Raises what reading catalogs can raise.
 */
CxFunctionVerdict
cx_functions_judge(Oid function, CxFunctionUse *use)
{
	Answer	   *answer;

	if (function < FirstNormalObjectId)
	{
		Walk		walk = {CX_FUNCTION_OK};
		Answer		core = {function};

		ask(&walk, function);
		core.verdict = walk.verdict;
		core.use = walk.use;
		return report(&core, use);
	}

	answer = cx_memo_find(&memo, function);
	if (answer == NULL)
		answer = make_answer(function);
	return report(answer, use);
}
