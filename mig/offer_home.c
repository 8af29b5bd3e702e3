/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM is at home, in its offer (offer.h, docs/wire.md "Records"). Whether the description is
 * here too is asked later (home_check).
 */
#include <errno.h>
#include <string.h>

#include "kernel/lib/name.h"

#include "offer.h"

#define HOME_VERSION 1

void offer_home_save(const struct home_id *home, struct rec_writer *w)
{
	if (!home->store[0])
		return;
	rec_begin(w, REC_HOME, HOME_VERSION, 0, 0);
	rec_bytes(w, home->ds, sizeof(home->ds));
	rec_u64(w, home->lease.file);
	rec_u64(w, home->lease.generation);
	rec_str(w, home->store);
	rec_end(w);
}

int offer_home_check(struct rec_reader *r, struct vm_config *cfg, struct home_id *home)
{
	if (r->head.version != HOME_VERSION)
		return -EBADMSG;
	rec_get_bytes(r, home->ds, sizeof(home->ds));
	home->lease.file = rec_get_u64(r);
	home->lease.generation = rec_get_u64(r);
	rec_get_str(r, home->store, sizeof(home->store));
	if (!name_is_ok(home->store, sizeof(home->store)) || !home->lease.file)
		return -EBADMSG;
	memcpy(cfg->home, home->store, sizeof(cfg->home));
	return rec_done(r);
}
