/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xAPIC access: 32-bit registers every 16 bytes at 0xfee00000. Each vCPU reaches
 * its own LAPIC. Accesses of other sizes and between registers read as zero and
 * are dropped; in x2APIC mode, and with the LAPIC off, there is nothing here.
 */
#include "irqchip_int.h"

static struct lapic *reached(struct vcpu *c, uint64_t off)
{
	struct lapic *l = c->lapic;

	return lapic_on(l) && !lapic_x2(l) && (off & 15) < 4 ? l : NULL;
}

static void mmio_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct lapic *l = reached(c, off);
	uint32_t v = 0;

	(void)arg;
	if (!l)
		return;
	if (lapic_reg_read(l, (unsigned)(off >> 4), &v))
		v = 0;
	v >>= 8 * (off & 3);
	*value = size >= 4 ? v : v & ((1u << 8 * size) - 1);
}

static void mmio_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct lapic *l = reached(c, off);

	(void)arg;
	if (l && size >= 4 && !(off & 3) &&
	    lapic_reg_write(l, (unsigned)(off >> 4), (uint32_t)value))
		return; /* no such register: no effect */
}

const struct io_ops lapic_mmio_ops = { .read = mmio_read, .write = mmio_write };
