/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest time. A VM has one line: at guest TSC base_tsc the kvmclock shows
 * base_ns, and it rises with the guest's TSC frequency for ever. The pages that
 * guests read hold exactly this line, so that all vCPUs and the host agree to
 * the nanosecond, and a migration that moves the line to another host's TSC
 * (vm_time_continue) makes neither clock run backwards.
 *
 * The TSC offset is the same for all vCPUs until a guest writes its TSC on one of
 * them; the line is vCPU 0's. A checkpoint carries what each is ahead of it.
 */
#include "vm_int.h"

#define FAR_TSC (1ull << 52) /* weeks at any frequency */

static bool scaled(const struct vm *vm)
{
	return virt_caps.tsc_scaling && vm->virt.tsc_khz && vm->virt.tsc_khz != tsc_khz();
}

/* Guest TSC units that the host's TSC value stands for, before the offset. */
static uint64_t scale(const struct vm *vm, uint64_t host_tsc)
{
	return scaled(vm) ? mul_div64(host_tsc, vm->virt.tsc_khz, tsc_khz()) : host_tsc;
}

uint64_t vcpu_guest_tsc(struct vcpu *c)
{
	return scale(c->vm, rdtsc()) + c->v.tsc_offset;
}

uint64_t vcpu_tsc_deadline_ns(struct vcpu *c, uint64_t guest_tsc)
{
	uint64_t now = vcpu_guest_tsc(c), delta = guest_tsc - now, host;

	if ((int64_t)delta <= 0)
		return 0; /* past */
	/* A guest may ask for the end of time: nothing below overflows, and the callback asks
	 * again. */
	host = now + MIN(delta, FAR_TSC) - c->v.tsc_offset;
	if (scaled(c->vm))
		host = mul_div64(host, tsc_khz(), c->vm->virt.tsc_khz);
	return tsc_to_ns(host) + 1; /* rounded up: never early */
}

uint64_t vm_time_ns_at(struct vm *vm, uint64_t guest_tsc)
{
	struct vm_run *run = vm->run;

	if (guest_tsc < run->base_tsc)
		return run->base_ns;
	return run->base_ns + pvclock_ns(pvclock_scale(vm->tsc_khz), guest_tsc - run->base_tsc);
}

uint64_t vm_guest_ns(struct vm *vm)
{
	return vm_time_ns_at(vm, vcpu_guest_tsc(vm->vcpu[0]));
}

static void set_line(struct vm *vm, uint64_t tsc, uint64_t ns, uint64_t elapsed_ns)
{
	uint64_t host = rdtsc(), now = tsc + mul_div64(elapsed_ns, vm->tsc_khz, 1000000);

	vm->run->base_tsc = tsc;
	vm->run->base_ns = ns;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->v.tsc_offset = now - scale(vm, host);
	vm->clock_offset_ns = (int64_t)(ns + elapsed_ns - tsc_to_ns(host));
}

void vm_time_start(struct vm *vm)
{
	set_line(vm, 0, 0, 0);
}

void vm_time_continue(struct vm *vm, uint64_t tsc, uint64_t ns, uint64_t elapsed_ns)
{
	set_line(vm, tsc, ns, elapsed_ns);
}
