/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * REC_HYPERV: save, check, load. It stands in an offer too, where its presence alone
 * counts: a host that does not know it refuses the VM. The body is in docs/wire.md.
 */
#include <errno.h>

#include "hyperv.h"

#define REC_VERSION 1u

void vm_hyperv_save(struct vm *vm, struct rec_writer *w)
{
	const struct hyperv *h = vm->hyperv;

	if (!h)
		return;
	rec_begin(w, REC_HYPERV, REC_VERSION, 0, 0);
	rec_u64(w, h->guest_os_id);
	rec_u64(w, h->hypercall);
	rec_u64(w, h->reference_tsc);
	rec_u32(w, h->sequence);
	rec_u32(w, 0);
	rec_end(w);
}

static int parse(struct rec_reader *r, struct hyperv *h)
{
	if (r->head.version != REC_VERSION || r->head.instance)
		return -EBADMSG;
	h->guest_os_id = rec_get_u64(r);
	h->hypercall = rec_get_u64(r);
	h->reference_tsc = rec_get_u64(r);
	h->sequence = rec_get_u32(r);
	if (rec_get_u32(r) || (!h->guest_os_id && h->hypercall & 1))
		return -EBADMSG;
	return rec_done(r);
}

int vm_hyperv_offered(struct rec_reader *r)
{
	struct hyperv h;

	return parse(r, &h);
}

int hyperv_check(struct vm *vm, struct rec_reader *r)
{
	struct hyperv h;

	return vm->hyperv ? parse(r, &h) : -EBADMSG;
}

int hyperv_load(struct vm *vm, struct rec_reader *r)
{
	return vm->hyperv ? parse(r, vm->hyperv) : -EBADMSG;
}
