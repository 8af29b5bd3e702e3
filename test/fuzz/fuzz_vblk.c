/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile disk driver: the input begins with features, vCPUs and what the disk can, and is
 * then a list of 12-byte steps, each a write into guest memory near the rings and
 * buffers, a request, a notification, a completion by the disk, a turn of the device's world,
 * another limit, time that passes, a register access, a move (what the device saves, it must take
 * back), a run's end, or a record that claims to come from another host. The disk aborts when a
 * request does not fit it, the fake memory when a pin is not what it was; at the end none is held.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c kernel/vdev/virtio_pci.c
// SOURCES: kernel/vdev/virtio_regs.c kernel/vdev/vblk*.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/bucket.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_blk.c
// SOURCES: test/unit/fake_virtio.c
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/vblk.h"
#include "test/unit/fake_blk.h"
#include "test/unit/fake_virtio.h"

#define SLOT 8u
#define BAR0 0xc0000000ull
#define RINGS 0x10000u
#define RING(n) (RINGS + (n)*0x800u) /* descriptors, +0x200 available, +0x400 used */
#define RINGS_END RING(VBLK_QUEUES_MAX)
#define QSIZE 8u
#define BUFFER 0x8000u
#define MAX_STEPS 512u

static struct vblk *dev;

static void start(struct vm *vm, uint32_t features)
{
	fake_virtio_map(vm, SLOT, BAR0, BAR0 + 0x8000);
	(void)fake_virtio_negotiate(vm, BAR0, features);
	for (unsigned i = 0; i < dev->v.nr_queues; i++) {
		(void)fake_virtio_queue(vm, BAR0, i, QSIZE, RING(i), RING(i) + 0x200,
					RING(i) + 0x400);
	}
	fake_virtio_go(vm, BAR0);
}

/* Header, data, status in one chain; data anywhere and of any length. */
static void request(struct vm *vm, unsigned q, const uint8_t *s)
{
	static const uint8_t types[] = {
		VBLK_T_IN,	     VBLK_T_OUT, VBLK_T_FLUSH, VBLK_T_GET_ID, VBLK_T_DISCARD,
		VBLK_T_WRITE_ZEROES, 77
	};
	struct vblk_header h = { .type = types[s[4] % sizeof(types)], .sector = s[5] * 16u };
	uint32_t len = (uint32_t)s[6] * 512u + s[7] % 3u, data = BUFFER + 64u * s[8];
	bool in = h.type == VBLK_T_IN || h.type == VBLK_T_GET_ID;
	struct vblk_range r[VBLK_RANGES_MAX + 1];
	unsigned n = s[9] % ARRAY_SIZE(r) + 1;
	uint64_t d[6] = { BUFFER,     sizeof(h) | 1ull << 32 | 1ull << 48,
			  data,	      len | (in ? 3ull : 1ull) << 32 | 2ull << 48,
			  BUFFER - 1, 1 | 2ull << 32 };
	uint16_t idx;

	if (h.type == VBLK_T_DISCARD || h.type == VBLK_T_WRITE_ZEROES) {
		for (unsigned i = 0; i < n; i++)
			r[i] = (struct vblk_range){ h.sector + i * s[10] * 9ull, s[6],
						    i < 2 ? s[7] & 3u : s[7] & 1u };
		d[3] = (n * sizeof(r[0]) - s[11] % 2u) | 1ull << 32 | 2ull << 48;
		memcpy(fake_ram + data, r, n * sizeof(r[0]));
	}
	memcpy(fake_ram + BUFFER, &h, sizeof(h));
	memcpy(fake_ram + RING(q), d, sizeof(d));
	memcpy(&idx, fake_ram + RING(q) + 0x202, 2);
	memset(fake_ram + RING(q) + 0x204 + 2 * (idx % QSIZE), 0, 2);
	idx++;
	memcpy(fake_ram + RING(q) + 0x202, &idx, 2);
	fake_write(vm, BAR0 + 0x3000 + 4 * q, 2, q);
}

/* What the device saves it must take back; nothing is in flight. */
static void move(struct vm *vm)
{
	struct rec_writer w;
	struct rec_reader r;

	fake_blk_run(dev);
	if (vdevs_quiesce(vm, fake_now_ns))
		abort();
	rec_writer_init(&w);
	vdevs_save(vm, &w);
	if (rec_finish(&w))
		abort();
	rec_reader_init(&r, w.buf, w.len);
	while (rec_next(&r) == 1)
		if (vdevs_check(vm, &r))
			abort();
	rec_reader_init(&r, w.buf, w.len);
	while (rec_next(&r) == 1)
		if (vdevs_load(vm, &r))
			abort();
	rec_writer_fini(&w);
	vdevs_resume(vm);
}

static void off_and_on(struct vm *vm, uint32_t features)
{
	char why[200];

	fake_blk_run(dev);
	vblk_close(dev);
	if (vblk_open(dev, why, sizeof(why)))
		abort();
	vdevs_reset(vm);
	start(vm, features);
}

static void hostile_record(struct vm *vm, uint8_t kind, const uint8_t *body, size_t len)
{
	fake_blk_run(dev);
	if (vdevs_quiesce(vm, fake_now_ns))
		abort();
	fake_record(vm, kind & 1 ? REC_VBLK : REC_VIRTIO, SLOT, body, len);
	vdevs_resume(vm);
}

static void step(struct vm *vm, const uint8_t *s)
{
	static const int ends[] = { 0, 0, 0, -EIO, -ENOTSUP, -EINVAL, -ETIMEDOUT, -EROFS };
	unsigned q = s[1] % dev->v.nr_queues;
	uint16_t at;
	uint64_t v;

	memcpy(&at, s + 2, 2);
	memcpy(&v, s + 4, 8);
	switch (s[0] % 12) {
	case 0:
		memcpy(fake_ram + RINGS + at % (RINGS_END - RINGS), &v, 1u << (s[1] & 3));
		break;
	case 1:
		memcpy(fake_ram + BUFFER - 0x100 + at % 0x4000, &v, 8);
		break;
	case 2:
	case 3:
		request(vm, q, s);
		break;
	case 4:
		(void)fake_blk_complete(ends[s[1] % ARRAY_SIZE(ends)]);
		break;
	case 5:
		fake_blk_world(dev);
		break;
	case 6:
		move(vm);
		break;
	case 7:
		hostile_record(vm, s[1], fake_ram + BUFFER + at % 0x4000, (size_t)(v % 1024));
		break;
	case 8:
		off_and_on(vm, (uint32_t)v);
		break;
	case 9:
		if (vblk_limit(dev, &(struct vm_disk_limit){ s[1], s[2] }))
			abort();
		break;
	case 10: /* what a limit held goes on */
		fake_now_ns += 1000ull * at;
		(void)fake_timer_run();
		fake_blk_world(dev);
		break;
	default:
		fake_write(vm, BAR0 + (at & 0x3fff), 1u << (s[1] & 3), v);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = fake_vm();
	struct pci_bus *bus;
	uint32_t features;
	char why[200];

	if (size < 6)
		return fake_vm_done(vm), 0;
	memcpy(&features, data, 4);
	fake_blk_reset();
	fake_blk.geo.max_segs = 1 + data[4] % 7;
	fake_blk.geo.max_discard_blocks = data[5] & 1 ? 8 : 0;
	fake_blk.geo.max_zeroes_blocks = data[5] & 2 ? 8 : 0;
	vm->cfg.vcpus = 1 + data[5] / 8 % 8;
	vm->cfg.disks = 1;
	vm->cfg.disk[0] = (struct vm_disk){ .serial = "S", .read_only = data[5] & 4 };
	if (pci_bus_create(vm, &bus) || vblk_create(vm, bus, SLOT, 0, &dev) ||
	    vblk_open(dev, why, sizeof(why)))
		abort();
	vdevs_reset(vm);
	start(vm, features);
	data += 6;
	size -= 6;
	for (unsigned n = 0; size >= 12 && n < MAX_STEPS; n++, data += 12, size -= 12)
		step(vm, data);
	if (vblk_limit(dev, &(struct vm_disk_limit){ 0 }))
		abort();
	fake_blk_run(dev);
	if (fake_pins || dev->busy)
		abort();
	fake_vm_done(vm);
	return 0;
}
