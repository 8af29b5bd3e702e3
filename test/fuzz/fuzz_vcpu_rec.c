/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU part of a hostile checkpoint: REC_CPUID, REC_VCPU, REC_XSAVE, REC_TIME, in any
 * order and number (records.h). When all of them pass check, all must load, but
 * for what came in a wrong order; the state is then one that the neutral check of an entry takes,
 * and what is saved of it passes check on a next host.
 */
// SOURCES: kernel/vm/vm_cpu.c kernel/vm/vm_cpu_state.c kernel/vm/vmtime.c kernel/vm/pvclock.c
// SOURCES: kernel/vm/msr_list.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c
// SOURCES: kernel/vm/cpuid_rec.c kernel/vm/cpu_model.c kernel/vm/cpu_common.c
// SOURCES: kernel/vm/hyperv_rec.c kernel/vm/cpu_check.c kernel/lib/rec.c
// SOURCES: kernel/lib/muldiv.c kernel/lib/tscscale.c
// SOURCES: arch/x86_64/guest_check.c arch/x86_64/guest_fpu.c
#include "arch/x86_64/guest.h"
#include "test/fuzz/records.h"
#include "test/unit/fake_vm_cpu.h"

struct guest_features guest_feat = {
	.xsave = true,
	.xcr0 = 7,
	.xsave_size = 832,
	.mxcsr_mask = 0xffff,
	.cr4_mask = 0x3707ff,
	.efer_mask = 0xd01,
	.cr3_mask = BIT(40) - 1,
};

static struct virt_state kept[2];

uint32_t guest_xsave_size(uint64_t xcr0)
{
	return xcr0 & 4 ? 832 : 576;
}

static void state_save(struct virt_vcpu *v, struct virt_state *s)
{
	*s = kept[v->index];
}

static int state_load(struct virt_vcpu *v, const struct virt_state *s)
{
	kept[v->index] = *s;
	return guest_state_check(v->vm->xcr0_mask, s);
}

static const struct virt_ops backend = { .state_save = state_save,
					 .state_check = guest_state_check,
					 .state_load = state_load };
const struct virt_ops *virt = &backend;
struct virt_caps virt_caps = { .tsc_scaling = true, .tsc_ratio_bits = 32, .tsc_ratio_end = 256 };

static void write_one(void *arg, const struct record *r)
{
	rec_begin(arg, REC_CPUID + r->type % 4, 1, 0, r->instance & 3);
	rec_bytes(arg, r->body, r->len);
	rec_end(arg);
}

static bool passes(struct vm *vm, const struct rec_writer *w)
{
	struct rec_reader r;
	char why[96];
	int rc;

	rec_reader_init(&r, w->buf, w->len);
	while ((rc = rec_next(&r)) == 1 && (rc = vm_cpu_check(vm, &r, why, sizeof(why))) == 0)
		;
	return rc == 0;
}

/* False: the last record of a vCPU's pair, or the clock before it, is not there. */
static bool loads(struct vm *vm, const struct rec_writer *w)
{
	struct rec_reader r;
	int rc = 0;

	rec_reader_init(&r, w->buf, w->len);
	while (!rc && rec_next(&r) == 1) {
		rc = vm_cpu_load(vm, &r, -1000);
		if (rc && (r.head.type != REC_XSAVE || vm->run->loaded_time))
			abort();
	}
	return !rc && vm->run->loaded_time && vm->run->loaded_vcpus == 3;
}

static void moves_on(struct vm *vm)
{
	struct vm *next = make();
	struct rec_writer w;

	(void)vcpu_guest_tsc(vm->vcpu[1]);
	(void)vm_guest_ns(vm);
	rec_writer_init(&w);
	vm_cpu_save(vm, &w);
	if (rec_finish(&w) || !passes(next, &w))
		abort();
	rec_writer_fini(&w);
	unmake(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = make();
	struct rec_writer w;

	host_base = rdtsc() - 1000000000ull;
	for (unsigned i = 0; i < 2; i++)
		vm->vcpu[i]->v.vm = &vm->virt;
	rec_writer_init(&w);
	records_each(data, size, write_one, &w);
	if (!rec_finish(&w) && passes(vm, &w) && loads(vm, &w))
		moves_on(vm);
	rec_writer_fini(&w);
	unmake(vm);
	return 0;
}
