/*
 * cx_share.c
 *	  Could another role have computed the same?
 *
 * The server checks EXECUTE where a function is called, inlined or folded to a
 * constant, and USAGE of a schema where a name is looked up; so expressions
 * are looked at here before they are planned and after, and the bodies of SQL
 * and PL/pgSQL functions as in cx_functions.c, all of them: whatever may be
 * called counts.  What asks who the user is, by a name or a function, makes a
 * result personal; so does what is volatile or not known, since it may ask
 * too, and EXECUTE in PL/pgSQL, whose queries are not seen before they are
 * planned; and what may be checked by a domain's condition.  The body of a
 * SECURITY DEFINER function is computed by its owner, whoever calls it.
 *
 * Too much is no harm: then a role computes for itself.
 *
 * Locking: no shared memory is touched.  No LWLock may be held by a caller:
 * catalogs are read, and errors raised.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "commands/proclang.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "cx_builtins.h"
#include "cx_candidates.h"
#include "cx_compat.h"
#include "cx_functions.h"
#include "cx_lexer.h"
#include "cx_memo.h"
#include "cx_proc.h"
#include "cx_share.h"
#include "cx_share_names.h"

/* What is known of a function, with its lists in the memo's memory. */
typedef struct Answer
{
	Oid			function;		/* hash key */
	CxSharing	sharing;
} Answer;

/* The answer being made. */
typedef struct Walk
{
	CxSharing	sharing;
	List	   *reached;		/* functions to ask or asked, each once */
} Walk;

static CxMemo memo = {"cachex sharing", sizeof(Answer),.types = true};

/* ---- bodies ---- */

/* Words that say that a body asks for its user, or what it runs is built. */
static bool
is_telling(const char *word, Size len)
{
	static const char *const words[] = {
		"current_user", "current_role", "user", "execute"
	};

	for (int i = 0; i < (int) lengthof(words); i++)
	{
		if (len == strlen(words[i]) &&
			pg_strncasecmp(word, words[i], len) == 0)
			return true;
	}
	return false;
}

/* Whether one of them is in a text, be it in a comment. */
static bool
has_telling_word(const char *text)
{
	const char *p = text;

	while (*p)
	{
		const char *word = p;

		while (isalnum((unsigned char) *p) || *p == '_')
			p++;
		if (p == word)
			p++;
		else if ((word == text ||word[-1] != '"') &&
				 is_telling(word, p - word))
			return true;
	}
	return false;
}

/* Whether not everybody may look at a setting, or it is not known which. */
static bool
is_protected_setting(const char *name)
{
	struct config_generic *setting = name ? cx_compat_find_setting(name) : NULL;

	return name == NULL ||
		(setting != NULL && (setting->flags & GUC_SUPERUSER_ONLY) != 0);
}

static void
reach(Walk *walk, Oid function)
{
	walk->reached = list_append_unique_oid(walk->reached, function);
}

static void
read_text(Walk *walk, const char *source)
{
	CxMentions	mentions;

	if (has_telling_word(source) || !cx_lexer_read(source, &mentions))
	{
		walk->sharing.personal = true;
		return;
	}
	for (int i = 0; i < mentions.nwords && !walk->sharing.personal; i++)
		walk->sharing.personal = cx_share_names_may_check(mentions.words[i]);
	walk->reached = cx_candidates_unnamed(walk->reached);
	for (int i = 0; i < mentions.n; i++)
	{
		const CxMention *m = &mentions.items[i];

		if (m->kind == CX_MENTION_CALL || m->kind == CX_MENTION_COLUMN ||
			m->kind == CX_MENTION_OPERATOR)
			walk->reached = cx_candidates_any(walk->reached, m);
		else if (m->kind != CX_MENTION_SETTING || is_protected_setting(m->name))
			walk->sharing.personal = true;
	}
}

static bool
reach_cb(Oid function, void *context)
{
	reach(context, function);
	return false;
}

/* Whether a node is the name of the current user. */
static bool
is_user(const Node *node)
{
	SQLValueFunctionOp op;

	if (!IsA(node, SQLValueFunction))
		return false;
	op = ((const SQLValueFunction *) node)->op;
	return op == SVFOP_CURRENT_ROLE || op == SVFOP_CURRENT_USER ||
		op == SVFOP_USER;
}

/* A body that has been parsed, or defaults of arguments. */
static bool
walk_node(Node *node, void *context)
{
	Walk	   *walk = context;
	CxSharing	names = {false};

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_node, context, 0);
	/* names were looked up when it was parsed */
	cx_share_names(node, &names);
	if (is_user(node) || names.personal)
		walk->sharing.personal = true;
	check_functions_in_node(node, reach_cb, context);
	return expression_tree_walker(node, walk_node, context);
}

static void
walk_column(Walk *walk, HeapTuple proc, AttrNumber column)
{
	bool		isnull;
	Datum		tree = SysCacheGetAttr(PROCOID, proc, column, &isnull);

	if (!isnull)
		walk_node(stringToNode(TextDatumGetCString(tree)), walk);
}

static void
read_body(Walk *walk, HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);
	Datum		source;
	bool		isnull;

	if (form->prosecdef)
		return;
	if (!heap_attisnull(proc, Anum_pg_proc_prosqlbody, NULL))
	{
		walk->reached = cx_candidates_unnamed(walk->reached);
		walk_column(walk, proc, Anum_pg_proc_prosqlbody);
		return;
	}
	source = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_prosrc, &isnull);
	if (isnull)
		walk->sharing.personal = true;
	else
		read_text(walk, TextDatumGetCString(source));
}

/* ---- functions ---- */

static void
reach_aggregate(Walk *walk, Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
	{
		walk->sharing.personal = true;
		return;
	}
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	{
		const Oid	parts[] = {
			form->aggtransfn, form->aggfinalfn, form->aggcombinefn,
			form->aggserialfn, form->aggdeserialfn, form->aggmtransfn,
			form->aggminvtransfn, form->aggmfinalfn
		};

		for (int i = 0; i < (int) lengthof(parts); i++)
		{
			if (OidIsValid(parts[i]))
				reach(walk, parts[i]);
		}
	}
	ReleaseSysCache(tuple);
}

/* The server's own functions of the user's name: others are not keepable. */
static bool
is_user_function(const FormData_pg_proc *form)
{
	return form->oid < FirstNormalObjectId &&
		cx_builtins_user(NameStr(form->proname));
}

/* Whether a function sets who runs it, which not everybody may. */
static bool
sets_user(HeapTuple proc)
{
	return cx_proc_sets(proc, "role=") ||
		cx_proc_sets(proc, "session_authorization=");
}

/* Whether a value that comes in or goes out may be checked by who calls. */
static bool
has_checked_type(HeapTuple proc)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n = get_func_arg_info(proc, &types, &names, &modes);

	while (--n >= 0)
	{
		if (cx_share_names_is_checked(types[n]))
			return true;
	}
	return cx_share_names_is_checked(form->prorettype);
}

static void
ask(Walk *walk, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	CxFunctionUse use = {0};
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
	{
		walk->sharing.personal = true;
		return;
	}
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (is_user_function(form) || sets_user(tuple) ||
		has_checked_type(tuple) ||
		cx_functions_judge(function, &use) != CX_FUNCTION_OK)
		walk->sharing.personal = true;
	if (!heap_attisnull(tuple, Anum_pg_proc_proacl, NULL))
		walk->sharing.functions =
			list_append_unique_oid(walk->sharing.functions, function);
	cx_share_names_schema(&walk->sharing, form->pronamespace);
	if (form->pronargdefaults > 0)
		walk_column(walk, tuple, Anum_pg_proc_proargdefaults);
	if (function < FirstNormalObjectId && form->prolang != SQLlanguageId)
		;						/* nothing to be read */
	else if (form->prokind == PROKIND_AGGREGATE)
		reach_aggregate(walk, function);
	else if (form->prolang == SQLlanguageId ||
			 form->prolang == get_language_oid("plpgsql", true))
		read_body(walk, tuple);
	ReleaseSysCache(tuple);
}

/* ---- answers ---- */

/* Makes an answer, and keeps it; InvalidOid: see cx_share_json. */
static Answer *
make_answer(Oid function)
{
	Walk		walk = {{false}};
	Answer	   *answer;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "cachex sharing of a function",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);

	if (OidIsValid(function))
		reach(&walk, function);
	else
		walk.reached = cx_candidates_json(walk.reached);
	for (int i = 0; i < list_length(walk.reached); i++)
	{
		CHECK_FOR_INTERRUPTS();
		ask(&walk, list_nth_oid(walk.reached, i));
	}
	MemoryContextSwitchTo(memo.context);
	walk.sharing.functions = list_copy(walk.sharing.functions);
	walk.sharing.schemas = list_copy(walk.sharing.schemas);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);

	answer = cx_memo_enter(&memo, function);
	answer->sharing = walk.sharing;
	return answer;
}

static void
add_answer(Oid function, CxSharing *sharing)
{
	Answer	   *answer = cx_memo_find(&memo, function);

	if (answer == NULL)
		answer = make_answer(function);
	sharing->personal |= answer->sharing.personal;
	sharing->functions = list_concat_unique_oid(sharing->functions,
												answer->sharing.functions);
	sharing->schemas = list_concat_unique_oid(sharing->schemas,
											  answer->sharing.schemas);
}

/*
 * Adds what a call of a function means; lists grow in the current memory
 * context.  Raises what reading catalogs can raise.
 */
void
cx_share_function(Oid function, CxSharing *sharing)
{
	Assert(OidIsValid(function));
	add_answer(function, sharing);
}

/*
 * The same for what the server may call to make json of any value, without
 * checks.
 */
void
cx_share_json(CxSharing *sharing)
{
	add_answer(InvalidOid, sharing);
}

/* ---- expressions ---- */

/* Whether a node is a call of current_setting for such a setting. */
static bool
reads_protected_setting(const Node *node)
{
	const FuncExpr *call = (const FuncExpr *) node;
	const Const *name;

	if (!IsA(node, FuncExpr) ||
		(call->funcid != F_CURRENT_SETTING_TEXT &&
		 call->funcid != F_CURRENT_SETTING_TEXT_BOOL))
		return false;
	name = linitial(call->args);
	return !IsA(name, Const) || name->constisnull ||
		is_protected_setting(TextDatumGetCString(name->constvalue));
}

static bool
share_function_cb(Oid function, void *context)
{
	/* settings are compared by themselves */
	if (function != F_CURRENT_SETTING_TEXT &&
		function != F_CURRENT_SETTING_TEXT_BOOL &&
		function != F_CURRENT_SCHEMA)
		cx_share_function(function, context);
	return false;
}

/* Adds what a node of an expression means, those below it aside. */
void
cx_share_node(Node *node, CxSharing *sharing)
{
	if (is_user(node) || reads_protected_setting(node))
		sharing->personal = true;
	(void) check_functions_in_node(node, share_function_cb, sharing);
	cx_share_names(node, sharing);
}

/*
 * The schemas of the tables that the query names itself: the planner may find
 * that it needs some of them not at all.
 */
static void
share_tables(Query *query, CxSharing *sharing)
{
	ListCell   *lc;

	foreach(lc, cx_compat_query_permissions(query))
	{
		const CxCompatPermission *p = lfirst(lc);

		if (OidIsValid(p->relid) && !OidIsValid(p->checkAsUser))
			cx_share_names_schema(sharing, get_rel_namespace(p->relid));
	}
}

static bool
share_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		share_tables((Query *) node, context);
		return query_tree_walker((Query *) node, share_walker, context,
								 QTW_EXAMINE_SORTGROUP);
	}
	cx_share_node(node, context);
	return expression_tree_walker(node, share_walker, context);
}

/* The same for queries that have been rewritten and not yet planned. */
void
cx_share_queries(List *queries, CxSharing *sharing)
{
	ListCell   *lc;

	foreach(lc, queries)
		(void) share_walker(lfirst(lc), sharing);
}
