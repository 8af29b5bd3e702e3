/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile network driver: the input begins with features, pairs of queues and rules, and
 * is then a list of 12-byte steps, each a write into guest memory near the rings and
 * buffers, a burst of the device's world on some pair, a command, a frame from the switch,
 * a register access, a move (what the device saves, it must take back), or a record that
 * claims to come from another host.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c net/gso.c net/headers.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vnet.c
// SOURCES: kernel/vdev/vnet_rx.c kernel/vdev/vnet_tx.c kernel/vdev/pci.c net/vframe.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_switch.c kernel/vdev/vnet_state.c kernel/vdev/vnet_ctrl.c
// SOURCES: test/unit/fake_virtio.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/vnet.h"
#include "test/unit/fake_switch.h"
#include "test/unit/fake_virtio.h"

#define NET 3u
#define BAR0 0xc0000000ull
#define RINGS 0x10000u
#define RING(n) (RINGS + (n)*0x800u) /* descriptors, +0x200 available, +0x400 used */
#define RINGS_END RING(VNET_QUEUES)
#define QSIZE 8u
#define BUFFER 0x8000u
#define MAX_STEPS 512u

static struct vnet_dev *dev;

static void start(struct vm *vm, uint32_t features)
{
	fake_virtio_map(vm, NET, BAR0, BAR0 + 0x8000);
	(void)fake_virtio_negotiate(vm, BAR0, features);
	for (unsigned i = 0; i < fake_read(vm, BAR0 + 0x12, 2); i++) {
		(void)fake_virtio_queue(vm, BAR0, i, QSIZE, RING(i), RING(i) + 0x200,
					RING(i) + 0x400);
	}
	fake_virtio_go(vm, BAR0);
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

static void arrive(unsigned pair, uint32_t len)
{
	struct vframe *f = vframe_new(14 + len % 9000);

	if (!f)
		return;
	for (unsigned i = 0; i < f->tx.nr_segs; i++)
		memset(hpa_ptr(f->tx.seg[i].addr), 0x5a, f->tx.seg[i].len);
	fake_arrive_at(pair, f);
}

/* A command in one chain: u8 class, u8 command, 6 bytes of arguments; its answer behind. */
static void command(struct vm *vm, uint8_t len, const uint8_t *bytes)
{
	unsigned q = dev->v.features & VNET_F_MQ ? 2u * dev->config.max_pairs : 2u;
	uint64_t d[4] = { BUFFER, (len % 9u) | 1ull << 32 | 1ull << 48, BUFFER + 64,
			  1 | 2ull << 32 };
	uint16_t idx;

	memcpy(fake_ram + BUFFER, bytes, 8);
	memcpy(fake_ram + RING(q), d, sizeof(d));
	memcpy(&idx, fake_ram + RING(q) + 0x202, 2);
	memset(fake_ram + RING(q) + 0x204 + 2 * (idx % QSIZE), 0, 2);
	idx++;
	memcpy(fake_ram + RING(q) + 0x202, &idx, 2);
	fake_write(vm, BAR0 + 0x3000 + 4 * q, 2, q);
}

static void move(struct vm *vm)
{
	struct rec_writer w;
	struct rec_reader r;

	rec_writer_init(&w);
	vnet_save(&dev->v.d, &w);
	if (rec_finish(&w))
		abort();
	vdevs_reset(vm);
	rec_reader_init(&r, w.buf, w.len);
	while (rec_next(&r) == 1)
		if (vdevs_check(vm, &r))
			abort();
	rec_reader_init(&r, w.buf, w.len);
	while (rec_next(&r) == 1)
		if (vdevs_load(vm, &r))
			abort();
	rec_writer_fini(&w);
}

/* A record of another host's, with what lies in guest memory: what check takes, load must take. */
static void hostile_record(struct vm *vm, uint8_t kind, const uint8_t *body, size_t len)
{
	struct rec_writer w;
	struct rec_reader r;

	rec_writer_init(&w);
	rec_begin(&w, kind & 1 ? REC_VNET : REC_VIRTIO, kind & 2 ? 2 : 1, 0, NET);
	rec_bytes(&w, body, len);
	rec_end(&w);
	if (rec_finish(&w))
		abort();
	rec_reader_init(&r, w.buf, w.len);
	if (rec_next(&r) == 1 && !vdevs_check(vm, &r)) {
		rec_reader_init(&r, w.buf, w.len);
		if (rec_next(&r) != 1 || vdevs_load(vm, &r))
			abort();
	}
	rec_writer_fini(&w);
}

static void transmit(unsigned pair)
{
	struct vframe *f;

	fake_port.room = 8;
	(void)!vnet_transmit(dev, pair);
	while ((f = fake_departed()))
		use(f);
}

static void step(struct vm *vm, const uint8_t *s)
{
	unsigned pair = s[1] % dev->pairs;
	uint16_t at;
	uint64_t v;

	memcpy(&at, s + 2, 2);
	memcpy(&v, s + 4, 8);
	switch (s[0] % 9) {
	case 0:
		memcpy(fake_ram + RINGS + at % (RINGS_END - RINGS), &v, 1u << (s[1] & 3));
		break;
	case 1:
		memcpy(fake_ram + at % 0x4000, &v, 8);
		break;
	case 2:
		transmit(pair);
		break;
	case 3:
		(void)!vnet_receive(dev, pair);
		break;
	case 4:
		arrive(pair, (uint32_t)v);
		break;
	case 5:
		command(vm, s[1], s + 4);
		break;
	case 6:
		move(vm);
		break;
	case 7:
		hostile_record(vm, s[1], fake_ram + at % 0x4000, (size_t)(v % 1024));
		break;
	default:
		fake_write(vm, BAR0 + (at & 0x3fff), 1u << (s[1] & 3), v);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = fake_vm();
	struct vm_nic *nic = &vm->cfg.nic[0];
	struct pci_bus *bus;
	uint32_t features;

	if (size < 5)
		return fake_vm_done(vm), 0;
	memcpy(&features, data, 4);
	*nic = (struct vm_nic){ .network = "lan",
				.mac = { 2, 0, 0, 0, 0, 7 },
				.queues = data[4] % (VPORT_QUEUES_MAX + 1),
				.any_source = data[4] & 0x80 };
	if (pci_bus_create(vm, &bus) || vnet_create(vm, bus, NET, nic))
		abort();
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (!strcmp(d->ops->name, "virtio-net"))
			dev = container_of(container_of(d, struct virtio, d), struct vnet_dev, v);
	vdevs_reset(vm);
	start(vm, features | VIRTIO_F_INDIRECT);
	data += 5;
	size -= 5;
	for (unsigned n = 0; size >= 12 && n < MAX_STEPS; n++, data += 12, size -= 12)
		step(vm, data);
	fake_vm_done(vm);
	return 0;
}
