/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile driver: the input is a list of 12-byte steps, each a register
 * access, a notification, a write into guest memory near the rings, input for
 * the console, or a record for check and load.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vrng.c
// SOURCES: kernel/vdev/vconsole.c kernel/vdev/keptlog.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_virtio.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/vconsole.h"
#include "kernel/vdev/vrng.h"
#include "test/unit/fake_virtio.h"

#define BAR0(slot) (0xc0000000ull + (slot)*0x10000u)
#define BAR1(slot) (BAR0(slot) + 0x8000u)
#define RINGS 0x10000u
#define MAX_STEPS 512

static struct vconsole *console;

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct keptlog *kept;
	struct pci_bus *bus;

	if (pci_bus_create(vm, &bus) || keptlog_create(vm, 2, &kept) || vrng_create(vm, bus, 1) ||
	    vconsole_create(vm, bus, 2, kept, &console))
		abort();
	vdevs_reset(vm);
	return vm;
}

/* Both devices with their queues on, as a sane driver leaves them. */
static void start(struct vm *vm, unsigned slot)
{
	uint64_t b = BAR0(slot);

	fake_virtio_map(vm, slot, b, BAR1(slot));
	fake_cfg_write(vm, slot, slot == 1 ? 0x88 : 0x98, 4, 0x80000000);
	(void)fake_virtio_negotiate(vm, b, 3u << 28);
	for (unsigned i = 0; i < 2; i++) {
		(void)fake_virtio_queue(vm, b, i, 8, RINGS + i * 0x1000, RINGS + i * 0x1000 + 0x200,
					RINGS + i * 0x1000 + 0x400);
	}
	fake_virtio_go(vm, b);
}

static void step(struct vm *vm, const uint8_t *s, const uint8_t *rest, size_t len)
{
	unsigned slot = 1 + (s[1] & 1), size = 1u << (s[1] >> 1 & 3);
	uint16_t at;
	uint64_t v;

	memcpy(&at, s + 2, 2);
	memcpy(&v, s + 4, 8);
	switch (s[0] % 8) {
	case 0:
		fake_write(vm, BAR0(slot) + (at & 0x3fff), size, v);
		break;
	case 1:
		fake_read(vm, BAR0(slot) + (at & 0x3fff), size);
		break;
	case 2:
		fake_write(vm, BAR1(slot) + (at & 0xfff), size, v);
		fake_read(vm, BAR1(slot) + (at & 0xfff), size);
		break;
	case 3:
		memcpy(fake_ram + RINGS + at % 0x2000, &v, size);
		break;
	case 4:
		fake_write(vm, BAR0(slot) + 0x3000 + 4 * (at & 3), 2, v);
		break;
	case 5:
		vconsole_input(console, (const char *)s, 12);
		break;
	case 6:
		fake_cfg_write(vm, slot, at & 0xfc, 4, (uint32_t)v);
		fake_cfg_read(vm, slot, at & 0xfc, 4);
		break;
	default:
		fake_record(vm, (uint16_t)(REC_PCI + at % 6), slot, rest,
			    MIN(len, (size_t)(v & 0x1ff)));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = machine();

	start(vm, 1);
	start(vm, 2);
	for (unsigned n = 0; size >= 12 && n < MAX_STEPS; n++, data += 12, size -= 12)
		step(vm, data, data + 12, size - 12);
	fake_vm_done(vm);
	return 0;
}
