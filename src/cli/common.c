/* What the commands share: the store, interrupts, progress, and snapshots in print. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"

int cli_open_store(const struct cli_args *args, struct store **out, struct error *err)
{
	const char *where = cli_value(args, "store", "G4L_STORE");

	if (!where)
		return error_set(err, -ERR_USAGE, "say which store: --store STORE, or G4L_STORE in the environment");
	return store_open(where, out, err);
}

int cli_read_snapshot(struct store *s, const char *host, const char *which, struct snapshot *out, struct error *err)
{
	struct error why = {0};
	int r = store_read_snapshot(s, host, which, out, &why);

	/* A name that the store does not have is a mistake of the command line, not of the store. */
	if (r == -ENOENT || r == -EINVAL)
		r = -ERR_USAGE;
	return r < 0 ? error_set(err, r, "%s", why.text) : r;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	interrupted = signal;
}

bool cli_interrupted(void)
{
	return interrupted != 0;
}

void cli_catch_interrupts(void)
{
	/* SA_RESETHAND: a second ^C ends the program at once. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void draw(struct cli_meter *m, const struct progress *p, bool terminal)
{
	char line[300];
	struct winsize size = {.ws_col = 80};

	progress_line(&m->meter, p, line, sizeof line);
	if (!terminal) {
		fprintf(stderr, "%s: %s\n", m->label, line);
		return;
	}
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		size.ws_col = 80;
	fprintf(stderr, "\r\033[K%s: %.*s", m->label, (int)(size.ws_col - strlen(m->label) - 3), line);
	m->line_open = true;
}

int cli_meter_report(void *arg, const struct progress *p)
{
	struct cli_meter *m = arg;
	double now = clock_seconds();
	bool terminal = isatty(STDERR_FILENO) == 1;
	bool new_phase = strncmp(m->phase, p->phase, sizeof m->phase - 1) != 0;

	if (cli_interrupted())
		return -ERR_CANCELLED;
	progress_meter_feed(&m->meter, p, now);
	if (m->quiet || (!new_phase && now - m->shown < (terminal ? 0.25 : 10.0)))
		return 0;
	if (!terminal && new_phase && p->done_bytes == 0 && m->shown > 0 && now - m->shown < 1.0)
		return 0; /* phases that pass in a moment are no news in a log */
	snprintf(m->phase, sizeof m->phase, "%s", p->phase);
	m->shown = now;
	draw(m, p, terminal);
	return 0;
}

void cli_meter_end(struct cli_meter *m)
{
	if (m->line_open)
		fprintf(stderr, "\r\033[K");
	m->line_open = false;
}

void cli_print_json(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	/* An answer that cannot be made must not look like an empty one. */
	printf("%s\n", text ? text : "{\"error\": \"out of memory\"}");
	free(text);
	json_decref(object);
}

static json_t *region_json(const struct snapshot_region *r)
{
	return json_pack("{s:I, s:I, s:i, s:s, s:s, s:s, s:I, s:s}", "start", (json_int_t)r->start, "length",
			 (json_int_t)r->length, "number", (int)r->number, "role", r->role, "kind", r->kind, "copied",
			 r->copied, "used_bytes", (json_int_t)r->used_bytes, "note", r->note);
}

json_t *cli_snapshot_line_json(const struct snapshot *s)
{
	char time[TEXT_SIZE_BYTES];
	json_t *tags = json_array();
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b}", "snapshot", s->id,
			  "host", s->host, "time", text_time(s->time, time), "disk_bytes", (json_int_t)s->disk_bytes,
			  "used_bytes", (json_int_t)s->used_bytes, "read_bytes", (json_int_t)s->read_bytes,
			  "metadata_bytes", (json_int_t)s->metadata_bytes, "new_bytes", (json_int_t)s->new_bytes,
			  "stored_bytes", (json_int_t)s->stored_bytes, "chunks", (json_int_t)s->chunks, "new_chunks",
			  (json_int_t)s->new_chunks, "seconds", s->seconds, "degraded", (int)s->degraded);

	for (size_t i = 0; i < s->n_tags; i++)
		json_array_append_new(tags, json_string(s->tags[i]));
	json_object_set_new(o, "tags", tags);
	return o;
}

json_t *cli_snapshot_json(const struct snapshot *s)
{
	json_t *o = cli_snapshot_line_json(s);
	json_t *regions = json_array();

	for (size_t d = 0; d < s->n_disks; d++)
		for (size_t i = 0; i < s->disks[d].n_regions; i++) {
			json_t *region = region_json(&s->disks[d].regions[i]);

			if (s->n_disks > 1)
				json_object_set_new(region, "disk", json_integer((json_int_t)d));
			json_array_append_new(regions, region);
		}
	json_object_set_new(o, "regions", regions);
	return o;
}

void cli_print_snapshot(const struct snapshot *s)
{
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES], c[TEXT_SIZE_BYTES], t[TEXT_SIZE_BYTES];

	printf("snapshot %.12s of %s, %s, %s\n", s->id, s->host, text_time(s->time, t), text_duration(s->seconds, a));
	for (size_t d = 0; d < s->n_disks; d++) {
		const struct snapshot_disk *disk = &s->disks[d];

		printf("  disk %s, %s, table %s\n", disk->path, text_size(disk->size_bytes, a), disk->table);
		for (size_t i = 0; i < disk->n_regions; i++) {
			const struct snapshot_region *r = &disk->regions[i];

			printf("    %-10s %-12s %9s of %9s  %s%s%s\n", r->role, r->kind, text_size(r->used_bytes, a),
			       text_size(r->length, b), r->copied, r->note[0] ? "  " : "", r->note);
		}
	}
	printf("  used %s, new %s, the store grew by %s (%llu of %llu chunks were new)\n", text_size(s->used_bytes, a),
	       text_size(s->new_bytes, b), text_size(s->stored_bytes, c), (unsigned long long)s->new_chunks,
	       (unsigned long long)s->chunks);
	if (s->degraded)
		printf("  degraded: see the notes above\n");
}
