/*
 * A backend around a backend that fails where it is told to, so that every failure a store can meet can be met on
 * purpose. It changes nothing else.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/backend.h"

struct fault {
	struct store_backend backend;
	struct store_backend *under;
	store_fault_fn *fn;
	void *arg;
	_Atomic uint64_t count;
};

static struct fault *fault_of(struct store_backend *b)
{
	return (struct fault *)((char *)b - offsetof(struct fault, backend));
}

/* Runs an operation between the question and its answer: a negative answer prevents it, a positive one loses its
 * result. */
#define FAULT_AROUND(f, op, name, call, err)                                                                           \
	do {                                                                                                           \
		int told_ = (f)->fn((f)->arg, atomic_fetch_add(&(f)->count, 1) + 1, op, name);                         \
		int done_ = told_ < 0 ? told_ : (call);                                                                \
		if (told_ < 0 || (told_ > 0 && done_ == 0))                                                            \
			return error_errno(err, told_ < 0 ? told_ : -told_, "%s of %s was made to fail", op, name);    \
		return done_;                                                                                          \
	} while (0)

static int fault_put(struct store_backend *b, const char *name, const struct buf *pieces, size_t n, struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "put", name, store_backend_put(f->under, name, pieces, n, err), err);
}

static int fault_create(struct store_backend *b, const char *name, const void *data, size_t len, struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "create", name, store_backend_create(f->under, name, data, len, err), err);
}

static int fault_get(struct store_backend *b, const char *name, uint64_t offset, void *to, size_t len,
		     struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "get", name, store_backend_get(f->under, name, offset, to, len, err), err);
}

static int fault_size(struct store_backend *b, const char *name, uint64_t *size_bytes, struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "size", name, store_backend_size(f->under, name, size_bytes, err), err);
}

static int fault_list(struct store_backend *b, const char *prefix, store_backend_list_fn *fn, void *arg,
		      struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "list", prefix, store_backend_list(f->under, prefix, fn, arg, err), err);
}

static int fault_remove(struct store_backend *b, const char *name, struct error *err)
{
	struct fault *f = fault_of(b);

	FAULT_AROUND(f, "remove", name, store_backend_remove(f->under, name, err), err);
}

static void fault_close(struct store_backend *b)
{
	struct fault *f = fault_of(b);

	store_backend_close(f->under);
	free(f);
}

static const struct store_backend_ops fault_ops = {
	.name = "fault",
	.put = fault_put,
	.create = fault_create,
	.get = fault_get,
	.size = fault_size,
	.list = fault_list,
	.remove = fault_remove,
	.close = fault_close,
};

int store_fault_wrap(struct store_backend *under, store_fault_fn *fn, void *arg, struct store_backend **out,
		     struct error *err)
{
	struct fault *f = calloc(1, sizeof *f);

	if (!f)
		return error_errno(err, ENOMEM, "cannot wrap the store %s", under->location);
	f->backend.ops = &fault_ops;
	snprintf(f->backend.location, sizeof f->backend.location, "%s", under->location);
	f->under = under;
	f->fn = fn;
	f->arg = arg;
	*out = &f->backend;
	return 0;
}
