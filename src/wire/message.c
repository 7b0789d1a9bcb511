/*
 * The JSON bodies as structs. Must never let a member through that was not checked for type and length.
 */
#include "wire/message.h"

#include <stdlib.h>

#include "base/text.h"
#include "wire/fields.h"

static const char *const kind_names[] = {"backup", "restore", "verify", "inspect"};
static const char *const after_names[] = {"poweroff", "reboot", "stay"};
static const char *const result_names[] = {"done", "degraded", "failed", "cancelled"};

const char *wire_kind_name(enum wire_kind k)
{
	return k <= WIRE_INSPECT ? kind_names[k] : "?";
}

int wire_kind_parse(const char *text, enum wire_kind *out)
{
	unsigned i;

	if (fields_parse_word(kind_names, 4, text, &i) < 0)
		return -EINVAL;
	*out = (enum wire_kind)i;
	return 0;
}

const char *wire_after_name(enum wire_after a)
{
	return a <= WIRE_STAY ? after_names[a] : "?";
}

int wire_after_parse(const char *text, enum wire_after *out)
{
	unsigned i;

	if (fields_parse_word(after_names, 3, text, &i) < 0)
		return -EINVAL;
	*out = (enum wire_after)i;
	return 0;
}

const char *wire_result_name(enum wire_result r)
{
	return r <= WIRE_CANCELLED ? result_names[r] : "?";
}

int wire_result_parse(const char *text, enum wire_result *out)
{
	unsigned i;

	if (fields_parse_word(result_names, 4, text, &i) < 0)
		return -EINVAL;
	*out = (enum wire_result)i;
	return 0;
}

void wire_progress_clear(struct wire_progress *p)
{
	free(p->screen);
	*p = (struct wire_progress){0};
}

int wire_progress_encode(const struct wire_progress *p, struct buf *out)
{
	json_t *o = json_pack("{s:o*, s:I, s:I, s:I, s:I, s:I, s:o*}", "phase", fields_string(p->phase), "done_bytes",
			      (json_int_t)p->done_bytes, "total_bytes", (json_int_t)p->total_bytes, "new_bytes",
			      (json_int_t)p->new_bytes, "stored_bytes", (json_int_t)p->stored_bytes, "skipped_bytes",
			      (json_int_t)p->skipped_bytes, "region", fields_string(p->region));

	if (o && p->screen && json_object_set_new(o, "screen", fields_string(p->screen)) < 0) {
		json_decref(o);
		return -ENOMEM;
	}
	return fields_dump(o, out);
}

int wire_progress_decode(const void *body, size_t len, struct wire_progress *p, struct error *err)
{
	json_t *o;
	int rc = 0;

	*p = (struct wire_progress){0};
	o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	if (!o)
		return -ERR_FORMAT;
	if (fields_text(o, "phase", false, p->phase, sizeof p->phase, err) < 0 ||
	    fields_u64(o, "done_bytes", false, INT64_MAX, &p->done_bytes, err) < 0 ||
	    fields_u64(o, "total_bytes", false, INT64_MAX, &p->total_bytes, err) < 0 ||
	    fields_u64(o, "new_bytes", false, INT64_MAX, &p->new_bytes, err) < 0 ||
	    fields_u64(o, "stored_bytes", false, INT64_MAX, &p->stored_bytes, err) < 0 ||
	    fields_u64(o, "skipped_bytes", false, INT64_MAX, &p->skipped_bytes, err) < 0 ||
	    fields_text(o, "region", false, p->region, sizeof p->region, err) < 0)
		rc = -ERR_FORMAT;
	else
		rc = fields_text_dup(o, "screen", true, &p->screen, WIRE_MAX_SCREEN_BYTES, err);
	json_decref(o);
	return rc;
}

int wire_cancel_encode(bool cancel, struct buf *out)
{
	return fields_dump(json_pack("{s:b}", "cancel", (int)cancel), out);
}

int wire_cancel_decode(const void *body, size_t len, bool *cancel, struct error *err)
{
	json_t *o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	int rc = o ? fields_bool(o, "cancel", false, cancel, err) : -ERR_FORMAT;

	json_decref(o);
	return rc;
}

void wire_log_clear(struct wire_log *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->lines[i].text);
	free(l->lines);
	*l = (struct wire_log){0};
}

int wire_log_encode(const struct wire_log *l, struct buf *out)
{
	json_t *lines = json_array();
	bool failed = !lines;

	for (size_t i = 0; i < l->n; i++)
		failed |=
			json_array_append_new(lines, json_pack("{s:I, s:s, s:o*}", "time", (json_int_t)l->lines[i].time,
							       "level", log_level_name(l->lines[i].level), "text",
							       fields_string(l->lines[i].text))) < 0;
	if (failed) {
		json_decref(lines);
		return -ENOMEM;
	}
	return fields_dump(json_pack("{s:o}", "lines", lines), out);
}

static int log_line_decode(const json_t *o, struct wire_log_line *line, struct error *err)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	unsigned level = 0;
	uint64_t time = 0;
	int rc;

	if (!json_is_object(o))
		return error_set(err, -ERR_FORMAT, "something in \"lines\" is not an object");
	if (fields_u64(o, "time", false, INT64_MAX, &time, err) < 0 ||
	    fields_word(o, "level", names, 4, &level, err) < 0)
		return -ERR_FORMAT;
	rc = fields_text_dup(o, "text", false, &line->text, 4000, err);
	line->time = (int64_t)time;
	line->level = (enum log_level)level;
	return rc;
}

int wire_log_decode(const void *body, size_t len, struct wire_log *l, struct error *err)
{
	json_t *o, *list;
	int rc;

	*l = (struct wire_log){0};
	o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	if (!o)
		return -ERR_FORMAT;
	rc = fields_array(o, "lines", false, WIRE_MAX_LOG_LINES, &list, err);
	if (rc == 0) {
		l->lines = calloc(json_array_size(list) + 1, sizeof *l->lines);
		if (!l->lines)
			rc = error_errno(err, ENOMEM, "cannot keep the log lines");
	}
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		l->n = i + 1;
		rc = log_line_decode(json_array_get(list, i), &l->lines[i], err);
	}
	json_decref(o);
	return rc;
}

void wire_finish_clear(struct wire_finish *f)
{
	free(f->stats);
	*f = (struct wire_finish){0};
}

int wire_finish_encode(const struct wire_finish *f, struct buf *out)
{
	json_t *stats = f->stats ? json_loads(f->stats, 0, NULL) : json_object();

	if (!json_is_object(stats)) {
		json_decref(stats);
		return f->stats ? -EINVAL : -ENOMEM;
	}
	return fields_dump(json_pack("{s:s, s:i, s:o*, s:o}", "result", wire_result_name(f->result), "code",
				     (int)f->code, "error", fields_string(f->error), "stats", stats),
			   out);
}

int wire_finish_decode(const void *body, size_t len, struct wire_finish *f, struct error *err)
{
	unsigned result = WIRE_FAILED;
	uint64_t code = 0;
	json_t *o, *stats;
	int rc = 0;

	*f = (struct wire_finish){0};
	o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	if (!o)
		return -ERR_FORMAT;
	stats = json_object_get(o, "stats");
	if (fields_word(o, "result", result_names, 4, &result, err) < 0 ||
	    fields_u64(o, "code", false, 255, &code, err) < 0 ||
	    fields_text(o, "error", false, f->error, sizeof f->error, err) < 0)
		rc = -ERR_FORMAT;
	else if (!json_is_object(stats))
		rc = error_set(err, -ERR_FORMAT, "the member \"stats\" is not an object");
	f->result = (enum wire_result)result;
	f->code = (unsigned)code;
	if (rc == 0) {
		f->stats = json_dumps(stats, JSON_COMPACT);
		if (!f->stats)
			rc = error_errno(err, ENOMEM, "cannot keep the job's figures");
	}
	json_decref(o);
	return rc;
}

int wire_finish_answer_encode(enum wire_after after, struct buf *out)
{
	return fields_dump(json_pack("{s:s}", "after", wire_after_name(after)), out);
}

int wire_finish_answer_decode(const void *body, size_t len, enum wire_after *after, struct error *err)
{
	json_t *o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	unsigned i = 0;
	int rc = o ? fields_word(o, "after", after_names, 3, &i, err) : -ERR_FORMAT;

	*after = (enum wire_after)i;
	json_decref(o);
	return rc;
}

int wire_put_answer_encode(uint64_t stored_bytes, struct buf *out)
{
	return fields_dump(json_pack("{s:I}", "stored_bytes", (json_int_t)stored_bytes), out);
}

int wire_put_answer_decode(const void *body, size_t len, uint64_t *stored_bytes, struct error *err)
{
	json_t *o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	int rc = o ? fields_u64(o, "stored_bytes", false, INT64_MAX, stored_bytes, err) : -ERR_FORMAT;

	json_decref(o);
	return rc;
}

int wire_commit_answer_encode(const char *id, struct buf *out)
{
	return fields_dump(json_pack("{s:s}", "snapshot", id), out);
}

int wire_commit_answer_decode(const void *body, size_t len, char id[SNAPSHOT_ID_BYTES], struct error *err)
{
	json_t *o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	int rc = o ? fields_hex(o, "snapshot", id, SNAPSHOT_ID_BYTES, err) : -ERR_FORMAT;

	json_decref(o);
	return rc;
}
