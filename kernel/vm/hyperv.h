/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of Microsoft's hypervisor interface that its guests' clock needs, for VMs
 * that ask for it (vm_config.hyperv):
 *
 *   hyperv_init(vm)                  at create; vm->hyperv stays NULL where not asked for
 *   hyperv_cpuid(t)                  its CPUID leaves; the other interface's move up
 *   hyperv_msr_get, hyperv_msr_set   its MSRs
 *   hyperv_refresh(vm)               the page is written anew: another host, another TSC
 *
 * [Hyper-V Top-Level Functional Specification: "Feature and Interface Discovery",
 * "Hypercall Interface", "Timers"]
 */
#ifndef KERNEL_VM_HYPERV_H
#define KERNEL_VM_HYPERV_H

#include <tern/lock.h>
#include <tern/rec.h>
#include <tern/vm.h>

#include "cpuid.h"

struct hyperv {
	struct mutex lock;	/* guards the rest; LOCK_VDEV */
	uint64_t guest_os_id;	/* the guest's word for itself; 0: it has not said it */
	uint64_t hypercall;	/* page << 12 | locked | enabled */
	uint64_t reference_tsc; /* page << 12 | enabled */
	uint32_t sequence;	/* the page's last valid one */
};

MUST_CHECK int hyperv_init(struct vm *vm);
void hyperv_fini(struct vm *vm);
void hyperv_reset(struct vm *vm); /* no vCPU runs */
void hyperv_refresh(struct vm *vm);
/* -ENOENT: none of these, or the VM has them not; -EINVAL: #GP. By the vCPU's world. */
MUST_CHECK int hyperv_msr_get(struct vcpu *c, uint32_t index, uint64_t *value);
MUST_CHECK int hyperv_msr_set(struct vcpu *c, uint32_t index, uint64_t value);

/* cpuid_hyperv.c */
void hyperv_cpuid(struct cpuid_table *t);

/* hyperv_rec.c: REC_HYPERV, of VMs that have it; all vCPUs parked. */
MUST_CHECK int hyperv_check(struct vm *vm, struct rec_reader *r);
MUST_CHECK int hyperv_load(struct vm *vm, struct rec_reader *r);

#endif
