/* SPDX-License-Identifier: BSD-2-Clause */
/* Of a VM that does not run while it moves, in its offer (offer.h). */
#include <errno.h>

#include "offer.h"

#define AT_REST_VERSION 1

/* Not optional: a host that does not know it would start the VM. */
void offer_state_save(enum vm_state state, struct rec_writer *w)
{
	if (state == VM_RUNNING)
		return;
	rec_begin(w, REC_AT_REST, AT_REST_VERSION, 0, 0);
	rec_u32(w, state == VM_SUSPENDED);
	rec_u32(w, 0);
	rec_end(w);
}

int offer_state_check(struct rec_reader *r, enum vm_state *out)
{
	uint32_t suspended = rec_get_u32(r);

	if (r->head.version != AT_REST_VERSION || suspended > 1 || rec_get_u32(r))
		return -EBADMSG;
	*out = suspended ? VM_SUSPENDED : VM_OFF;
	return rec_done(r);
}
