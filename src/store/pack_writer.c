/*
 * From frames to packs. A few packs are in memory at once: one is open and takes frames, the others are on their way to
 * the backend in threads of their own, so that nobody waits for an fsync but who must. A pack that cannot be stored is
 * kept and tried again: frames that were taken are lost only with the process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/room.h"

#define SLOTS 3
#define THREADS 2

enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_FULL, SLOT_WRITING, SLOT_FAILED };

struct slot {
	enum slot_state state;
	struct store_pack_buffer pack;
	bool ready;	    /* its memory is there */
	uint64_t since_ms;  /* OPEN: when the first frame came; FAILED: when it failed */
	uint64_t order;	    /* FULL: older ones go first */
	struct error error; /* of the last try to store it */
};

struct store_writer {
	struct store *store;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	pthread_t threads[THREADS];
	unsigned n_threads;
	bool stop;
	uint64_t generation; /* packs stored so far */
	uint64_t next_order;
	struct slot slots[SLOTS];
};

static struct slot *find_slot(struct store_writer *w, enum slot_state state)
{
	struct slot *found = NULL;

	for (size_t i = 0; i < SLOTS; i++)
		if (w->slots[i].state == state && (!found || w->slots[i].order < found->order))
			found = &w->slots[i];
	return found;
}

static void close_slot(struct store_writer *w, struct slot *slot)
{
	slot->state = SLOT_FULL;
	slot->order = w->next_order++;
	pthread_cond_broadcast(&w->work);
}

/* They keep their place in the order: a flush that waits for one must go on waiting, or it would take it for stored. */
static void retry_failed(struct store_writer *w, uint64_t after_ms)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (w->slots[i].state == SLOT_FAILED && clock_ms() - w->slots[i].since_ms >= after_ms) {
			w->slots[i].state = SLOT_FULL;
			pthread_cond_broadcast(&w->work);
		}
}

/* The lock is released while the pack is stored. Nobody else touches a slot that is WRITING. */
static void write_slot(struct store_writer *w, struct slot *slot)
{
	struct error err = {0};
	int r;

	slot->state = SLOT_WRITING;
	pthread_mutex_unlock(&w->lock);
	r = store_pack_buffer_store(&slot->pack, w->store, &err);
	pthread_mutex_lock(&w->lock);
	if (r == 0) {
		store_pack_buffer_restart(&slot->pack);
		error_clear(&slot->error);
		slot->state = SLOT_FREE;
		w->generation++;
	} else {
		slot->state = SLOT_FAILED;
		slot->since_ms = clock_ms();
		slot->error = err;
		if (err.code == 0)
			error_errno(&slot->error, r, "cannot store a pack");
	}
	pthread_cond_broadcast(&w->done);
}

/* How long the open pack may still wait for more frames; UINT64_MAX: there is none. */
static uint64_t open_left_ms(struct store_writer *w)
{
	struct slot *slot = find_slot(w, SLOT_OPEN);
	uint64_t age;

	if (!slot || slot->pack.n == 0)
		return UINT64_MAX;
	age = clock_ms() - slot->since_ms;
	return age >= w->store->flush_after_ms ? 0 : w->store->flush_after_ms - age;
}

static void wait_for_work(struct store_writer *w, uint64_t ms)
{
	struct timespec until;

	if (ms > 60000)
		ms = 60000;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&w->work, &w->lock, &until);
}

static void *writer_thread(void *arg)
{
	struct store_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		uint64_t left = open_left_ms(w);
		struct slot *slot;

		if (left == 0)
			close_slot(w, find_slot(w, SLOT_OPEN));
		slot = find_slot(w, SLOT_FULL);
		if (slot)
			write_slot(w, slot);
		else
			wait_for_work(w, left);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void init_lock(struct store_writer *w)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
}

int store_writer_new(struct store *s, struct store_writer **out, struct error *err)
{
	struct store_writer *w = calloc(1, sizeof *w);

	if (!w)
		return error_errno(err, ENOMEM, "cannot write to the store");
	w->store = s;
	init_lock(w);
	for (; w->n_threads < THREADS; w->n_threads++) {
		int rc = pthread_create(&w->threads[w->n_threads], NULL, writer_thread, w);

		if (rc != 0) {
			store_writer_free(w);
			return error_errno(err, rc, "cannot start a thread that writes to the store");
		}
	}
	*out = w;
	return 0;
}

void store_writer_free(struct store_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	for (size_t i = 0; i < SLOTS; i++)
		if (w->slots[i].ready)
			store_pack_buffer_clear(&w->slots[i].pack);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

uint64_t store_writer_generation(struct store_writer *w)
{
	uint64_t g;

	pthread_mutex_lock(&w->lock);
	g = w->generation;
	pthread_mutex_unlock(&w->lock);
	return g;
}

static bool waiting_to_be_stored(const struct store_writer *w, const struct hash *hash)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (w->slots[i].state != SLOT_FREE && store_pack_buffer_has(&w->slots[i].pack, hash))
			return true;
	return false;
}

static int open_slot(struct slot *slot, struct error *err)
{
	if (!slot->ready && store_pack_buffer_init(&slot->pack) < 0)
		return error_errno(err, ENOMEM, "cannot write to the store");
	slot->ready = true;
	slot->state = SLOT_OPEN;
	return 0;
}

/* One step towards an open pack with room for the frame. 0: *slot is it; 1: something changed, look again. */
static int step_to_room(struct store_writer *w, const struct chunk_frame *frame, struct slot **slot, struct error *err)
{
	struct slot *fresh;

	for (size_t i = 0; i < SLOTS; i++) {
		if (w->slots[i].state == SLOT_FAILED) {
			if (err)
				*err = w->slots[i].error;
			return w->slots[i].error.code;
		}
		if (w->slots[i]
			    .error.code) { /* is being tried again: no more frames before it is known how that ends */
			pthread_cond_wait(&w->done, &w->lock);
			return 1;
		}
	}
	*slot = find_slot(w, SLOT_OPEN);
	if (*slot && store_pack_buffer_fits(&(*slot)->pack, frame->body_bytes))
		return 0;
	if (*slot) {
		close_slot(w, *slot);
		return 1;
	}
	fresh = find_slot(w, SLOT_FREE);
	if (fresh) {
		int r = open_slot(fresh, err);

		return r < 0 ? r : 1;
	}
	pthread_cond_wait(&w->done, &w->lock);
	return 1;
}

int store_writer_put(struct store_writer *w, const struct chunk_frame *frame, uint64_t generation, bool *added,
		     struct error *err)
{
	struct slot *slot = NULL;
	int r = 1;

	*added = false;
	pthread_mutex_lock(&w->lock);
	while (r == 1) {
		if (w->generation != generation) {
			r = -EAGAIN;
		} else if (waiting_to_be_stored(w, &frame->hash)) {
			r = 0;
			slot = NULL;
		} else {
			retry_failed(w, w->store->retry_after_ms);
			r = step_to_room(w, frame, &slot, err);
		}
	}
	if (r == 0 && slot) {
		if (slot->pack.n == 0) {
			slot->since_ms = clock_ms();
			pthread_cond_signal(&w->work); /* the clock of this pack runs */
		}
		r = store_pack_buffer_add(&slot->pack, frame);
		*added = r == 0;
		if (r < 0)
			error_errno(err, r, "cannot write to the store");
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}

/* Waits for the packs that are there now; later ones are not our business. */
static bool busy_before(const struct store_writer *w, uint64_t order)
{
	for (size_t i = 0; i < SLOTS; i++) {
		const struct slot *slot = &w->slots[i];

		if ((slot->state == SLOT_FULL || slot->state == SLOT_WRITING) && slot->order < order)
			return true;
	}
	return false;
}

int store_writer_flush(struct store_writer *w, struct error *err)
{
	struct slot *open, *failed;
	uint64_t order;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	open = find_slot(w, SLOT_OPEN);
	if (open && open->pack.n)
		close_slot(w, open);
	retry_failed(w, 0);
	order = w->next_order;
	while (busy_before(w, order))
		pthread_cond_wait(&w->done, &w->lock);
	failed = find_slot(w, SLOT_FAILED);
	if (failed) {
		r = failed->error.code;
		if (err)
			*err = failed->error;
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}
