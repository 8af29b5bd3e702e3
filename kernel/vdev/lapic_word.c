/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EOI without an exit, where the CPU does not do it: a word in the guest's memory whose
 * bit 0 says, while the guest runs, that it may end the vector in service by clearing
 * that bit instead of writing the EOI register.
 *
 * The bit is set before run() only when nobody else has to know of the end at once: no
 * vector waits for it, and no level-triggered line. What comes meanwhile kicks the vCPU,
 * and after each run() the bit is taken back: still set, the vector is still in service;
 * clear, it has ended. So outside of run() the LAPIC's state is whole, and the word clear.
 * [the layout is that of the KVM public interface; Linux
 * Documentation/virt/kvm/x86/msr.rst "MSR_KVM_EOI_EN"]
 */
#include <errno.h>

#include <tern/gmem.h>

#include "irqchip_int.h"

#define WORD_ON BIT(0)
#define WORD_RESERVED BIT(1)
#define MAY_END 1u

bool lapic_word_ok(uint64_t msr)
{
	return !(msr & WORD_RESERVED);
}

static gpa_t word_of(const struct lapic *l)
{
	return GPA(l->word_msr & ~(WORD_ON | WORD_RESERVED));
}

static bool none_waits(const struct lapic *l)
{
	uint32_t any = 0;

	for (unsigned i = 0; i < APIC_REGS; i++)
		any |= __atomic_load_n(&l->irr[i], __ATOMIC_RELAXED);
	return !any;
}

void lapic_word_lend(struct lapic *l)
{
	uint32_t word = MAY_END;
	int v;

	if (!(l->word_msr & WORD_ON))
		return;
	v = vec_highest(l->isr);
	if (v < 0 || (l->tmr[v / 32] >> (v % 32) & 1) || !none_waits(l))
		return;
	l->word_lent = gmem_write(l->vcpu->vm->mem, word_of(l), &word, sizeof(word)) == 0;
}

void lapic_word_return(struct lapic *l)
{
	struct gmem *g = l->vcpu->vm->mem;
	uint32_t word = 0;
	unsigned long flags;

	if (!l->word_lent)
		return;
	l->word_lent = false;
	if (gmem_read(g, word_of(l), &word, sizeof(word)))
		return;
	if (word & MAY_END) {
		word &= ~MAY_END;
		if (gmem_write(g, word_of(l), &word, sizeof(word)))
			l->word_msr = 0; /* no memory there any more: no more words */
		return;
	}
	flags = chip_lock(l->chip);
	lapic_eoi_locked(l);
	chip_unlock(l->chip, flags);
}
