/*
 * Where a store's objects lie. Names are relative, of [a-z0-9./_-] and host names; objects are immutable once they are
 * there. The functions store_backend_*() are the choke point.
 */
#ifndef G4L_STORE_BACKEND_H
#define G4L_STORE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct store_backend;

/* One object of a listing. Returns 0 to go on, or a negative code that ends it. */
typedef int store_backend_list_fn(void *arg, const char *name, uint64_t size_bytes);

struct store_backend_ops {
	const char *name; /* "directory" */
	/* Writes a whole object, durably, visible complete or not at all; replaces one of that name. Pieces are written
	 * in order. */
	int (*put)(struct store_backend *b, const char *name, const struct buf *pieces, size_t n, struct error *err);
	/* As put(), but -EEXIST when the name is taken, also by a writer at the same moment. */
	int (*create)(struct store_backend *b, const char *name, const void *data, size_t len, struct error *err);
	/* Reads exactly len bytes at offset. -ENOENT; -ERANGE when the object is shorter. */
	int (*get)(struct store_backend *b, const char *name, uint64_t offset, void *to, size_t len, struct error *err);
	/* The object's size. -ENOENT. */
	int (*size)(struct store_backend *b, const char *name, uint64_t *size_bytes, struct error *err);
	/* Every object whose name begins with prefix, in any order. */
	int (*list)(struct store_backend *b, const char *prefix, store_backend_list_fn *fn, void *arg,
		    struct error *err);
	/* Deletes, durably. An object that is not there is fine. */
	int (*remove)(struct store_backend *b, const char *name, struct error *err);
	void (*close)(struct store_backend *b);
};
struct store_backend {
	const struct store_backend_ops *ops;
	char location[512];
};

/* A folder of a file system. create_dir: make it when it is missing. 0; -ERR_UNREACHABLE when it is not there. */
int store_directory_open(const char *path, int create_dir, struct store_backend **out, struct error *err);

/* Called before each operation of a fault backend with its running number (from 1). Returns 0 to let it through, the
 * negative code it shall fail with, or a positive code: it is carried out, and then reported as failed with minus that
 * code (an answer that was lost). The wrapper closes what is under it. */
typedef int store_fault_fn(void *arg, uint64_t nth, const char *op, const char *name);
int store_fault_wrap(struct store_backend *under, store_fault_fn *fn, void *arg, struct store_backend **out,
		     struct error *err);

int store_backend_put(struct store_backend *b, const char *name, const struct buf *pieces, size_t n, struct error *err);
int store_backend_create(struct store_backend *b, const char *name, const void *data, size_t len, struct error *err);
int store_backend_get(struct store_backend *b, const char *name, uint64_t offset, void *to, size_t len,
		      struct error *err);
int store_backend_size(struct store_backend *b, const char *name, uint64_t *size_bytes, struct error *err);
int store_backend_list(struct store_backend *b, const char *prefix, store_backend_list_fn *fn, void *arg,
		       struct error *err);
int store_backend_remove(struct store_backend *b, const char *name, struct error *err);
void store_backend_close(struct store_backend *b);

#endif
