/* Parsers of requests. Nothing here knows what a request does. */
#include "server/api_parse.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/fields.h"

/* The codes of JSON members are those of the agent's protocol; here they are wrong usage. */
static int usage(int r, struct error *err)
{
	if (r == -ERR_FORMAT) {
		if (err)
			err->code = -ERR_USAGE;
		return -ERR_USAGE;
	}
	return r;
}

/* The next part of a path into a field; *path moves behind it and its slash. false: empty or too long. */
static bool take_part(const char **path, char *to, size_t to_bytes)
{
	size_t n = strcspn(*path, "/");

	if (!n || n >= to_bytes)
		return false;
	memcpy(to, *path, n);
	to[n] = '\0';
	*path += n + ((*path)[n] == '/');
	return true;
}

static int host_path(const char *rest, struct admin_path *out, struct error *err)
{
	if (!take_part(&rest, out->host, sizeof out->host) || !text_is_name(out->host))
		return error_set(err, -ERR_USAGE, "that is not the name of a host");
	if (!*rest)
		out->route = ADMIN_HOST;
	else if (strcmp(rest, "screen") == 0)
		out->route = ADMIN_SCREEN;
	else
		return error_set(err, -ENOENT, "there is no such request");
	return 0;
}

static int job_path(const char *rest, struct admin_path *out, struct error *err)
{
	char number[24];
	uint64_t job;

	if (!take_part(&rest, number, sizeof number) || text_u64(number, INT64_MAX, &job) < 0 || job == 0)
		return error_set(err, -ERR_USAGE, "that is not the number of a job");
	out->job = (int64_t)job;
	if (!*rest)
		out->route = ADMIN_JOB;
	else if (strcmp(rest, "log") == 0)
		out->route = ADMIN_JOB_LOG;
	else if (strcmp(rest, "cancel") == 0)
		out->route = ADMIN_JOB_CANCEL;
	else
		return error_set(err, -ENOENT, "there is no such request");
	return 0;
}

int api_admin_path(const char *path, struct admin_path *out, struct error *err)
{
	static const struct {
		const char *name;
		enum admin_route route;
	} plain[] = {{"status", ADMIN_STATUS},
		     {"hosts", ADMIN_HOSTS},
		     {"jobs", ADMIN_JOBS},
		     {"doctor", ADMIN_DOCTOR},
		     {"snapshots", ADMIN_SNAPSHOTS}};
	static const char prefix[] = "/api/v1/";

	*out = (struct admin_path){0};
	if (strncmp(path, prefix, sizeof prefix - 1) != 0)
		return error_set(err, -ENOENT, "there is no such request");
	path += sizeof prefix - 1;
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (strcmp(path, plain[i].name) == 0) {
			out->route = plain[i].route;
			return 0;
		}
	if (strncmp(path, "hosts/", 6) == 0)
		return host_path(path + 6, out, err);
	if (strncmp(path, "jobs/", 5) == 0)
		return job_path(path + 5, out, err);
	return error_set(err, -ENOENT, "there is no such request");
}

int api_boot_path(const char *path, struct boot_path *out)
{
	static const char prefix[] = "/boot/";
	uint8_t nonce[16];

	*out = (struct boot_path){0};
	if (strncmp(path, prefix, sizeof prefix - 1) != 0)
		return -ENOENT;
	path += sizeof prefix - 1;
	if (!take_part(&path, out->nonce, sizeof out->nonce) || strlen(out->nonce) != 32 ||
	    text_unhex(out->nonce, nonce, sizeof nonce) < 0)
		return -ENOENT;
	if (!take_part(&path, out->object, sizeof out->object) || *path || strchr(out->object, '/'))
		return -ENOENT;
	text_hex(nonce, sizeof nonce, out->nonce);
	return 0;
}

int api_range(const char *header, uint64_t size, uint64_t *begin, uint64_t *length)
{
	char first[24] = "", last[24] = "";
	const char *dash;
	uint64_t a, b;

	if (!header || strncmp(header, "bytes=", 6) != 0 || strchr(header, ','))
		return 1;
	header += 6;
	dash = strchr(header, '-');
	if (!dash || (size_t)(dash - header) >= sizeof first || strlen(dash + 1) >= sizeof last)
		return 1;
	memcpy(first, header, (size_t)(dash - header));
	memcpy(last, dash + 1, strlen(dash + 1));
	if (!first[0]) {
		/* The last b bytes. */
		if (text_u64(last, UINT64_MAX, &b) < 0)
			return 1;
		if (b == 0 || size == 0)
			return -ERANGE;
		*length = b < size ? b : size;
		*begin = size - *length;
		return 0;
	}
	if (text_u64(first, UINT64_MAX, &a) < 0)
		return 1;
	b = UINT64_MAX;
	if (last[0] && (text_u64(last, UINT64_MAX, &b) < 0 || b < a))
		return 1;
	if (a >= size)
		return -ERANGE;
	*begin = a;
	*length = b < size - 1 ? b - a + 1 : size - a;
	return 0;
}

static int take_macs(const json_t *macs, struct host *out, struct error *err)
{
	if (json_array_size(macs) == 0 || json_array_size(macs) > HOST_MAX_MACS)
		return error_set(err, -ERR_USAGE, "a host has between 1 and %d MAC addresses", HOST_MAX_MACS);
	for (size_t i = 0; i < json_array_size(macs); i++) {
		const char *text = json_string_value(json_array_get(macs, i));
		char shown[32];

		if (!text || host_mac_parse(text, out->macs[i]) < 0)
			return error_set(err, -ERR_USAGE,
					 "\"%s\" is not the MAC address of a network card (aa:bb:cc:dd:ee:ff)",
					 text_printable(text ? text : "", shown, sizeof shown));
		for (size_t k = 0; k < i; k++)
			if (strcmp(out->macs[k], out->macs[i]) == 0)
				return error_set(err, -ERR_USAGE, "%s is given twice", out->macs[i]);
		out->n_macs = i + 1;
	}
	return 0;
}

int api_host_body(const void *body, size_t len, struct host *out, struct error *err)
{
	json_t *o = fields_parse(body, len, API_MAX_JSON_BYTES, err), *macs = NULL;
	int r;

	*out = (struct host){.after = "poweroff"};
	if (!o)
		return usage(-ERR_FORMAT, err);
	r = fields_text(o, "name", false, out->name, sizeof out->name, err);
	if (r == 0 && !text_is_name(out->name))
		r = error_set(
			err, -ERR_USAGE,
			"a host's name has 1 to 63 letters, digits, '.', '_' or '-' and begins with a letter or digit");
	if (r == 0)
		r = fields_array(o, "macs", false, 1000, &macs, err);
	if (r == 0)
		r = take_macs(macs, out, err);
	if (r == 0)
		r = fields_text(o, "after", true, out->after, sizeof out->after, err);
	if (r == 0 && !host_after_is_known(out->after))
		r = error_set(err, -ERR_USAGE, "\"after\" is poweroff, reboot or stay");
	json_decref(o);
	return usage(r, err);
}

static int take_tags(const json_t *tags, struct job_request *out, struct error *err)
{
	char *text;
	int r = 0;

	snprintf(out->tags, sizeof out->tags, "[]");
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (!tag || !text_is_name(tag))
			return error_set(err, -ERR_USAGE, "a tag has 1 to 63 letters, digits, '.', '_' or '-'");
	}
	if (json_array_size(tags) == 0)
		return 0;
	text = json_dumps(tags, JSON_COMPACT);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (strlen(text) >= sizeof out->tags)
		r = error_set(err, -ERR_USAGE, "there are too many tags");
	else
		snprintf(out->tags, sizeof out->tags, "%s", text);
	free(text);
	return r;
}

static int take_texts(const json_t *o, struct job_request *out, struct error *err)
{
	char kind[16];
	int r = fields_text(o, "kind", false, kind, sizeof kind, err);

	if (r == 0 && job_kind_parse(kind, &out->kind) < 0)
		r = error_set(err, -ERR_USAGE, "a job is a backup, a restore or a verify");
	if (r == 0)
		r = fields_text(o, "host", false, out->host, sizeof out->host, err);
	if (r == 0)
		r = fields_text(o, "snapshot", true, out->which, sizeof out->which, err);
	if (r == 0)
		r = fields_text(o, "from", true, out->from, sizeof out->from, err);
	if (r == 0)
		r = fields_text(o, "disk", true, out->disk, sizeof out->disk, err);
	if (r == 0 && (!text_is_name(out->host) || (out->from[0] && !text_is_name(out->from))))
		r = error_set(err, -ERR_USAGE, "that is not the name of a host");
	if (r == 0 && out->which[0] && !text_is_name(out->which))
		r = error_set(err, -ERR_USAGE, "a snapshot is \"latest\" or the beginning of its id");
	return r;
}

/* What belongs to which kind of job. */
static int check_kind(const struct job_request *q, struct error *err)
{
	if (q->kind == JOB_BACKUP && (q->which[0] || q->from[0] || q->full || q->against_disk))
		return error_set(err, -ERR_USAGE, "a backup has no snapshot to start from");
	if (q->kind != JOB_BACKUP && strcmp(q->tags, "[]") != 0)
		return error_set(err, -ERR_USAGE, "only a backup takes tags");
	if (q->kind == JOB_VERIFY && q->disk[0] && !q->against_disk)
		return error_set(err, -ERR_USAGE, "a disk is named, but nothing is to be compared with it");
	if (q->kind == JOB_RESTORE && !q->yes)
		return error_set(err, -ERR_REFUSED, "a restore overwrites a disk of %s: it must be confirmed (--yes)",
				 q->host);
	return 0;
}

int api_job_body(const void *body, size_t len, struct job_request *out, struct error *err)
{
	json_t *o = fields_parse(body, len, API_MAX_JSON_BYTES, err), *tags = NULL;
	int r;

	*out = (struct job_request){0};
	if (!o)
		return usage(-ERR_FORMAT, err);
	r = take_texts(o, out, err);
	if (r == 0)
		r = fields_array(o, "tags", true, 32, &tags, err);
	if (r == 0)
		r = take_tags(tags, out, err);
	if (r == 0)
		r = fields_bool(o, "full", true, &out->full, err);
	if (r == 0)
		r = fields_bool(o, "against_disk", true, &out->against_disk, err);
	if (r == 0)
		r = fields_bool(o, "yes", true, &out->yes, err);
	if (r == 0)
		r = check_kind(out, err);
	json_decref(o);
	return usage(r, err);
}

int api_number(const char *text, const char *name, uint64_t max, uint64_t fallback, uint64_t *out, struct error *err)
{
	*out = fallback;
	if (text && text_u64(text, max, out) < 0)
		return error_set(err, -ERR_USAGE, "%s is a number of at most %llu", name, (unsigned long long)max);
	return 0;
}
