/*
 * Keeps the index and the packs in agreement. The packs are the truth: what the index does not know is read from the
 * packs' own indexes, what it knows too much is forgotten. Nothing here writes to packs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/room.h"

static int compare(const struct store_index_pack *known, const struct store_pack_file *file)
{
	return memcmp(known->id.bytes, file->id.bytes, PACK_ID_BYTES);
}

/* Adds one pack. A pack that cannot be read is left out and named: the rest of the store must go on working. */
static int add_pack(struct store *s, const struct store_pack_file *file, struct error *err)
{
	struct error problem = {0};
	struct pack_index x;
	int r = store_pack_load(s, file, &x, &problem);

	if (r == -ENOENT)
		return 0;
	if (r == -ERR_DAMAGED || r == -ERR_VERSION || r == -ERANGE) {
		log_warning("left out of the index: %s", problem.text);
		return 0;
	}
	if (r < 0)
		return error_set(err, r, "%s", problem.text);
	r = store_index_add(s->index, &x, err);
	pack_index_clear(&x);
	return r;
}

/* Forgets the packs that are gone or have another size, and marks with size 0 those files that need no adding. */
static int forget_gone(struct store *s, struct store_index_pack *known, size_t n_known, struct store_pack_file *files,
		       size_t n_files, struct error *err)
{
	struct pack_id *gone = calloc(n_known ? n_known : 1, sizeof *gone);
	size_t n_gone = 0, f = 0;
	int r;

	if (!gone)
		return error_errno(err, ENOMEM, "cannot bring the index up to date");
	for (size_t k = 0; k < n_known; k++) {
		while (f < n_files && compare(&known[k], &files[f]) > 0)
			f++;
		if (f < n_files && compare(&known[k], &files[f]) == 0 && known[k].pack_bytes == files[f].pack_bytes)
			files[f].pack_bytes = 0;
		else
			gone[n_gone++] = known[k].id;
	}
	r = store_index_remove(s->index, gone, n_gone, err);
	free(gone);
	return r;
}

static int report(progress_fn *progress, void *arg, size_t done, size_t total)
{
	struct progress p = {.phase = "reading packs", .done_bytes = done, .total_bytes = total};

	return progress ? progress(arg, &p) : 0;
}

/* The index's list is taken before the folder's: a pack that appears in between is added twice, which does no harm, and
 * never forgotten. */
static int catch_up(struct store *s, progress_fn *progress, void *arg, struct error *err)
{
	struct store_index_pack *known = NULL;
	struct store_pack_file *files = NULL;
	size_t n_known, n_files;
	int r = store_index_packs(s->index, &known, &n_known, err);

	if (r == 0)
		r = store_pack_list(s, &files, &n_files, err);
	if (r == 0)
		r = forget_gone(s, known, n_known, files, n_files, err);
	for (size_t i = 0; r == 0 && i < n_files; i++) {
		if (files[i].pack_bytes)
			r = add_pack(s, &files[i], err);
		if (r == 0 && progress && i % 16 == 0)
			r = report(progress, arg, i, n_files);
	}
	free(known);
	free(files);
	return r;
}

static int rebuild(struct store *s, progress_fn *progress, void *arg, struct error *err)
{
	int r = store_index_reset(s->index, err);

	return r < 0 ? r : catch_up(s, progress, arg, err);
}

int store_catch_up(struct store *s, struct error *err)
{
	int r;

	pthread_mutex_lock(&s->sync_lock);
	r = catch_up(s, NULL, NULL, err);
	if (r == -ERR_DAMAGED) {
		log_warning("the index is made anew: %s", err ? err->text : "it is damaged");
		r = rebuild(s, NULL, NULL, err);
	}
	pthread_mutex_unlock(&s->sync_lock);
	return r;
}

int store_rebuild(struct store *s, progress_fn *progress, void *arg, struct error *err)
{
	int r;

	pthread_mutex_lock(&s->sync_lock);
	r = rebuild(s, progress, arg, err);
	pthread_mutex_unlock(&s->sync_lock);
	return r;
}

int store_find_sizes(struct store *s, const struct hash *hashes, size_t n, uint32_t *plain_bytes, struct error *err)
{
	int r = store_index_sizes(s->index, hashes, n, plain_bytes, err);

	if (r == -ERR_DAMAGED && (r = store_rebuild(s, NULL, NULL, err)) == 0)
		r = store_index_sizes(s->index, hashes, n, plain_bytes, err);
	return r;
}

int store_find_places(struct store *s, const struct hash *hashes, size_t n, struct store_place *places,
		      struct error *err)
{
	int r = store_index_places(s->index, hashes, n, places, err);

	if (r == -ERR_DAMAGED && (r = store_rebuild(s, NULL, NULL, err)) == 0)
		r = store_index_places(s->index, hashes, n, places, err);
	return r;
}
