/*
 * The four kinds of job. Must never write to a disk that was not chosen by its identity, nor report anything as done
 * that the engine did not report as done.
 */
#include "agent/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/disks.h"
#include "agent/facts.h"
#include "agent/stats.h"
#include "base/clock.h"
#include "base/text.h"
#include "engine/engine.h"

#define BACKUP_TRIES 3

/* A quarter of the memory, between 64 and 256 MiB: the boot image itself lives in RAM too. */
static struct engine_options engine_options(const struct work *w)
{
	uint64_t memory = w->hello->memory_bytes / 4;

	if (memory < 64u << 20)
		memory = 64u << 20;
	if (memory > 256u << 20)
		memory = 256u << 20;
	return (struct engine_options){.memory_bytes = memory, .progress = live_progress, .progress_arg = w->live};
}

static void keep_stats(struct wire_finish *f, json_t *stats)
{
	free(f->stats);
	f->stats = stats ? json_dumps(stats, JSON_COMPACT) : NULL;
	json_decref(stats);
}

static void close_all(struct disk **disks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		disk_close(disks[i]);
}

/* Room for an index and an open disk for each disk that there is or that a snapshot has. */
struct choice {
	size_t *at;
	struct disk **disks;
	size_t n, n_open;
};

static int choice_new(struct choice *c, size_t room, struct error *err)
{
	*c = (struct choice){.at = calloc(room + 1, sizeof *c->at), .disks = calloc(room + 1, sizeof(struct disk *))};
	if (c->at && c->disks)
		return 0;
	return error_errno(err, ENOMEM, "cannot choose the disks");
}

static void choice_free(struct choice *c)
{
	close_all(c->disks, c->n_open);
	free(c->at);
	free(c->disks);
}

static int choice_open(const struct work *w, struct choice *c, unsigned flags, struct error *err)
{
	for (; c->n_open < c->n; c->n_open++) {
		const struct disk_found *found = &w->hello->disks[c->at[c->n_open]];
		int rc = disks_open(found, flags, &c->disks[c->n_open], err);

		if (rc < 0)
			return rc;
		log_info("%s: %s", flags & DISK_WRITE ? "writing to" : "reading from", found->identity.path);
	}
	return 0;
}

static int open_sources(const struct work *w, struct choice *c, struct error *err)
{
	int rc = choice_new(c, w->hello->n_disks, err);

	if (rc == 0)
		rc = disks_choose_sources(w->hello->disks, w->hello->n_disks, w->job->disk, c->at, &c->n, err);
	return rc < 0 ? rc : choice_open(w, c, DISK_EXCLUSIVE, err);
}

static int snapshot_begin(const struct work *w, struct snapshot *s, struct error *err)
{
	*s = (struct snapshot){.time = w->job->time, .version = G4L_VERSION};
	snprintf(s->host, sizeof s->host, "%s", w->job->host);
	s->facts = facts_json(w->hello);
	s->tags = calloc(w->job->n_tags + 1, sizeof *s->tags);
	if (!s->facts || !s->tags)
		return error_errno(err, ENOMEM, "cannot prepare the snapshot");
	for (size_t i = 0; i < w->job->n_tags; i++) {
		s->tags[i] = strdup(w->job->tags[i]);
		if (!s->tags[i])
			return error_errno(err, ENOMEM, "cannot prepare the snapshot");
		s->n_tags++;
	}
	return 0;
}

/* A server that died may have lost chunks that it had taken but not yet made durable: then it refuses the snapshot.
 * Another pass asks for every chunk anew and sends what is missing. */
static int backup_until_taken(const struct work *w, const struct choice *c, struct chunk_sink *sink, struct snapshot *s,
			      struct error *err)
{
	struct engine_options options = engine_options(w);
	int rc;

	for (unsigned tries = 1;; tries++) {
		rc = backup_run(c->disks, c->n, sink, s, false, &options, err);
		if (rc != -ERR_DAMAGED || tries == BACKUP_TRIES || atomic_load(&w->live->stop) < 0)
			return rc;
		log_warning("%s: reading once more, to send what the server lacks", err->text);
	}
}

/* Why a snapshot is degraded: what its regions' notes say. */
static void describe_degraded(const struct snapshot *s, char *to, size_t to_bytes)
{
	size_t used = 0;

	for (size_t d = 0; d < s->n_disks; d++) {
		for (size_t i = 0; i < s->disks[d].n_regions && used < to_bytes; i++) {
			const struct snapshot_region *r = &s->disks[d].regions[i];
			int n;

			if (!r->note[0])
				continue;
			n = snprintf(to + used, to_bytes - used, "%s%s %u (%s): %s", used ? "; " : "", r->role,
				     r->number, r->kind, r->note);
			used += n > 0 ? (size_t)n : 0;
		}
	}
}

static int do_backup(const struct work *w, struct wire_finish *f, struct error *err)
{
	struct chunk_sink *sink = NULL;
	struct choice c = {0};
	struct snapshot s;
	int rc = snapshot_begin(w, &s, err);

	if (rc == 0)
		rc = open_sources(w, &c, err);
	if (rc == 0)
		rc = wire_client_open_sink(w->client, &sink, err);
	if (rc == 0)
		rc = backup_until_taken(w, &c, sink, &s, err);
	if (rc == 0) {
		char size[TEXT_SIZE_BYTES], took[TEXT_SIZE_BYTES];

		keep_stats(f, stats_of_backup(&s));
		log_info("snapshot %.12s is committed: %s new, %s", s.id, text_size(s.new_bytes, size),
			 text_duration(s.seconds, took));
		if (s.degraded) {
			char why[sizeof f->error];

			f->result = WIRE_DEGRADED;
			snprintf(why, sizeof why, "a region could not be judged and was copied whole");
			describe_degraded(&s, why, sizeof why);
			text_printable(why, f->error, sizeof f->error);
		}
	}
	if (sink)
		chunk_sink_close(sink);
	choice_free(&c);
	snapshot_clear(&s);
	return rc;
}

/* The disk here of each disk of the snapshot, open. Nothing is opened before all are chosen. */
static int open_targets(const struct work *w, const struct snapshot *s, unsigned flags, struct choice *c,
			struct error *err)
{
	/* Looking at the wrong disk does no harm. */
	bool allow_single = w->job->allow_single || !(flags & DISK_WRITE);
	int rc = choice_new(c, s->n_disks, err);

	if (rc == 0)
		rc = disks_choose_targets(s, w->hello->disks, w->hello->n_disks, w->job->disk, allow_single, c->at,
					  err);
	if (rc < 0)
		return rc;
	c->n = s->n_disks;
	return choice_open(w, c, flags, err);
}

/* All disks are looked at before the first is written. */
static int check_targets(const struct snapshot *s, const struct choice *c, struct error *err)
{
	for (size_t i = 0; i < s->n_disks; i++) {
		char have[TEXT_SIZE_BYTES], need[TEXT_SIZE_BYTES];

		if (c->disks[i]->size_bytes < s->disks[i].size_bytes)
			return error_set(err, -ERR_REFUSED, "%s is too small: it has %s, the snapshot's disk %s",
					 c->disks[i]->identity.path, text_size(c->disks[i]->size_bytes, have),
					 text_size(s->disks[i].size_bytes, need));
	}
	return 0;
}

static int restore_disks(const struct work *w, struct chunk_source *source, const struct snapshot *s,
			 const struct choice *c, struct restore_result *sum, struct error *err)
{
	struct restore_options options = {
		.engine = engine_options(w), .full = w->job->full, .no_read_back = !w->job->read_back};

	for (size_t i = 0; i < s->n_disks; i++) {
		struct restore_result r = {0};
		int rc = restore_run(source, s, i, c->disks[i], &options, &r, err);

		sum->written_bytes += r.written_bytes;
		sum->skipped_bytes += r.skipped_bytes;
		sum->fetched_bytes += r.fetched_bytes;
		sum->read_bytes += r.read_bytes;
		sum->seconds += r.seconds;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int do_restore(const struct work *w, struct wire_finish *f, struct error *err)
{
	struct restore_result sum = {0};
	struct chunk_source *source = NULL;
	struct choice c = {0};
	struct snapshot s = {0};
	int rc = wire_client_snapshot(w->client, &s, err);

	if (rc < 0)
		return rc;
	rc = open_targets(w, &s, DISK_WRITE | DISK_EXCLUSIVE, &c, err);
	if (rc == 0)
		rc = check_targets(&s, &c, err);
	if (rc == 0)
		rc = wire_client_open_source(w->client, &source, err);
	if (rc == 0) {
		rc = restore_disks(w, source, &s, &c, &sum, err);
		keep_stats(f, stats_of_restore(&s, &sum));
	}
	if (source)
		chunk_source_close(source);
	choice_free(&c);
	snapshot_clear(&s);
	return rc;
}

static int verify_disks(const struct work *w, struct chunk_source *source, const struct snapshot *s,
			const struct choice *c, struct verify_result *sum, struct error *err)
{
	struct engine_options options = engine_options(w);
	int differs = 0;

	sum->first_difference = UINT64_MAX;
	for (size_t i = 0; i < s->n_disks; i++) {
		struct verify_result v = {0};
		int rc = verify_run(source, s, i, c->n_open ? c->disks[i] : NULL, &options, &v, err);

		sum->chunks += v.chunks;
		sum->plain_bytes += v.plain_bytes;
		sum->fetched_bytes += v.fetched_bytes;
		sum->different_bytes += v.different_bytes;
		sum->seconds += v.seconds;
		if (rc == -EILSEQ && !differs)
			sum->first_difference = v.first_difference;
		/* The other disks are worth knowing about. */
		if (rc == -EILSEQ)
			differs = rc;
		else if (rc < 0)
			return rc;
	}
	return differs;
}

static int do_verify(const struct work *w, struct wire_finish *f, struct error *err)
{
	struct verify_result sum = {0};
	struct chunk_source *source = NULL;
	struct choice c = {0};
	struct snapshot s = {0};
	int rc = wire_client_snapshot(w->client, &s, err);

	if (rc < 0)
		return rc;
	if (w->job->against_disk)
		rc = open_targets(w, &s, DISK_EXCLUSIVE, &c, err);
	if (rc == 0)
		rc = wire_client_open_source(w->client, &source, err);
	if (rc == 0) {
		rc = verify_disks(w, source, &s, &c, &sum, err);
		keep_stats(f, stats_of_verify(&s, &sum, rc == 0));
	}
	if (source)
		chunk_source_close(source);
	choice_free(&c);
	snapshot_clear(&s);
	return rc;
}

static int do_inspect(const struct work *w, struct wire_finish *f, struct error *err)
{
	json_t *list = json_array();
	struct choice c = {0};
	int rc = open_sources(w, &c, err);

	for (size_t i = 0; i < c.n_open && rc == 0; i++) {
		struct plan p;

		LIVE_SET(w->live, step, "looking at %s", c.disks[i]->identity.path);
		rc = plan_make(c.disks[i], &p, err);
		if (rc < 0)
			break;
		json_array_append_new(list, stats_of_plan(c.disks[i]->identity.path, &p));
		if (p.degraded)
			f->result = WIRE_DEGRADED;
		plan_free(&p);
		rc = atomic_load(&w->live->stop);
	}
	keep_stats(f, json_pack("{s:o}", "disks", list));
	choice_free(&c);
	return rc;
}

/* The outcome in the protocol's words. */
static void judge(const struct work *w, int rc, const struct error *err, struct wire_finish *f)
{
	int stop = atomic_load(&w->live->stop);

	if (rc == 0) {
		f->code = f->result == WIRE_DEGRADED ? EXIT_CODE_DEGRADED : EXIT_CODE_DONE;
		return;
	}
	/* What fails after somebody ended the job, fails because of that. */
	if (stop == -ERR_CANCELLED || rc == -ERR_CANCELLED) {
		f->result = WIRE_CANCELLED;
		f->code = EXIT_CODE_INTERRUPTED;
	} else {
		f->result = WIRE_FAILED;
		f->code = error_exit_code(rc);
	}
	text_printable(err->text[0] ? err->text : error_name(rc), f->error, sizeof f->error);
}

void work_run(const struct work *w, struct wire_finish *finish)
{
	static int (*const kinds[])(const struct work *, struct wire_finish *, struct error *) = {
		[WIRE_BACKUP] = do_backup,
		[WIRE_RESTORE] = do_restore,
		[WIRE_VERIFY] = do_verify,
		[WIRE_INSPECT] = do_inspect,
	};
	struct error err = {0};
	int rc;

	*finish = (struct wire_finish){.result = WIRE_DONE};
	rc = kinds[w->job->kind](w, finish, &err);
	judge(w, rc, &err, finish);
	if (finish->result == WIRE_DONE || finish->result == WIRE_DEGRADED)
		log_info("%s of %s: %s", wire_kind_name(w->job->kind), w->job->host, wire_result_name(finish->result));
	else
		log_error("%s of %s %s: %s", wire_kind_name(w->job->kind), w->job->host,
			  wire_result_name(finish->result), finish->error);
}
