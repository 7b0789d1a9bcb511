/* g4l verify: every chunk of a snapshot against its hash, or a disk against a snapshot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/remote.h"
#include "disk/disk.h"
#include "engine/engine.h"

static const struct cli_option options[] = {
	CLI_OPTION_STORE,
	{"against", "DISK", "with --store: also compare this device or image file with the snapshot", false},
	{"against-disk", NULL, "through g4ld: boot the host and compare its disk", false},
	{"number", "N", "with --against: which disk of a snapshot that has several, from 0", false},
	{"detach", NULL, "start the job on g4ld and do not wait for its end", false},
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static json_t *result_json(const struct snapshot *s, const struct verify_result *v, int code)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:f}", "snapshot", s->id, "host", s->host, "sound",
			      code == 0, "chunks", (json_int_t)v->chunks, "plain_bytes", (json_int_t)v->plain_bytes,
			      "fetched_bytes", (json_int_t)v->fetched_bytes, "different_bytes",
			      (json_int_t)v->different_bytes, "seconds", v->seconds);

	json_object_set_new(o, "first_difference",
			    v->first_difference == UINT64_MAX ? json_null()
							      : json_integer((json_int_t)v->first_difference));
	return o;
}

/* One snapshot; prints its result whatever it is. */
static int verify_one(struct store *store, struct chunk_source *source, const char *host, const char *which,
		      struct disk *against, uint64_t index, const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "verify", .quiet = args->json};
	struct engine_options engine = {.progress = cli_meter_report, .progress_arg = &meter};
	struct verify_result v = {.first_difference = UINT64_MAX};
	struct snapshot s = {0};
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES];
	int r = cli_read_snapshot(store, host, which, &s, err);

	if (r < 0)
		return r;
	if (against && index >= s.n_disks)
		r = error_set(err, -ERR_USAGE, "snapshot %.12s holds %zu disks; --number counts from 0", s.id,
			      s.n_disks);
	if (r == 0) {
		r = verify_run(source, &s, index, against, &engine, &v, err);
		cli_meter_end(&meter);
	}
	if (args->json && (r == 0 || r == -ERR_DAMAGED || r == -EILSEQ))
		cli_print_json(result_json(&s, &v, r));
	else if (r == 0)
		printf("%s@%.12s is sound: %llu chunks, %s, in %s%s\n", s.host, s.id, (unsigned long long)v.chunks,
		       text_size(v.plain_bytes, a), text_duration(v.seconds, b),
		       against ? "; the disk holds the same" : "");
	snapshot_clear(&s);
	return r;
}

/* Without a host, or with only a host: every snapshot of it; damage does not end the round. */
static int verify_many(struct store *store, struct chunk_source *source, const char *host, const struct cli_args *args,
		       struct error *err)
{
	struct store_snapshot *list = NULL;
	size_t n = 0;
	int worst = 0, r = store_list_snapshots(store, host, &list, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct error one = {0};
		int got = verify_one(store, source, list[i].host, list[i].id, NULL, 0, args, &one);

		if (got == -ERR_DAMAGED) {
			fprintf(stderr, "%s@%.12s: %s\n", list[i].host, list[i].id, one.text);
			worst = got;
			*err = one;
		} else if (got < 0) {
			*err = one;
			r = got;
		}
	}
	free(list);
	return r < 0 ? r : worst;
}

static int run_local(const struct cli_args *args, struct error *err)
{
	const char *against_path = cli_value(args, "against", NULL), *which = NULL;
	struct chunk_source *source = NULL;
	struct store *store = NULL;
	struct disk *against = NULL;
	uint64_t index = 0;
	char host[64] = "";
	int r = args->n_operands ? cli_split_host(args->operands[0], host, &which, err) : 0;

	if (r == 0 && against_path && !args->n_operands)
		r = error_set(err, -ERR_USAGE, "say which host's snapshot %s is to be compared with", against_path);
	if (r == 0)
		r = cli_number(args, "number", 1000, &index, err);
	if (r == 0 && against_path)
		r = disk_open_file(against_path, 0, 0, &against, err);
	if (r == 0)
		r = cli_open_store(args, &store, err);
	if (r == 0)
		r = store_open_source(store, &source, err);
	if (r == 0) {
		cli_catch_interrupts();
		if (args->n_operands)
			r = verify_one(store, source, host, which, against, index, args, err);
		else
			r = verify_many(store, source, NULL, args, err);
	}
	chunk_source_close(source);
	store_close(store);
	disk_close(against);
	return r;
}

static int run_remote(const struct cli_args *args, struct error *err)
{
	const char *which = NULL;
	struct remote *remote = NULL;
	json_t *request, *job = NULL;
	char host[64];
	int r;

	if (!args->n_operands)
		return error_set(err, -ERR_USAGE, "say which host, or which store with --store STORE");
	r = cli_split_host(args->operands[0], host, &which, err);
	if (r == 0)
		r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	request = json_pack("{s:s, s:s, s:s?, s:b}", "kind", "verify", "host", host, "snapshot", which, "against_disk",
			    cli_flag(args, "against-disk"));
	r = remote_run_job(remote, request, cli_flag(args, "detach"), args->json, &job, err);
	if (args->json && job)
		cli_print_json(json_incref(job));
	else if (job && r == 0 && !cli_flag(args, "detach"))
		printf("%s: snapshot %.12s is sound%s\n", host, remote_text(job, "snapshot"),
		       cli_flag(args, "against-disk") ? "; the disk holds the same" : "");
	else if (job && cli_flag(args, "detach"))
		printf("job %d started; `g4l watch %d` follows it\n", (int)remote_number(job, "job"),
		       (int)remote_number(job, "job"));
	json_decref(job);
	json_decref(request);
	remote_close(remote);
	return r;
}

static int run(const struct cli_args *args, struct error *err)
{
	static const char *const local_only[] = {"store", "against", "number", NULL};
	static const char *const remote_only[] = {"detach", "against-disk", "socket", "server", NULL};
	int r;

	if (cli_flag(args, "store") ||
	    (cli_value(args, "store", "G4L_STORE") && !cli_flag(args, "against-disk") && !cli_wants_server(args))) {
		r = cli_refuse(args, remote_only, "works without --store only", err);
		return r < 0 ? r : run_local(args, err);
	}
	/* Passing --against over would call a disk sound that nobody has looked at. */
	r = cli_refuse(args, local_only, "works with --store only", err);
	return r < 0 ? r : run_remote(args, err);
}

const struct command cli_verify = {
	.name = "verify",
	.synopsis = {"NAME[@SNAPSHOT] [--against-disk] [--json]",
		     "[HOST[@SNAPSHOT]] --store STORE [--against DISK] [--json]"},
	.summary = "Read a snapshot back and check every byte; or compare a disk with it.",
	.details = "With --store and without a host, every snapshot is verified. Ends with 5 when the store is "
		   "damaged, with 1 "
		   "when the disk differs.",
	.options = options,
	.max_operands = 1,
	.run = run,
};
