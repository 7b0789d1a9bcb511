/*
 * Volumes as fuzz input: a disk whose content is given by pieces, the rest reads as zeros, so that a volume of
 * megabytes is an input of a few kilobytes. All integers are little-endian:
 *
 *   0  u8   which read fails with -EIO, counted from 1; 0: none
 *   1  u16  size of the volume in units of 4 KiB, plus one sector of 512 bytes
 *   3       pieces: u32 offset in bytes, u16 length, then that many bytes; a piece that is cut short ends with the
 * input
 */
#ifndef G4L_TESTS_FUZZ_SPARSE_H
#define G4L_TESTS_FUZZ_SPARSE_H

#include "fs/fs.h"

/* Gives the volume that the input describes to a reader, and ends the program when what comes back breaks a promise. */
void sparse_run(const struct fs_reader *reader, const uint8_t *data, size_t size);

#endif
