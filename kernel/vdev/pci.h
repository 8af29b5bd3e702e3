/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's PCI bus 0: configuration through 0xCF8/0xCFC and through ECAM, base
 * address registers that move their regions, a capability list.
 *
 * Interface in order of use: pci_bus_create; each device fills a struct
 * pci_func by pci_func_init, pci_bar_add, pci_cap_add, pci_reg_* and puts it on
 * the bus by pci_func_add. After that the bus owns cfg[]: what a device keeps
 * there it reads under the bus's mutex, in ops->written or from its own copy.
 *
 * The bus's mutex has level LOCK_VDEV_BUS: hooks may take their device's.
 */
#ifndef KERNEL_VDEV_PCI_H
#define KERNEL_VDEV_PCI_H

#include "device.h"

#define PCI_CFG_SIZE 256u
#define PCI_BARS 2u
#define PCI_SLOTS 32u

#define PCI_VENDOR 0x00u
#define PCI_DEVICE 0x02u
#define PCI_COMMAND 0x04u
#define PCI_STATUS 0x06u
#define PCI_REVISION 0x08u
#define PCI_CLASS 0x09u /* interface, subclass, class */
#define PCI_BAR0 0x10u
#define PCI_SUBSYS_VENDOR 0x2cu
#define PCI_SUBSYS_DEVICE 0x2eu
#define PCI_CAPS 0x34u
#define PCI_INT_LINE 0x3cu

#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_STATUS_CAPS 0x0010u

struct pci_func;
struct pci_func_ops {
	/* Bytes [off, off + size) were written, by the guest, a reset or a load; the values are in
	 * cfg. */
	void (*written)(struct pci_func *f, unsigned off, unsigned size);
	/* They are about to be read: bring cfg up to date. May be NULL. */
	void (*reading)(struct pci_func *f, unsigned off, unsigned size);
};

struct pci_bar {
	uint32_t size; /* [const] 0 = none */
	struct io_region io;
};

struct pci_bus;
struct pci_func {
	struct pci_bus *bus;		/* [const] after pci_func_add */
	const struct pci_func_ops *ops; /* [const] may be NULL */
	uint8_t slot;			/* [const] function 0 of it */
	uint8_t cap_end;		/* where the next capability goes */
	uint8_t cap_last;		/* link to patch: offset of the last one's next pointer */
	struct pci_bar bar[PCI_BARS];
	uint8_t cfg[PCI_CFG_SIZE];   /* [bus] */
	uint8_t power[PCI_CFG_SIZE]; /* [const] cfg after reset */
	uint8_t wmask[PCI_CFG_SIZE]; /* [const] bits the guest can write */
};

struct pci_bus {
	struct vdev d; /* record REC_PCI, instance 0; its mutex guards all [bus] fields */
	struct io_region ports, ecam;
	uint32_t address;				  /* [atom] 0xCF8 */
	void (*reset_port)(struct vm *vm, uint8_t value); /* [const] byte writes of 0xCF9 */
	struct pci_func *func[PCI_SLOTS];		  /* [const] after create */
};

MUST_CHECK int pci_bus_create(struct vm *vm, struct pci_bus **out);

void pci_func_init(struct pci_func *f, uint16_t vendor, uint16_t device, uint32_t class,
		   uint8_t revision);
/* Before pci_func_add only; values little-endian of size bytes, mask of what the guest can write.
 */
void pci_reg_set(struct pci_func *f, unsigned off, unsigned size, uint32_t value, uint32_t mask);
/* A 32-bit memory BAR of a power of two of at least 4 KiB; handlers get d's vdev as arg. */
void pci_bar_add(struct pci_func *f, unsigned bar, uint32_t size, struct vdev *d,
		 const struct io_ops *ops);
/* Room for a capability of len bytes, read-only zeros after its header; its offset. */
unsigned pci_cap_add(struct pci_func *f, uint8_t id, unsigned len);
void pci_func_add(struct pci_bus *bus, struct pci_func *f, unsigned slot);

/* Current values, little-endian; the bus's mutex is held, or no vCPU runs. */
uint32_t pci_cfg_get(const struct pci_func *f, unsigned off, unsigned size);
/* A write as the guest would do it. Takes the bus's mutex. */
void pci_cfg_write(struct pci_bus *bus, unsigned slot, unsigned off, unsigned size, uint32_t value);
/* Gives each BAR an address of the 32-bit window and enables it: firmware's work, for direct boot.
 */
void pci_assign(struct pci_bus *bus, uint64_t from, uint64_t end);
/* ECAM at base, or off. From the host bridge's hook. */
void pci_ecam_move(struct pci_bus *bus, uint64_t base, bool enabled);

#endif
