/*
 * cx_lexer.c
 *	  Which functions, operators and settings does a piece of SQL or PL/pgSQL
 *	  code mention?
 *
 * The server's own scanner splits it into words, strings and symbols, as it
 * does for PL/pgSQL, with the session's standard_conforming_strings.  It is
 * given no keywords: all of them come as words, so nothing here depends on the
 * codes that the grammar of one server version gives them.
 *
 * There is no grammar here.  A name is mentioned as a function when there is
 * a parenthesis after it, whatever it is; who looks it up finds out.  What is
 * in a string needs no look: run with EXECUTE it reaches the executor.
 *
 * Locking: none.  No shared memory is touched.
 */
#include "postgres.h"

#include "common/keywords.h"
#include "parser/scanner.h"
#include "utils/memutils.h"

#include "cx_lexer.h"

typedef enum TokenKind
{
	TOKEN_WORD,					/* name or keyword, in the case it counts in */
	TOKEN_STRING,				/* constant; text is its value */
	TOKEN_SYMBOL,				/* operator or punctuation */
	TOKEN_PARAM,				/* $1 */
	TOKEN_OTHER					/* numbers and special strings; no text */
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	const char *text;
} Token;

typedef struct Code
{
	const Token *tokens;
	int			n;
} Code;

/*
 * Codes of the scanner's tokens, which parser/scanner.h describes and leaves
 * to every grammar to define first and in this order.
 */
enum
{
	IDENT = 258, UIDENT, FCONST, SCONST, USCONST, BCONST, XCONST, Op,
	ICONST, PARAM,
	TYPECAST, DOT_DOT, COLON_EQUALS, EQUALS_GREATER,
	LESS_EQUALS, GREATER_EQUALS, NOT_EQUALS
};

/* The text of the tokens from TYPECAST on. */
static const char *const symbols[] = {
	"::", "..", ":=", "=>", "<=", ">=", "<>"
};

/* Nothing is a keyword that is longer than nothing. */
static const ScanKeywordList no_keywords = {.max_kw_len = 0};

/*
 * Takes over one token.  Returns false for a word with Unicode escapes, which
 * only a grammar puts together.
 */
static bool
fill(Token *token, int code, core_YYSTYPE value)
{
	token->text = NULL;
	if (code == UIDENT)
		return false;
	if (code == IDENT || code == SCONST || code == Op)
		token->text = value.str;
	else if (code < IDENT)
		token->text = psprintf("%c", code);
	else if (code >= TYPECAST && code <= NOT_EQUALS)
		token->text = symbols[code - TYPECAST];

	if (code == IDENT)
		token->kind = TOKEN_WORD;
	else if (code == SCONST)
		token->kind = TOKEN_STRING;
	else if (code == PARAM)
		token->kind = TOKEN_PARAM;
	else
		token->kind = token->text ? TOKEN_SYMBOL : TOKEN_OTHER;
	return true;
}

/* All tokens; NULL if there is a word that fill does not take. */
static Token *
split(const char *source, int *ntokens)
{
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			code;
	int			n = 0;
	int			room = 64;
	Token	   *tokens = palloc(room * sizeof(Token));

	scanner = scanner_init(source, &extra, &no_keywords, NULL);
	/* Who defined the function has been warned. */
	extra.escape_string_warning = false;
	while ((code = core_yylex(&value, &location, scanner)) != 0)
	{
		if (n == room)
			tokens = repalloc(tokens, (room *= 2) * sizeof(Token));
		if (!fill(&tokens[n++], code, value))
			break;
	}
	scanner_finish(scanner);
	*ntokens = n;
	return code == 0 ? tokens : NULL;
}

/* The same, and NULL for a source that the scanner raises an error for. */
static Token *
try_split(const char *source, int *ntokens)
{
	MemoryContext context = CurrentMemoryContext;
	Token	   *volatile tokens = NULL;

	/*
	 * The scanner reports faults of the text by errors only.  It holds
	 * nothing but memory, so no subtransaction is needed to go on after one.
	 */
	PG_TRY();
	{
		tokens = split(source, ntokens);
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			category != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return tokens;
}

static bool
is_kind(const Code *code, int i, TokenKind kind)
{
	return i >= 0 && i < code->n && code->tokens[i].kind == kind;
}

static bool
is_symbol(const Code *code, int i, const char *symbol)
{
	return is_kind(code, i, TOKEN_SYMBOL) &&
		strcmp(code->tokens[i].text, symbol) == 0;
}

static bool
is_word(const Code *code, int i, const char *word)
{
	return is_kind(code, i, TOKEN_WORD) &&
		strcmp(code->tokens[i].text, word) == 0;
}

static void
mention(CxMentions *mentions, CxMentionKind kind, const char *schema,
		const char *name)
{
	CxMention  *m = &mentions->items[mentions->n++];

	m->kind = kind;
	m->schema = schema;
	m->name = name;
}

/*
 * A name with a parenthesis after it.  current_setting tells by its argument
 * which setting counts, if that is a constant.
 */
static void
read_call(const Code *code, int i, CxMentions *mentions)
{
	const Token *token = &code->tokens[i];
	const char *schema = NULL;

	if (is_symbol(code, i - 1, ".") && is_kind(code, i - 2, TOKEN_WORD))
		schema = token[-2].text;
	mention(mentions, CX_MENTION_CALL, schema, token->text);
	if (strcmp(token->text, "current_setting") != 0)
		return;
	if (is_kind(code, i + 2, TOKEN_STRING) &&
		(is_symbol(code, i + 3, ")") ||
		 (is_symbol(code, i + 3, ",") && is_symbol(code, i + 5, ")"))))
		mention(mentions, CX_MENTION_SETTING, NULL, token[2].text);
	else
		mention(mentions, CX_MENTION_ANY_SETTING, NULL, token->text);
}

/*
 * FETCH or MOVE as a statement, of a cursor that was not opened before it: that
 * came from outside, and its query was begun unseen.
 */
static bool
is_foreign_cursor(const Code *code, int i)
{
	int			name = i;

	if (!is_word(code, i, "fetch") && !is_word(code, i, "move"))
		return false;
	if (!(is_symbol(code, i - 1, ";") || is_symbol(code, i - 1, ">>") ||
		  is_word(code, i - 1, "begin") || is_word(code, i - 1, "then") ||
		  is_word(code, i - 1, "else") || is_word(code, i - 1, "loop")))
		return false;
	while (name + 1 < code->n && !is_word(code, name + 1, "into") &&
		   !is_symbol(code, name + 1, ";"))
		name++;
	while (is_kind(code, name, TOKEN_WORD) && --i >= 0)
		if (is_word(code, i, "open") &&
			is_word(code, i + 1, code->tokens[name].text))
			return false;
	return true;
}

/* The next token after one, and after all that is in parentheses there. */
static int
skip(const Code *code, int i)
{
	int			depth = 0;

	do
	{
		depth += is_symbol(code, i, "(") - is_symbol(code, i, ")");
		i++;
	} while (depth > 0 && i < code->n);
	return i;
}

/* FROM that is part of the way to write a call, or a comparison. */
static bool
is_from_of_call(const Code *code, int i)
{
	int			depth = 0;

	if (is_word(code, i - 1, "distinct") &&
		(is_word(code, i - 2, "is") || is_word(code, i - 2, "not")))
		return true;
	while (--i >= 0 && depth >= 0)
	{
		if (depth == 0 && is_word(code, i, "select"))
			return false;
		depth += is_symbol(code, i, ")") - is_symbol(code, i, "(");
	}
	return depth < 0 &&
		(is_word(code, i, "extract") || is_word(code, i, "substring") ||
		 is_word(code, i, "trim") || is_word(code, i, "overlay"));
}

/* The next token after an item of FROM that is a call or a subquery, else -1. */
static int
skip_item(const Code *code, int i)
{
	if (is_word(code, i, "lateral"))
		i++;
	if (is_symbol(code, i, "("))
		return is_word(code, i + 1, "select") || is_word(code, i + 1, "values")
			? skip(code, i) : -1;
	if (is_word(code, i, "only"))
		return -1;
	if (is_kind(code, i, TOKEN_WORD) && is_symbol(code, i + 1, "."))
		i += 2;
	return is_kind(code, i, TOKEN_WORD) && is_symbol(code, i + 1, "(")
		? skip(code, i + 1) : -1;
}

/* What ends the list of items after FROM; aliases and conditions do not. */
static bool
ends_items(const Code *code, int i)
{
	static const char *const words[] = {
		"where", "group", "having", "window", "order", "limit", "offset", "for",
		"union", "intersect", "except", "loop", "into"
	};
	int			k;

	if (i >= code->n || is_symbol(code, i, ";") || is_symbol(code, i, ")"))
		return true;
	for (k = 0; k < (int) lengthof(words); k++)
		if (is_word(code, i, words[k]) && !is_symbol(code, i - 1, "."))
			return true;
	return false;
}

/* Whether FROM may have the name of a table after it. */
static bool
is_from_table(const Code *code, int i)
{
	if (is_from_of_call(code, i))
		return false;
	do
	{
		i = skip_item(code, i + 1);
		if (i < 0)
			return true;
		while (!ends_items(code, i) && !is_symbol(code, i, ",") &&
			   !is_word(code, i, "join"))
			i = skip(code, i);
	} while (!ends_items(code, i));
	return false;
}

/* A word by which a query reads a table, or runs unseen. */
static bool
is_reading(const Code *code, int i)
{
	if (is_word(code, i, "from"))
		return is_from_table(code, i);
	return is_word(code, i, "table") || is_word(code, i, "execute") ||
		is_word(code, i, "call") || is_word(code, i, "fetch") ||
		is_word(code, i, "move") || is_word(code, i, "open");
}

static bool
is_user(const Code *code, int i)
{
	return is_word(code, i, "current_user") ||
		is_word(code, i, "current_role") || is_word(code, i, "user");
}

/*
 * Something whose value nobody knows: the call stack, how the session was
 * authenticated, whether a name exists, what belongs to a session; and TREAT,
 * which calls a function by the name of a type.
 */
static bool
is_obscure(const Code *code, int i)
{
	return is_word(code, i, "pg_context") ||
		is_word(code, i, "pg_exception_context") ||
		is_word(code, i, "system_user") ||
		is_word(code, i, "treat") ||
		is_word(code, i, "current_schema") ||
		is_word(code, i, "pg_temp") ||
		is_word(code, i, "regclass") ||
		is_word(code, i, "regtype");
}

static void
read_word(const Code *code, int i, CxMentions *mentions)
{
	const char *word = code->tokens[i].text;
	bool		qualified = is_symbol(code, i - 1, ".");

	if (strstr(word, "xid") || strstr(word, "xmin") || strstr(word, "xmax"))
		mentions->xids = true;
	mentions->reads |= is_reading(code, i);
	mentions->user |= !qualified && is_user(code, i);

	if (!qualified && is_obscure(code, i))
		mention(mentions, CX_MENTION_OBSCURE, NULL, word);
	else if (!qualified && is_foreign_cursor(code, i))
		mention(mentions, CX_MENTION_CURSOR, NULL, word);
	else if (is_symbol(code, i + 1, "("))
		read_call(code, i, mentions);
	else if (qualified && (is_symbol(code, i - 2, ")") ||
						   is_symbol(code, i - 2, "]") ||
						   is_kind(code, i - 2, TOKEN_PARAM)))
		mention(mentions, CX_MENTION_COLUMN, NULL, word);
	else if (!qualified && strcmp(word, "session_user") == 0)
		mention(mentions, CX_MENTION_SETTING, NULL, "session_authorization");
}

/*
 * cx_lexer_read
 *
 * Fills *mentions, in the current memory context.  Returns false if the
 * source cannot be understood.
 */
bool
cx_lexer_read(const char *source, CxMentions *mentions)
{
	Code		code;
	int			i;

	code.tokens = try_split(source, &code.n);
	if (code.tokens == NULL)
		return false;
	mentions->xids = false;
	mentions->reads = false;
	mentions->user = false;
	mentions->n = 0;
	/* A token makes two mentions at most. */
	mentions->items = palloc((2 * code.n + 1) * sizeof(CxMention));
	mentions->words = palloc((code.n + 1) * sizeof(char *));
	mentions->nwords = 0;
	for (i = 0; i < code.n; i++)
	{
		const Token *token = &code.tokens[i];

		if (token->kind == TOKEN_WORD)
		{
			mentions->words[mentions->nwords++] = token->text;
			read_word(&code, i, mentions);
		}
		else if (token->kind == TOKEN_SYMBOL &&
				 strchr("+-*/<>=~!@#%^&|`?", token->text[0]))
			mention(mentions, CX_MENTION_OPERATOR, NULL, token->text);
	}
	return true;
}
