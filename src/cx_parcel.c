/*
 * cx_parcel.c
 *	  Packs a refresh, and unpacks it.
 *
 * Locking: none.
 */
#include "postgres.h"

#include "cx_parcel.h"

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
