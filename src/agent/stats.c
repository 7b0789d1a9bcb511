/* Figures as JSON objects. */
#include "agent/stats.h"

#include "base/text.h"

static json_t *region_json(const struct snapshot_region *r)
{
	return json_pack("{s:I, s:I, s:i, s:s, s:s, s:s, s:I, s:s}", "start", (json_int_t)r->start, "length",
			 (json_int_t)r->length, "number", (int)r->number, "role", r->role, "kind", r->kind, "copied",
			 r->copied, "used_bytes", (json_int_t)r->used_bytes, "note", r->note);
}

json_t *stats_of_backup(const struct snapshot *s)
{
	char time[TEXT_SIZE_BYTES];
	json_t *regions = json_array(), *tags = json_array();

	for (size_t i = 0; i < s->n_tags; i++)
		json_array_append_new(tags, json_string(s->tags[i]));
	for (size_t d = 0; d < s->n_disks; d++) {
		for (size_t i = 0; i < s->disks[d].n_regions; i++) {
			json_t *region = region_json(&s->disks[d].regions[i]);

			if (s->n_disks > 1)
				json_object_set_new(region, "disk", json_integer((json_int_t)d));
			json_array_append_new(regions, region);
		}
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:o, s:o}", "snapshot",
			 s->id, "host", s->host, "time", text_time(s->time, time), "disk_bytes",
			 (json_int_t)s->disk_bytes, "used_bytes", (json_int_t)s->used_bytes, "read_bytes",
			 (json_int_t)s->read_bytes, "metadata_bytes", (json_int_t)s->metadata_bytes, "new_bytes",
			 (json_int_t)s->new_bytes, "stored_bytes", (json_int_t)s->stored_bytes, "chunks",
			 (json_int_t)s->chunks, "new_chunks", (json_int_t)s->new_chunks, "seconds", s->seconds,
			 "degraded", (int)s->degraded, "tags", tags, "regions", regions);
}

json_t *stats_of_restore(const struct snapshot *s, const struct restore_result *r)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "snapshot", s->id, "host", s->host, "written_bytes",
			 (json_int_t)r->written_bytes, "skipped_bytes", (json_int_t)r->skipped_bytes, "fetched_bytes",
			 (json_int_t)r->fetched_bytes, "read_bytes", (json_int_t)r->read_bytes, "seconds", r->seconds);
}

json_t *stats_of_verify(const struct snapshot *s, const struct verify_result *v, bool sound)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:f}", "snapshot", s->id, "host", s->host, "sound",
			      (int)sound, "chunks", (json_int_t)v->chunks, "plain_bytes", (json_int_t)v->plain_bytes,
			      "fetched_bytes", (json_int_t)v->fetched_bytes, "different_bytes",
			      (json_int_t)v->different_bytes, "seconds", v->seconds);

	if (o && v->different_bytes)
		json_object_set_new(o, "first_difference", json_integer((json_int_t)v->first_difference));
	return o;
}

static json_t *plan_region_json(const struct plan_region *r)
{
	static const char *const roles[] = {"table", "partition", "gap"};

	return json_pack("{s:I, s:I, s:i, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s}", "start",
			 (json_int_t)r->region.start, "length", (json_int_t)r->region.length, "number",
			 (int)r->region.number, "role", roles[r->region.role], "kind", r->kind, "copied",
			 r->skipped	? "none"
			 : r->used_only ? "used"
					: "raw",
			 "used_bytes", (json_int_t)r->used_bytes, "metadata_bytes", (json_int_t)r->metadata_bytes,
			 "type", r->region.type, "uuid", r->region.uuid, "label", r->region.label, "note", r->note);
}

json_t *stats_of_plan(const char *path, const struct plan *p)
{
	json_t *regions = json_array();

	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(regions, plan_region_json(&p->regions[i]));
	return json_pack("{s:s, s:I, s:i, s:s, s:s, s:b, s:s, s:I, s:I, s:b, s:o}", "disk", path, "size_bytes",
			 (json_int_t)p->layout.size_bytes, "sector_bytes", (int)p->layout.sector_bytes, "table",
			 layout_table_name(p->layout.table), "disk_id", p->layout.disk_id, "damaged",
			 (int)p->layout.damaged, "note", p->layout.note, "used_bytes", (json_int_t)p->used_bytes,
			 "metadata_bytes", (json_int_t)p->metadata_bytes, "degraded", (int)p->degraded, "regions",
			 regions);
}
