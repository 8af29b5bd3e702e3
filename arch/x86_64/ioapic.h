/* SPDX-License-Identifier: BSD-2-Clause */
/* The IOAPICs of the MADT. Routing is by irq_gsi_attach() of tern/irq.h. */
#ifndef ARCH_IOAPIC_H
#define ARCH_IOAPIC_H

/* Maps them and masks every pin; how many there are. */
unsigned ioapic_init(void);

#endif
