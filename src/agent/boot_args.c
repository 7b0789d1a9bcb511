/* The kernel command line's words for us. Must never guess at what is missing. */
#include "agent/boot_args.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool is_hex(const char *text, size_t digits)
{
	uint8_t bytes[32];

	return strlen(text) == digits && text_unhex(text, bytes, digits / 2) == 0;
}

static bool is_mac(const char *text)
{
	uint8_t byte;

	if (strlen(text) != 17)
		return false;
	for (size_t i = 0; i < 17; i += 3)
		if (text_unhex(text + i, &byte, 1) < 0 || (i + 2 < 17 && text[i + 2] != ':'))
			return false;
	return true;
}

static int set_mac(struct boot_args *a, const char *value)
{
	if (!is_mac(value))
		return -EINVAL;
	for (size_t i = 0; i < sizeof a->mac; i++)
		a->mac[i] = value[i] >= 'A' && value[i] <= 'F' ? (char)(value[i] + 32) : value[i];
	return 0;
}

static int set_hex(char to[65], const char *value)
{
	if (!is_hex(value, 64))
		return -EINVAL;
	memcpy(to, value, 65);
	return 0;
}

static int set_server(struct boot_args *a, const char *value)
{
	if (strncmp(value, "https://", 8) != 0 || strlen(value) >= sizeof a->server)
		return -EINVAL;
	snprintf(a->server, sizeof a->server, "%s", value);
	return 0;
}

int boot_args_set(struct boot_args *a, const char *name, const char *value, struct error *err)
{
	int rc;

	if (strcmp(name, "server") == 0)
		rc = set_server(a, value);
	else if (strcmp(name, "pin") == 0)
		rc = set_hex(a->pin, value);
	else if (strcmp(name, "token") == 0)
		rc = set_hex(a->token, value);
	else if (strcmp(name, "mac") == 0)
		rc = set_mac(a, value);
	else
		return error_set(err, -ENOENT, "g4l.%s is not known", name);
	return rc < 0 ? error_set(err, -ERR_USAGE, "g4l.%s has a value that makes no sense", name) : 0;
}

int boot_args_check(const struct boot_args *a, struct error *err)
{
	const char *missing = !a->server[0] ? "server" : !a->pin[0] ? "pin" : !a->token[0] ? "token" : NULL;

	if (!missing && !a->mac[0])
		missing = "mac";
	if (missing)
		return error_set(err, -ERR_USAGE, "g4l.%s is missing: this boot was not made by a ghost4linux server",
				 missing);
	return 0;
}

int boot_args_parse(const char *cmdline, struct boot_args *out, struct error *err)
{
	char line[4096], *save = NULL;

	*out = (struct boot_args){0};
	if (strlen(cmdline) >= sizeof line)
		return error_set(err, -ERR_USAGE, "the kernel command line is too long");
	strcpy(line, cmdline);
	for (char *word = strtok_r(line, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
		char *value = strchr(word, '=');
		int rc;

		if (strncmp(word, "g4l.", 4) != 0 || !value)
			continue;
		*value++ = '\0';
		rc = boot_args_set(out, word + 4, value, err);
		/* A newer server may say more. */
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return boot_args_check(out, err);
}
