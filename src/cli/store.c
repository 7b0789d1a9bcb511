/* g4l store: make, describe, check a store. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static const struct cli_option options[] = {
	{"read-data", NULL, "check: read every byte of every chunk, not only the structure", false},
	CLI_OPTION_JSON,
	{0},
};

static int show(struct store *s, const char *where, bool json, struct error *err)
{
	struct store_facts f = {0};
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES];
	int r = store_get_facts(s, &f, err);

	if (r < 0)
		return r;
	if (json) {
		cli_print_json(json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "store", where, "id", f.id,
					 "version", (int)f.version, "packs", (json_int_t)f.packs, "chunks",
					 (json_int_t)f.chunks, "plain_bytes", (json_int_t)f.plain_bytes, "stored_bytes",
					 (json_int_t)f.stored_bytes, "snapshots", (json_int_t)f.snapshots));
		return 0;
	}
	printf("store %s, id %s, format %u\n%llu snapshots; %llu chunks of %s in %llu packs of %s\n", where, f.id,
	       f.version, (unsigned long long)f.snapshots, (unsigned long long)f.chunks, text_size(f.plain_bytes, a),
	       (unsigned long long)f.packs, text_size(f.stored_bytes, b));
	return 0;
}

static void print_damage(void *arg, const struct store_damage *d)
{
	json_t *list = arg;

	if (list) {
		json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "object", d->object, "what", d->what,
						      "snapshot", d->snapshot));
		return;
	}
	printf("%s: %s%s%s\n", d->object, d->what, d->snapshot ? "; needed by " : "", d->snapshot ? d->snapshot : "");
}

static int check(struct store *s, const char *where, const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "check", .quiet = args->json};
	json_t *damage = args->json ? json_array() : NULL;
	int r = store_check(s, cli_flag(args, "read-data"), print_damage, damage, cli_meter_report, &meter, err);

	cli_meter_end(&meter);
	if (args->json)
		cli_print_json(json_pack("{s:s, s:b, s:o}", "store", where, "sound", r == 0, "damage", damage));
	else if (r == 0)
		printf("%s is sound%s\n", where, cli_flag(args, "read-data") ? ", every byte of it" : " in structure");
	return r;
}

static int rebuild(struct store *s, const struct cli_args *args, struct error *err)
{
	struct cli_meter meter = {.label = "rebuild-index", .quiet = args->json};
	int r = store_rebuild_index(s, cli_meter_report, &meter, err);

	cli_meter_end(&meter);
	return r;
}

static int run(const struct cli_args *args, struct error *err)
{
	const char *verb = args->operands[0];
	const char *where = args->n_operands > 1 ? args->operands[1] : cli_value(args, "store", "G4L_STORE");
	struct store *s = NULL;
	int r;

	if (!where)
		return error_set(err, -ERR_USAGE, "say which store: g4l store %s STORE", verb);
	cli_catch_interrupts();
	if (strcmp(verb, "init") == 0) {
		r = store_init(where, err);
		if (r == 0 && !args->json)
			printf("made an empty store in %s\n", where);
		if (r < 0)
			return r == -EEXIST || r == -ENOTEMPTY ? error_set(err, -ERR_REFUSED, "%s", err->text) : r;
	} else if (strcmp(verb, "info") != 0 && strcmp(verb, "check") != 0 && strcmp(verb, "rebuild-index") != 0) {
		return error_set(err, -ERR_USAGE, "g4l store knows init, info, check and rebuild-index, not '%s'",
				 verb);
	}
	r = store_open(where, &s, err);
	if (r < 0)
		return r;
	if (strcmp(verb, "check") == 0)
		r = check(s, where, args, err);
	else if (strcmp(verb, "rebuild-index") == 0)
		r = rebuild(s, args, err);
	if (r == 0 && strcmp(verb, "check") != 0 && (args->json || strcmp(verb, "init") != 0))
		r = show(s, where, args->json, err);
	store_close(s);
	return r;
}

const struct command cli_store = {
	.name = "store",
	.synopsis = {"init STORE", "info STORE [--json]", "check STORE [--read-data] [--json]", "rebuild-index STORE"},
	.summary = "Make a store, describe it, check it, or rebuild its index.",
	.details = "STORE is a folder. check ends with 5 when it finds damage, and lists what is hit. The index is a "
		   "cache that can be rebuilt from the packs at any time.",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.run = run,
};
