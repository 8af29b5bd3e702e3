/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host interrupts. One vector table; vectors are per CPU. A handler
 * acknowledges its device and wakes a world; it never sleeps.
 */
#ifndef TERN_IRQ_H
#define TERN_IRQ_H

#include <tern/types.h>

typedef void irq_handler(void *arg);

/* A free vector on that CPU (-1: the least used) bound to handler; -ENOSPC. */
MUST_CHECK int irq_alloc(int cpu, irq_handler *fn, void *arg, const char *name, unsigned *out_cpu,
			 unsigned *out_vector);
void irq_free(unsigned cpu, unsigned vector);
/* Message for MSI and MSI-X that raises this vector. [SDM 3A "Message Signalled Interrupts"] */
void irq_msi_message(unsigned cpu, unsigned vector, uint64_t *addr, uint32_t *data);
/* Routes a global system interrupt through the IOAPIC to handler. -ENODEV without an IOAPIC pin for
 * it. */
MUST_CHECK int irq_gsi_attach(unsigned gsi, bool level, bool active_low, irq_handler *fn, void *arg,
			      const char *name);
/* ISA IRQ -> GSI and its polarity, by the MADT's overrides. */
void irq_isa_to_gsi(unsigned irq, unsigned *gsi, bool *level, bool *active_low);
uint64_t irq_count(void); /* interrupts taken, all CPUs */

#endif
