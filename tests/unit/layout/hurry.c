/*
 * Loaded into the tools that make test images: sgdisk sleeps a second and syncs every file system of the machine after each
 * write, sfdisk sleeps a quarter of a second; for an image file that proves nothing.
 */
#include <unistd.h>

unsigned sleep(unsigned seconds)
{
	(void)seconds;
	return 0;
}

int usleep(useconds_t microseconds)
{
	(void)microseconds;
	return 0;
}

void sync(void)
{
}
