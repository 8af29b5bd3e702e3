/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's network device on a fake port: frames both ways byte for byte, mergeable buffers, too
 * few buffers, nonsense in headers and rings, and when it may touch the guest's memory. Commands
 * and moves are in test_vnet_ctrl.c.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vnet.c
// SOURCES: kernel/vdev/vnet_rx.c kernel/vdev/vnet_tx.c kernel/vdev/pci.c net/vframe.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_switch.c kernel/vdev/vnet_state.c kernel/vdev/vnet_ctrl.c
// SOURCES: test/unit/fake_virtio.c
#include "test/unit/vnet_driver.h"

static uint32_t used_len(unsigned queue, unsigned n)
{
	uint32_t v;

	memcpy(&v, fake_ram + RING(queue) + 0x2004 + 8 * (n % QSIZE) + 4, 4);
	return v;
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
