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
 * All functions that can be reached are collected, each once, and the first
 * that is not OK ends that.  The answer for the function asked for is kept in
 * the session until anything is changed that it was made of.
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
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "commands/extension.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
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
	List	   *reached;		/* functions to ask or asked, each once */
} Walk;

static CxMemo memo = {"cachex functions", sizeof(Answer)};

static void
blame(Walk *walk, CxFunctionVerdict verdict, Oid culprit)
{
	if (walk->verdict == CX_FUNCTION_OK)
	{
		walk->verdict = verdict;
		walk->use.culprit = culprit;
	}
}

static void
reach(Walk *walk, Oid function)
{
	walk->reached = list_append_unique_oid(walk->reached, function);
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

/* ---- parsed code: arguments' defaults, bodies in the SQL standard's form ---- */

static bool
reach_cb(Oid function, void *walk)
{
	reach(walk, function);
	return false;
}

static bool
walk_node(Node *node, void *context)
{
	Walk	   *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_node, context, 0);
	/* what it names is compared only where a plan shows it */
	if (IsA(node, SQLValueFunction) &&
		((SQLValueFunction *) node)->op == SVFOP_CURRENT_SCHEMA)
		blame(walk, CX_FUNCTION_UNKNOWN, F_CURRENT_SCHEMA);
	if (IsA(node, SQLValueFunction) &&
		((SQLValueFunction *) node)->op == SVFOP_SESSION_USER)
		walk->use.settings = add_setting(walk->use.settings,
										 "session_authorization");
	if (IsA(node, FuncExpr) &&
		(((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT ||
		 ((FuncExpr *) node)->funcid == F_CURRENT_SETTING_TEXT_BOOL))
	{
		Const	   *name = linitial(((FuncExpr *) node)->args);

		if (IsA(name, Const) && !name->constisnull)
		{
			walk->use.settings =
				add_setting(walk->use.settings,
							TextDatumGetCString(name->constvalue));
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

static bool
takes_xid(const FormData_pg_proc *form)
{
	int			i;

	for (i = 0; i < form->pronargs; i++)
		if (form->proargtypes.values[i] == XIDOID)
			return true;
	return false;
}

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
	xids = mentions.xids || takes_xid(form);
	walk->reached = cx_candidates_unnamed(walk->reached);
	for (i = 0; i < mentions.n; i++)
	{
		const CxMention *m = &mentions.items[i];

		switch (m->kind)
		{
			case CX_MENTION_CALL:
			case CX_MENTION_COLUMN:
			case CX_MENTION_OPERATOR:
				walk->reached = cx_candidates_mentioned(walk->reached, m,
														xids);
				break;
			case CX_MENTION_SETTING:
				walk->use.settings = add_setting(walk->use.settings, m->name);
				break;
			case CX_MENTION_ANY_SETTING:
				blame(walk, CX_FUNCTION_UNKNOWN, F_CURRENT_SETTING_TEXT);
				break;
			case CX_MENTION_OBSCURE:
				blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
				break;
		}
	}
}

/* Whether a function sets a setting for its run; what ends with "=". */
bool
cx_functions_sets(HeapTuple proc, const char *what)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, proc,
										 Anum_pg_proc_proconfig, &isnull);
	Datum	   *elements;
	int			n;

	if (isnull)
		return false;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &n);
	while (--n >= 0)
		if (pg_strncasecmp(TextDatumGetCString(elements[n]), what,
						   strlen(what)) == 0)
			return true;
	return false;
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
	Datum		source;
	bool		isnull;

	walk->use.user_code = true;
	if (sql && (form->prosecdef || !cx_candidates_callable(form) ||
				!heap_attisnull(proc, Anum_pg_proc_proconfig, NULL)))
		return;
	if (sql && !heap_attisnull(proc, Anum_pg_proc_prosqlbody, NULL))
	{
		walk->reached = cx_candidates_unnamed(walk->reached);
		walk_column(walk, proc, Anum_pg_proc_prosqlbody);
		return;
	}
	source = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_prosrc, &isnull);
	/* with its own rules for strings it is not read here as PL/pgSQL does */
	if (isnull || cx_functions_sets(proc, "standard_conforming_strings="))
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

/* The functions of cachex that tell by themselves what they read. */
static bool
is_our_reader(const FormData_pg_proc *form)
{
	static const char *const names[] = {
		"get", "get_as", "lookup", "fetch", "fetch_as", "fetch_many",
		"query", "query_as"
	};
	Oid			extension;
	int			i;

	if (form->prolang != ClanguageId)
		return false;
	for (i = 0; i < (int) lengthof(names); i++)
		if (strcmp(NameStr(form->proname), names[i]) == 0)
			break;
	if (i == (int) lengthof(names) ||
		form->pronamespace != get_namespace_oid("cachex", true))
		return false;
	extension = get_extension_oid("cachex", true);
	return OidIsValid(extension) &&
		getExtensionOfObject(ProcedureRelationId, form->oid) == extension;
}

/* Those that tell what a role may do with a table, a function ... */
static bool
tells_privileges(const char *name)
{
	Size		len = strlen(name);

	return strcmp(name, "row_security_active") == 0 ||
		(strncmp(name, "has_", 4) == 0 && len > 10 &&
		 strcmp(name + len - 10, "_privilege") == 0);
}

/* One of the server's own. */
static void
ask_core(Walk *walk, const FormData_pg_proc *form)
{
	bool		queries;

	walk->use.privileges |= tells_privileges(NameStr(form->proname));
	if (form->prokind == PROKIND_PROCEDURE)
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (form->provolatile == PROVOLATILE_VOLATILE)
		blame(walk, CX_FUNCTION_VOLATILE, form->oid);
	else if (form->provolatile == PROVOLATILE_IMMUTABLE)
		return;
	else if (form->prolang == SQLlanguageId)
		walk->use.user_code = true;
	else if (form->oid >= FirstGenbkiObjectId ||
			 !cx_builtins_keepable(NameStr(form->proname), &queries))
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (queries)
		walk->use.user_code = true;
}

static void
ask_users(Walk *walk, HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);

	/* Who asks sees the arguments of the first one's call. */
	if (form->pronargdefaults > 0 && form->oid != linitial_oid(walk->reached))
		walk_column(walk, proc, Anum_pg_proc_proargdefaults);

	if (form->prokind == PROKIND_PROCEDURE ||
		form->prorettype == TRIGGEROID ||
		form->prorettype == EVENT_TRIGGEROID)
		blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	else if (form->prokind == PROKIND_AGGREGATE)
		reach_aggregate(walk, form->oid);
	else if (is_our_reader(form))
		walk->use.user_code = true;
	else
	{
		if (form->provolatile == PROVOLATILE_VOLATILE)
			blame(walk, CX_FUNCTION_VOLATILE, form->oid);
		if (form->prolang == SQLlanguageId ||
			form->prolang == get_language_oid("plpgsql", true))
			read_body(walk, proc);
		else if (form->provolatile == PROVOLATILE_STABLE)
			blame(walk, CX_FUNCTION_UNKNOWN, form->oid);
	}
}

static void
ask(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

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

/* Ask about the function and all that are reached from it. */
static void
ask_all(Walk *walk, Oid function)
{
	int			i;

	reach(walk, function);
	for (i = 0; i < list_length(walk->reached); i++)
	{
		/* on after a bad one: a ttl cache keeps the result and wants settings */
		CHECK_FOR_INTERRUPTS();
		ask(walk, list_nth_oid(walk->reached, i));
	}
}

/* ---- answers ---- */

/* Add what one answer says to what a caller has. */
static CxFunctionVerdict
report(const Answer *answer, CxFunctionUse *use)
{
	ListCell   *cell;

	use->user_code |= answer->use.user_code;
	use->privileges |= answer->use.privileges;
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
