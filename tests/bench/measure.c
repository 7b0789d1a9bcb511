/*
 * Runs a command and appends "seconds cpu_seconds peak_kib" to a file: wall clock, processor time of it and all it
 * started, and the largest resident size of any one of these processes. Usage: measure FILE COMMAND [ARGUMENT]...
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	double began = clock_seconds();
	struct rusage use;
	int status = 0;
	pid_t pid;
	FILE *f;

	if (argc < 3) {
		fprintf(stderr, "usage: measure FILE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || getrusage(RUSAGE_CHILDREN, &use) < 0)
		return 1;
	f = fopen(argv[1], "a");
	if (!f)
		return 1;
	fprintf(f, "%.3f %.2f %ld\n", clock_seconds() - began, seconds_of(use.ru_utime) + seconds_of(use.ru_stime),
		use.ru_maxrss);
	fclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
