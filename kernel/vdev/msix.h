/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X of a guest's PCI function: a table of messages and a pending array in
 * one 4 KiB BAR. The owner's mutex guards it all.
 *
 * Interface in order of use: msix_init while the function is made; msix_table
 * accesses from its BAR's handlers; msix_control from its configuration hook;
 * msix_raise. [PCI 3.0 6.8.2 "MSI-X Capability and Table Structures"]
 */
#ifndef KERNEL_VDEV_MSIX_H
#define KERNEL_VDEV_MSIX_H

#include "pci.h"

#define MSIX_VECTORS_MAX 32u
#define MSIX_BAR_SIZE 0x1000u

struct msix_vector {
	uint64_t addr;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

struct msix {
	struct vm *vm; /* [const] */
	unsigned nr;   /* [const] */
	unsigned cap;  /* [const] offset of the capability */
	bool enabled, masked;
	uint32_t pending; /* bit per vector */
	struct msix_vector v[MSIX_VECTORS_MAX];
};

void msix_init(struct msix *m, struct vm *vm, struct pci_func *f, unsigned bar, unsigned vectors);
void msix_reset(struct msix *m);
/* Takes the capability's enable and mask bits; the bus's mutex and the owner's are held. */
void msix_control(struct msix *m, const struct pci_func *f);
void msix_table_read(struct msix *m, uint64_t off, unsigned size, uint64_t *value);
void msix_table_write(struct msix *m, uint64_t off, unsigned size, uint64_t value);
/* Vectors past the table do nothing: VIRTQ_NO_VECTOR among them. */
void msix_raise(struct msix *m, unsigned vector);

#endif
