/*
 * The heart-beat and the screen. Must never touch the disk or wait for the engine.
 */
#include "agent/beat.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define DRAW_MS 400
#define SEND_MS 1000	    /* between heart-beats */
#define STOP_LIMIT_MS 20000 /* after a signal nothing is tried again for longer */
#define SCREEN_EVERY_S 60.0 /* the screen is sent at least so often */

struct beat {
	struct live *live;
	struct screen *screen;
	pthread_mutex_t lock;
	struct wire_client *watched; /* to be cancelled with the work */
	struct wire_client *client;  /* of the sender */
	_Atomic bool end_drawing, end_sending;
	bool sending;
	pthread_t drawer, sender;
	uint32_t essence_sent;
	double screen_due;
	unsigned failures; /* heart-beats in a row that were not answered */
};

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

static void draw(struct beat *b)
{
	struct live_view v;

	live_copy(b->live, &v);
	screen_draw(b->screen, &v, clock_seconds());
}

/* Passes on that the work shall end. signalled: just now by a signal. */
static void pass_on_stop(struct beat *b, bool signalled)
{
	pthread_mutex_lock(&b->lock);
	if (b->watched && signalled)
		wire_client_set_limit(b->watched, STOP_LIMIT_MS);
	if (b->watched && atomic_load(&b->live->stop) < 0)
		wire_client_cancel(b->watched);
	pthread_mutex_unlock(&b->lock);
}

static void *draw_thread(void *arg)
{
	struct timespec pause = {.tv_nsec = DRAW_MS * 1000000l};
	struct beat *b = arg;
	sigset_t set;

	stop_signals(&set);
	while (!atomic_load(&b->end_drawing)) {
		bool signalled;

		draw(b);
		signalled = sigtimedwait(&set, NULL, &pause) > 0;
		if (signalled) {
			log_warning("told to stop by a signal: ending the job");
			live_stop(b->live, -ERR_CANCELLED);
		}
		pass_on_stop(b, signalled);
	}
	draw(b);
	return NULL;
}

void beat_watch(struct beat *b, struct wire_client *client)
{
	pthread_mutex_lock(&b->lock);
	b->watched = client;
	pthread_mutex_unlock(&b->lock);
}

int beat_start(struct live *live, struct screen *screen, struct beat **out, struct error *err)
{
	struct beat *b = calloc(1, sizeof *b);
	sigset_t set;
	int rc;

	if (!b)
		return error_errno(err, ENOMEM, "cannot start the screen");
	b->live = live;
	b->screen = screen;
	pthread_mutex_init(&b->lock, NULL);
	stop_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	rc = pthread_create(&b->drawer, NULL, draw_thread, b);
	if (rc != 0) {
		free(b);
		return error_errno(err, rc, "cannot start the screen");
	}
	*out = b;
	return 0;
}

/* The server's word about this job, as the answer to a heart-beat. */
static void judge(struct beat *b, int rc, bool cancel, const struct error *err)
{
	switch (rc) {
	case 0:
		b->failures = 0;
		if (cancel && atomic_load(&b->live->stop) == 0) {
			log_warning("the server cancelled this job");
			live_stop(b->live, -ERR_CANCELLED);
		}
		break;
	case -ERR_CANCELLED:
	case -ESTALE:
	case -EACCES:
	case -ERR_REFUSED:
		log_error("the server ended this job: %s", err->text);
		live_stop(b->live, -ERR_CANCELLED);
		break;
	default:
		if (b->failures++ == 0)
			log_warning("a heart-beat was not answered: %s", err->text);
		break;
	}
}

static void send_progress(struct beat *b)
{
	char text[SCREEN_TEXT_BYTES];
	struct wire_progress p = {0};
	struct error err = {0};
	struct live_view v;
	bool cancel = false;
	int rc;

	live_copy(b->live, &v);
	memcpy(p.phase, v.phase, sizeof p.phase);
	memcpy(p.region, v.region, sizeof p.region);
	p.done_bytes = v.p.done_bytes;
	p.total_bytes = v.p.total_bytes;
	p.new_bytes = v.p.new_bytes;
	p.stored_bytes = v.p.stored_bytes;
	p.skipped_bytes = v.p.skipped_bytes;
	if (live_essence(&v) != b->essence_sent || clock_seconds() >= b->screen_due)
		p.screen = screen_format(&v, text);
	rc = wire_client_progress(b->client, &p, &cancel, &err);
	if (rc == 0 && p.screen) {
		b->essence_sent = live_essence(&v);
		b->screen_due = clock_seconds() + SCREEN_EVERY_S;
	}
	judge(b, rc, cancel, &err);
}

static void send_log(struct beat *b)
{
	struct wire_log lines;

	live_take_log(b->live, &lines);
	if (lines.n == 0)
		return;
	if (wire_client_log(b->client, &lines, true, NULL) < 0)
		live_return_log(b->live, &lines);
	wire_log_clear(&lines);
}

static void *send_thread(void *arg)
{
	struct beat *b = arg;

	while (!atomic_load(&b->end_sending)) {
		uint64_t next = clock_ms() + SEND_MS;

		send_progress(b);
		if (b->failures == 0)
			send_log(b);
		while (!atomic_load(&b->end_sending) && clock_ms() < next)
			clock_sleep_ms(50);
	}
	/* The last figures and the last screen: of a job that failed, it is what a person wants to see. */
	b->screen_due = 0;
	if (b->failures == 0)
		send_progress(b);
	return NULL;
}

int beat_start_sending(struct beat *b, struct wire_client *client, struct error *err)
{
	int rc;

	b->client = client;
	rc = pthread_create(&b->sender, NULL, send_thread, b);
	if (rc != 0)
		return error_errno(err, rc, "cannot start the heart-beat");
	b->sending = true;
	return 0;
}

void beat_stop_sending(struct beat *b)
{
	atomic_store(&b->end_sending, true);
	if (b->sending)
		pthread_join(b->sender, NULL);
	b->sending = false;
}

void beat_stop(struct beat *b)
{
	if (!b)
		return;
	beat_stop_sending(b);
	atomic_store(&b->end_drawing, true);
	pthread_join(b->drawer, NULL);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
