/* SPDX-License-Identifier: BSD-2-Clause */
/* First stack frame of a world, and idling; the switch itself is in switch.S. */
#include <tern/arch.h>
#include <tern/percpu.h>

#include "arch.h"
#include "regs.h"

/* As arch_switch() pops them. */
struct first_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

void switch_first(void);

struct ctx *arch_stack_prepare(void *stack_top, void (*entry)(void *), void *arg)
{
	uint64_t top = ALIGN_DOWN((uint64_t)stack_top, 16);
	struct first_frame *f = (struct first_frame *)(top - sizeof(*f));

	*f = (struct first_frame){ .r12 = (uint64_t)entry,
				   .r13 = (uint64_t)arg,
				   .rip = (uint64_t)switch_first };
	return (struct ctx *)f;
}

/* sti takes effect after hlt has begun, so an interrupt in between still wakes. [SDM 2B "STI"] */
void arch_idle(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void arch_boot_stack(uint64_t *bottom, uint64_t *top)
{
	*bottom = (uint64_t)boot_stack;
	*top = *bottom + BOOT_STACK_SIZE;
}
