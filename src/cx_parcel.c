/*
 * cx_parcel.c
 *	  What a fetch would have refreshed; packs that, and unpacks it.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "cx_fetch.h"
#include "cx_parcel.h"
#include "cx_settings.h"

/*
 * What a fetch that has begun asks for, as the current role and under the
 * current settings.
 */
void
cx_parcel_of_fetch(const CxFetch *f, CxRefresh *r)
{
	const CxIdent *ident = &f->ask.ident;
	StringInfoData settings;

	memset(r, 0, sizeof(CxRefresh));
	strlcpy(r->cache, f->cache, NAMEDATALEN);
	r->key = ident->key;
	r->key_len = ident->key_len;
	r->scope = ident->has_scope ? ident->scope : NULL;
	r->scope_len = ident->has_scope ? ident->scope_len : 0;
	r->session = GetSessionUserId();
	r->role = GetUserId();
	r->type = f->type;
	if (f->function == NULL)
	{
		r->query = f->query;
		r->query_len = f->query_len;
		r->params = f->params;
	}
	r->tags = f->tags;
	r->life = f->life;
	r->loader = f->loader;
	initStringInfo(&settings);
	cx_settings_write(&settings);
	r->settings = settings.data;
	r->settings_len = settings.len;
}

/* Appends some bytes, aligned; false: they do not fit. */
static bool
pack(CxParcel *data, Size *len, const void *bytes, Size n)
{
	Size		at = MAXALIGN(*len);

	if (n > CX_PARCEL_BYTES || at > CX_PARCEL_BYTES - n)
		return false;
	if (n > 0)
		memcpy(data->bytes + at, bytes, n);
	*len = at + n;
	return true;
}

/* Returns the length, 0 when it is too long. */
Size
cx_parcel_pack(CxParcel *data, const CxRefresh *r)
{
	CxPacked   *p = &data->packed;
	Size		len = sizeof(CxPacked);

	memset(p, 0, sizeof(CxPacked));
	p->r = *r;
	p->params_len = r->params ? VARSIZE(r->params) : 0;
	p->tags_len = r->tags ? VARSIZE(r->tags) : 0;
	if (pack(data, &len, r->key, r->key_len) &&
		(!r->scope || pack(data, &len, r->scope, r->scope_len)) &&
		(!r->query || pack(data, &len, r->query, r->query_len)) &&
		pack(data, &len, r->params, p->params_len) &&
		pack(data, &len, r->tags, p->tags_len) &&
		pack(data, &len, r->settings, r->settings_len))
		return len;
	return 0;
}

static const void *
unpack(const CxParcel *data, Size *len, Size n)
{
	Size		at = MAXALIGN(*len);

	*len = at + n;
	return data->bytes + at;
}

/* Pointers of the result are into data. */
void
cx_parcel_unpack(const CxParcel *data, CxRefresh *r)
{
	const CxPacked *p = &data->packed;
	Size		len = sizeof(CxPacked);

	*r = p->r;
	r->key = unpack(data, &len, r->key_len);
	if (r->scope)
		r->scope = unpack(data, &len, r->scope_len);
	if (r->query)
		r->query = unpack(data, &len, r->query_len);
	if (r->params)
		r->params = unconstify(void *, unpack(data, &len, p->params_len));
	else
		(void) unpack(data, &len, 0);
	if (r->tags)
		r->tags = unconstify(void *, unpack(data, &len, p->tags_len));
	else
		(void) unpack(data, &len, 0);
	r->settings = unpack(data, &len, r->settings_len);
}
