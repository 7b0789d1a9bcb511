/* g4l restore: a snapshot onto a disk of this machine, or onto a host through g4ld. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/remote.h"
#include "disk/disk.h"
#include "engine/engine.h"

static const struct cli_option options[] = {
	{"yes", NULL, "overwrite the target; without it nothing is done", false},
	{"disk", "DISK",
	 "the target: with --store a device or image file of this machine; else a path, WWN or serial on the host",
	 false},
	{"from", "HOST", "restore another host's snapshot: HOST or HOST@SNAPSHOT", false},
	CLI_OPTION_STORE,
	{"number", "N", "with --store: which disk of a snapshot that has several, from 0", false},
	{"full", NULL, "write everything, also what is in place already", false},
	{"no-read-back", NULL, "with --store: do not read back and compare what was written", false},
	{"sector-size", "BYTES", "with --store: the sector size of an image file: 512 (default) or 4096", false},
	{"detach", NULL, "start the job on g4ld and do not wait for its end", false},
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static void print_result(const struct cli_args *args, const struct snapshot *s, const char *target,
			 const struct restore_result *r)
{
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES], c[TEXT_SIZE_BYTES], d[TEXT_SIZE_BYTES];

	if (args->json) {
		cli_print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "snapshot", s->id, "host", s->host,
					 "disk", target, "written_bytes", (json_int_t)r->written_bytes, "skipped_bytes",
					 (json_int_t)r->skipped_bytes, "fetched_bytes", (json_int_t)r->fetched_bytes,
					 "read_bytes", (json_int_t)r->read_bytes, "seconds", r->seconds));
		return;
	}
	printf("restored %s@%.12s to %s in %s: wrote %s, %s were in place, fetched %s%s\n", s->host, s->id, target,
	       text_duration(r->seconds, a), text_size(r->written_bytes, b), text_size(r->skipped_bytes, c),
	       text_size(r->fetched_bytes, d),
	       cli_flag(args, "no-read-back") ? "" : "; everything written was read back and compared");
}

/* An image file that does not exist yet is made, as large as the snapshot's disk. *made: it was. */
static int make_target(const char *path, uint64_t bytes, bool *made, struct error *err)
{
	struct stat st;
	int fd, r = 0;

	if (stat(path, &st) == 0)
		return 0;
	if (strncmp(path, "/dev/", 5) == 0)
		return error_set(err, -ENOENT, "there is no device %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, errno, "cannot create the image file %s", path);
	*made = true;
	if (ftruncate(fd, (off_t)bytes) < 0)
		r = error_errno(err, errno, "cannot make %s as large as the disk", path);
	close(fd);
	return r;
}

static int choose_disk(const struct cli_args *args, const struct snapshot *s, uint64_t *index, struct error *err)
{
	if (s->n_disks > 1 && !cli_flag(args, "number"))
		return error_set(err, -ERR_REFUSED, "snapshot %.12s holds %zu disks: say which with --number 0 to %zu",
				 s->id, s->n_disks, s->n_disks - 1);
	if (s->n_disks == 0)
		return error_set(err, -ERR_DAMAGED, "snapshot %.12s holds no disk", s->id);
	return cli_number(args, "number", s->n_disks - 1, index, err);
}

static int restore_from(struct store *store, const struct snapshot *s, const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "restore", .quiet = args->json};
	struct restore_options options_ = {.engine = {.progress = cli_meter_report, .progress_arg = &meter},
					   .full = cli_flag(args, "full"),
					   .no_read_back = cli_flag(args, "no-read-back")};
	const char *target_path = cli_value(args, "disk", NULL);
	struct restore_result result = {0};
	struct chunk_source *source = NULL;
	struct disk *target = NULL;
	uint64_t index = 0, sector = 0;
	bool made = false;
	int r = choose_disk(args, s, &index, err);

	if (r == 0)
		r = cli_number(args, "sector-size", 4096, &sector, err);
	if (r == 0)
		r = make_target(target_path, s->disks[index].size_bytes, &made, err);
	if (made && !sector)
		sector = s->disks[index].sector_bytes;
	if (r == 0)
		r = disk_open_file(target_path, DISK_WRITE | DISK_EXCLUSIVE, (uint32_t)sector, &target, err);
	if (r == -EBUSY)
		r = error_set(err, -ERR_REFUSED, "%s", err->text);
	if (r == 0)
		r = store_open_source(store, &source, err);
	if (r == 0) {
		cli_catch_interrupts();
		r = restore_run(source, s, index, target, &options_, &result, err);
		cli_meter_end(&meter);
	}
	if (r == 0)
		print_result(args, s, target_path, &result);
	chunk_source_close(source);
	disk_close(target);
	/* What was written already helps the next try. */
	if (r < 0 && made && result.written_bytes == 0)
		unlink(target_path);
	return r;
}

static int run_local(const struct cli_args *args, struct error *err)
{
	const char *which = NULL, *from = cli_value(args, "from", NULL);
	struct store *store = NULL;
	struct snapshot s = {0};
	char host[64];
	int r = cli_split_host(from ? from : args->operands[0], host, &which, err);

	if (r == 0 && !cli_flag(args, "yes"))
		r = error_set(err, -ERR_REFUSED, "this overwrites %s; say --yes if that is meant",
			      cli_value(args, "disk", NULL));
	if (r == 0)
		r = cli_open_store(args, &store, err);
	if (r < 0)
		return r;
	r = cli_read_snapshot(store, host, which, &s, err);
	if (r == 0) {
		r = restore_from(store, &s, args, err);
		snapshot_clear(&s);
	}
	store_close(store);
	return r;
}

static int run_remote(const struct cli_args *args, struct error *err)
{
	const char *from = cli_value(args, "from", NULL), *snapshot = NULL, *disk = cli_value(args, "disk", NULL);
	char host[64], from_host[64] = "";
	struct remote *remote = NULL;
	json_t *request, *job = NULL, *stats;
	int r = cli_split_host(args->operands[0], host, &snapshot, err);

	if (r == 0 && from)
		r = cli_split_host(from, from_host, &snapshot, err);
	if (r == 0 && !cli_flag(args, "yes"))
		r = error_set(err, -ERR_REFUSED, "this overwrites the disk of %s; say --yes if that is meant", host);
	if (r == 0)
		r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	request = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:b, s:b}", "kind", "restore", "host", host, "snapshot",
			    snapshot, "from", from ? from_host : NULL, "disk", disk, "full", cli_flag(args, "full"),
			    "yes", 1);
	r = remote_run_job(remote, request, cli_flag(args, "detach"), args->json, &job, err);
	stats = json_object_get(job, "stats");
	if (args->json && job) {
		stats = json_is_object(stats) ? json_deep_copy(stats) : json_object();
		json_object_set(stats, "job", json_object_get(job, "job"));
		json_object_set(stats, "state", json_object_get(job, "state"));
		json_object_set(stats, "error", json_object_get(job, "error"));
		cli_print_json(stats);
	} else if (job && cli_flag(args, "detach")) {
		printf("job %d started; `g4l watch %d` follows it\n", (int)remote_number(job, "job"),
		       (int)remote_number(job, "job"));
	} else if (job && r >= 0) {
		char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES];

		printf("%s is restored: wrote %s, %s were in place\n", host,
		       text_size((uint64_t)remote_number(stats, "written_bytes"), a),
		       text_size((uint64_t)remote_number(stats, "skipped_bytes"), b));
	}
	json_decref(job);
	json_decref(request);
	remote_close(remote);
	return r;
}

/* With G4L_STORE set, DISK is one of this machine. Where g4ld is set up beside it, the host's may be meant: never guess
 * which of two disks is to be overwritten. */
static int check_whose_disk(const struct cli_args *args, struct error *err)
{
	const char *disk = cli_value(args, "disk", NULL);

	if (cli_flag(args, "store") ||
	    (!cli_value(args, "server", "G4L_SERVER") && !cli_value(args, "socket", "G4L_SOCKET")))
		return 0;
	return error_set(err, -ERR_REFUSED,
			 "G4L_STORE and g4ld's address are both set: is %s a disk of this machine, or of %s? Say "
			 "--store STORE for"
			 " this machine's, --socket PATH or --server URL for the host's",
			 disk, args->operands[0]);
}

static int run(const struct cli_args *args, struct error *err)
{
	static const char *const local_only[] = {"store", "number", "no-read-back", "sector-size", NULL};
	static const char *const remote_only[] = {"detach", "socket", "server", NULL};
	int r = 0;

	if (cli_flag(args, "from") && strchr(args->operands[0], '@'))
		return error_set(err, -ERR_USAGE, "which snapshot: the one of %s, or --from %s?", args->operands[0],
				 cli_value(args, "from", NULL));
	if (cli_flag(args, "store") && !cli_flag(args, "disk"))
		return error_set(err, -ERR_USAGE, "say onto what: --disk DISK");
	if (!cli_wants_server(args) && cli_value(args, "store", "G4L_STORE") && cli_flag(args, "disk")) {
		r = cli_refuse(args, remote_only, "works without --store only", err);
		if (r == 0)
			r = check_whose_disk(args, err);
		return r < 0 ? r : run_local(args, err);
	}
	r = cli_refuse(args, local_only, "works with --store only", err);
	return r < 0 ? r : run_remote(args, err);
}

const struct command cli_restore = {
	.name = "restore",
	.alias = "deploy",
	.synopsis = {"NAME[@SNAPSHOT] [--from OTHERHOST[@SNAPSHOT]] [--disk DISK] --yes [--json]",
		     "HOST[@SNAPSHOT] --store STORE --disk DISK --yes [--json]"},
	.summary = "Bring a host back from a snapshot, or write a snapshot onto a disk of this machine.",
	.details = "Without --store: g4ld wakes the host, boots it over the network, and its agent writes the disks "
		   "that the "
		   "snapshot names by WWN or serial; anything ambiguous is refused with a list of what is there. With "
		   "--store: "
		   "DISK is written; an image file that does not exist is made. Blocks that are in place already are "
		   "skipped, and "
		   "what is written is read back and compared. SNAPSHOT is latest (the default) or the beginning of an "
		   "id.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
