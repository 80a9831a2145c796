/*
 * cx_lexer.h
 *	  What a piece of SQL or PL/pgSQL code mentions.
 */
#ifndef CX_LEXER_H
#define CX_LEXER_H

typedef enum CxMentionKind
{
	CX_MENTION_CALL,			/* name ( */
	CX_MENTION_COLUMN,			/* (row).name, which may be a function */
	CX_MENTION_OPERATOR,
	CX_MENTION_SETTING,			/* that changes a value */
	CX_MENTION_ANY_SETTING,		/* one that is found out when it runs */
	CX_MENTION_OBSCURE,			/* a value that comes from elsewhere */
	CX_MENTION_CURSOR			/* rows of a cursor that comes from elsewhere */
} CxMentionKind;

typedef struct CxMention
{
	CxMentionKind kind;
	const char *schema;			/* or what else is before the name, or NULL */
	const char *name;
} CxMention;

typedef struct CxMentions
{
	CxMention  *items;
	int			n;
	const char **words;			/* all words, names of types among them */
	int			nwords;
	bool		xids;			/* there is a sign of values of type xid */
	bool		reads;			/* a query in it may read a table */
	bool		user;			/* it may ask who the user is */
} CxMentions;

extern bool cx_lexer_read(const char *source, CxMentions *mentions);

#endif							/* CX_LEXER_H */
