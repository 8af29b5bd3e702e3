/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors and their handlers, one table per CPU. irq_lock guards the tables;
 * the owning CPU reads fn without it, so fn is stored last and arg never
 * changes while fn is set.
 */
#include <tern/arch.h>
#include <tern/irq.h>
#include <tern/lock.h>
#include <tern/log.h>

#include <errno.h>

#include "arch.h"
#include "lapic.h"
#include "mce.h"
#include "regs.h"

#define MSI_ADDRESS 0xfee00000ull
#define MSI_DEST_SHIFT 12
#define MSI_MAX_DEST 0xfeu /* 8 bits without interrupt remapping */

#define PIC1_CMD 0x20
#define PIC1_DATA 0x21
#define PIC2_CMD 0xa0
#define PIC2_DATA 0xa1
#define PIC_VECTORS 0x20 /* for the spurious ones, which cannot be masked */

static struct spinlock irq_lock = SPINLOCK_INIT(LOCK_IRQCHIP, "irq");

static unsigned used_vectors(unsigned cpu)
{
	unsigned n = 0;

	for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++)
		n += percpu[cpu].arch->irqs[v].fn != NULL;
	return n;
}

static unsigned least_used_cpu(void)
{
	unsigned best = 0, best_used = used_vectors(0);

	for (unsigned c = 1; c < cpu_count(); c++) {
		unsigned used = used_vectors(c);

		if (used < best_used && percpu[c].apic_id <= MSI_MAX_DEST) {
			best = c;
			best_used = used;
		}
	}
	return best;
}

static int take_vector(unsigned cpu, irq_handler *fn, void *arg, const char *name)
{
	for (unsigned v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++) {
		struct irq_slot *s = &percpu[cpu].arch->irqs[v];

		if (s->fn)
			continue;
		s->arg = arg;
		s->name = name;
		__atomic_store_n(&s->fn, fn, __ATOMIC_RELEASE);
		return (int)v;
	}
	return -ENOSPC;
}

int irq_alloc(int cpu, irq_handler *fn, void *arg, const char *name, unsigned *out_cpu,
	      unsigned *out_vector)
{
	if (cpu >= (int)cpu_count())
		return -EINVAL;
	unsigned long flags = spin_lock(&irq_lock);
	unsigned c = cpu < 0 ? least_used_cpu() : (unsigned)cpu;
	int v = take_vector(c, fn, arg, name);

	spin_unlock(&irq_lock, flags);
	if (v < 0)
		return v;
	*out_cpu = c;
	*out_vector = (unsigned)v;
	return 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The cross call is answered only when no handler runs there: after it nobody uses arg. */
void irq_free(unsigned cpu, unsigned vector)
{
	unsigned long flags = spin_lock(&irq_lock);

	__atomic_store_n(&percpu[cpu].arch->irqs[vector].fn, NULL, __ATOMIC_RELEASE);
	spin_unlock(&irq_lock, flags);
	cpu_call(cpu, nothing, NULL);
}

void irq_msi_message(unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data)
{
	*addr = MSI_ADDRESS | (uint64_t)(percpu[cpu].apic_id & 0xff) << MSI_DEST_SHIFT;
	*data = vector; /* fixed, edge */
}

uint64_t irq_count(void)
{
	uint64_t n = 0;

	for (unsigned c = 0; c < cpu_count(); c++)
		n += percpu[c].irqs;
	return n;
}

/* Masks the two 8259s for good, their vectors out of the exceptions' way. */
static void pic_off(void)
{
	outb(PIC1_CMD, 0x11);
	outb(PIC2_CMD, 0x11);
	outb(PIC1_DATA, PIC_VECTORS);
	outb(PIC2_DATA, PIC_VECTORS + 8);
	outb(PIC1_DATA, 4);
	outb(PIC2_DATA, 2);
	outb(PIC1_DATA, 1);
	outb(PIC2_DATA, 1);
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
}

void irq_init(void)
{
	pic_off();
}

static void device_irq(struct percpu *c, uint64_t vector)
{
	const struct irq_slot *s = &c->arch->irqs[vector];
	irq_handler *fn = __atomic_load_n(&s->fn, __ATOMIC_ACQUIRE);

	if (fn)
		fn(s->arg);
	apic_eoi();
}

void irq_dispatch(const struct trap_frame *f)
{
	struct percpu *c = this_cpu();

	c->irq_depth++;
	c->irqs++;
	switch (f->vector) {
	case VEC_TIMER:
		apic_eoi();
		apic_timer_irq();
		break;
	case VEC_KICK:
		apic_eoi();
		mce_report();
		break;
	case VEC_CALL:
		apic_eoi();
		ipi_run_calls();
		break;
	case VEC_APIC_ERROR:
		log_warn("apic", "CPU %u: error status %x", c->index, (unsigned)apic_error());
		apic_eoi();
		break;
	case VEC_SPURIOUS:
		break; /* no EOI. [SDM 3A "Spurious Interrupt"] */
	default:
		if (f->vector >= VEC_DEVICE_FIRST)
			device_irq(c, f->vector);
		break;
	}
	c->irq_depth--;
}
