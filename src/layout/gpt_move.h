/*
 * Moving a GPT to the end of a disk of another size. A restore writes the table of the old disk as it was; on a larger
 * disk its backup then lies somewhere in the middle, and the space behind it does not exist for any tool.
 */
#ifndef G4L_LAYOUT_GPT_MOVE_H
#define G4L_LAYOUT_GPT_MOVE_H

#include "disk/disk.h"

/* Makes the GPT that lies on target fit target: the backup's entries and header at the new end, last usable and
 * alternate LBA and all checksums in both headers, the size in the protective MBR (UEFI 2.10, 5.2.3 and 5.3.2).
 * snapshot_disk_bytes: the size of the disk that the table was made for, where the old backup lies.
 * Does nothing when the sizes are equal or the disk has no GPT. Flushes and reads back what it wrote; partitions are
 * never touched. 0; -ERR_REFUSED when a partition would not fit in front of the backup; -ERR_FORMAT when the disk
 * claims to have a GPT and neither copy is sound; -ERR_DAMAGED when the disk does not hold what was written; or what
 * disk_read(), disk_write() and disk_flush() give. */
int layout_gpt_fit(struct disk *target, uint64_t snapshot_disk_bytes, struct error *err);

#endif
