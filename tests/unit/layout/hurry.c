/*
 * Loaded into the tools that make test images: sgdisk sleeps a second and syncs every file system of the machine after each
 * write, which proves nothing about an image file.
 */
#include <unistd.h>

unsigned sleep(unsigned seconds)
{
	(void)seconds;
	return 0;
}

void sync(void)
{
}
