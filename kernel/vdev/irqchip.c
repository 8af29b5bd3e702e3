/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's interrupt controllers together: creation, the lock, routing of
 * messages (IPIs, MSIs, IOAPIC pins) to LAPICs, and the table that the run loop
 * calls. [SDM 3A 10.6 "Issuing Interprocessor Interrupts"] [SDM 3A 10.11 "Message Signalled
 * Interrupts"]
 */
#include <errno.h>
#include <stdlib.h>

#include "irqchip_int.h"

unsigned long chip_lock(struct irqchip *chip)
{
	return spin_lock(&chip->lock);
}

void chip_unlock(struct irqchip *chip, unsigned long flags)
{
	uint64_t kick = chip->kick;

	chip->kick = 0;
	spin_unlock(&chip->lock, flags);
	for (; kick; kick &= kick - 1)
		vcpu_kick(chip->vm->vcpu[__builtin_ctzll(kick)]);
}

/* ---- destinations ---- */

static bool matches_logical(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = l->ldr;

	if (lapic_x2(l)) {
		ldr = (l->vcpu->index >> 4) << 16 | BIT32(l->vcpu->index & 15);
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	}
	ldr >>= 24;
	if (l->dfr >> 28 == 0xf)
		return (ldr & dest & 0xff) != 0;
	return (ldr >> 4 == (dest >> 4 & 15)) && (ldr & dest & 15);
}

static bool matches(const struct lapic *l, const struct irq_message *m)
{
	if (!lapic_on(l))
		return false;
	switch (m->shorthand) {
	case 1:
		return l == m->from;
	case 2:
		return true;
	case 3:
		return l != m->from;
	default:
		break;
	}
	if (m->dest == 0xffffffffu || (m->dest == 0xff && !(m->from && lapic_x2(m->from))))
		return true; /* broadcast */
	return m->logical ? matches_logical(l, m->dest) : m->dest == l->vcpu->index;
}

/* Accepted? An interrupt waits in the LAPIC then, for its EOI. */
static bool take_locked(struct lapic *l, const struct irq_message *m)
{
	switch (m->mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		return lapic_fixed_locked(l, m->vector, m->level);
	case DELIVER_NMI:
		vcpu_send_nmi(l->vcpu);
		break;
	case DELIVER_INIT:
		if (!m->level || m->assert_level) /* a level de-assert only sets arbitration IDs */
			vcpu_send_init(l->vcpu);
		break;
	case DELIVER_SIPI:
		vcpu_send_sipi(l->vcpu, m->vector);
		break;
	default: /* SMI: there is no SMM; ExtINT comes by LINT0 only */
		break;
	}
	return true;
}

/* One of the matching LAPICs, in turns. */
static bool route_lowest_locked(struct irqchip *chip, const struct irq_message *m)
{
	unsigned n = chip->vm->nr_vcpus;

	for (unsigned i = 1; i <= n; i++) {
		unsigned at = (chip->lowest + i) % n;

		if (matches(chip->lapic[at], m) && lapic_enabled(chip->lapic[at])) {
			chip->lowest = at;
			return take_locked(chip->lapic[at], m);
		}
	}
	return false;
}

bool irq_route_locked(struct irqchip *chip, const struct irq_message *m)
{
	bool any = false;

	if (m->mode == DELIVER_LOWEST)
		return route_lowest_locked(chip, m);
	for (unsigned i = 0; i < chip->vm->nr_vcpus; i++)
		if (matches(chip->lapic[i], m))
			any = take_locked(chip->lapic[i], m) || any;
	return any;
}

/* ---- the run loop's table ---- */

static void set_gsi(struct vm *vm, unsigned gsi, bool level)
{
	struct irqchip *chip = chip_of(vm);
	unsigned long flags;

	if (gsi >= IOAPIC_PINS)
		return;
	flags = chip_lock(chip);
	ioapic_set_pin_locked(chip->ioapic, gsi, level);
	if (gsi == GSI_OF_IRQ0)
		pic_set_line_locked(chip->pic, 0, level);
	else if (gsi < 16)
		pic_set_line_locked(chip->pic, gsi, level);
	chip_unlock(chip, flags);
}

static void send_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct irqchip *chip = chip_of(vm);
	struct irq_message m = { .dest = addr >> 12 & 0xff,
				 .vector = (uint8_t)data,
				 .mode = data >> 8 & 7,
				 .logical = (addr & BIT(2)) != 0,
				 .level = (data & BIT(15)) != 0,
				 .assert_level = true };
	unsigned long flags;

	if (addr >> 20 != LAPIC_BASE >> 20)
		return; /* a write to memory or nowhere: not an interrupt */
	flags = chip_lock(chip);
	(void)irq_route_locked(chip, &m);
	chip_unlock(chip, flags);
}

static uint64_t get_cr8(struct vcpu *c)
{
	return c->v.cr8;
}

static void set_cr8(struct vcpu *c, uint64_t cr8)
{
	c->v.cr8 = cr8 & 15;
	lapic_sync_tpr(c->lapic);
}

static const struct irqchip_ops ops = {
	.pending = lapic_pending,
	.accept = lapic_accept,
	.by_cpu = lapic_by_cpu,
	.enter = lapic_enter,
	.leave = lapic_leave,
	.eoi = lapic_ended,
	.get_cr8 = get_cr8,
	.set_cr8 = set_cr8,
	.set_gsi = set_gsi,
	.msi = send_msi,
	.init = lapic_init,
};

/* ---- creation ---- */

static void add_msrs(struct irqchip *chip, struct msr_region *r, uint32_t first, uint32_t last)
{
	r->first = first;
	r->last = last;
	r->ops = &lapic_msr_ops;
	r->arg = chip;
	vm_msr_add(chip->vm, r);
}

static void add_regions(struct irqchip *chip)
{
	struct io_region *r = &chip->lapic_region;

	r->space = IO_MMIO;
	r->base = LAPIC_BASE;
	r->size = PAGE_SIZE;
	r->enabled = true;
	r->ops = &lapic_mmio_ops;
	r->arg = chip;
	r->name = "lapic";
	vm_io_add(chip->vm, r);
	add_msrs(chip, &chip->msr_base, 0x1b, 0x1b);
	add_msrs(chip, &chip->msr_deadline, 0x6e0, 0x6e0);
	add_msrs(chip, &chip->msr_x2, 0x800, 0x8ff);
	add_msrs(chip, &chip->msr_word, 0x4b564d04, 0x4b564d04);
}

/*
 * Devices made before a failure are destroyed with the VM's others; the chip
 * itself goes with LAPIC 0 (lapic_state.c), which is made first and so
 * destroyed last of all.
 */
int irqchip_create(struct vm *vm)
{
	struct irqchip *chip = calloc(1, sizeof(*chip));
	int err = 0;

	if (!chip)
		return -ENOMEM;
	spin_init(&chip->lock, LOCK_IRQCHIP, "irqchip");
	chip->vm = vm;
	for (unsigned i = 0; !err && i < vm->nr_vcpus; i++)
		err = lapic_create(chip, vm->vcpu[i]);
	if (err) {
		if (!chip->lapic[0])
			free(chip);
		return err;
	}
	err = ioapic_create(chip);
	if (!err)
		err = pic_create(chip);
	if (err)
		return err;
	add_regions(chip);
	vm->irqchip = &ops;
	return 0;
}
