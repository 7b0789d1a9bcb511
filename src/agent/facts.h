/* What this PC says of itself in hello and in the snapshot's inventory. */
#ifndef G4L_AGENT_FACTS_H
#define G4L_AGENT_FACTS_H

#include "base/error.h"
#include "wire/message.h"

/* Fills everything but the disks; unknown texts are "". root: normally "/"; tests give a made-up tree with sys/ and
 * proc/. boot_mac comes first among the MACs, also where no NIC has it. 0 or -ENOMEM. wire_hello_clear() when done. */
int facts_gather(const char *root, const char *boot_mac, struct wire_hello *out, struct error *err);

/* One line of a file without its newline and outer blanks; "" when it cannot be read. Returns to. */
char *facts_read_line(const char *root, const char *path, char *to, size_t to_bytes);

/* The same facts as a JSON object for the snapshot, without what is only this boot's. NULL when memory is out. */
char *facts_json(const struct wire_hello *hello);

#endif
