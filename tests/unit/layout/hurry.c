/*
 * Loaded into the tools that make test images: sgdisk sleeps a second and syncs every file system of the machine after
 * each write, sfdisk sleeps a quarter of a second; for an image file that proves nothing.
 */
#include <time.h>
#include <unistd.h>

unsigned sleep(unsigned seconds)
{
	(void)seconds;
	return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)time;
	(void)left;
	return 0;
}

void sync(void)
{
}
