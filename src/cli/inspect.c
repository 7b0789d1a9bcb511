/* g4l inspect: what lies on a disk, and which of its bytes a backup would read. */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "disk/disk.h"
#include "engine/engine.h"

static const struct cli_option options[] = {
	{"used", NULL, "with --json: each region's used extents, in bytes from the start of the disk", false},
	{"sector-size", "BYTES", "the sector size of an image file: 512 (default) or 4096", false},
	CLI_OPTION_JSON,
	{0},
};

static const char *copied(const struct plan_region *r)
{
	return r->skipped ? "none" : r->used_only ? "used" : "raw";
}

static const char *role(const struct plan_region *r)
{
	static const char *const names[] = {"table", "partition", "gap"};

	return names[r->region.role];
}

static json_t *region_json(const struct plan_region *r, bool used)
{
	json_t *o =
		json_pack("{s:I, s:I, s:i, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s}", "start",
			  (json_int_t)r->region.start, "length", (json_int_t)r->region.length, "number",
			  (int)r->region.number, "role", role(r), "kind", r->kind, "copied", copied(r), "used_bytes",
			  (json_int_t)r->used_bytes, "metadata_bytes", (json_int_t)r->metadata_bytes, "type",
			  r->region.type, "uuid", r->region.uuid, "label", r->region.label, "note", r->note);
	json_t *list;

	if (!used)
		return o;
	list = json_array();
	for (size_t i = 0; i < r->extents.n; i++)
		json_array_append_new(list, json_pack("[I, I]", (json_int_t)r->extents.at[i].offset,
						      (json_int_t)r->extents.at[i].length));
	json_object_set_new(o, "extents", list);
	return o;
}

static void print_json(const char *path, const struct plan *plan, bool used)
{
	json_t *regions = json_array();
	json_t *o = json_pack("{s:s, s:I, s:i, s:s, s:s, s:b, s:s, s:I, s:I, s:b}", "disk", path, "size_bytes",
			      (json_int_t)plan->layout.size_bytes, "sector_bytes", (int)plan->layout.sector_bytes,
			      "table", layout_table_name(plan->layout.table), "disk_id", plan->layout.disk_id,
			      "damaged", (int)plan->layout.damaged, "note", plan->layout.note, "used_bytes",
			      (json_int_t)plan->used_bytes, "metadata_bytes", (json_int_t)plan->metadata_bytes,
			      "degraded", (int)plan->degraded);

	for (size_t i = 0; i < plan->n; i++)
		json_array_append_new(regions, region_json(&plan->regions[i], used));
	json_object_set_new(o, "regions", regions);
	cli_print_json(o);
}

static void print_text(const char *path, const struct plan *plan)
{
	char a[TEXT_SIZE_BYTES], b[TEXT_SIZE_BYTES];

	printf("%s: %s, sectors of %u bytes, table %s%s%s\n", path, text_size(plan->layout.size_bytes, a),
	       plan->layout.sector_bytes, layout_table_name(plan->layout.table), plan->layout.disk_id[0] ? " " : "",
	       plan->layout.disk_id);
	if (plan->layout.note[0])
		printf("note: %s\n", plan->layout.note);
	printf("%14s %9s  %-10s %-12s %-6s %9s\n", "start", "length", "role", "kind", "copied", "used");
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_region *r = &plan->regions[i];

		printf("%14llu %9s  %-10s %-12s %-6s %9s  %s%s%s\n", (unsigned long long)r->region.start,
		       text_size(r->region.length, a), role(r), r->kind, copied(r), text_size(r->used_bytes, b),
		       r->region.label, r->region.label[0] && r->note[0] ? "; " : "", r->note);
	}
	printf("A backup reads %s of %s.\n", text_size(plan->used_bytes, a), text_size(plan->layout.size_bytes, b));
}

static int run(const struct cli_args *args, struct error *err)
{
	const char *path = args->operands[0];
	struct disk *disk = NULL;
	struct plan plan = {0};
	uint64_t sector = 0;
	int r = cli_number(args, "sector-size", 4096, &sector, err);

	if (r == 0)
		r = disk_open_file(path, 0, (uint32_t)sector, &disk, err);
	if (r < 0)
		return r;
	r = plan_make(disk, &plan, err);
	if (r == 0) {
		if (args->json)
			print_json(path, &plan, cli_flag(args, "used"));
		else
			print_text(path, &plan);
		if (plan.degraded || plan.layout.damaged)
			r = EXIT_CODE_DEGRADED;
		plan_free(&plan);
	}
	disk_close(disk);
	return r;
}

const struct command cli_inspect = {
	.name = "inspect",
	.synopsis = {"DISK [--used] [--json]"},
	.summary = "Show a disk's layout, what each region holds, and how much of it is in use.",
	.details = "DISK is a block device or an image file. Nothing is written to it. Ends with 3 when something on "
		   "it could not be judged and would be copied whole.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
