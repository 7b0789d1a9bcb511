/* The table of file-system readers. A new one adds its line here and its file to meson.build. */
#include "fs/fs.h"

const struct fs_reader *const fs_readers[] = {
	&fs_ntfs_reader,
	&fs_ext_reader,
	&fs_fat_reader,
	NULL,
};
