/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's network device beside its frames: what it offers, several queues and the commands for
 * them, addresses and rules, and what of all this travels.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vnet.c
// SOURCES: kernel/vdev/vnet_rx.c kernel/vdev/vnet_tx.c kernel/vdev/pci.c net/vframe.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_switch.c kernel/vdev/vnet_state.c kernel/vdev/vnet_ctrl.c
// SOURCES: test/unit/fake_virtio.c
#include "test/unit/vnet_driver.h"

#define CONTROL (2 * PAIRS)

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
