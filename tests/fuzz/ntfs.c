/* The NTFS reader on volumes of any shape; the input's form is described in sparse.h. */
#include "sparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sparse_run(&fs_ntfs_reader, data, size);
	return 0;
}
