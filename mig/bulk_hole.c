/* SPDX-License-Identifier: BSD-2-Clause */
/* What a copy need not read (bulk.h): the holes of a datastore's file. */
#include <tern/store.h>

#include "bulk.h"

bool bulk_is_hole(struct ds_file *f, const struct blkdev *disk, uint64_t block, uint64_t *blocks)
{
	uint32_t block_bytes = disk->geo.block_bytes;
	uint64_t bytes;
	bool hole;

	if (!f)
		return false;
	hole = ds_file_map(f, block * block_bytes, &bytes) == DS_MAP_HOLE;
	*blocks = (bytes + block_bytes - 1) / block_bytes;
	return hole;
}
