/*
 * Checked access to JSON objects from the other end: every member's type, range and length.
 */
#include "wire/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

json_t *fields_parse(const void *body, size_t len, size_t max, struct error *err)
{
	json_error_t why;
	json_t *o;

	if (len > max) {
		error_set(err, -ERR_FORMAT, "a JSON body of %zu bytes is too long; at most %zu are allowed", len, max);
		return NULL;
	}
	o = json_loadb(body, len, 0, &why);
	if (!o) {
		char text[200];

		error_set(err, -ERR_FORMAT, "the body is not JSON: %s", text_printable(why.text, text, sizeof text));
		return NULL;
	}
	if (!json_is_object(o)) {
		json_decref(o);
		error_set(err, -ERR_FORMAT, "the body is not a JSON object");
		return NULL;
	}
	return o;
}

int fields_dump(json_t *o, struct buf *out)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	buf_put(out, text, strlen(text));
	free(text);
	return out->failed ? -ENOMEM : 0;
}

json_t *fields_string(const char *text)
{
	json_t *s = json_string(text);
	size_t bytes;
	char *clean;

	if (s)
		return s;
	bytes = strlen(text) + 1;
	clean = malloc(bytes);
	if (!clean)
		return NULL;
	s = json_string(text_printable(text, clean, bytes));
	free(clean);
	return s;
}

/* 1: *value is there; 0: optional and not there. */
static int find(const json_t *o, const char *name, bool optional, json_t **value, struct error *err)
{
	*value = json_object_get(o, name);
	if (*value && !json_is_null(*value))
		return 1;
	return optional ? 0 : error_set(err, -ERR_FORMAT, "the member \"%s\" is missing", name);
}

int fields_text(const json_t *o, const char *name, bool optional, char *to, size_t to_bytes, struct error *err)
{
	json_t *v;
	int rc = find(o, name, optional, &v, err);

	if (rc <= 0)
		return rc;
	if (!json_is_string(v) || json_string_length(v) >= to_bytes)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is not a text of at most %zu bytes", name,
				 to_bytes - 1);
	memcpy(to, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

int fields_text_dup(const json_t *o, const char *name, bool optional, char **to, size_t max, struct error *err)
{
	json_t *v;
	int rc = find(o, name, optional, &v, err);
	char *copy;

	if (rc <= 0)
		return rc;
	if (!json_is_string(v) || json_string_length(v) > max)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is not a text of at most %zu bytes", name, max);
	copy = strdup(json_string_value(v));
	if (!copy)
		return error_errno(err, ENOMEM, "cannot keep the member \"%s\"", name);
	free(*to);
	*to = copy;
	return 0;
}

int fields_u64(const json_t *o, const char *name, bool optional, uint64_t max, uint64_t *to, struct error *err)
{
	json_t *v;
	int rc = find(o, name, optional, &v, err);

	if (rc <= 0)
		return rc;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is not a whole number from 0 to %llu", name,
				 (unsigned long long)max);
	*to = (uint64_t)json_integer_value(v);
	return 0;
}

int fields_bool(const json_t *o, const char *name, bool optional, bool *to, struct error *err)
{
	json_t *v;
	int rc = find(o, name, optional, &v, err);

	if (rc <= 0)
		return rc;
	if (!json_is_boolean(v))
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is neither true nor false", name);
	*to = json_is_true(v);
	return 0;
}

int fields_array(const json_t *o, const char *name, bool optional, size_t max, json_t **to, struct error *err)
{
	json_t *v;
	int rc = find(o, name, optional, &v, err);

	*to = NULL;
	if (rc <= 0)
		return rc;
	if (!json_is_array(v) || json_array_size(v) > max)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is not a list of at most %zu", name, max);
	*to = v;
	return 0;
}

int fields_parse_word(const char *const *words, unsigned n, const char *text, unsigned *out)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

int fields_word(const json_t *o, const char *name, const char *const *words, unsigned n, unsigned *out,
		struct error *err)
{
	char text[16];

	if (fields_text(o, name, false, text, sizeof text, err) < 0)
		return -ERR_FORMAT;
	if (fields_parse_word(words, n, text, out) < 0)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is none of the words that are allowed", name);
	return 0;
}

int fields_hex(const json_t *o, const char *name, char *to, size_t to_bytes, struct error *err)
{
	uint8_t bytes[64];
	size_t n = (to_bytes - 1) / 2;

	if (fields_text(o, name, false, to, to_bytes, err) < 0)
		return -ERR_FORMAT;
	if (strlen(to) != 2 * n || text_unhex(to, bytes, n) < 0)
		return error_set(err, -ERR_FORMAT, "the member \"%s\" is not %zu hex digits", name, 2 * n);
	text_hex(bytes, n, to);
	return 0;
}
