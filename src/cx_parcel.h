/*
 * cx_parcel.h
 *	  What is to be refreshed; and that as bytes, of limited length, for
 *	  shared memory.
 */
#ifndef CX_PARCEL_H
#define CX_PARCEL_H

#include "cx_args.h"

struct CxFetch;

/*
 * A loader to be run in the background.  Pointers are the caller's; lengths
 * are in bytes, and strings with a length are not terminated.
 */
typedef struct CxRefresh
{
	char		cache[NAMEDATALEN];
	const char *key;
	Size		key_len;
	const char *scope;			/* NULL = none */
	Size		scope_len;
	Oid			session;		/* user of the session that asks */
	Oid			role;			/* runs it */
	Oid			type;			/* JSONBOID; RECORDOID = any number of rows;
								 * or another */
	const char *query;			/* NULL = the loader of the cache */
	Size		query_len;
	ArrayType  *params;			/* or NULL, as are tags */
	ArrayType  *tags;
	CxLife		life;
	const char *settings;		/* from cx_settings_write */
	Size		settings_len;
	uint64		loader;			/* the result would have this fingerprint; 0 =
								 * any */
} CxRefresh;

#define CX_PARCEL_BYTES	3584

/* How a request lies in its data, before the bytes that lengths are of. */
typedef struct CxPacked
{
	CxRefresh	r;				/* pointers only tell NULL from others */
	Size		params_len;
	Size		tags_len;
} CxPacked;

typedef union CxParcel
{
	char		bytes[CX_PARCEL_BYTES];
	CxPacked	packed;
	int64		align;
} CxParcel;

extern void cx_parcel_of_fetch(const struct CxFetch *f, CxRefresh *r);
extern Size cx_parcel_pack(CxParcel *parcel, const CxRefresh *r);
extern void cx_parcel_unpack(const CxParcel *parcel, CxRefresh *r);

#endif							/* CX_PARCEL_H */
