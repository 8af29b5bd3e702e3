/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's interrupt controllers and interval timer, as the platform builds
 * them: one LAPIC per vCPU, an IOAPIC of 24 pins at 0xfec00000, the 8259 pair,
 * the 8254 with port 0x61.
 *
 * The platform calls irqchip_create (after the VM has its vCPUs), then
 * pit_create; both add their regions, MSRs and devices (vdev_ops: reset, save,
 * check, load, destroy) to the VM, so that nothing else has to be called.
 *
 * Lines are named by global system interrupt: ISA IRQ n is GSI n, except IRQ 0,
 * which is GSI 2 (the MADT says so). vm_set_gsi and irqchip->msi may be called
 * from any context, with any lock below LOCK_IRQCHIP held.
 */
#ifndef KERNEL_VDEV_IRQCHIP_H
#define KERNEL_VDEV_IRQCHIP_H

#include <tern/vmio.h>

#define LAPIC_BASE 0xfee00000ull
#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24u
#define IOAPIC_ID 0u
#define GSI_OF_IRQ0 2u

/* -ENOMEM. Sets vm->irqchip and every vcpu->lapic; vm_platform.destroy frees by the vdevs' destroy.
 */
MUST_CHECK int irqchip_create(struct vm *vm);
MUST_CHECK int pit_create(struct vm *vm);

#endif
