/*
 * Who may use the store at the same time: backups, restores, checks and forget share it; prune has it alone. flock(2)
 * on a file: the kernel ends the lock of a process that dies. Every wait has a limit.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/room.h"

#define POLL_MS 50

int store_lock_take(const struct store *s, bool exclusive, int *fd, struct error *err)
{
	unsigned wait_ms = exclusive ? s->exclusive_wait_ms : s->shared_wait_ms;
	uint64_t start = clock_ms();

	*fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0 && errno == EROFS && !exclusive)
		return 0; /* a medium that nobody can prune */
	if (*fd < 0)
		return error_errno(err, errno, "cannot open the store's lock %s", s->lock_path);
	while (flock(*fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK) {
			int r = error_errno(err, errno, "cannot lock %s", s->lock_path);

			close(*fd);
			return r;
		}
		if (clock_ms() - start >= wait_ms) {
			close(*fd);
			return error_set(
				err, -EBUSY,
				exclusive ? "the store %s is in use by a backup, a restore or a check: try again later"
					  : "the store %s is being pruned: try again later",
				s->backend->location);
		}
		clock_sleep_ms(POLL_MS);
	}
	return 0;
}

void store_lock_drop(int fd)
{
	if (fd >= 0)
		close(fd);
}
