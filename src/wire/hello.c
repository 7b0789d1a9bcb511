/*
 * The opening of a job as JSON: what a host says of itself, and what the server tells it to do.
 * Must never let a member through that was not checked for type and length.
 */
#include <stdlib.h>

#include "base/text.h"
#include "wire/fields.h"
#include "wire/message.h"

void wire_hello_clear(struct wire_hello *h)
{
	free(h->macs);
	free(h->disks);
	*h = (struct wire_hello){0};
}

static json_t *disk_encode(const struct disk_found *d)
{
	return json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*, s:I, s:i, s:b, s:b}", "path", fields_string(d->identity.path),
			 "model", fields_string(d->identity.model), "serial", fields_string(d->identity.serial), "wwn",
			 fields_string(d->identity.wwn), "bus", fields_string(d->identity.bus), "size_bytes",
			 (json_int_t)d->size_bytes, "sector_bytes", (int)d->sector_bytes, "removable",
			 (int)d->removable, "in_use", (int)d->boot_medium);
}

int wire_hello_encode(const struct wire_hello *h, struct buf *out)
{
	json_t *o, *macs = json_array(), *disks = json_array();
	bool failed = !macs || !disks;

	for (size_t i = 0; i < h->n_macs; i++)
		failed |= json_array_append_new(macs, fields_string(h->macs[i])) < 0;
	for (size_t i = 0; i < h->n_disks; i++)
		failed |= json_array_append_new(disks, disk_encode(&h->disks[i])) < 0;
	o = json_pack("{s:i, s:o*, s:o*, s:o*, s:o*, s:o*, s:b, s:o*, s:i, s:I, s:o*, s:o*}", "protocol",
		      (int)h->protocol, "version", fields_string(h->version), "nonce", fields_string(h->nonce), "macs",
		      macs, "uuid", fields_string(h->uuid), "firmware", fields_string(h->firmware), "secure_boot",
		      (int)h->secure_boot, "product", fields_string(h->product), "cpus", (int)h->cpus, "memory_bytes",
		      (json_int_t)h->memory_bytes, "kernel", fields_string(h->kernel), "disks", disks);
	if (failed) {
		json_decref(o);
		return -ENOMEM;
	}
	return fields_dump(o, out);
}

/* Checks "aa:bb:cc:dd:ee:ff" and makes it lower case. */
static int mac_decode(const json_t *v, char to[WIRE_MAC_BYTES])
{
	const char *text = json_string_value(v);

	if (!text || strlen(text) != WIRE_MAC_BYTES - 1)
		return -EINVAL;
	for (size_t i = 0; i < WIRE_MAC_BYTES - 1; i++) {
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
		bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		if (i % 3 == 2 ? c != ':' : !hex)
			return -EINVAL;
		to[i] = c;
	}
	to[WIRE_MAC_BYTES - 1] = '\0';
	return 0;
}

static int macs_decode(const json_t *o, struct wire_hello *h, struct error *err)
{
	json_t *list;
	int rc = fields_array(o, "macs", false, WIRE_MAX_MACS, &list, err);

	if (rc < 0)
		return rc;
	h->macs = calloc(json_array_size(list) + 1, sizeof *h->macs);
	if (!h->macs)
		return error_errno(err, ENOMEM, "cannot keep the MAC addresses");
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (mac_decode(json_array_get(list, i), h->macs[i]) < 0)
			return error_set(err, -ERR_FORMAT, "number %zu of \"macs\" is not a MAC address", i + 1);
		h->n_macs++;
	}
	return 0;
}

static int disk_decode(const json_t *o, struct disk_found *d, struct error *err)
{
	uint64_t sector = 0;

	if (!json_is_object(o))
		return error_set(err, -ERR_FORMAT, "something in \"disks\" is not an object");
	if (fields_text(o, "path", false, d->identity.path, sizeof d->identity.path, err) < 0 ||
	    fields_text(o, "model", false, d->identity.model, sizeof d->identity.model, err) < 0 ||
	    fields_text(o, "serial", false, d->identity.serial, sizeof d->identity.serial, err) < 0 ||
	    fields_text(o, "wwn", false, d->identity.wwn, sizeof d->identity.wwn, err) < 0 ||
	    fields_text(o, "bus", false, d->identity.bus, sizeof d->identity.bus, err) < 0 ||
	    fields_u64(o, "size_bytes", false, INT64_MAX, &d->size_bytes, err) < 0 ||
	    fields_u64(o, "sector_bytes", false, 1u << 20, &sector, err) < 0 ||
	    fields_bool(o, "removable", false, &d->removable, err) < 0 ||
	    fields_bool(o, "in_use", true, &d->boot_medium, err) < 0)
		return -ERR_FORMAT;
	d->sector_bytes = (uint32_t)sector;
	return 0;
}

static int disks_decode(const json_t *o, struct wire_hello *h, struct error *err)
{
	json_t *list;
	int rc = fields_array(o, "disks", false, WIRE_MAX_DISKS, &list, err);

	if (rc < 0)
		return rc;
	h->disks = calloc(json_array_size(list) + 1, sizeof *h->disks);
	if (!h->disks)
		return error_errno(err, ENOMEM, "cannot keep the list of disks");
	for (size_t i = 0; i < json_array_size(list); i++) {
		rc = disk_decode(json_array_get(list, i), &h->disks[i], err);
		if (rc < 0)
			return rc;
		h->n_disks++;
	}
	return 0;
}

static int hello_members(const json_t *o, struct wire_hello *h, struct error *err)
{
	uint64_t protocol = 0, cpus = 0;

	if (fields_u64(o, "protocol", false, UINT16_MAX, &protocol, err) < 0 ||
	    fields_text(o, "version", false, h->version, sizeof h->version, err) < 0 ||
	    fields_hex(o, "nonce", h->nonce, sizeof h->nonce, err) < 0 ||
	    fields_text(o, "uuid", false, h->uuid, sizeof h->uuid, err) < 0 ||
	    fields_text(o, "firmware", false, h->firmware, sizeof h->firmware, err) < 0 ||
	    fields_bool(o, "secure_boot", false, &h->secure_boot, err) < 0 ||
	    fields_text(o, "product", false, h->product, sizeof h->product, err) < 0 ||
	    fields_u64(o, "cpus", false, 1u << 16, &cpus, err) < 0 ||
	    fields_u64(o, "memory_bytes", false, INT64_MAX, &h->memory_bytes, err) < 0 ||
	    fields_text(o, "kernel", false, h->kernel, sizeof h->kernel, err) < 0)
		return -ERR_FORMAT;
	h->protocol = (unsigned)protocol;
	h->cpus = (unsigned)cpus;
	if (strcmp(h->firmware, "bios") != 0 && strcmp(h->firmware, "uefi") != 0)
		return error_set(err, -ERR_FORMAT, "the member \"firmware\" is neither bios nor uefi");
	return 0;
}

int wire_hello_decode(const void *body, size_t len, struct wire_hello *h, struct error *err)
{
	json_t *o;
	int rc;

	*h = (struct wire_hello){0};
	o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	if (!o)
		return -ERR_FORMAT;
	rc = hello_members(o, h, err);
	if (rc == 0)
		rc = macs_decode(o, h, err);
	if (rc == 0)
		rc = disks_decode(o, h, err);
	json_decref(o);
	return rc;
}

void wire_job_clear(struct wire_job *j)
{
	for (size_t i = 0; i < j->n_tags; i++)
		free(j->tags[i]);
	free(j->tags);
	*j = (struct wire_job){0};
}

int wire_job_encode(const struct wire_job *j, struct buf *out)
{
	json_t *o, *tags = json_array();
	bool failed = !tags;

	for (size_t i = 0; i < j->n_tags; i++)
		failed |= json_array_append_new(tags, fields_string(j->tags[i])) < 0;
	o = json_pack("{s:s, s:I, s:s, s:o*, s:s, s:o*, s:o*, s:b, s:b, s:b, s:b, s:I}", "session", j->session, "job",
		      (json_int_t)j->job, "kind", wire_kind_name(j->kind), "host", fields_string(j->host), "after",
		      wire_after_name(j->after), "tags", tags, "disk",
		      j->disk[0] ? fields_string(j->disk) : json_null(), "full", (int)j->full, "read_back",
		      (int)j->read_back, "allow_single", (int)j->allow_single, "against_disk", (int)j->against_disk,
		      "time", (json_int_t)j->time);
	if (failed) {
		json_decref(o);
		return -ENOMEM;
	}
	return fields_dump(o, out);
}

static int tags_decode(const json_t *o, struct wire_job *j, struct error *err)
{
	json_t *list;
	int rc = fields_array(o, "tags", false, 256, &list, err);

	if (rc < 0)
		return rc;
	j->tags = calloc(json_array_size(list) + 1, sizeof *j->tags);
	if (!j->tags)
		return error_errno(err, ENOMEM, "cannot keep the tags");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !text_is_name(text))
			return error_set(err, -ERR_FORMAT, "number %zu of \"tags\" is not a tag", i + 1);
		j->tags[i] = strdup(text);
		if (!j->tags[i])
			return error_errno(err, ENOMEM, "cannot keep the tags");
		j->n_tags++;
	}
	return 0;
}

static int job_members(const json_t *o, struct wire_job *j, struct error *err)
{
	char kind[16] = "", after[16] = "";
	uint64_t time = 0;

	j->read_back = true;
	if (fields_hex(o, "session", j->session, sizeof j->session, err) < 0 ||
	    fields_u64(o, "job", false, INT64_MAX, &j->job, err) < 0 ||
	    fields_u64(o, "time", false, UINT32_MAX, &time, err) < 0 ||
	    fields_text(o, "kind", false, kind, sizeof kind, err) < 0 ||
	    fields_text(o, "host", false, j->host, sizeof j->host, err) < 0 ||
	    fields_text(o, "after", false, after, sizeof after, err) < 0 ||
	    fields_text(o, "disk", true, j->disk, sizeof j->disk, err) < 0 ||
	    fields_bool(o, "full", true, &j->full, err) < 0 ||
	    fields_bool(o, "read_back", true, &j->read_back, err) < 0 ||
	    fields_bool(o, "allow_single", true, &j->allow_single, err) < 0 ||
	    fields_bool(o, "against_disk", true, &j->against_disk, err) < 0)
		return -ERR_FORMAT;
	j->time = (int64_t)time;
	if (wire_kind_parse(kind, &j->kind) < 0 || wire_after_parse(after, &j->after) < 0)
		return error_set(err, -ERR_FORMAT, "the job's kind or what comes after it is a word unknown here");
	if (!text_is_name(j->host))
		return error_set(err, -ERR_FORMAT, "the member \"host\" is not a host's name");
	return 0;
}

int wire_job_decode(const void *body, size_t len, struct wire_job *j, struct error *err)
{
	json_t *o;
	int rc;

	*j = (struct wire_job){0};
	o = fields_parse(body, len, WIRE_MAX_JSON_BYTES, err);
	if (!o)
		return -ERR_FORMAT;
	rc = job_members(o, j, err);
	if (rc == 0)
		rc = tags_decode(o, j, err);
	json_decref(o);
	return rc;
}
