/* SPDX-License-Identifier: BSD-2-Clause */
/* What a copy need not read (bulk.h): what a datastore's file does not have itself. */
#include <tern/store.h>

#include "bulk.h"

enum bulk_need bulk_need_of(struct ds_file *f, const struct blkdev *disk, bool fresh,
			    uint64_t block, uint64_t *blocks)
{
	uint32_t block_bytes = disk->geo.block_bytes;
	enum ds_own own;
	uint64_t bytes;

	if (!f)
		return BULK_COPY;
	own = ds_file_own(f, block * block_bytes, &bytes);
	*blocks = (bytes + block_bytes - 1) / block_bytes;
	if (own == DS_OWN_EXTENTS)
		return BULK_COPY;
	return own == DS_OWN_NOTHING || fresh ? BULK_SKIP : BULK_ZEROES;
}
