/* Working memory for reading: each thread borrows a set, so that it is touched once and reused. */
#include <stdlib.h>

#include "store/room.h"

static void reader_free(struct store_reader *r)
{
	if (!r)
		return;
	chunk_coder_free(r->coder);
	free(r->run);
	free(r->plain);
	free(r);
}

int store_reader_borrow(struct store *s, struct store_reader **out, struct error *err)
{
	struct store_reader *r;

	pthread_mutex_lock(&s->pool_lock);
	r = s->readers;
	if (r)
		s->readers = r->next;
	pthread_mutex_unlock(&s->pool_lock);
	if (!r) {
		r = calloc(1, sizeof *r);
		if (r) {
			r->coder = chunk_coder_new(1);
			r->run = malloc(STORE_READ_BYTES);
			r->plain = malloc(CHUNK_MAX_BYTES);
		}
		if (!r || !r->coder || !r->run || !r->plain) {
			reader_free(r);
			return error_errno(err, ENOMEM, "cannot read chunks");
		}
	}
	*out = r;
	return 0;
}

void store_reader_return(struct store *s, struct store_reader *r)
{
	pthread_mutex_lock(&s->pool_lock);
	r->next = s->readers;
	s->readers = r;
	pthread_mutex_unlock(&s->pool_lock);
}

void store_readers_free(struct store *s)
{
	while (s->readers) {
		struct store_reader *r = s->readers;

		s->readers = r->next;
		reader_free(r);
	}
}
