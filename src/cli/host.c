/* g4l host: the PCs that g4ld looks after. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/remote.h"

static const struct cli_option options[] = {
	{"after", "WHAT", "add: what follows a job: poweroff (default), reboot or stay", false},
	CLI_OPTION_JSON,
	CLI_OPTIONS_SERVER,
	{0},
};

static void print_host(const json_t *host)
{
	const json_t *mac;
	size_t i;

	printf("%-20s ", remote_text(host, "name"));
	json_array_foreach(json_object_get(host, "macs"), i, mac)
		printf("%s%s", i ? "," : "", json_string_value(mac) ? json_string_value(mac) : "?");
	printf("  after a job: %s\n", remote_text(host, "after"));
}

static int add(struct remote *remote, const struct cli_args *args, struct error *err)
{
	const char *after = cli_value(args, "after", NULL);
	json_t *macs = json_array(), *body, *answer = NULL;
	int r;

	for (size_t i = 2; i < args->n_operands; i++)
		json_array_append_new(macs, json_string(args->operands[i]));
	body = json_pack("{s:s, s:o, s:s}", "name", args->operands[1], "macs", macs, "after",
			 after ? after : "poweroff");
	r = remote_call(remote, "POST", "/api/v1/hosts", body, &answer, err);
	if (r == 0 && args->json)
		cli_print_json(json_incref(answer));
	else if (r == 0)
		printf("%s is known now; `g4l backup %s` backs it up\n", args->operands[1], args->operands[1]);
	json_decref(answer);
	json_decref(body);
	return r;
}

static int list(struct remote *remote, const struct cli_args *args, struct error *err)
{
	json_t *answer = NULL, *hosts, *host;
	size_t i;
	int r = remote_call(remote, "GET", "/api/v1/hosts", NULL, &answer, err);

	hosts = json_is_array(answer) ? answer : json_object_get(answer, "hosts");
	json_array_foreach(hosts, i, host)
	{
		if (args->json)
			cli_print_json(json_incref(host));
		else
			print_host(host);
	}
	if (r == 0 && json_array_size(hosts) == 0 && !args->json)
		fprintf(stderr, "no hosts yet: g4l host add NAME MAC\n");
	json_decref(answer);
	return r;
}

static void print_details(const json_t *host)
{
	const json_t *hello = json_object_get(host, "hello");
	char size[TEXT_SIZE_BYTES];
	const json_t *disk;
	size_t i;

	print_host(host);
	if (!json_is_object(hello)) {
		printf("has not reported yet\n");
		return;
	}
	printf("%s, %d processor%s, %s of memory, firmware %s, Secure Boot %s\n",
	       *remote_text(hello, "product") ? remote_text(hello, "product") : "a PC",
	       (int)remote_number(hello, "cpus"), remote_number(hello, "cpus") == 1 ? "" : "s",
	       text_size((uint64_t)remote_number(hello, "memory_bytes"), size), remote_text(hello, "firmware"),
	       json_is_true(json_object_get(hello, "secure_boot")) ? "on" : "off");
	json_array_foreach(json_object_get(hello, "disks"), i, disk)
		printf("  %-14s %9s  %s%s%s%s%s\n", remote_text(disk, "path"),
		       text_size((uint64_t)remote_number(disk, "size_bytes"), size), remote_text(disk, "model"),
		       *remote_text(disk, "serial") ? "  serial " : "", remote_text(disk, "serial"),
		       *remote_text(disk, "wwn") ? "  wwn " : "", remote_text(disk, "wwn"));
}

static int one(struct remote *remote, const struct cli_args *args, bool remove, struct error *err)
{
	json_t *answer = NULL;
	char path[120];
	int r;

	if (!text_is_name(args->operands[1]))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name", args->operands[1]);
	snprintf(path, sizeof path, "/api/v1/hosts/%s", args->operands[1]);
	r = remote_call(remote, remove ? "DELETE" : "GET", path, NULL, &answer, err);
	if (r == 0 && args->json)
		cli_print_json(json_incref(answer));
	else if (r == 0 && remove)
		printf("%s is forgotten; its snapshots stay in the store\n", args->operands[1]);
	else if (r == 0)
		print_details(answer);
	json_decref(answer);
	return r;
}

static int run(const struct cli_args *args, struct error *err)
{
	const char *verb = args->operands[0];
	struct remote *remote = NULL;
	size_t want = strcmp(verb, "add") == 0 ? 3 : strcmp(verb, "list") == 0 ? 1 : 2;
	int r;

	if (strcmp(verb, "add") != 0 && strcmp(verb, "list") != 0 && strcmp(verb, "show") != 0 &&
	    strcmp(verb, "remove") != 0)
		return error_set(err, -ERR_USAGE, "g4l host knows add, list, show and remove, not '%s'", verb);
	if (args->n_operands < want)
		return error_set(err, -ERR_USAGE, "something is missing: g4l host %s NAME%s", verb,
				 want == 3 ? " MAC…" : "");
	if (args->n_operands > want && want != 3)
		return error_set(err, -ERR_USAGE, "too many words: '%s'", args->operands[want]);
	r = remote_open(args, &remote, err);
	if (r < 0)
		return r;
	if (want == 3)
		r = add(remote, args, err);
	else if (want == 1)
		r = list(remote, args, err);
	else
		r = one(remote, args, strcmp(verb, "remove") == 0, err);
	remote_close(remote);
	return r;
}

const struct command cli_host = {
	.name = "host",
	.synopsis = {"add NAME MAC… [--after WHAT]", "list [--json]", "show NAME [--json]", "remove NAME"},
	.summary = "Tell g4ld about hosts: a name and the MAC addresses of its network cards.",
	.options = options,
	.min_operands = 1,
	.max_operands = 20,
	.run = run,
};
