/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is there room for all of several files that are to be made? Each alone may fit where they do not
 * together, and thin ones are given their space late: better to know before.
 */
#include <errno.h>
#include <stdio.h>

#include "kernel/store/ds_int.h"

#define NEVER_THERE (1ull << 62) /* bytes; larger ones say the same */

void ds_room_add(struct ds_room *r, struct datastore *ds, uint64_t bytes)
{
	unsigned i = 0;

	while (i < r->nr && r->at[i].ds != ds)
		i++;
	if (i == DS_ROOM_STORES)
		return; /* what is not asked about fails when it is made */
	if (i == r->nr)
		r->at[r->nr++].ds = ds;
	bytes = ALIGN_UP(MIN(bytes, NEVER_THERE), (uint64_t)DS_EXTENT);
	r->at[i].bytes = MIN(r->at[i].bytes + bytes, NEVER_THERE);
}

int ds_room_check(const struct ds_room *r, const char *where, char *why, size_t len)
{
	for (unsigned i = 0; i < r->nr; i++) {
		uint64_t takes = r->at[i].bytes;
		struct ds_info info;
		int err = ds_info(r->at[i].ds, &info);

		if (!err && takes <= info.free_bytes)
			continue;
		if (err)
			snprintf(why, len, "a datastore%s: %s", where, ds_error_text(err));
		else
			snprintf(why, len,
				 "datastore %s%s has %llu MiB free, what is to go there takes %llu "
				 "MiB: %llu MiB are missing",
				 info.name, where, (unsigned long long)info.free_bytes >> 20,
				 (unsigned long long)takes >> 20,
				 (unsigned long long)(takes - info.free_bytes) >> 20);
		return err ? err : -ENOSPC;
	}
	return 0;
}
