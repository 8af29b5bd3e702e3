/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM's exits ask of its devices: the dispatch of accesses to ports, memory and MSRs, and the
 * interrupt controllers. Devices register here; vdev.h is what else there is to a device.
 */
#ifndef TERN_VMIO_H
#define TERN_VMIO_H

#include <tern/vm.h>

/* Ports and memory. A region's handlers run under its device's mutex when it has one. */
enum io_space { IO_PIO, IO_MMIO };
struct io_ops {
	/* size 1, 2, 4 or 8; offset from the region's base. Unhandled reads leave all-ones. */
	void (*read)(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value);
	void (*write)(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value);
	/* May be NULL. Before write(), without the mutex: true when nothing is left to do. */
	bool (*post)(void *arg, uint64_t off);
};
struct io_region {
	enum io_space space;
	uint64_t base, size;
	bool enabled;
	const struct io_ops *ops;
	void *arg;
	struct mutex *lock; /* device's, or NULL */
	const char *name;
	uint64_t accesses;
	struct io_region *next;
};
/*
 * Add, move and remove take a lock of their own above LOCK_VDEV for the table,
 * so that a handler may call them under its device's mutex (a BAR moves itself).
 */
void vm_io_add(struct vm *vm, struct io_region *r);
void vm_io_move(struct vm *vm, struct io_region *r, uint64_t base, bool enabled); /* BARs, ECAM */
void vm_io_remove(struct vm *vm, struct io_region *r);

struct msr_ops {
	/* 0, or -EINVAL for #GP. */
	int (*read)(void *arg, struct vcpu *c, uint32_t index, uint64_t *value);
	int (*write)(void *arg, struct vcpu *c, uint32_t index, uint64_t value);
};
struct msr_region {
	uint32_t first, last;
	const struct msr_ops *ops;
	void *arg;
	struct msr_region *next;
};
void vm_msr_add(struct vm *vm, struct msr_region *r);
/* The MSRs that guests have (kernel/vm/msr_list.c), for display; false past the end. */
struct vm_msr {
	uint32_t first, last;
	const char *keeper; /* "kernel", "CPU", "APIC", "clock" */
	const char *why;
};
bool vm_msr_at(unsigned i, struct vm_msr *out);

/* The guest's interrupt controllers, as the run loop needs them (kernel/vdev/irqchip.c). */
struct irqchip_ops {
	/* Highest deliverable vector for this vCPU given its TPR, or -1. */
	int (*pending)(struct vcpu *c);
	/* The vector was injected: IRR -> ISR. */
	void (*accept)(struct vcpu *c, int vector);
	/* TPR as CR8 sees it, both directions. */
	uint64_t (*get_cr8)(struct vcpu *c);
	void (*set_cr8)(struct vcpu *c, uint64_t cr8);
	/* The CPU will deliver what pending found: no injection, no window. */
	bool (*by_cpu)(struct vcpu *c);
	/* Around each run(): the LAPIC's registers to v.apic and back, where the CPU delivers. */
	void (*enter)(struct vcpu *c);
	void (*leave)(struct vcpu *c);
	/* The CPU has ended a level-triggered vector. */
	void (*eoi)(struct vcpu *c, uint8_t vector);
	/* Level (or edge) of a global system interrupt; any context. */
	void (*set_gsi)(struct vm *vm, unsigned gsi, bool level);
	/* A message a device's MSI writes; any context. */
	void (*msi)(struct vm *vm, uint64_t addr, uint32_t data);
	/* INIT: this vCPU's LAPIC to its reset state, but for its ID and base. By the vCPU's world.
	 */
	void (*init)(struct vcpu *c);
};

static inline void vm_set_gsi(struct vm *vm, unsigned gsi, bool level)
{
	vm->irqchip->set_gsi(vm, gsi, level);
}

#endif
