/* g4l forget and g4l prune: which snapshots stay, and freeing what none needs. */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"

static const struct cli_option forget_options[] = {
	{"keep-last", "N", "keep the newest N snapshots of each host", false},
	{"keep-hourly", "N", "keep the newest snapshot of each of the last N hours that have one", false},
	{"keep-daily", "N", "the same for days", false},
	{"keep-weekly", "N", "the same for weeks (from Monday)", false},
	{"keep-monthly", "N", "the same for months", false},
	{"keep-yearly", "N", "the same for years", false},
	{"dry-run", NULL, "only say what would be forgotten", false},
	CLI_OPTION_STORE,
	CLI_OPTION_JSON,
	{0},
};

static int read_rules(const struct cli_args *args, struct store_keep *keep, struct error *err)
{
	const struct {
		const char *name;
		unsigned *to;
	} rules[] = {{"keep-last", &keep->last},     {"keep-hourly", &keep->hourly},   {"keep-daily", &keep->daily},
		     {"keep-weekly", &keep->weekly}, {"keep-monthly", &keep->monthly}, {"keep-yearly", &keep->yearly}};
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		uint64_t n = 0;
		int r = cli_number(args, rules[i].name, 1000000, &n, err);

		if (r < 0)
			return r;
		*rules[i].to = (unsigned)n;
		sum += (unsigned)n;
	}
	/* No rule would mean that nothing is kept; that is never what was meant. */
	return sum ? 0 : error_set(err, -ERR_USAGE, "say what to keep, for example --keep-last 7 --keep-monthly 12");
}

static int forget(const struct cli_args *args, struct error *err)
{
	struct store_keep keep = {0};
	struct store_forgotten gone = {0};
	bool dry = cli_flag(args, "dry-run");
	struct store *s = NULL;
	char t[TEXT_SIZE_BYTES];
	int r = read_rules(args, &keep, err);

	if (r == 0)
		r = cli_open_store(args, &s, err);
	if (r < 0)
		return r;
	r = store_forget(s, args->n_operands ? args->operands[0] : NULL, &keep, dry, &gone, err);
	if (r == 0 && args->json) {
		json_t *list = json_array();

		for (size_t i = 0; i < gone.n; i++)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "snapshot", gone.at[i].id, "host",
							      gone.at[i].host, "time", text_time(gone.at[i].time, t)));
		cli_print_json(
			json_pack("{s:o, s:I, s:b}", "forgotten", list, "kept", (json_int_t)gone.kept, "dry_run", dry));
	} else if (r == 0) {
		for (size_t i = 0; i < gone.n; i++)
			printf("%s %s@%.12s of %s\n", dry ? "would forget" : "forgot", gone.at[i].host, gone.at[i].id,
			       text_time(gone.at[i].time, t));
		printf("%zu kept%s\n", gone.kept, gone.n && !dry ? "; `g4l prune` frees the space" : "");
	}
	free(gone.at);
	store_close(s);
	return r;
}

const struct command cli_forget = {
	.name = "forget",
	.synopsis = {"[HOST] --store STORE --keep-last N --keep-daily N … [--dry-run]"},
	.summary = "Forget snapshots that no rule keeps; the space is freed by prune.",
	.details = "A snapshot stays when any rule wants it. Each host is looked at by itself. Times are UTC.",
	.options = forget_options,
	.max_operands = 1,
	.run = forget,
};

static const struct cli_option prune_options[] = {
	{"dry-run", NULL, "only say what would be freed", false},
	CLI_OPTION_STORE,
	CLI_OPTION_JSON,
	{0},
};

static int prune(const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "prune", .quiet = args->json};
	struct store_pruned done = {0};
	bool dry = cli_flag(args, "dry-run");
	struct store *s = NULL;
	char t[TEXT_SIZE_BYTES];
	int r = cli_open_store(args, &s, err);

	if (r < 0)
		return r;
	cli_catch_interrupts();
	r = store_prune(s, dry, &done, cli_meter_report, &meter, err);
	cli_meter_end(&meter);
	if (r == 0 && args->json)
		cli_print_json(json_pack("{s:I, s:I, s:I, s:I, s:b}", "packs_deleted", (json_int_t)done.packs_deleted,
					 "packs_rewritten", (json_int_t)done.packs_rewritten, "chunks_deleted",
					 (json_int_t)done.chunks_deleted, "freed_bytes", (json_int_t)done.freed_bytes,
					 "dry_run", dry));
	else if (r == 0)
		printf("%s %s: %llu packs deleted, %llu rewritten, %llu chunks gone\n", dry ? "would free" : "freed",
		       text_size(done.freed_bytes, t), (unsigned long long)done.packs_deleted,
		       (unsigned long long)done.packs_rewritten, (unsigned long long)done.chunks_deleted);
	store_close(s);
	return r;
}

const struct command cli_prune = {
	.name = "prune",
	.synopsis = {"--store STORE [--dry-run]"},
	.summary = "Free the space of chunks that no snapshot needs.",
	.details = "Waits for running backups and restores to end. A prune that is interrupted at any moment leaves "
		   "a sound store.",
	.options = prune_options,
	.run = prune,
};
