/* g4l backup: a disk of this machine into a store, or whole hosts through g4ld. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/remote.h"
#include "disk/disk.h"
#include "engine/engine.h"

static const struct cli_option options[] = {
	{"disk", "DISK", "back up this block device or image file of this machine; several make one snapshot", true},
	{"as", "HOST", "with --disk: the host's name in the store", false},
	CLI_OPTION_STORE,
	{"tag", "TAG", "a word kept with the snapshot; may be given more than once", true},
	{"dry-run", NULL, "with --disk: say what would be new, store nothing", false},
	{"threads", "N", "with --disk: worker threads; default: one a processor", false},
	{"memory", "SIZE", "with --disk: upper bound for buffers, such as 256M", false},
	{"sector-size", "BYTES", "with --disk: the sector size of an image file: 512 (default) or 4096", false},
	{"detach", NULL, "start the jobs on g4ld and do not wait for their end", false},
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

#define MAX_DISKS 16

static int read_options(const struct cli_args *args, struct engine_options *engine, uint64_t *sector, struct error *err)
{
	const char *memory = cli_value(args, "memory", NULL);
	uint64_t threads = 0;
	int r = cli_number(args, "threads", 256, &threads, err);

	if (r == 0)
		r = cli_number(args, "sector-size", 4096, sector, err);
	engine->threads = (unsigned)threads;
	if (r == 0 && memory && text_parse_size(memory, &engine->memory_bytes) < 0)
		r = error_set(err, -ERR_USAGE, "--memory wants a size such as 256M, not '%s'", memory);
	return r;
}

static int prepare(const struct cli_args *args, struct snapshot *snap, struct error *err)
{
	const char *host = cli_value(args, "as", NULL);

	if (!host)
		return error_set(err, -ERR_USAGE, "say whose disk it is: --as HOST");
	if (!text_is_name(host))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name", host);
	if (args->n_operands)
		return error_set(err, -ERR_USAGE, "'%s' is one word too many beside --disk", args->operands[0]);
	snprintf(snap->host, sizeof snap->host, "%s", host);
	snprintf(snap->version, sizeof snap->version, "%s", G4L_VERSION);
	snap->time = clock_unix();
	snap->time_ns = clock_unix_ns();
	snap->tags = calloc(CLI_MAX_VALUES, sizeof *snap->tags);
	if (!snap->tags)
		return error_errno(err, ENOMEM, "cannot prepare the backup");
	for (size_t i = 0; i < args->n_values; i++) {
		if (strcmp(args->values[i].name, "tag") != 0)
			continue;
		if (!text_is_name(args->values[i].value))
			return error_set(err, -ERR_USAGE, "'%s' is not a tag: letters, digits, '.', '_', '-'",
					 args->values[i].value);
		snap->tags[snap->n_tags] = strdup(args->values[i].value);
		if (!snap->tags[snap->n_tags])
			return error_errno(err, ENOMEM, "cannot prepare the backup");
		snap->n_tags++;
	}
	return 0;
}

static int open_disks(const struct cli_args *args, uint64_t sector, struct disk **disks, size_t *n, struct error *err)
{
	for (size_t i = 0; i < args->n_values; i++) {
		int r;

		if (strcmp(args->values[i].name, "disk") != 0)
			continue;
		if (*n == MAX_DISKS)
			return error_set(err, -ERR_USAGE, "more than %d disks in one snapshot", MAX_DISKS);
		r = disk_open_file(args->values[i].value, 0, (uint32_t)sector, &disks[*n], err);
		if (r < 0)
			return r;
		(*n)++;
	}
	return 0;
}

static void print_result(const struct cli_args *args, const struct snapshot *snap, bool dry)
{
	if (args->json) {
		json_t *o = cli_snapshot_json(snap);

		if (dry)
			json_object_set_new(o, "dry_run", json_true());
		cli_print_json(o);
		return;
	}
	if (dry)
		printf("dry run, nothing was stored; a backup would give:\n");
	cli_print_snapshot(snap);
}

static int run_local(const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "backup", .quiet = args->json};
	struct engine_options engine = {.progress = cli_meter_report, .progress_arg = &meter};
	struct disk *disks[MAX_DISKS] = {NULL};
	struct chunk_sink *sink = NULL;
	struct store *store = NULL;
	struct snapshot snap = {0};
	bool dry = cli_flag(args, "dry-run");
	uint64_t sector = 0;
	size_t n = 0;
	int r = read_options(args, &engine, &sector, err);

	if (r == 0)
		r = prepare(args, &snap, err);
	if (r == 0)
		r = open_disks(args, sector, disks, &n, err);
	if (r == 0)
		r = cli_open_store(args, &store, err);
	if (r == 0)
		r = store_open_own_sink(store, &sink, err);
	if (r == 0) {
		cli_catch_interrupts();
		r = backup_run(disks, n, sink, &snap, dry, &engine, err);
		cli_meter_end(&meter);
	}
	if (r == 0) {
		print_result(args, &snap, dry);
		r = snap.degraded ? EXIT_CODE_DEGRADED : 0;
	}
	chunk_sink_close(sink);
	store_close(store);
	while (n)
		disk_close(disks[--n]);
	snapshot_clear(&snap);
	return r;
}

static json_t *request_for(const struct cli_args *args, const char *host)
{
	json_t *tags = json_array();

	for (size_t i = 0; i < args->n_values; i++)
		if (strcmp(args->values[i].name, "tag") == 0)
			json_array_append_new(tags, json_string(args->values[i].value));
	return json_pack("{s:s, s:s, s:o}", "kind", "backup", "host", host, "tags", tags);
}

static void print_job(const struct cli_args *args, const json_t *job, bool detach)
{
	json_t *stats;

	if (detach) {
		if (args->json)
			cli_print_json(json_incref((json_t *)job));
		else
			printf("job %d started; `g4l watch %d` follows it\n", (int)remote_number(job, "job"),
			       (int)remote_number(job, "job"));
		return;
	}
	stats = json_object_get(job, "stats");
	stats = json_is_object(stats) ? json_deep_copy(stats) : json_object();
	json_object_set(stats, "job", json_object_get(job, "job"));
	json_object_set(stats, "state", json_object_get(job, "state"));
	json_object_set(stats, "host", json_object_get(job, "host"));
	json_object_set(stats, "error", json_object_get(job, "error"));
	/* An agent that fell silent after its commit has told no figures. */
	if (!remote_text(stats, "snapshot")[0])
		json_object_set(stats, "snapshot", json_object_get(job, "snapshot"));
	if (args->json) {
		cli_print_json(stats);
		return;
	}
	if (remote_text(stats, "snapshot")[0]) {
		char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES], c[TEXT_SIZE_BYTES];

		printf("%s: snapshot %.12s, used %s, new %s, the store grew by %s\n", remote_text(stats, "host"),
		       remote_text(stats, "snapshot"), text_size((uint64_t)remote_number(stats, "used_bytes"), a),
		       text_size((uint64_t)remote_number(stats, "new_bytes"), b),
		       text_size((uint64_t)remote_number(stats, "stored_bytes"), c));
	}
	json_decref(stats);
}

/* The first failure is the program's; the others are told as they come. */
static void note_end(const struct cli_args *args, int got, const struct error *one, int *worst, struct error *err)
{
	if (got < 0 && args->n_operands > 1)
		fprintf(stderr, "g4l backup: %s\n", one->text);
	if (got < 0 && *worst >= 0) {
		*err = *one;
		*worst = got;
	} else if (got > 0 && *worst == 0) {
		*worst = got;
	}
}

/* Starts the jobs; a host that g4ld does not take does not keep the others waiting. */
static int start_all(struct remote *remote, const struct cli_args *args, bool detach, json_int_t *numbers,
		     struct error *err)
{
	int worst = 0;

	for (size_t i = 0; i < args->n_operands; i++) {
		json_t *request = request_for(args, args->operands[i]), *job = NULL;
		struct error one = {0};
		int r = remote_run_job(remote, request, true, args->json, &job, &one);

		json_decref(request);
		if (r == 0) {
			numbers[i] = json_integer_value(json_object_get(job, "job"));
			if (detach)
				print_job(args, job, true);
		}
		json_decref(job);
		note_end(args, r, &one, &worst, err);
		if (r == -ERR_UNREACHABLE)
			break;
	}
	return worst;
}

/* Several hosts: all are started first, so that they run side by side. */
static int run_remote(const struct cli_args *args, struct error *err)
{
	bool detach = cli_flag(args, "detach");
	json_int_t *numbers = calloc(args->n_operands, sizeof *numbers);
	struct remote *remote = NULL;
	int worst = numbers ? remote_open(args, &remote, err) : error_errno(err, ENOMEM, "cannot start the jobs");

	if (worst < 0) {
		free(numbers);
		return worst;
	}
	worst = start_all(remote, args, detach, numbers, err);
	for (size_t i = 0; i < args->n_operands && !detach; i++) {
		json_t *job = NULL;
		struct error one = {0};
		int got;

		if (!numbers[i])
			continue;
		got = remote_follow(remote, numbers[i], args->json, &job, &one);
		if (job)
			print_job(args, job, false);
		json_decref(job);
		note_end(args, got, &one, &worst, err);
	}
	remote_close(remote);
	free(numbers);
	return worst;
}

/* Twice the same host would wake it twice. */
static int check_names(const struct cli_args *args, struct error *err)
{
	for (size_t i = 0; i < args->n_operands; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(args->operands[i], args->operands[k]) == 0)
				return error_set(err, -ERR_USAGE, "%s is named twice", args->operands[i]);
	return 0;
}

static int run(const struct cli_args *args, struct error *err)
{
	static const char *const local_only[] = {"as", "store", "dry-run", "threads", "memory", "sector-size", NULL};
	static const char *const remote_only[] = {"detach", NULL};
	int r;

	if (cli_flag(args, "disk")) {
		r = cli_refuse(args, remote_only, "works without --disk only", err);
		return r < 0 ? r : run_local(args, err);
	}
	/* A dry run that wakes a PC and backs it up would be none. */
	r = cli_refuse(args, local_only, "works with --disk only", err);
	if (r == 0 && !args->n_operands)
		r = error_set(err, -ERR_USAGE, "say which host, or --disk DISK --store STORE --as HOST");
	if (r == 0)
		r = check_names(args, err);
	return r < 0 ? r : run_remote(args, err);
}

const struct command cli_backup = {
	.name = "backup",
	.alias = "capture",
	.synopsis = {"NAME… [--tag TAG]… [--detach] [--json]",
		     "--disk DISK… --store STORE --as HOST [--tag TAG]… [--dry-run] [--json]"},
	.summary = "Back up hosts through g4ld, or a disk of this machine into a store.",
	.details =
		"With names: g4ld wakes each host, boots it over the network, images the used blocks of its disks and "
		"powers it off; progress is shown until all are done. With --disk: the same engine on this machine; "
		"the disk is only read. Ends with 3 when something could not be judged and was copied whole.",
	.options = options,
	.max_operands = 1000,
	.run = run,
};
