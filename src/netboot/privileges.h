/* Giving up what a process that faces the network must not have. */
#ifndef G4L_NETBOOT_PRIVILEGES_H
#define G4L_NETBOOT_PRIVILEGES_H

#include "base/error.h"

/* Makes root_fd the root of what we see (only with user, and as root), becomes user (NULL or "": stays who it is),
 * drops all groups and capabilities and sees to it that none come back. 0, or a negative code: then the process must
 * not go on. */
int privileges_drop(const char *user, int root_fd, struct error *err);

#endif
