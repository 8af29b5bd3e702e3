/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses to a guest's PCI configuration (pci.h): the two mechanisms, the
 * write masks, and what a write moves. What is not there reads all-ones.
 *
 * BAR sizing needs no code of its own: the mask of a BAR's writable bits makes
 * the all-ones write read back as the size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci.h"

#define PCI_REC_VERSION 1
#define PORT_ADDRESS 0xcf8u
#define ADDRESS_ENABLE 0x80000000u
#define BAR_AREA_END 0x28u

uint32_t pci_cfg_get(const struct pci_func *f, unsigned off, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)f->cfg[off + i] << 8 * i;
	return v;
}

static void bar_update(struct pci_func *f, unsigned n)
{
	struct pci_bar *b = &f->bar[n];
	uint64_t base = pci_cfg_get(f, PCI_BAR0 + 4 * n, 4) & ~15u;
	bool on = pci_cfg_get(f, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY && base != 0;

	if (b->size == 0 || (on == b->io.enabled && (!on || base == b->io.base)))
		return;
	vm_io_move(f->bus->d.vm, &b->io, base, on);
}

static void written(struct pci_func *f, unsigned off, unsigned size)
{
	if (off < BAR_AREA_END && off + size > PCI_COMMAND)
		for (unsigned n = 0; n < PCI_BARS; n++)
			bar_update(f, n);
	if (f->ops && f->ops->written)
		f->ops->written(f, off, size);
}

static void func_write(struct pci_func *f, unsigned off, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++) {
		uint8_t m = f->wmask[off + i];

		f->cfg[off + i] = (uint8_t)((f->cfg[off + i] & ~m) | (value >> 8 * i & m));
	}
	written(f, off, size);
}

/* The function at this address with [off, off + size) inside its header, or NULL. */
static struct pci_func *func_at(struct pci_bus *bus, unsigned nr, unsigned devfn, unsigned off,
				unsigned size)
{
	if (nr != 0 || devfn & 7 || off + size > PCI_CFG_SIZE)
		return NULL;
	return bus->func[devfn >> 3];
}

static void access_read(struct pci_bus *bus, struct pci_func *f, unsigned off, unsigned size,
			uint64_t *value)
{
	uint64_t v = 0;

	mutex_lock(&bus->d.lock);
	if (f->ops && f->ops->reading)
		f->ops->reading(f, off, size);
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)f->cfg[off + i] << 8 * i;
	mutex_unlock(&bus->d.lock);
	*value = v;
}

static void access_write(struct pci_bus *bus, struct pci_func *f, unsigned off, unsigned size,
			 uint64_t value)
{
	mutex_lock(&bus->d.lock);
	func_write(f, off, size, value);
	mutex_unlock(&bus->d.lock);
}

void pci_cfg_write(struct pci_bus *bus, unsigned slot, unsigned off, unsigned size, uint32_t value)
{
	struct pci_func *f = func_at(bus, 0, slot << 3, off, size);

	if (f)
		access_write(bus, f, off, size, value);
}

/* ---- 0xCF8, 0xCFC ---- */

static struct pci_func *port_func(struct pci_bus *bus, uint64_t port, unsigned size, unsigned *off)
{
	uint32_t a = __atomic_load_n(&bus->address, __ATOMIC_RELAXED);

	*off = (a & 0xfc) + (unsigned)(port & 3);
	if (!(a & ADDRESS_ENABLE) || (port & 3) + size > 4)
		return NULL;
	return func_at(bus, a >> 16 & 0xff, a >> 8 & 0xff, *off, size);
}

static void port_read(void *arg, struct vcpu *c, uint64_t port, unsigned size, uint64_t *value)
{
	struct pci_bus *bus = container_of((struct vdev *)arg, struct pci_bus, d);
	struct pci_func *f;
	unsigned off;

	(void)c;
	if (port == 0 && size == 4) {
		*value = __atomic_load_n(&bus->address, __ATOMIC_RELAXED);
	} else if (port >= 4) {
		f = port_func(bus, port, size, &off);
		if (f)
			access_read(bus, f, off, size, value);
	}
}

static void port_write(void *arg, struct vcpu *c, uint64_t port, unsigned size, uint64_t value)
{
	struct pci_bus *bus = container_of((struct vdev *)arg, struct pci_bus, d);
	struct pci_func *f;
	unsigned off;

	(void)c;
	if (port == 0 && size == 4) {
		__atomic_store_n(&bus->address, (uint32_t)value, __ATOMIC_RELAXED);
	} else if (port == 1 && size == 1 && bus->reset_port) {
		bus->reset_port(bus->d.vm, (uint8_t)value);
	} else if (port >= 4) {
		f = port_func(bus, port, size, &off);
		if (f)
			access_write(bus, f, off, size, value);
	}
}

static const struct io_ops port_io = { .read = port_read, .write = port_write };

/* ---- ECAM: bus 20-27, device and function 12-19, register 0-11 ---- */

static void ecam_read(void *arg, struct vcpu *c, uint64_t at, unsigned size, uint64_t *value)
{
	struct pci_bus *bus = container_of((struct vdev *)arg, struct pci_bus, d);
	struct pci_func *f = func_at(bus, (unsigned)(at >> 20), at >> 12 & 0xff, 0, 0);

	(void)c;
	if (!f)
		return;
	if ((at & 0xfff) + size <= PCI_CFG_SIZE)
		access_read(bus, f, at & 0xfff, size, value);
	else
		*value = 0; /* no extended capabilities */
}

static void ecam_write(void *arg, struct vcpu *c, uint64_t at, unsigned size, uint64_t value)
{
	struct pci_bus *bus = container_of((struct vdev *)arg, struct pci_bus, d);
	struct pci_func *f = func_at(bus, (unsigned)(at >> 20), at >> 12 & 0xff, at & 0xfff, size);

	(void)c;
	if (f)
		access_write(bus, f, at & 0xfff, size, value);
}

static const struct io_ops ecam_io = { .read = ecam_read, .write = ecam_write };

void pci_ecam_move(struct pci_bus *bus, uint64_t base, bool enabled)
{
	if (enabled != bus->ecam.enabled || (enabled && base != bus->ecam.base))
		vm_io_move(bus->d.vm, &bus->ecam, base, enabled);
}

/* ---- reset and migration ---- */

static void bus_reset(struct vdev *d)
{
	struct pci_bus *bus = container_of(d, struct pci_bus, d);

	bus->address = 0;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_func *f = bus->func[i];

		if (!f)
			continue;
		memcpy(f->cfg, f->power, PCI_CFG_SIZE);
		written(f, 0, PCI_CFG_SIZE);
	}
}

/*
 * REC_PCI version 1, instance 0:
 *   0  u32  address register 0xCF8
 *   4  u32  number of functions that follow
 *   8  each: u32 slot, then 256 bytes of configuration
 * A function whose read-only bits differ is another device: refused.
 */
static void bus_save(struct vdev *d, struct rec_writer *w)
{
	struct pci_bus *bus = container_of(d, struct pci_bus, d);
	uint32_t count = 0;

	for (unsigned i = 0; i < PCI_SLOTS; i++)
		count += bus->func[i] != NULL;
	rec_begin(w, REC_PCI, PCI_REC_VERSION, 0, d->instance);
	rec_u32(w, bus->address);
	rec_u32(w, count);
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		if (!bus->func[i])
			continue;
		rec_u32(w, i);
		rec_bytes(w, bus->func[i]->cfg, PCI_CFG_SIZE);
	}
	rec_end(w);
}

static bool same_device(const struct pci_func *f, const uint8_t cfg[PCI_CFG_SIZE])
{
	for (unsigned i = 0; i < PCI_CFG_SIZE; i++)
		if ((cfg[i] ^ f->power[i]) & ~f->wmask[i])
			return false;
	return true;
}

static int bus_parse(struct pci_bus *bus, struct rec_reader *r, bool apply)
{
	uint32_t seen = 0, address, count;

	if (r->head.version != PCI_REC_VERSION)
		return -EBADMSG;
	address = rec_get_u32(r);
	count = rec_get_u32(r);
	if (r->bad || count > PCI_SLOTS)
		return -EBADMSG;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t slot = rec_get_u32(r);
		uint8_t cfg[PCI_CFG_SIZE];

		rec_get_bytes(r, cfg, sizeof(cfg));
		if (r->bad || slot >= PCI_SLOTS || !bus->func[slot] || seen & 1u << slot)
			return -EBADMSG;
		if (!same_device(bus->func[slot], cfg))
			return -EBADMSG;
		seen |= 1u << slot;
		if (apply) {
			memcpy(bus->func[slot]->cfg, cfg, PCI_CFG_SIZE);
			written(bus->func[slot], 0, PCI_CFG_SIZE);
		}
	}
	for (unsigned i = 0; i < PCI_SLOTS; i++)
		if (bus->func[i] && !(seen & 1u << i))
			return -EBADMSG;
	if (apply)
		bus->address = address;
	return rec_done(r);
}

static int bus_check(struct vdev *d, struct rec_reader *r)
{
	return bus_parse(container_of(d, struct pci_bus, d), r, false);
}

static int bus_load(struct vdev *d, struct rec_reader *r)
{
	return bus_parse(container_of(d, struct pci_bus, d), r, true);
}

static void bus_destroy(struct vdev *d)
{
	free(container_of(d, struct pci_bus, d));
}

static const struct vdev_ops bus_ops = {
	.name = "pci",
	.reset = bus_reset,
	.save = bus_save,
	.check = bus_check,
	.load = bus_load,
	.destroy = bus_destroy,
};

int pci_bus_create(struct vm *vm, struct pci_bus **out)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return -ENOMEM;
	vdev_init(&bus->d, vm, &bus_ops, REC_PCI, REC_PCI, 0);
	mutex_init(&bus->d.lock, LOCK_VDEV_BUS, "pci");
	vdev_region(&bus->d, &bus->ports, IO_PIO, PORT_ADDRESS, 8, &port_io, NULL);
	vdev_region(&bus->d, &bus->ecam, IO_MMIO, 0, 256ull << 20, &ecam_io, NULL);
	*out = bus;
	return 0;
}
