/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile network driver: the input is a list of 12-byte steps, each a write into
 * guest memory near the rings and buffers, a burst of the device's world, a frame
 * from the switch, or a register access.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c net/gso.c net/headers.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vnet.c
// SOURCES: kernel/vdev/vnet_rx.c kernel/vdev/vnet_tx.c kernel/vdev/pci.c net/vframe.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_switch.c kernel/vdev/vnet_state.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/vnet.h"
#include "test/unit/fake_switch.h"
#include "test/unit/fake_vdev.h"

#define NET 3u
#define BAR0 0xc0000000ull
#define RINGS 0x10000u
#define QSIZE 8u
#define MAX_STEPS 512u

static struct vnet_dev *dev;

static void start(struct vm *vm, uint32_t features)
{
	fake_cfg_write(vm, NET, 0x10, 4, (uint32_t)BAR0);
	fake_cfg_write(vm, NET, 0x14, 4, (uint32_t)BAR0 + 0x8000);
	fake_cfg_write(vm, NET, 0x04, 2, 6);
	fake_write(vm, BAR0 + 0x0c, 4, features);
	fake_write(vm, BAR0 + 0x08, 4, 1);
	fake_write(vm, BAR0 + 0x0c, 4, 1);
	fake_write(vm, BAR0 + 0x14, 1, 0x0b);
	for (unsigned i = 0; i < 2; i++) {
		fake_write(vm, BAR0 + 0x16, 2, i);
		fake_write(vm, BAR0 + 0x18, 2, QSIZE);
		fake_write(vm, BAR0 + 0x20, 4, RINGS + i * 0x1000);
		fake_write(vm, BAR0 + 0x28, 4, RINGS + i * 0x1000 + 0x200);
		fake_write(vm, BAR0 + 0x30, 4, RINGS + i * 0x1000 + 0x400);
		fake_write(vm, BAR0 + 0x1c, 2, 1);
	}
	fake_write(vm, BAR0 + 0x14, 1, 0x0f);
}

/* What the switch would do with it: every byte of it is read, and it may be cut. */
static void use(struct vframe *f)
{
	struct vframe *next;
	uint8_t byte;

	if (f->len > VFRAME_MAX_BYTES)
		abort();
	if (f->tx.gso_size) {
		if (f->tx.hdr_len >= f->len)
			abort();
		f = gso_cut(f);
	} else {
		(void)csum_fill(f);
		f->next = NULL;
	}
	for (; f; f = next) {
		next = f->next;
		for (uint32_t i = 0; i < f->len; i += 97)
			vframe_read(f, i, &byte, 1);
		vframe_free(f);
	}
}

static void arrive(uint32_t len)
{
	struct vframe *f = vframe_new(14 + len % 9000);

	if (!f)
		return;
	for (unsigned i = 0; i < f->tx.nr_segs; i++)
		memset(hpa_ptr(f->tx.seg[i].addr), 0x5a, f->tx.seg[i].len);
	fake_arrive(f);
}

static void step(struct vm *vm, const uint8_t *s)
{
	uint16_t at;
	uint64_t v;
	struct vframe *f;

	memcpy(&at, s + 2, 2);
	memcpy(&v, s + 4, 8);
	switch (s[0] % 6) {
	case 0:
		memcpy(fake_ram + RINGS + at % 0x2000, &v, 1u << (s[1] & 3));
		break;
	case 1:
		memcpy(fake_ram + at % 0x4000, &v, 8);
		break;
	case 2:
		fake_port.room = 8;
		(void)!vnet_transmit(dev);
		while ((f = fake_departed()))
			use(f);
		break;
	case 3:
		(void)!vnet_receive(dev);
		break;
	case 4:
		arrive((uint32_t)v);
		break;
	default:
		fake_write(vm, BAR0 + (at & 0x3fff), 1u << (s[1] & 3), v);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vm_nic nic = { .network = "lan", .mac = { 2, 0, 0, 0, 0, 7 } };
	struct vm *vm = fake_vm();
	struct pci_bus *bus;
	uint32_t features = 0;

	if (pci_bus_create(vm, &bus) || vnet_create(vm, bus, NET, &nic))
		abort();
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (!strcmp(d->ops->name, "virtio-net"))
			dev = container_of(container_of(d, struct virtio, d), struct vnet_dev, v);
	vdevs_reset(vm);
	if (size >= 4) {
		memcpy(&features, data, 4);
		data += 4;
		size -= 4;
	}
	start(vm, features | VIRTIO_F_INDIRECT);
	for (unsigned n = 0; size >= 12 && n < MAX_STEPS; n++, data += 12, size -= 12)
		step(vm, data);
	fake_vm_done(vm);
	return 0;
}
