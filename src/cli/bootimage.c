/* g4l bootimage: makes what hosts boot over the network; the work is done by the script build-image. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct cli_option options[] = {
	{"out", "DIR", "where the boot image goes; default: /var/lib/ghost4linux/boot", false},
	{"agent", "PATH", "the g4l-agent to put in; default: the one installed beside g4l", false},
	{"cache", "DIR", "where fetched packages are kept; default: /var/cache/ghost4linux", false},
	{"kernel", "VERSION", "a kernel version such as 6.1.0-37-amd64; default: the newest that apt knows", false},
	{"small", NULL, "only the drivers that virtual PCs need", false},
	{0},
};

/* A program or script of ours: where it is built, or where it is installed, both seen from g4l's own place. */
static int locate(const char *built, const char *installed, char to[PATH_MAX], struct error *err)
{
	const char *const places[] = {built, installed};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(to, PATH_MAX, "%s/%s", self, places[i]);
		if (access(to, X_OK) == 0)
			return 0;
	}
	return error_set(err, -ENOENT, "%s is missing: is ghost4linux installed completely?", to);
}

static int wait_for(pid_t pid, struct error *err)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "cannot wait for the image builder");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CODE_USAGE)
		return error_set(err, -ERR_USAGE, "the boot image was not built; the reason stands above");
	return error_set(err, -EIO, "the boot image was not built; the reason stands above");
}

static int run(const struct cli_args *args, struct error *err)
{
	static const char *const passed[] = {"out", "agent", "cache", "kernel"};
	char script[PATH_MAX], agent[PATH_MAX];
	const char *argv[16];
	size_t n = 0;
	pid_t pid;
	int r;

	if (strcmp(args->operands[0], "build") != 0)
		return error_set(err, -ERR_USAGE, "g4l bootimage knows build, not '%s'", args->operands[0]);
	r = locate("../../boot/build-image", "../libexec/ghost4linux/boot/build-image", script, err);
	if (r == 0 && !cli_flag(args, "agent"))
		r = locate("../agent/g4l-agent", "../libexec/ghost4linux/g4l-agent", agent, err);
	if (r < 0)
		return r;
	argv[n++] = script;
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
		static const char *const flags[] = {"--out", "--agent", "--cache", "--kernel"};
		const char *value = cli_value(args, passed[i], NULL);

		if (!value && strcmp(passed[i], "agent") == 0)
			value = agent;
		if (!value)
			continue;
		argv[n++] = flags[i];
		argv[n++] = value;
	}
	if (cli_flag(args, "small"))
		argv[n++] = "--small";
	argv[n] = NULL;
	pid = fork();
	if (pid < 0)
		return error_errno(err, errno, "cannot start %s", script);
	if (pid == 0) {
		execv(script, (char *const *)argv);
		fprintf(stderr, "g4l bootimage: cannot run %s\n", script);
		_exit(EXIT_CODE_FAILED);
	}
	return wait_for(pid, err);
}

const struct command cli_bootimage = {
	.name = "bootimage",
	.synopsis = {"build [--out DIR] [--small]"},
	.summary = "Make the boot image: kernel, initramfs with our agent, and the loaders.",
	.details = "Takes Debian's signed kernel package from apt without installing it. The same inputs give the same "
		   "bytes.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
