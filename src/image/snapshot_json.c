/*
 * A snapshot as JSON and back. Members that are missing read as zero or empty, so that a document may grow; members of
 * the wrong type, or values that do not fit, are damage. One table a struct says which member is which field, for both
 * ways.
 */
#include "image/snapshot_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/text.h"

enum field_type { FIELD_TEXT, FIELD_U64, FIELD_U32, FIELD_UNSIGNED, FIELD_BOOL, FIELD_SECONDS, FIELD_TIME };
struct field {
	const char *name;
	enum field_type type;
	size_t offset, bytes; /* in the struct */
};
#define FIELD(s, member, type)                                                                                         \
	{                                                                                                              \
#member, type, offsetof(struct s, member), sizeof(((struct s *)0)->member)                             \
	}

static const struct field region_fields[] = {
	FIELD(snapshot_region, start, FIELD_U64),	FIELD(snapshot_region, length, FIELD_U64),
	FIELD(snapshot_region, number, FIELD_UNSIGNED), FIELD(snapshot_region, role, FIELD_TEXT),
	FIELD(snapshot_region, kind, FIELD_TEXT),	FIELD(snapshot_region, copied, FIELD_TEXT),
	FIELD(snapshot_region, type, FIELD_TEXT),	FIELD(snapshot_region, uuid, FIELD_TEXT),
	FIELD(snapshot_region, label, FIELD_TEXT),	FIELD(snapshot_region, used_bytes, FIELD_U64),
	FIELD(snapshot_region, note, FIELD_TEXT),	{0},
};
static const struct field disk_fields[] = {
	FIELD(snapshot_disk, path, FIELD_TEXT),
	FIELD(snapshot_disk, model, FIELD_TEXT),
	FIELD(snapshot_disk, serial, FIELD_TEXT),
	FIELD(snapshot_disk, wwn, FIELD_TEXT),
	FIELD(snapshot_disk, bus, FIELD_TEXT),
	FIELD(snapshot_disk, size_bytes, FIELD_U64),
	FIELD(snapshot_disk, sector_bytes, FIELD_U32),
	FIELD(snapshot_disk, table, FIELD_TEXT),
	FIELD(snapshot_disk, disk_id, FIELD_TEXT),
	FIELD(snapshot_disk, used_bytes, FIELD_U64),
	{0},
};
static const struct field snapshot_fields[] = {
	FIELD(snapshot, host, FIELD_TEXT),
	FIELD(snapshot, time, FIELD_TIME),
	FIELD(snapshot, time_ns, FIELD_U32),
	FIELD(snapshot, seconds, FIELD_SECONDS),
	FIELD(snapshot, version, FIELD_TEXT),
	FIELD(snapshot, degraded, FIELD_BOOL),
	FIELD(snapshot, disk_bytes, FIELD_U64),
	FIELD(snapshot, used_bytes, FIELD_U64),
	FIELD(snapshot, read_bytes, FIELD_U64),
	FIELD(snapshot, metadata_bytes, FIELD_U64),
	FIELD(snapshot, new_bytes, FIELD_U64),
	FIELD(snapshot, stored_bytes, FIELD_U64),
	FIELD(snapshot, chunks, FIELD_U64),
	FIELD(snapshot, new_chunks, FIELD_U64),
	{0},
};

/* A field's value, or NULL when JSON cannot hold it. */
static json_t *field_value(const struct field *f, const void *at)
{
	switch (f->type) {
	case FIELD_TEXT:
		return memchr(at, 0, f->bytes) ? json_string(at) : NULL;
	case FIELD_U64: {
		uint64_t v = *(const uint64_t *)at;

		return v <= INT64_MAX ? json_integer((json_int_t)v) : NULL;
	}
	case FIELD_U32:
		return json_integer(*(const uint32_t *)at);
	case FIELD_UNSIGNED:
		return json_integer(*(const unsigned *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_SECONDS:
		return json_real(*(const double *)at); /* NULL for what is not finite */
	case FIELD_TIME:
		return json_integer(*(const int64_t *)at);
	}
	return NULL;
}

static int format_fields(json_t *to, const struct field *fields, const void *from, struct error *err)
{
	for (const struct field *f = fields; f->name; f++) {
		/* json_object_set_new() takes the value over, also when it fails. */
		if (json_object_set_new(to, f->name, field_value(f, (const char *)from + f->offset)) < 0)
			return error_set(err, -EINVAL, "a snapshot's \"%s\" cannot be stored", f->name);
	}
	return 0;
}

static int parse_field(const struct field *f, const json_t *v, void *at)
{
	json_int_t n = json_integer_value(v);

	switch (f->type) {
	case FIELD_TEXT: {
		size_t len = json_string_length(v);

		if (!json_is_string(v) || len >= f->bytes || memchr(json_string_value(v), 0, len))
			return -ERR_DAMAGED;
		memcpy(at, json_string_value(v), len + 1);
		return 0;
	}
	case FIELD_U64:
		*(uint64_t *)at = (uint64_t)n;
		return json_is_integer(v) && n >= 0 ? 0 : -ERR_DAMAGED;
	case FIELD_U32:
		*(uint32_t *)at = (uint32_t)n;
		return json_is_integer(v) && n >= 0 && n <= (json_int_t)UINT32_MAX ? 0 : -ERR_DAMAGED;
	case FIELD_UNSIGNED:
		*(unsigned *)at = (unsigned)n;
		return json_is_integer(v) && n >= 0 && n <= (json_int_t)UINT32_MAX ? 0 : -ERR_DAMAGED;
	case FIELD_BOOL:
		*(bool *)at = json_is_true(v);
		return json_is_boolean(v) ? 0 : -ERR_DAMAGED;
	case FIELD_SECONDS:
		*(double *)at = json_number_value(v);
		return json_is_number(v) ? 0 : -ERR_DAMAGED;
	case FIELD_TIME:
		*(int64_t *)at = n;
		return json_is_integer(v) ? 0 : -ERR_DAMAGED;
	}
	return -ERR_DAMAGED;
}

static int parse_fields(const json_t *from, const struct field *fields, void *to, struct error *err)
{
	if (!json_is_object(from))
		return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: an object is missing");
	for (const struct field *f = fields; f->name; f++) {
		const json_t *v = json_object_get(from, f->name);

		if (v && parse_field(f, v, (char *)to + f->offset) < 0)
			return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its \"%s\" makes no sense",
					 f->name);
	}
	return 0;
}

/* Adds an empty array or object under a name. Borrowed, or NULL when memory is out. */
static json_t *add_new(json_t *to, const char *name, json_t *v)
{
	return json_object_set_new(to, name, v) < 0 ? NULL : v;
}

static int format_disk(json_t *to, const struct snapshot_disk *d, struct error *err)
{
	json_t *regions = add_new(to, "regions", json_array()), *roots = add_new(to, "roots", json_array());
	char hex[HASH_HEX_BYTES];
	int rc = format_fields(to, disk_fields, d, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < d->n_regions; i++) {
		json_t *r = json_object();

		if (json_array_append_new(regions, r) < 0)
			return error_set(err, -ENOMEM, "out of memory for a snapshot");
		rc = format_fields(r, region_fields, &d->regions[i], err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < d->n_roots; i++)
		if (json_array_append_new(roots, json_string(hash_format(&d->roots[i], hex))) < 0)
			return error_set(err, -ENOMEM, "out of memory for a snapshot");
	return 0;
}

static int format_rest(json_t *to, const struct snapshot *s, struct error *err)
{
	json_t *tags = add_new(to, "tags", json_array()), *disks = add_new(to, "disks", json_array());

	for (size_t i = 0; i < s->n_tags; i++)
		if (!text_is_name(s->tags[i]) || json_array_append_new(tags, json_string(s->tags[i])) < 0)
			return error_set(err, -EINVAL, "\"%s\" is not a name for a tag", s->tags[i]);
	for (size_t i = 0; i < s->n_disks; i++) {
		json_t *d = json_object();
		int rc;

		if (json_array_append_new(disks, d) < 0)
			return error_set(err, -ENOMEM, "out of memory for a snapshot");
		rc = format_disk(d, &s->disks[i], err);
		if (rc < 0)
			return rc;
	}
	if (s->facts) {
		json_t *facts = json_loads(s->facts, 0, NULL);

		if (!json_is_object(facts) || json_object_set(to, "facts", facts) < 0) {
			json_decref(facts);
			return error_set(err, -EINVAL, "a snapshot's facts are not a JSON object");
		}
		json_decref(facts);
	}
	return 0;
}

int snapshot_json_format(const struct snapshot *s, char **json, struct error *err)
{
	json_t *o;
	int rc;

	*json = NULL;
	if (!text_is_name(s->host))
		return error_set(err, -EINVAL, "\"%s\" is not a name for a host", s->host);
	o = json_object();
	if (!o)
		return error_set(err, -ENOMEM, "out of memory for a snapshot");
	rc = format_fields(o, snapshot_fields, s, err);
	if (rc == 0)
		rc = format_rest(o, s, err);
	if (rc == 0) {
		*json = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
		if (!*json)
			rc = error_set(err, -ENOMEM, "out of memory for a snapshot");
	}
	json_decref(o);
	return rc;
}

/* Room for the members of an array; *n is set only with it. NULL (and 0) for a missing array. */
static void *new_list(const json_t *array, size_t member_bytes, size_t *n, int *rc)
{
	void *list;

	if (!array)
		return NULL;
	if (!json_is_array(array)) {
		*rc = -ERR_DAMAGED;
		return NULL;
	}
	list = calloc(json_array_size(array) ? json_array_size(array) : 1, member_bytes);
	if (list)
		*n = json_array_size(array);
	else
		*rc = -ENOMEM;
	return list;
}

static int parse_disk(const json_t *from, struct snapshot_disk *d, struct error *err)
{
	const json_t *regions = json_object_get(from, "regions"), *roots = json_object_get(from, "roots");
	int rc = parse_fields(from, disk_fields, d, err);

	if (rc < 0)
		return rc;
	d->regions = new_list(regions, sizeof *d->regions, &d->n_regions, &rc);
	d->roots = new_list(roots, sizeof *d->roots, &d->n_roots, &rc);
	if (rc < 0 || !d->size_bytes || d->sector_bytes < 512 || d->sector_bytes > 65536 ||
	    (d->sector_bytes & (d->sector_bytes - 1)))
		return error_set(err, rc < 0 ? rc : -ERR_DAMAGED,
				 "a snapshot is damaged: a disk's lists or sizes make no sense");
	for (size_t i = 0; i < d->n_regions; i++) {
		struct snapshot_region *r = &d->regions[i];

		rc = parse_fields(json_array_get(regions, i), region_fields, r, err);
		if (rc < 0)
			return rc;
		if (r->start > d->size_bytes || r->length > d->size_bytes - r->start)
			return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: a region leaves its disk");
	}
	for (size_t i = 0; i < d->n_roots; i++) {
		const char *hex = json_string_value(json_array_get(roots, i));

		if (!hex || hash_parse(hex, &d->roots[i]) < 0)
			return error_set(err, -ERR_DAMAGED,
					 "a snapshot is damaged: the name of a recipe makes no sense");
	}
	return 0;
}

static int parse_tags(const json_t *from, struct snapshot *out, struct error *err)
{
	int rc = 0;
	size_t n = 0;

	out->tags = new_list(from, sizeof *out->tags, &n, &rc);
	if (rc < 0)
		return error_set(err, rc, "a snapshot is damaged: its tags make no sense");
	for (size_t i = 0; i < n; i++) {
		const char *tag = json_string_value(json_array_get(from, i));

		if (!tag || !text_is_name(tag))
			return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its tags make no sense");
		out->tags[i] = strdup(tag);
		if (!out->tags[i])
			return error_set(err, -ENOMEM, "out of memory for a snapshot");
		out->n_tags++;
	}
	return 0;
}

static int parse_document(const json_t *o, struct snapshot *out, struct error *err)
{
	const json_t *disks = json_object_get(o, "disks"), *facts = json_object_get(o, "facts");
	int rc = parse_fields(o, snapshot_fields, out, err);

	if (rc == 0)
		rc = parse_tags(json_object_get(o, "tags"), out, err);
	if (rc < 0)
		return rc;
	if (!text_is_name(out->host))
		return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its host has no proper name");
	out->disks = new_list(disks, sizeof *out->disks, &out->n_disks, &rc);
	if (rc < 0)
		return error_set(err, rc, "a snapshot is damaged: its disks make no sense");
	for (size_t i = 0; i < out->n_disks; i++) {
		rc = parse_disk(json_array_get(disks, i), &out->disks[i], err);
		if (rc < 0)
			return rc;
	}
	if (facts) {
		out->facts = json_is_object(facts) ? json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
		if (!out->facts)
			return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its facts make no sense");
	}
	return 0;
}

int snapshot_json_parse(const char *json, size_t len, struct snapshot *out, struct error *err)
{
	json_error_t why;
	json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
	int rc;

	if (!o)
		return error_set(err, -ERR_DAMAGED, "a snapshot is damaged: its document is not JSON (%s)", why.text);
	rc = parse_document(o, out, err);
	json_decref(o);
	return rc;
}
