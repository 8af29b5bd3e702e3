/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest and its balloon: the input is a list of 12-byte steps, each an access,
 * a notification, a write near the rings, a wish of the host's, or a record.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vballoon.c
// SOURCES: kernel/vdev/vballoon_queues.c kernel/vdev/pci.c kernel/vdev/pci_func.c
// SOURCES: kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/pageset.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_balloon.c
// SOURCES: test/unit/fake_virtio.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/q35.h"
#include "kernel/vdev/vballoon.h"
#include "test/unit/fake_balloon.h"
#include "test/unit/fake_virtio.h"

#define SLOT 1u
#define BAR0 0xc0000000ull
#define BAR1 0xc0010000ull
#define RINGS 0x10000u
#define QUEUES 5u
#define MAX_STEPS 512

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct q35 *q = calloc(1, sizeof(*q));
	struct pci_bus *bus;

	vm->platform = q;
	fake_lent = 0;
	fake_spare = 1u << 20;
	if (pci_bus_create(vm, &bus) || vballoon_create(vm, bus, SLOT, &q->balloon))
		abort();
	vdevs_reset(vm);
	return vm;
}

/* With all its queues on, as a sane driver leaves them. */
static void start(struct vm *vm)
{
	fake_virtio_map(vm, SLOT, BAR0, BAR1);
	(void)fake_virtio_negotiate(vm, BAR0, 3u << 28 | 0x2f);
	for (unsigned i = 0; i < QUEUES; i++) {
		(void)fake_virtio_queue(vm, BAR0, i, 8, RINGS + i * 0x1000,
					RINGS + i * 0x1000 + 0x200, RINGS + i * 0x1000 + 0x400);
	}
	fake_virtio_go(vm, BAR0);
}

static void wish(struct vm *vm, uint64_t v)
{
	struct balloon_info b;
	struct pageset set;
	char why[160];
	bool complete;

	balloon_info(vm, &b);
	(void)balloon_ask_stats(vm);
	(void)balloon_set(vm, v & 0x1fffffff, why, sizeof(why));
	if (v >> 62 == 0)
		(void)balloon_hints_start(vm);
	(void)balloon_hints_seen(vm, &complete);
	if (v >> 62 != 1 || pageset_init(&set, FAKE_PAGES))
		return;
	(void)balloon_hints_end(vm, &set);
	pageset_fini(&set);
}

static void step(struct vm *vm, const uint8_t *s, const uint8_t *rest, size_t len)
{
	unsigned size = 1u << (s[1] >> 1 & 3);
	uint16_t at;
	uint64_t v;

	memcpy(&at, s + 2, 2);
	memcpy(&v, s + 4, 8);
	switch (s[0] % 6) {
	case 0:
		fake_write(vm, BAR0 + (at & 0x3fff), size, v);
		fake_read(vm, BAR0 + (at & 0x3fff), size);
		break;
	case 1:
	case 2:
		memcpy(fake_ram + RINGS + at % 0x5000, &v, size);
		break;
	case 3:
		fake_write(vm, BAR0 + 0x3000 + 4 * (at % 6), 2, v);
		break;
	case 4:
		wish(vm, v);
		break;
	default:
		fake_record(vm, at & 1 ? REC_VBALLOON : REC_VIRTIO, SLOT, rest,
			    MIN(len, (size_t)(v & 0x1ff)));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = machine();

	start(vm);
	for (unsigned n = 0; size >= 12 && n < MAX_STEPS; n++, data += 12, size -= 12)
		step(vm, data, data + 12, size - 12);
	fake_vm_done(vm);
	return 0;
}
