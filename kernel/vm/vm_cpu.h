/* SPDX-License-Identifier: BSD-2-Clause */
/* REC_VCPU's body (vm_cpu_state.c): the backend's state and what the kernel adds to it. */
#ifndef KERNEL_VM_VM_CPU_H
#define KERNEL_VM_VM_CPU_H

#include <tern/rec.h>

#include "vm_int.h"

struct vcpu_extra {
	uint32_t flags; /* VCPU_* */
	uint64_t system_msr, wall_msr;
	uint32_t nr_kept;
	struct virt_msr kept[MSR_KEPT_MAX];
};
#define VCPU_HALTED 1u
#define VCPU_WAITS_SIPI 2u
#define VCPU_NMI_PENDING 4u
#define VCPU_INIT_ASKED 8u
#define VCPU_SIPI_SHIFT 8u /* 1 + vector of a SIPI that came, 0 = none */
#define VCPU_SIPI_MAX 0x100u
#define VCPU_FLAGS (0xfu | 0x1ffu << VCPU_SIPI_SHIFT)

void vcpu_state_write(struct vcpu *c, const struct virt_state *s, struct rec_writer *w);
MUST_CHECK int vcpu_state_read(struct rec_reader *r, struct virt_state *s,
			       struct vcpu_extra *extra);
MUST_CHECK int vcpu_extra_load(struct vcpu *c, const struct vcpu_extra *extra);

#endif
