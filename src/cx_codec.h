/*
 * cx_codec.h
 *	  Values as self-describing bytes: what is stored in an entry and what
 *	  comes back out of it.
 *
 * The bytes of a value are those of its Datum without its varlena header;
 * the type's OID and a hash of its definition (typhash) stand beside them, so
 * that a value is never returned under another type, or under the same type
 * with another layout.
 */
#ifndef CX_CODEC_H
#define CX_CODEC_H

#include "utils/jsonb.h"

/* The typhash of a type that does not exist; no stored value has it. */
#define CX_TYPHASH_GONE PG_UINT32_MAX

typedef struct CxValue
{
	Oid			type;			/* base or composite type; domains are stored
								 * under their own OID */
	uint32		typhash;		/* see cx_codec_typhash */
	bool		isnull;			/* then data is NULL and len 0 */
	const char *data;
	Size		len;			/* bytes */
} CxValue;

extern uint32 cx_codec_typhash(Oid type);
extern void cx_codec_encode(Datum datum, bool isnull, Oid type, CxValue *out);
extern Datum cx_codec_decode(const CxValue *value);
extern Jsonb *cx_codec_to_jsonb(Datum datum, bool isnull, Oid type);

#endif							/* CX_CODEC_H */
