/* The configuration file, parsed by libinih into struct config by one table of keys. */
#include "server/config.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "base/text.h"

#define CONFIG_MAX_BYTES (256u << 10)

enum key_type { KEY_TEXT, KEY_PATH, KEY_NUMBER, KEY_DURATION };

struct key {
	const char *section, *name;
	enum key_type type;
	size_t at, size;
	uint64_t min, max;
	const char *choices; /* " a b ": the only values */
};

#define TEXT(section, field, type, choices)                                                                            \
	{                                                                                                              \
		section, #field, type, offsetof(struct config, field), sizeof((struct config *)0)->field, 0, 0,        \
			choices                                                                                        \
	}
#define NUMBER(section, name, field, type, min, max)                                                                   \
	{                                                                                                              \
		section, name, type, offsetof(struct config, field), sizeof(uint64_t), min, max, NULL                  \
	}

static const struct key keys[] = {
	TEXT("server", store, KEY_TEXT, NULL),
	TEXT("server", state_dir, KEY_PATH, NULL),
	TEXT("server", socket, KEY_PATH, NULL),
	TEXT("server", socket_group, KEY_TEXT, NULL),
	TEXT("server", log_level, KEY_TEXT, " error warning info debug "),
	TEXT("network", interface, KEY_TEXT, NULL),
	TEXT("network", address, KEY_TEXT, NULL),
	TEXT("network", listen, KEY_TEXT, NULL),
	NUMBER("network", "https_port", https_port, KEY_NUMBER, 0, 65535),
	NUMBER("network", "http_port", http_port, KEY_NUMBER, 0, 65535),
	TEXT("boot", netboot, KEY_TEXT, " builtin none "),
	TEXT("boot", boot_dir, KEY_PATH, NULL),
	TEXT("boot", boot_user, KEY_TEXT, NULL),
	TEXT("boot", bootd, KEY_PATH, NULL),
	NUMBER("limits", "wake_interval", wake_interval_s, KEY_DURATION, 1, 3600),
	NUMBER("limits", "boot_timeout", boot_timeout_s, KEY_DURATION, 1, 24 * 3600),
	NUMBER("limits", "agent_silence", agent_silence_s, KEY_DURATION, 1, 24 * 3600),
	NUMBER("limits", "cancel_timeout", cancel_timeout_s, KEY_DURATION, 1, 24 * 3600),
	NUMBER("limits", "parallel_jobs", parallel_jobs, KEY_NUMBER, 1, 1000),
};
#define KEYS (sizeof keys / sizeof keys[0])

struct parse {
	struct config *config;
	const char *name;
	unsigned line; /* of the text, counted by our reader */
	const char *at;
	bool seen[KEYS];
	struct error *err;
	int code;
};

void config_defaults(struct config *c)
{
	*c = (struct config){
		.store = "/var/lib/ghost4linux/store",
		.state_dir = "/var/lib/ghost4linux",
		.socket = "/run/ghost4linux/g4ld.sock",
		.log_level = "info",
		.https_port = 8443,
		.http_port = 8080,
		.netboot = "builtin",
		.boot_user = "nobody",
		.wake_interval_s = 120,
		.boot_timeout_s = 600,
		.agent_silence_s = 600,
		.cancel_timeout_s = 60,
		.parallel_jobs = 8,
	};
}

int config_duration(const char *text, uint64_t *seconds)
{
	size_t n = strspn(text, "0123456789");
	char digits[16];
	uint64_t unit;

	if (!n || n >= sizeof digits)
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!text[n] || strcmp(text + n, "s") == 0)
		unit = 1;
	else if (strcmp(text + n, "m") == 0)
		unit = 60;
	else if (strcmp(text + n, "h") == 0)
		unit = 3600;
	else
		return -EINVAL;
	if (text_u64(digits, UINT64_MAX / 3600, seconds) < 0)
		return -EINVAL;
	*seconds *= unit;
	return 0;
}

static int set_number(struct parse *p, const struct key *k, const char *value)
{
	uint64_t n;
	int r = k->type == KEY_DURATION ? config_duration(value, &n) : text_u64(value, UINT64_MAX, &n);

	if (r < 0)
		return error_set(p->err, -ERR_USAGE, "%s line %u: %s is %s, not \"%s\"", p->name, p->line, k->name,
				 k->type == KEY_DURATION ? "a time such as 90s, 10m or 2h" : "a number", value);
	if (n < k->min || n > k->max)
		return error_set(p->err, -ERR_USAGE, "%s line %u: %s must be between %llu and %llu", p->name, p->line,
				 k->name, (unsigned long long)k->min, (unsigned long long)k->max);
	memcpy((char *)p->config + k->at, &n, sizeof n);
	return 0;
}

static int set_value(struct parse *p, const struct key *k, const char *value)
{
	char padded[64];

	if (k->type == KEY_NUMBER || k->type == KEY_DURATION)
		return set_number(p, k, value);
	if (strlen(value) >= k->size)
		return error_set(p->err, -ERR_USAGE, "%s line %u: the value of %s is longer than %zu bytes", p->name,
				 p->line, k->name, k->size - 1);
	if (k->type == KEY_PATH && value[0] != '/')
		return error_set(p->err, -ERR_USAGE, "%s line %u: %s must be an absolute path", p->name, p->line,
				 k->name);
	snprintf(padded, sizeof padded, " %s ", value);
	if (k->choices && (!value[0] || strchr(value, ' ') || !strstr(k->choices, padded)))
		return error_set(p->err, -ERR_USAGE, "%s line %u: %s is one of:%snot \"%s\"", p->name, p->line, k->name,
				 k->choices, value);
	memset((char *)p->config + k->at, 0, k->size);
	memcpy((char *)p->config + k->at, value, strlen(value));
	return 0;
}

/* libinih's callback. Only the first error is kept. */
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;

	if (p->code < 0)
		return 0;
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
			continue;
		if (p->seen[i]) {
			p->code =
				error_set(p->err, -ERR_USAGE, "%s line %u: %s is given twice", p->name, p->line, name);
			return 0;
		}
		p->seen[i] = true;
		p->code = set_value(p, &keys[i], value ? value : "");
		return p->code == 0;
	}
	p->code = error_set(p->err, -ERR_USAGE, "%s line %u: unknown key \"%s\" in section [%s]", p->name, p->line,
			    name, section);
	return 0;
}

/* libinih's line reader: one line a call, counted. A line that is longer than its buffer is an error, not two lines. */
static char *next_line(char *to, int room, void *stream)
{
	struct parse *p = stream;
	size_t n = strcspn(p->at, "\n");

	if (!*p->at || p->code < 0)
		return NULL;
	p->line++;
	if (n + 2 > (size_t)room) {
		p->code = error_set(p->err, -ERR_USAGE, "%s line %u is too long", p->name, p->line);
		return NULL;
	}
	memcpy(to, p->at, n);
	to[n] = '\n';
	to[n + 1] = '\0';
	p->at += n + (p->at[n] == '\n');
	return to;
}

int config_parse(const char *text, const char *name, struct config *c, struct error *err)
{
	struct parse p = {.config = c, .name = name, .at = text, .err = err};
	int line;

	config_defaults(c);
	line = ini_parse_stream(next_line, &p, on_pair, &p);
	if (p.code < 0)
		return p.code;
	if (line)
		return error_set(err, -ERR_USAGE, "%s line %d: neither [section] nor key = value", name, line);
	if (!c->boot_dir[0])
		snprintf(c->boot_dir, sizeof c->boot_dir, "%s/boot", c->state_dir);
	return 0;
}

int config_load(const char *path, bool missing_ok, struct config *c, struct error *err)
{
	struct buf text = {0};
	int r = io_read_file(path, CONFIG_MAX_BYTES, &text, err);

	if (r == -ENOENT && missing_ok) {
		error_clear(err);
		r = 0; /* an empty text gives the defaults */
	} else if (r < 0) {
		buf_free(&text);
		return r;
	}
	buf_put_u8(&text, 0);
	if (text.failed)
		r = error_set(err, -ENOMEM, "out of memory reading %s", path);
	else if (memchr(text.data, 0, text.len) != text.data + text.len - 1)
		r = error_set(err, -ERR_USAGE, "%s is not a text file", path);
	else
		r = config_parse((const char *)text.data, path, c, err);
	buf_free(&text);
	return r;
}
