/* Options and operands, and the help that is made from the same tables. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

#define MAX_OPTIONS 40

const char *cli_value(const struct cli_args *args, const char *name, const char *env)
{
	const char *value = env ? getenv(env) : NULL;

	if (value && !*value)
		value = NULL;
	for (size_t i = 0; i < args->n_values; i++)
		if (strcmp(args->values[i].name, name) == 0)
			value = args->values[i].value;
	return value;
}

bool cli_flag(const struct cli_args *args, const char *name)
{
	return cli_value(args, name, NULL) != NULL;
}

int cli_number(const struct cli_args *args, const char *name, uint64_t max, uint64_t *value, struct error *err)
{
	const char *text = cli_value(args, name, NULL);

	if (text && text_u64(text, max, value) < 0)
		return error_set(err, -ERR_USAGE, "--%s wants a number from 0 to %llu, not '%s'", name,
				 (unsigned long long)max, text);
	return 0;
}

int cli_refuse(const struct cli_args *args, const char *const *names, const char *why, struct error *err)
{
	for (; *names; names++)
		if (cli_flag(args, *names))
			return error_set(err, -ERR_USAGE, "--%s %s", *names, why);
	return 0;
}

bool cli_wants_server(const struct cli_args *args)
{
	return !cli_flag(args, "store") && (cli_flag(args, "server") || cli_flag(args, "socket"));
}

/* getopt prints nothing of its own (opterr is 0); the sentences are ours. */
static int unknown_option(int c, char **argv, struct error *err)
{
	const char *word = argv[optind - 1];

	if (c == ':')
		return error_set(err, -ERR_USAGE, "the option %s wants a value", word);
	return error_set(err, -ERR_USAGE, "there is no option %s", word);
}

static int take(const struct command *c, int index, struct cli_args *args, struct error *err)
{
	const struct cli_option *o = &c->options[index];

	if (!o->many && cli_value(args, o->name, NULL))
		return error_set(err, -ERR_USAGE, "the option --%s was given twice", o->name);
	if (args->n_values == CLI_MAX_VALUES)
		return error_set(err, -ERR_USAGE, "too many options");
	args->values[args->n_values].name = o->name;
	args->values[args->n_values++].value = optarg ? optarg : "";
	return 0;
}

int cli_parse(const struct command *c, int argc, char **argv, struct cli_args *args, struct error *err)
{
	struct option longs[MAX_OPTIONS + 2] = {0};
	size_t n = 0;
	int got, index = 0;

	for (; c->options[n].name && n < MAX_OPTIONS; n++)
		longs[n] = (struct option){c->options[n].name, c->options[n].arg ? required_argument : no_argument,
					   NULL, 1};
	longs[n] = (struct option){"help", no_argument, NULL, 'h'};
	opterr = 0;
	optind = 1;
	while ((got = getopt_long(argc, argv, ":h", longs, &index)) != -1) {
		int r;

		if (got == 'h')
			return 1;
		if (got != 1)
			return unknown_option(got, argv, err);
		r = take(c, index, args, err);
		if (r < 0)
			return r;
	}
	args->operands = argv + optind;
	args->n_operands = (size_t)(argc - optind);
	args->json = cli_flag(args, "json");
	if (args->n_operands < c->min_operands)
		return error_set(err, -ERR_USAGE, "something is missing: g4l %s %s", c->name, c->synopsis[0]);
	if (args->n_operands > c->max_operands)
		return error_set(err, -ERR_USAGE, "too many words: '%s'", args->operands[c->max_operands]);
	return 0;
}

/* Prints text wrapped at 78 columns with a hanging indent; the cursor stands at column `at`. */
static void wrap(const char *text, size_t indent, size_t at)
{
	while (*text) {
		size_t word = strcspn(text, " \n");

		if (at > indent && at + 1 + word > 78) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			putchar(' ');
			at++;
		}
		fwrite(text, 1, word, stdout);
		at += word;
		text += word;
		if (*text == '\n') {
			printf("\n%*s", (int)indent, "");
			at = indent;
		}
		if (*text)
			text++;
	}
	putchar('\n');
}

void cli_help(const struct command *c)
{
	for (size_t i = 0; i < sizeof c->synopsis / sizeof *c->synopsis && c->synopsis[i]; i++)
		printf("%s g4l %s %s\n", i ? "      " : "usage:", c->name, c->synopsis[i]);
	printf("\n");
	wrap(c->summary, 0, 0);
	if (c->details) {
		printf("\n");
		wrap(c->details, 0, 0);
	}
	printf("\nOptions:\n");
	for (const struct cli_option *o = c->options; o->name; o++) {
		char left[60];
		int n = snprintf(left, sizeof left, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");

		printf("%-24s", left);
		if (n > 23)
			printf("\n%24s", "");
		wrap(o->help, 24, 24);
	}
	printf("  --help                print this\n");
	if (c->alias)
		printf("\nAlso known as `g4l %s`.\n", c->alias);
}

int cli_split_host(const char *text, char host[64], const char **snapshot, struct error *err)
{
	const char *at = strchr(text, '@');
	size_t n = at ? (size_t)(at - text) : strlen(text);

	*snapshot = at ? at + 1 : NULL;
	if (n >= 64)
		return error_set(err, -ERR_USAGE, "the host name '%.70s…' is too long", text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (!text_is_name(host))
		return error_set(err, -ERR_USAGE, "'%s' is not a host name: letters, digits, '.', '_', '-', at most 63",
				 host);
	if (at && !at[1])
		return error_set(err, -ERR_USAGE, "'%s' names no snapshot behind the @", text);
	return 0;
}
