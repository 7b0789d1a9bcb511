/*
 * The choke point above every backend: object names are checked here, so that no backend ever sees one that could
 * leave the store, and every failure names the store it happened in.
 */
#include "store/backend.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 240

static bool name_byte_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

/* Parts of letters, digits and . _ -, none empty or beginning with a dot. A prefix may also end anywhere, and be empty.
 */
static bool name_ok(const char *name, bool is_prefix)
{
	size_t n = strlen(name);
	bool part_begins = true;

	if (n > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (part_begins && (name[i] == '/' || name[i] == '.'))
			return false;
		if (name[i] != '/' && !name_byte_ok(name[i]))
			return false;
		part_begins = name[i] == '/';
	}
	return is_prefix || (n > 0 && !part_begins);
}

static int bad_name(struct store_backend *b, const char *name, struct error *err)
{
	return error_set(err, -EINVAL, "'%.80s' cannot be the name of an object in the store %s", name, b->location);
}

/* Keeps the code, and makes sure that there is a sentence. */
static int report(struct store_backend *b, int r, const char *what, const char *name, struct error *err)
{
	if (r < 0 && err && err->code == 0)
		return error_errno(err, r, "cannot %s %s in the store %s", what, name, b->location);
	return r;
}

int store_backend_put(struct store_backend *b, const char *name, const struct buf *pieces, size_t n, struct error *err)
{
	if (!name_ok(name, false))
		return bad_name(b, name, err);
	error_clear(err);
	return report(b, b->ops->put(b, name, pieces, n, err), "write", name, err);
}

int store_backend_create(struct store_backend *b, const char *name, const void *data, size_t len, struct error *err)
{
	if (!name_ok(name, false))
		return bad_name(b, name, err);
	error_clear(err);
	return report(b, b->ops->create(b, name, data, len, err), "create", name, err);
}

int store_backend_get(struct store_backend *b, const char *name, uint64_t offset, void *to, size_t len,
		      struct error *err)
{
	if (!name_ok(name, false))
		return bad_name(b, name, err);
	error_clear(err);
	return report(b, b->ops->get(b, name, offset, to, len, err), "read", name, err);
}

int store_backend_size(struct store_backend *b, const char *name, uint64_t *size_bytes, struct error *err)
{
	if (!name_ok(name, false))
		return bad_name(b, name, err);
	error_clear(err);
	return report(b, b->ops->size(b, name, size_bytes, err), "read the size of", name, err);
}

int store_backend_list(struct store_backend *b, const char *prefix, store_backend_list_fn *fn, void *arg,
		       struct error *err)
{
	if (!name_ok(prefix, true))
		return bad_name(b, prefix, err);
	error_clear(err);
	return report(b, b->ops->list(b, prefix, fn, arg, err), "list", prefix, err);
}

int store_backend_remove(struct store_backend *b, const char *name, struct error *err)
{
	if (!name_ok(name, false))
		return bad_name(b, name, err);
	error_clear(err);
	return report(b, b->ops->remove(b, name, err), "delete", name, err);
}

void store_backend_close(struct store_backend *b)
{
	if (b)
		b->ops->close(b);
}
