/* g4l snapshots: what there is to restore. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/remote.h"

static const struct cli_option options[] = {
	CLI_OPTION_STORE,
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static void print_header(void)
{
	printf("%-20s %-13s %-21s %9s %9s %9s  %s\n", "host", "snapshot", "time", "disk", "used", "stored", "tags");
}

static void print_line(json_t *line)
{
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES], c[TEXT_SIZE_BYTES];
	const json_t *tag;
	size_t i;

	printf("%-20s %-13.12s %-21s %9s %9s %9s  ", remote_text(line, "host"), remote_text(line, "snapshot"),
	       remote_text(line, "time"), text_size((uint64_t)remote_number(line, "disk_bytes"), a),
	       text_size((uint64_t)remote_number(line, "used_bytes"), b),
	       text_size((uint64_t)remote_number(line, "stored_bytes"), c));
	json_array_foreach(json_object_get(line, "tags"), i, tag)
		printf("%s%s", i ? "," : "", json_string_value(tag) ? json_string_value(tag) : "");
	printf("%s\n", json_is_true(json_object_get(line, "degraded")) ? " degraded" : "");
}

static void show(const struct cli_args *args, json_t *line, bool first)
{
	if (args->json) {
		cli_print_json(line);
		return;
	}
	if (first)
		print_header();
	print_line(line);
	json_decref(line);
}

static int run_local(const struct cli_args *args, const char *host, struct error *err)
{
	struct store_snapshot *list = NULL;
	struct store *store = NULL;
	size_t n = 0;
	int r = cli_open_store(args, &store, err), worst = 0;

	if (r < 0)
		return r;
	r = store_list_snapshots(store, host, &list, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct snapshot s = {0};
		struct error one = {0};

		if (store_read_snapshot(store, list[i].host, list[i].id, &s, &one) < 0) {
			/* The others are worth listing all the more. */
			fprintf(stderr, "g4l snapshots: %s\n", one.text);
			*err = one;
			worst = one.code;
			continue;
		}
		show(args, cli_snapshot_line_json(&s), i == 0);
		snapshot_clear(&s);
	}
	if (r == 0 && n == 0 && !args->json)
		fprintf(stderr, "no snapshots%s%s\n", host ? " of " : "", host ? host : "");
	free(list);
	store_close(store);
	return r < 0 ? r : worst;
}

static int run_remote(const struct cli_args *args, const char *host, struct error *err)
{
	struct remote *remote = NULL;
	json_t *answer = NULL, *list, *line;
	char path[120];
	size_t i;
	int r = remote_open(args, &remote, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/api/v1/snapshots%s%s", host ? "?host=" : "", host ? host : "");
	r = remote_call(remote, "GET", path, NULL, &answer, err);
	list = json_is_array(answer) ? answer : json_object_get(answer, "snapshots");
	json_array_foreach(list, i, line) show(args, json_incref(line), i == 0);
	if (r == 0 && json_array_size(list) == 0 && !args->json)
		fprintf(stderr, "no snapshots%s%s\n", host ? " of " : "", host ? host : "");
	json_decref(answer);
	remote_close(remote);
	return r;
}

static int run(const struct cli_args *args, struct error *err)
{
	const char *host = args->n_operands ? args->operands[0] : NULL;

	if (host && !text_is_name(host))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name", host);
	if (cli_value(args, "store", "G4L_STORE"))
		return run_local(args, host, err);
	return run_remote(args, host, err);
}

const struct command cli_snapshots = {
	.name = "snapshots",
	.synopsis = {"[HOST] [--store STORE] [--json]"},
	.summary = "List snapshots, oldest first.",
	.details = "Asks g4ld unless a store is named.",
	.options = options,
	.max_operands = 1,
	.run = run,
};
