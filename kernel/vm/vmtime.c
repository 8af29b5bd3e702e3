/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest time. A VM has one line: at TSC base_tsc the kvmclock shows base_ns, and
 * it rises with the guest's TSC frequency for ever. The pages that guests read
 * hold exactly this line, so that all vCPUs and the host agree to the nanosecond,
 * and a migration that moves the line to another host's TSC (vm_time_continue)
 * makes neither clock run backwards.
 *
 * The line's TSC starts at 0 with the VM and is nobody's to set (run->tsc_offset).
 * A vCPU's own TSC is the line's until the guest writes it: then it is ahead by a
 * constant, which its clock page takes into account and a checkpoint carries.
 */
#include "vm_int.h"

#define FAR_TSC (1ull << 52)				/* weeks at any frequency */
#define BLACKOUT_MAX_NS (366ull * 86400 * NSEC_PER_SEC) /* a VM may be suspended for long */

static struct tsc_ratio ratio_of(const struct vm *vm)
{
	uint32_t host = tsc_khz();

	return tsc_ratio_of(virt_caps.tsc_scaling && vm->virt.tsc_khz ? vm->virt.tsc_khz : host,
			    host, virt_caps.tsc_ratio_bits);
}

static uint64_t line_tsc(const struct vm *vm, uint64_t host_tsc)
{
	return tsc_scale(ratio_of(vm), host_tsc) + vm->run->tsc_offset;
}

uint64_t vcpu_guest_tsc(struct vcpu *c)
{
	return tsc_scale(ratio_of(c->vm), rdtsc()) + c->v.tsc_offset;
}

uint64_t vcpu_tsc_ahead(const struct vcpu *c)
{
	return c->v.tsc_offset - c->vm->run->tsc_offset;
}

uint64_t vcpu_tsc_deadline_ns(struct vcpu *c, uint64_t guest_tsc)
{
	struct tsc_ratio ratio = ratio_of(c->vm);
	uint64_t host = rdtsc(), left = guest_tsc - (tsc_scale(ratio, host) + c->v.tsc_offset);

	if ((int64_t)left <= 0)
		return 0; /* past */
	/* A guest may ask for the end of time: nothing below overflows, and the callback asks
	 * again. */
	left = MIN(tsc_unscale(ratio, MIN(left, FAR_TSC)), FAR_TSC);
	return tsc_to_ns(host + left) + 1; /* rounded up: never early */
}

static uint64_t ns_at(const struct vm *vm, uint64_t tsc)
{
	const struct vm_run *run = vm->run;

	if (tsc < run->base_tsc)
		return run->base_ns;
	return run->base_ns + pvclock_ns(pvclock_scale(vm->tsc_khz), tsc - run->base_tsc);
}

void vm_time_read(const struct vm *vm, struct vm_time *t)
{
	uint64_t host = rdtsc(); /* one moment: between two reads a CPU may be away for long */

	t->tsc = line_tsc(vm, host);
	t->ns = ns_at(vm, t->tsc);
	t->host_ns = tsc_to_ns(host);
}

uint64_t vm_guest_ns(const struct vm *vm)
{
	return ns_at(vm, line_tsc(vm, rdtsc()));
}

/* Since the moment of t, never less than nothing: an exchange of clocks that is off must not set
 * a guest back. */
static uint64_t elapsed(const struct vm_time *t, uint64_t host_ns)
{
	int64_t ns = (int64_t)(host_ns - t->host_ns);

	return ns < 0 ? 0 : MIN((uint64_t)ns, BLACKOUT_MAX_NS);
}

void vm_time_continue(struct vm *vm, const struct vm_time *t)
{
	uint64_t host = rdtsc(), host_ns = tsc_to_ns(host), gone = elapsed(t, host_ns);
	uint64_t now = t->tsc + mul_div64(gone, vm->tsc_khz, 1000000);

	vm->run->base_tsc = t->tsc;
	vm->run->base_ns = t->ns;
	vm->run->tsc_offset = now - tsc_scale(ratio_of(vm), host);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->v.tsc_offset = vm->run->tsc_offset;
	vm->clock_offset_ns = (int64_t)(t->ns + gone - host_ns);
}

void vm_time_start(struct vm *vm)
{
	struct vm_time zero = { .host_ns = NEVER_NS >> 1 }; /* none of it is over */

	vm_time_continue(vm, &zero);
}
