/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's network device on a fake port: frames both ways byte for byte,
 * mergeable buffers, too few buffers, nonsense in headers and rings, and when it may
 * touch the guest's memory.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vnet.c
// SOURCES: kernel/vdev/vnet_rx.c kernel/vdev/vnet_tx.c kernel/vdev/pci.c net/vframe.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_switch.c kernel/vdev/vnet_state.c kernel/vdev/vnet_ctrl.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/vnet.h"
#include "test/unit/fake_switch.h"
#include "test/unit/fake_vdev.h"

#define NET 3u
#define BAR0 0xc0000000ull
#define BAR1 0xc0008000ull
#define RING(n) (0x10000u + (n)*0x3000u) /* descriptors, +0x1000 available, +0x2000 used */
#define DATA 0x80000u
#define PAIRS 4u
#define CONTROL (2 * PAIRS)
#define CONTROL_FEATURES (VNET_F_CONTROL | VNET_F_MQ)
#define QSIZE 16u

static struct vnet_dev *dev;

static void set16(uint64_t at, uint16_t v)
{
	memcpy(fake_ram + at, &v, 2);
}

static uint16_t get16(uint64_t at)
{
	uint16_t v;

	memcpy(&v, fake_ram + at, 2);
	return v;
}

static struct vm *machine_with(unsigned queues, uint64_t features)
{
	struct vm *vm = fake_vm();
	const struct vm_nic *nic = &vm->cfg.nic[0];
	struct pci_bus *bus;

	vm->cfg.nic[0] = (struct vm_nic){ .network = "lan",
					  .mac = { 2, 0, 0, 0, 0, 7 },
					  .queues = (uint8_t)queues };

	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(vnet_create(vm, bus, NET, nic), 0);
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (!strcmp(d->ops->name, "virtio-net"))
			dev = container_of(container_of(d, struct virtio, d), struct vnet_dev, v);
	vdevs_reset(vm);
	fake_cfg_write(vm, NET, 0x10, 4, (uint32_t)BAR0);
	fake_cfg_write(vm, NET, 0x14, 4, (uint32_t)BAR1);
	fake_cfg_write(vm, NET, 0x04, 2, 6);
	fake_write(vm, BAR0 + 0x14, 1, 3);
	fake_write(vm, BAR0 + 0x08, 4, 0);
	fake_write(vm, BAR0 + 0x0c, 4, (uint32_t)features);
	fake_write(vm, BAR0 + 0x08, 4, 1);
	fake_write(vm, BAR0 + 0x0c, 4, 1);
	fake_write(vm, BAR0 + 0x14, 1, 0x0b);
	assert_int_equal(fake_read(vm, BAR0 + 0x14, 1), 0x0b);
	for (unsigned i = 0; i < fake_read(vm, BAR0 + 0x12, 2); i++) {
		fake_write(vm, BAR0 + 0x16, 2, i);
		fake_write(vm, BAR0 + 0x18, 2, QSIZE);
		fake_write(vm, BAR0 + 0x20, 4, RING(i));
		fake_write(vm, BAR0 + 0x28, 4, RING(i) + 0x1000);
		fake_write(vm, BAR0 + 0x30, 4, RING(i) + 0x2000);
		fake_write(vm, BAR0 + 0x1c, 2, 1);
	}
	fake_write(vm, BAR0 + 0x14, 1, 0x0f);
	return vm;
}

/* One pair and no control queue, as devices were at first. */
static struct vm *machine(uint64_t features)
{
	return machine_with(0, features);
}

static void offer(unsigned queue, uint64_t addr, uint32_t len, bool writable)
{
	uint64_t r = RING(queue), d[2] = { addr, len | (writable ? 2ull << 32 : 0) };
	uint16_t idx = get16(r + 0x1002);

	memcpy(fake_ram + r + 16 * (idx % QSIZE), d, 16);
	set16(r + 0x1004 + 2 * (idx % QSIZE), idx % QSIZE);
	set16(r + 0x1002, (uint16_t)(idx + 1));
}

static uint16_t used(unsigned queue)
{
	return get16(RING(queue) + 0x2002);
}

static uint32_t used_len(unsigned queue, unsigned n)
{
	uint32_t v;

	memcpy(&v, fake_ram + RING(queue) + 0x2004 + 8 * (n % QSIZE) + 4, 4);
	return v;
}

static struct vframe *frame(uint32_t len)
{
	struct vframe *f = vframe_new(len);

	for (uint32_t i = 0; i < len; i++) {
		uint8_t b = (uint8_t)(i * 3 + 1);

		vframe_write(f, i, &b, 1);
	}
	return f;
}

static void load(struct vm *vm, const struct rec_writer *w)
{
	struct rec_reader r;

	rec_reader_init(&r, w->buf, w->len);
	while (rec_next(&r) == 1)
		assert_int_equal(vdevs_load(vm, &r), 0);
}

static void transmits(void **state)
{
	struct vm *vm = machine(VNET_F_CSUM);
	struct vnet_header h = { .flags = VNET_HDR_NEEDS_CSUM,
				 .csum_start = 34,
				 .csum_offset = 16 };
	struct vframe *f;
	uint8_t got[5000];

	memcpy(fake_ram + DATA, &h, sizeof(h));
	for (unsigned i = 0; i < 5000; i++)
		fake_ram[DATA + sizeof(h) + i] = (uint8_t)(i * 5);
	offer(VNET_TX(0), DATA, sizeof(h) + 5000, false);
	assert_int_equal(vnet_transmit(dev, 0), 1);
	f = fake_departed();
	assert_non_null(f);
	assert_int_equal(f->len, 5000);
	assert_true(f->tx.csum);
	assert_int_equal(f->tx.csum_start, 34);
	vframe_read(f, 0, got, 5000);
	assert_memory_equal(got, fake_ram + DATA + sizeof(h), 5000);
	assert_int_equal(used(VNET_TX(0)), 1);
	assert_int_equal(vnet_transmit(dev, 0), 0);
	vframe_free(f);
	fake_vm_done(vm);
}

/* What no driver asks for: dropped, counted, given back, and the device works on. */
static void nonsense_is_dropped(void **state)
{
	static const struct vnet_header bad[] = {
		{ .flags = VNET_HDR_NEEDS_CSUM, .csum_start = 34, .csum_offset = 0xffff },
		{ .flags = VNET_HDR_NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 2 },
		{ .flags = VNET_HDR_NEEDS_CSUM, .csum_start = 3, .csum_offset = 2 },
		{ .gso_type = VNET_GSO_TCPV4, .gso_size = 100 },
		{ .flags = VNET_HDR_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VNET_GSO_TCPV4,
		  .gso_size = 0 },
		{ .flags = VNET_HDR_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VNET_GSO_TCPV4,
		  .gso_size = 47 },
		{ .flags = VNET_HDR_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .gso_type = VNET_GSO_TCPV6,
		  .gso_size = 100 },
		{ .flags = VNET_HDR_NEEDS_CSUM,
		  .csum_start = 198,
		  .csum_offset = 16,
		  .gso_type = VNET_GSO_TCPV4,
		  .gso_size = 100 },
		{ .gso_type = 3, .gso_size = 100 },
	};
	struct vm *vm = machine(VNET_F_CSUM | VNET_F_HOST_TSO4);

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(fake_ram + DATA, 0, 300);
		fake_ram[DATA + 12 + 12] = 8;
		fake_ram[DATA + 12 + 34 + 12] = 0x50; /* a TCP header of 20 bytes */
		memcpy(fake_ram + DATA, &bad[i], sizeof(bad[i]));
		offer(VNET_TX(0), DATA, 12 + 200, false);
		assert_int_equal(vnet_transmit(dev, 0), 1);
		assert_null(fake_departed());
		assert_int_equal(fake_port.count[VPORT_TX_MALFORMED], i + 1);
		assert_int_equal(used(VNET_TX(0)), i + 1);
	}
	fake_vm_done(vm);
}

static void a_chain_without_a_header_breaks_the_device(void **state)
{
	struct vm *vm = machine(0);

	offer(VNET_TX(0), DATA, 11, false);
	assert_int_equal(vnet_transmit(dev, 0), -EPROTO);
	fake_vm_done(vm);
}

static void a_full_switch_holds_the_guest_back(void **state)
{
	struct vm *vm = machine(0);

	fake_port.room = 2;
	for (unsigned i = 0; i < 3; i++)
		offer(VNET_TX(0), DATA, 100, false);
	assert_int_equal(vnet_transmit(dev, 0), 2);
	assert_int_equal(used(VNET_TX(0)), 2);
	fake_port.room = 1;
	assert_int_equal(vnet_transmit(dev, 0), 1);
	fake_vm_done(vm);
}

static void notify(struct vm *vm, unsigned queue)
{
	fake_write(vm, BAR0 + 0x3000 + 4 * queue, 2, queue);
}

/* What is short and few goes with the notification itself; the world is not woken. */
static void a_short_frame_leaves_with_its_notification(void **state)
{
	struct vm *vm = machine(0);
	unsigned wakes = fake_port.wakes;

	offer(VNET_TX(0), DATA, 12 + 100, false);
	notify(vm, VNET_TX(0));
	assert_int_equal(used(VNET_TX(0)), 1);
	assert_int_equal(fake_port.wakes, wakes);
	vframe_free(fake_departed());
	fake_vm_done(vm);
}

static void long_and_many_frames_are_the_worlds(void **state)
{
	struct vm *vm = machine(0);
	unsigned wakes = fake_port.wakes;

	offer(VNET_TX(0), DATA, 12 + VNET_FEW_BYTES, false);
	notify(vm, VNET_TX(0));
	assert_int_equal(used(VNET_TX(0)), 0);
	assert_int_equal(fake_port.wakes, wakes + 1);
	assert_int_equal(vnet_transmit(dev, 0), 1);
	vframe_free(fake_departed());

	for (unsigned i = 0; i < VNET_FEW + 1; i++)
		offer(VNET_TX(0), DATA, 12 + 100, false);
	notify(vm, VNET_TX(0));
	assert_int_equal(used(VNET_TX(0)), 1 + VNET_FEW);
	assert_int_equal(fake_port.wakes, wakes + 2);
	for (unsigned i = 0; i < VNET_FEW; i++)
		vframe_free(fake_departed());
	assert_null(fake_departed());
	fake_vm_done(vm);
}

/* It holds the device's mutex: the vCPU does not wait for it. */
static void a_busy_world_is_told_and_not_waited_for(void **state)
{
	struct vm *vm = machine(0);
	unsigned wakes = fake_port.wakes;

	offer(VNET_TX(0), DATA, 12 + 100, false);
	mutex_lock(&dev->v.d.lock);
	notify(vm, VNET_TX(0));
	notify(vm, VNET_RX(0));
	mutex_unlock(&dev->v.d.lock);
	assert_int_equal(used(VNET_TX(0)), 0);
	assert_int_equal(fake_port.wakes, wakes + 2);
	fake_vm_done(vm);
}

/* Of a pair that is off, and of a guest that is being sent, nothing is taken. */
static void what_must_not_be_touched_is_not(void **state)
{
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

	offer(VNET_TX(1), DATA, 12 + 100, false);
	notify(vm, VNET_TX(1));
	assert_int_equal(used(VNET_TX(1)), 0);
	assert_int_equal(vdevs_quiesce(vm, 0), 0);
	offer(VNET_TX(0), DATA, 12 + 100, false);
	notify(vm, VNET_TX(0));
	assert_int_equal(used(VNET_TX(0)), 0);
	fake_vm_done(vm);
}

static void receives_into_several_buffers(void **state)
{
	struct vm *vm = machine(VNET_F_MRG_RXBUF | VNET_F_GUEST_CSUM);
	struct vframe *f = frame(2500);
	struct vnet_header h;

	f->csum_ok = true;
	fake_arrive(f);
	offer(VNET_RX(0), DATA, 1000, true);
	offer(VNET_RX(0), DATA + 0x1000, 1000, true);
	assert_int_equal(vnet_receive(dev, 0), 0); /* too few: it waits, nothing is shown */
	assert_int_equal(used(VNET_RX(0)), 0);
	offer(VNET_RX(0), DATA + 0x2000, 1000, true);
	assert_int_equal(vnet_receive(dev, 0), 1);
	assert_int_equal(used(VNET_RX(0)), 3);
	memcpy(&h, fake_ram + DATA, sizeof(h));
	assert_int_equal(h.num_buffers, 3);
	assert_int_equal(h.flags, VNET_HDR_DATA_VALID);
	assert_int_equal(used_len(VNET_RX(0), 0), 1000);
	assert_int_equal(used_len(VNET_RX(0), 1), 1000);
	assert_int_equal(used_len(VNET_RX(0), 2), 512);
	for (unsigned i = 0; i < 2500; i++) {
		unsigned at = i + sizeof(h);

		assert_int_equal(fake_ram[DATA + at / 1000 * 0x1000 + at % 1000],
				 (uint8_t)(i * 3 + 1));
	}
	fake_vm_done(vm);
}

static void a_frame_larger_than_the_buffer_is_dropped(void **state)
{
	struct vm *vm = machine(0);

	fake_arrive(frame(1500));
	fake_arrive(frame(60));
	offer(VNET_RX(0), DATA, 1000, true);
	assert_int_equal(vnet_receive(dev, 0), 2);
	assert_int_equal(fake_port.count[VPORT_RX_TOO_LARGE], 1);
	assert_int_equal(used(VNET_RX(0)), 1);
	assert_int_equal(used_len(VNET_RX(0), 0), 72);
	fake_vm_done(vm);
}

/* More than all buffers that the ring can hold: it would wait for ever. */
static void a_frame_larger_than_the_ring_is_dropped(void **state)
{
	struct vm *vm = machine(VNET_F_MRG_RXBUF);

	fake_arrive(frame(QSIZE * 100));
	fake_arrive(frame(60));
	for (unsigned i = 0; i < QSIZE - 1; i++)
		offer(VNET_RX(0), DATA, 100, true);
	assert_int_equal(vnet_receive(dev, 0), 0); /* one more may come */
	offer(VNET_RX(0), DATA, 100, true);
	assert_int_equal(vnet_receive(dev, 0), 2);
	assert_int_equal(fake_port.count[VPORT_RX_TOO_LARGE], 1);
	assert_int_equal(used(VNET_RX(0)), 1);
	assert_int_equal(used_len(VNET_RX(0), 0), 72);
	fake_vm_done(vm);
}

/* The switch hears of the driver's features when they are final, and when they are gone. */
static void the_port_knows_what_the_driver_takes(void **state)
{
	struct vm *vm = machine(VNET_F_GUEST_CSUM | VNET_F_GUEST_TSO4);
	struct rec_writer w;

	assert_int_equal(fake_port.accepts, VPORT_CSUM | VPORT_TSO4);
	rec_writer_init(&w);
	vnet_save(&dev->v.d, &w);
	assert_int_equal(rec_finish(&w), 0);
	fake_write(vm, BAR0 + 0x14, 1, 0);
	assert_int_equal(fake_port.accepts, 0);
	load(vm, &w);
	assert_int_equal(fake_port.accepts, VPORT_CSUM | VPORT_TSO4);
	rec_writer_fini(&w);
	fake_vm_done(vm);
}

static void copies_are_counted(void **state)
{
	struct vm *vm = machine(0);

	offer(VNET_TX(0), DATA, 12 + 1000, false);
	assert_int_equal(vnet_transmit(dev, 0), 1);
	assert_int_equal(fake_port.count[VPORT_COPIED_BYTES], 1000);
	fake_arrive(frame(300));
	offer(VNET_RX(0), DATA, 1000, true);
	assert_int_equal(vnet_receive(dev, 0), 1);
	assert_int_equal(fake_port.count[VPORT_COPIED_BYTES], 1300);
	fake_vm_done(vm);
}

/* Rate and addresses travel; a record of the first version has addresses only. */
static void rules_travel(void **state)
{
	static const uint8_t version_1[] = { [0] = 1, [8] = 4, [12] = 10, 77, 0, 50, [31] = 0 };
	struct vm *vm = machine(0);
	struct rec_writer w;

	fake_port.rules = (struct vport_rules){ .rate_mbit = 25, .any_source = true };
	rec_writer_init(&w);
	vnet_save(&dev->v.d, &w);
	assert_int_equal(rec_finish(&w), 0);
	fake_port.rules = (struct vport_rules){ 0 };
	load(vm, &w);
	assert_int_equal(fake_port.rules.rate_mbit, 25);
	assert_true(fake_port.rules.any_source);
	rec_writer_fini(&w);

	rec_writer_init(&w);
	rec_begin(&w, REC_VNET, 1, REC_OPTIONAL, NET);
	rec_bytes(&w, version_1, sizeof(version_1));
	rec_end(&w);
	assert_int_equal(rec_finish(&w), 0);
	load(vm, &w);
	assert_int_equal(fake_port.nr_addrs, 1);
	assert_int_equal(fake_port.addr[0].ip[3], 50);
	assert_int_equal(fake_port.rules.rate_mbit, 25); /* as it was */
	rec_writer_fini(&w);
	fake_vm_done(vm);
}

/* A command with so many bytes of arguments: its answer, or 2 when the device stopped. */
static uint8_t command(struct vm *vm, unsigned queue, uint8_t class, uint8_t cmd, const void *args,
		       uint32_t len)
{
	uint64_t r = RING(queue), d[4] = { DATA, (2 + len) | 1ull << 32 | 1ull << 48, DATA + 0x1000,
					   1 | 2ull << 32 };
	uint16_t idx = get16(r + 0x1002);

	fake_ram[DATA] = class;
	fake_ram[DATA + 1] = cmd;
	memcpy(fake_ram + DATA + 2, args, len);
	fake_ram[DATA + 0x1000] = 2;
	memcpy(fake_ram + r, d, sizeof(d));
	set16(r + 0x1004 + 2 * (idx % QSIZE), 0);
	set16(r + 0x1002, (uint16_t)(idx + 1));
	fake_write(vm, BAR0 + 0x3000 + 4 * queue, 2, queue);
	return fake_ram[DATA + 0x1000];
}

static uint8_t set_pairs(struct vm *vm, uint16_t pairs)
{
	return command(vm, CONTROL, 4, 0, &pairs, sizeof(pairs));
}

static void what_a_device_offers(void **state)
{
	struct vm *vm = machine_with(0, 0);

	assert_int_equal(fake_read(vm, BAR0 + 0x12, 2), 2);
	fake_write(vm, BAR0, 4, 0);
	assert_false(fake_read(vm, BAR0 + 0x04, 4) & CONTROL_FEATURES);
	fake_vm_done(vm);
	vm = machine_with(1, 0);
	assert_int_equal(fake_read(vm, BAR0 + 0x12, 2), 3);
	fake_write(vm, BAR0, 4, 0);
	assert_int_equal(fake_read(vm, BAR0 + 0x04, 4) & CONTROL_FEATURES, VNET_F_CONTROL);
	fake_vm_done(vm);
	vm = machine_with(8, 0);
	assert_int_equal(fake_read(vm, BAR0 + 0x12, 2), 17);
	assert_int_equal(fake_read(vm, BAR0 + 0x2008, 2), 8);
	fake_write(vm, BAR0, 4, 0);
	assert_int_equal(fake_read(vm, BAR0 + 0x04, 4) & CONTROL_FEATURES, CONTROL_FEATURES);
	fake_vm_done(vm);
}

static void several_pairs(void **state)
{
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);
	struct vframe *f;

	assert_int_equal(dev->pairs, 1);
	assert_int_equal(set_pairs(vm, 0), 1);
	assert_int_equal(set_pairs(vm, PAIRS + 1), 1);
	assert_int_equal(dev->pairs, 1);
	assert_int_equal(set_pairs(vm, PAIRS), 0);
	assert_int_equal(fake_port.queues, PAIRS);
	offer(VNET_TX(2), DATA, 12 + 100, false);
	assert_int_equal(vnet_transmit(dev, 2), 1);
	f = fake_departed();
	assert_int_equal(f->queue, 2);
	vframe_free(f);
	fake_arrive_at(3, frame(100));
	offer(VNET_RX(3), DATA, 1000, true);
	assert_int_equal(vnet_receive(dev, 3), 1);
	assert_int_equal(used(VNET_RX(3)), 1);
	fake_arrive_at(3, frame(100)); /* held: no buffer */
	assert_int_equal(vnet_receive(dev, 3), 0);
	assert_non_null(dev->held[3]);
	assert_int_equal(set_pairs(vm, 1), 0);
	assert_null(dev->held[3]);
	assert_int_equal(fake_port.queues, 1);
	fake_vm_done(vm);
}

/* The driver's own reset: one pair, its own address. */
static void a_reset_ends_what_was_commanded(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

	fake_port.rules.any_source = true;
	assert_int_equal(set_pairs(vm, 2), 0);
	assert_int_equal(command(vm, CONTROL, 1, 1, other, 6), 0);
	assert_memory_equal(fake_port.mac, other, 6);
	assert_int_equal(fake_read(vm, BAR0 + 0x2005, 1), 9);
	fake_write(vm, BAR0 + 0x14, 1, 0);
	assert_int_equal(fake_port.queues, 1);
	assert_int_equal(fake_port.mac[5], 7);
	assert_int_equal(fake_read(vm, BAR0 + 0x2005, 1), 7);
	fake_vm_done(vm);
}

static void another_address_is_the_rules_matter(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 }, group[6] = { 1, 0, 0, 0, 0, 9 };
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

	assert_int_equal(command(vm, CONTROL, 1, 1, other, 6), 1);
	assert_int_equal(fake_port.mac[5], 7);
	assert_int_equal(command(vm, CONTROL, 1, 1, fake_port.first_mac, 6), 0);
	fake_port.rules.any_source = true;
	assert_int_equal(command(vm, CONTROL, 1, 1, group, 6), 1);
	assert_int_equal(command(vm, CONTROL, 1, 1, other, 6), 0);
	assert_int_equal(fake_port.mac[5], 9);
	fake_vm_done(vm);
}

/* All groups come anyway; all frames never do. */
static void what_it_would_like_to_hear(void **state)
{
	static const uint8_t on = 1, off = 0;
	static const uint8_t groups[] = { 0, 0, 0, 0, 1, 0, 0, 0, 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t another[] = { 1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0 };
	static const uint8_t its_own[] = { 1, 0, 0, 0, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0 };
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

	assert_int_equal(command(vm, CONTROL, 0, 0, &on, 1), 1);
	assert_int_equal(command(vm, CONTROL, 0, 0, &off, 1), 0);
	assert_int_equal(command(vm, CONTROL, 0, 1, &on, 1), 0);
	assert_int_equal(command(vm, CONTROL, 0, 5, &on, 1), 1);
	assert_int_equal(command(vm, CONTROL, 1, 0, groups, sizeof(groups)), 0);
	assert_int_equal(command(vm, CONTROL, 1, 0, another, sizeof(another)), 1);
	assert_int_equal(command(vm, CONTROL, 1, 0, its_own, sizeof(its_own)), 0);
	assert_int_equal(command(vm, CONTROL, 2, 0, &on, 1), 1); /* VLAN filter */
	assert_int_equal(command(vm, CONTROL, 9, 9, "", 0), 1);
	fake_vm_done(vm);
}

/* Too short, or a list that says more than is there: the device stops, and only it. */
static void no_command_at_all(void **state)
{
	static const struct {
		uint8_t class, cmd, len, args[10];
	} bad[] = {
		{ 0, 0, 0, { 0 } },
		{ 1, 1, 5, { 0 } },
		{ 4, 0, 1, { 0 } },
		{ 1, 0, 3, { 0 } },
		{ 1, 0, 8, { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
		{ 1, 0, 4, { 0 } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

		assert_int_equal(
			command(vm, CONTROL, bad[i].class, bad[i].cmd, bad[i].args, bad[i].len), 2);
		assert_true(fake_read(vm, BAR0 + 0x14, 1) & VIRTIO_NEEDS_RESET);
		fake_vm_done(vm);
	}
}

/* Each of these would leave a device that the driver or the switch does not know. */
static void bad_records_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t byte;
	} bad[] = {
		{ 0, 9 },		      /* addresses */
		{ 7, 1 },		      /* a rate that no port can have */
		{ 8, 2 },		      /* flags */
		{ 10, 0 },		      /* no pair */
		{ 10, PAIRS + 1 }, { 12, 1 }, /* a group's address */
		{ 12, 0 },		      /* none: the rest of it is zero */
		{ 20, 1 },
	};
	static const uint8_t good[24] = { [10] = 1, [12] = 2 };
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);

	for (unsigned i = 0; i <= ARRAY_SIZE(bad); i++) {
		struct rec_writer w;
		struct rec_reader r;
		uint8_t body[sizeof(good)];

		memcpy(body, good, sizeof(good));
		if (i < ARRAY_SIZE(bad))
			body[bad[i].at] = bad[i].byte;
		rec_writer_init(&w);
		rec_begin(&w, REC_VNET, 2, 0, NET);
		rec_bytes(&w, body, sizeof(body));
		rec_end(&w);
		assert_int_equal(rec_finish(&w), 0);
		rec_reader_init(&r, w.buf, w.len);
		assert_int_equal(rec_next(&r), 1);
		assert_int_equal(vdevs_check(vm, &r), i < ARRAY_SIZE(bad) ? -EBADMSG : 0);
		rec_writer_fini(&w);
	}
	fake_vm_done(vm);
}

/* Without MQ the control queue is the third, however many pairs there could be. */
static void the_control_queue_moves_with_mq(void **state)
{
	static const uint8_t off = 0;
	struct vm *vm = machine_with(PAIRS, VNET_F_CONTROL);

	assert_int_equal(command(vm, 2, 0, 0, &off, 1), 0);
	assert_int_equal(command(vm, CONTROL, 0, 0, &off, 1), 2);
	assert_int_equal(command(vm, 2, 4, 0, "\1", 2), 1); /* it has not asked for MQ */
	fake_vm_done(vm);
}

static void pairs_and_address_travel(void **state)
{
	static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };
	struct vm *vm = machine_with(PAIRS, CONTROL_FEATURES);
	struct rec_writer w;

	fake_port.rules.any_source = true;
	assert_int_equal(set_pairs(vm, 3), 0);
	assert_int_equal(command(vm, CONTROL, 1, 1, other, 6), 0);
	rec_writer_init(&w);
	vnet_save(&dev->v.d, &w);
	assert_int_equal(rec_finish(&w), 0);
	vdevs_reset(vm);
	assert_int_equal(dev->pairs, 1);
	load(vm, &w);
	assert_int_equal(dev->pairs, 3);
	assert_int_equal(fake_port.queues, 3);
	assert_int_equal(fake_port.mac[5], 9);
	assert_int_equal(dev->v.features & CONTROL_FEATURES, CONTROL_FEATURES);
	assert_true(dev->v.q[CONTROL].ready);
	rec_writer_fini(&w);
	fake_vm_done(vm);
}

/* A VM on its way here: its memory is still coming, its address is still elsewhere. */
static void silent_until_resumed(void **state)
{
	struct vm *vm = machine(VNET_F_CSUM);

	assert_false(fake_port.muted);
	assert_int_equal(vdevs_quiesce(vm, 1000000000), 0);
	assert_true(fake_port.muted);
	assert_false(dev->live);
	assert_int_equal(fake_port.announced, 0);
	vdevs_resume(vm);
	assert_true(dev->live);
	assert_false(fake_port.muted);
	assert_int_equal(fake_port.announced, 1);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transmits),
		cmocka_unit_test(nonsense_is_dropped),
		cmocka_unit_test(a_chain_without_a_header_breaks_the_device),
		cmocka_unit_test(a_full_switch_holds_the_guest_back),
		cmocka_unit_test(a_short_frame_leaves_with_its_notification),
		cmocka_unit_test(long_and_many_frames_are_the_worlds),
		cmocka_unit_test(a_busy_world_is_told_and_not_waited_for),
		cmocka_unit_test(what_must_not_be_touched_is_not),
		cmocka_unit_test(receives_into_several_buffers),
		cmocka_unit_test(a_frame_larger_than_the_buffer_is_dropped),
		cmocka_unit_test(a_frame_larger_than_the_ring_is_dropped),
		cmocka_unit_test(the_port_knows_what_the_driver_takes),
		cmocka_unit_test(copies_are_counted),
		cmocka_unit_test(rules_travel),
		cmocka_unit_test(what_a_device_offers),
		cmocka_unit_test(several_pairs),
		cmocka_unit_test(a_reset_ends_what_was_commanded),
		cmocka_unit_test(another_address_is_the_rules_matter),
		cmocka_unit_test(what_it_would_like_to_hear),
		cmocka_unit_test(no_command_at_all),
		cmocka_unit_test(the_control_queue_moves_with_mq),
		cmocka_unit_test(pairs_and_address_travel),
		cmocka_unit_test(bad_records_are_refused),
		cmocka_unit_test(silent_until_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
