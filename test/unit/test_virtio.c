/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio devices through their PCI function as a driver drives them: features,
 * queues, notifications, MSI-X, a malformed ring, and a move in the middle.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vrng.c
// SOURCES: kernel/vdev/vconsole.c kernel/vdev/keptlog.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/fake_virtio.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/vconsole.h"
#include "kernel/vdev/vrng.h"
#include "test/unit/fake_virtio.h"

#define RNG 1u
#define CON 2u
#define BAR0(slot) (0xc0000000ull + (slot)*0x10000u)
#define BAR1(slot) (BAR0(slot) + 0x8000u)
#define RING(n) (0x10000u + (n)*0x4000u) /* descriptors, +0x1000 available, +0x2000 used */
#define DATA 0x80000u

static struct keptlog *kept;
static struct vconsole *console;

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct pci_bus *bus;

	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(keptlog_create(vm, 2, &kept), 0);
	assert_int_equal(vrng_create(vm, bus, RNG), 0);
	assert_int_equal(vconsole_create(vm, bus, CON, kept, &console), 0);
	vdevs_reset(vm);
	for (unsigned s = RNG; s <= CON; s++) {
		fake_cfg_write(vm, s, 0x10, 4, (uint32_t)BAR0(s));
		fake_cfg_write(vm, s, 0x14, 4, (uint32_t)BAR1(s));
		fake_cfg_write(vm, s, 0x04, 2, 6);
	}
	return vm;
}

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

static void start_with(struct vm *vm, unsigned slot, unsigned queues, uint32_t features)
{
	uint64_t b = BAR0(slot);

	fake_write(vm, b + 0x14, 1, 0);
	assert_true(fake_virtio_negotiate(vm, b, features));
	for (unsigned i = 0; i < queues; i++) {
		fake_write(vm, b + 0x16, 2, i);
		fake_write(vm, b + 0x1a, 2, 1);
		assert_int_equal(fake_read(vm, b + 0x1a, 2), 1);
		fake_write(vm, b + 0x34, 4, 0);
		assert_true(fake_virtio_queue(vm, b, i, 8, RING(i), RING(i) + 0x1000,
					      RING(i) + 0x2000));
	}
	fake_write(vm, BAR1(slot) + 0x10, 4, 0xfee00000);
	fake_write(vm, BAR1(slot) + 0x18, 4, 0x41);
	fake_write(vm, BAR1(slot) + 0x1c, 4, 0);
	fake_cfg_write(vm, slot, slot == RNG ? 0x88 : 0x98, 4, 0x80000000);
	fake_virtio_go(vm, b);
}

static void start(struct vm *vm, unsigned slot, unsigned queues)
{
	start_with(vm, slot, queues, 0);
}

static void offer(unsigned queue, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint64_t r = RING(queue), d[2] = { addr, len | (uint64_t)flags << 32 };
	uint16_t idx = get16(r + 0x1002);

	memcpy(fake_ram + r + 16 * (idx % 8), d, 16);
	set16(r + 0x1004 + 2 * (idx % 8), idx % 8);
	set16(r + 0x1002, (uint16_t)(idx + 1));
}

static void kick(struct vm *vm, unsigned slot, unsigned queue)
{
	fake_write(vm, BAR0(slot) + 0x3000 + 4 * queue, 2, queue);
}

static void negotiation(void **state)
{
	struct vm *vm = machine();
	uint64_t b = BAR0(RNG);

	assert_int_equal(fake_cfg_read(vm, RNG, 0, 4), 0x10441af4);
	assert_int_equal(fake_cfg_read(vm, CON, 0, 4), 0x10431af4);
	assert_int_equal(fake_read(vm, b + 0x12, 2), 1);
	assert_int_equal(fake_read(vm, b + 0x04, 4), 3u << 28);
	fake_write(vm, b, 4, 1);
	assert_int_equal(fake_read(vm, b + 0x04, 4), 1);
	fake_write(vm, b, 4, 2);
	assert_int_equal(fake_read(vm, b + 0x04, 4), 0);
	fake_write(vm, b + 0x14, 1, 3);
	fake_write(vm, b + 0x14, 1, 0x0b); /* without VERSION_1 */
	assert_int_equal(fake_read(vm, b + 0x14, 1), 3);
	fake_write(vm, b + 0x08, 4, 1);
	fake_write(vm, b + 0x0c, 4, 3); /* a bit never offered */
	fake_write(vm, b + 0x14, 1, 0x0b);
	assert_int_equal(fake_read(vm, b + 0x14, 1), 3);
	fake_write(vm, b + 0x16, 2, 5); /* no such queue */
	assert_int_equal(fake_read(vm, b + 0x18, 2), 0);
	fake_write(vm, b + 0x16, 2, 0);
	fake_write(vm, b + 0x18, 2, 7);
	fake_write(vm, b + 0x1c, 2, 1);
	assert_int_equal(fake_read(vm, b + 0x1c, 2), 0);
	fake_write(vm, b + 0x1a, 2, 9);
	assert_int_equal(fake_read(vm, b + 0x1a, 2), 0xffff);
	fake_vm_done(vm);
}

static void entropy(void **state)
{
	struct vm *vm = machine();
	static const uint8_t zero[64];

	start(vm, RNG, 1);
	offer(0, DATA, 64, 2);
	kick(vm, RNG, 0);
	assert_int_equal(get16(RING(0) + 0x2002), 1);
	assert_int_equal(get16(RING(0) + 0x2008), 64);
	assert_memory_not_equal(fake_ram + DATA, zero, 64);
	assert_int_equal(fake_msis, 1);
	assert_int_equal(fake_msi_data, 0x41);
	assert_int_equal(fake_msi_addr, 0xfee00000);
	offer(0, DATA, 1u << 20, 2); /* large: in part */
	kick(vm, RNG, 0);
	assert_int_equal(get16(RING(0) + 0x2002), 2);
	kick(vm, RNG, 1); /* no such queue */
	fake_vm_done(vm);
}

static void masked_vector(void **state)
{
	struct vm *vm = machine();

	start(vm, RNG, 1);
	fake_write(vm, BAR1(RNG) + 0x1c, 4, 1);
	offer(0, DATA, 1, 2);
	kick(vm, RNG, 0);
	assert_int_equal(fake_msis, 0);
	assert_int_equal(fake_read(vm, BAR1(RNG) + 0x800, 4), 2);
	fake_write(vm, BAR1(RNG) + 0x1c, 4, 0);
	assert_int_equal(fake_msis, 1);
	assert_int_equal(fake_read(vm, BAR1(RNG) + 0x800, 8), 0);
	fake_cfg_write(vm, RNG, 0x88, 4, 0xc0000000); /* function mask */
	offer(0, DATA, 1, 2);
	kick(vm, RNG, 0);
	assert_int_equal(fake_msis, 1);
	fake_cfg_write(vm, RNG, 0x88, 4, 0x80000000);
	assert_int_equal(fake_msis, 2);
	fake_vm_done(vm);
}

static void malformed_ring_stops_it(void **state)
{
	struct vm *vm = machine();
	uint64_t b = BAR0(RNG);

	start(vm, RNG, 1);
	set16(RING(0) + 0x1002, 100);
	kick(vm, RNG, 0);
	assert_int_equal(fake_read(vm, b + 0x14, 1), 0x4f);
	set16(RING(0) + 0x1002, 0);
	offer(0, DATA, 1, 2);
	kick(vm, RNG, 0);
	assert_int_equal(get16(RING(0) + 0x2002), 0);
	fake_write(vm, b + 0x14, 1, 0);
	assert_int_equal(fake_read(vm, b + 0x14, 1), 0);
	memset(fake_ram, 0, sizeof(fake_ram));
	start(vm, RNG, 1);
	offer(0, FAKE_RAM - 1, 2, 2); /* over the end of memory */
	kick(vm, RNG, 0);
	assert_int_equal(fake_read(vm, b + 0x14, 1), 0x4f);
	fake_vm_done(vm);
}

static void console_both_ways(void **state)
{
	struct vm *vm = machine();
	uint64_t from = 0;
	char buf[16];

	start(vm, CON, 2);
	vconsole_input(console, "abc", 3); /* nowhere to put it yet */
	assert_int_equal(get16(RING(0) + 0x2002), 0);
	offer(0, DATA, 2, 2);
	kick(vm, CON, 0);
	assert_memory_equal(fake_ram + DATA, "ab", 2);
	offer(0, DATA + 8, 16, 2);
	kick(vm, CON, 0);
	assert_memory_equal(fake_ram + DATA + 8, "c\0", 2);
	offer(0, DATA + 16, 16, 2);
	kick(vm, CON, 0);
	assert_int_equal(get16(RING(0) + 0x2002), 2);
	vconsole_input(console, "d", 1);
	assert_int_equal(get16(RING(0) + 0x2002), 3);
	memcpy(fake_ram + DATA, "out", 3);
	offer(1, DATA, 3, 0);
	kick(vm, CON, 1);
	assert_int_equal(get16(RING(1) + 0x2002), 1);
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "out", 3);
	fake_vm_done(vm);
}

/* While a VM is being saved nothing writes to its memory; what somebody types is refused. */
static void quiet(void **state)
{
	struct vm *vm = machine();

	start(vm, CON, 2);
	offer(0, DATA, 16, 2);
	kick(vm, CON, 0);
	assert_int_equal(vdevs_quiesce(vm, NEVER_NS), 0);
	assert_int_equal(vconsole_input(console, "w", 1), 0);
	assert_int_equal(get16(RING(0) + 0x2002), 0);
	vdevs_resume(vm);
	assert_int_equal(get16(RING(0) + 0x2002), 0);
	assert_int_equal(vconsole_input(console, "x", 1), 1);
	assert_int_equal(get16(RING(0) + 0x2002), 1);
	assert_int_equal(fake_ram[DATA], 'x');
	fake_vm_done(vm);
}

#define OTHERS 100u /* chains: more than any bound on one notification's work */
static unsigned others_left;

static void others_offer(void)
{
	if (others_left > 0) {
		others_left--;
		offer(1, DATA, 1, 0);
	}
}

/*
 * Other vCPUs go on filling the queue while one's notification is served. With the event
 * index they do not notify, so the device takes all of it before it stops.
 */
static void filled_by_others(void **state)
{
	struct vm *vm = machine();

	start_with(vm, CON, 2, 1u << 29); /* EVENT_IDX */
	others_left = OTHERS;
	fake_others = others_offer;
	offer(1, DATA, 1, 0);
	kick(vm, CON, 1);
	assert_int_equal(others_left, 0);
	assert_int_equal(get16(RING(1) + 0x2002), OTHERS + 1);
	assert_int_equal(get16(RING(1) + 0x2004 + 8 * 8), OTHERS + 1); /* tell me of the next */
	fake_vm_done(vm);
}

/* The window in configuration space that firmware uses before BARs are placed. */
static void window(void **state)
{
	struct vm *vm = machine();

	fake_cfg_write(vm, RNG, 0x04, 2, 0);
	fake_cfg_write(vm, RNG, 0x74 + 8, 4, 0x12);
	fake_cfg_write(vm, RNG, 0x74 + 12, 4, 2);
	assert_int_equal(fake_cfg_read(vm, RNG, 0x74 + 16, 2), 1);
	fake_cfg_write(vm, RNG, 0x74 + 8, 4, 0x14);
	fake_cfg_write(vm, RNG, 0x74 + 12, 4, 1);
	fake_cfg_write(vm, RNG, 0x74 + 16, 1, 3);
	assert_int_equal(fake_cfg_read(vm, RNG, 0x74 + 16, 1), 3);
	fake_cfg_write(vm, RNG, 0x74 + 4, 1, 77); /* no such BAR */
	fake_cfg_write(vm, RNG, 0x74 + 16, 1, 0);
	fake_cfg_write(vm, RNG, 0x74 + 4, 1, 0);
	assert_int_equal(fake_cfg_read(vm, RNG, 0x74 + 16, 1), 3);
	fake_vm_done(vm);
}

static void move(void **state)
{
	struct vm *a = machine(), *b;
	static uint8_t ram[FAKE_RAM];

	start(a, RNG, 1);
	start(a, CON, 2);
	offer(0, DATA, 4, 2);
	kick(a, RNG, 0);
	vconsole_input(console, "typed", 5);
	memcpy(ram, fake_ram, sizeof(ram));
	b = machine();
	memcpy(fake_ram, ram, sizeof(ram));
	assert_int_equal(fake_move(a, b), 0);
	vdevs_resume(b);
	fake_msis = 0;
	offer(0, DATA, 8, 2);
	kick(b, RNG, 0);
	assert_int_equal(get16(RING(0) + 0x2002), 2);
	assert_int_equal(fake_msis, 1);
	assert_int_equal(fake_msi_data, 0x41);
	assert_int_equal(fake_read(b, BAR0(CON) + 0x14, 1) & 0x0f, 0x0f);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void refuses_nonsense(void **state)
{
	struct vm *vm = machine();
	uint8_t body[40 + 40 + 32] = { 4, 0, 0, 0, 1, 0, 2, 0 };

	body[26] = body[27] = 0xff;
	body[40 + 26] = body[40 + 27] = 0xff;
	assert_int_equal(fake_check(vm, REC_VIRTIO, RNG, 1, body, sizeof(body)), 0);
	assert_int_equal(fake_check(vm, REC_VIRTIO, CON, 1, body, sizeof(body)), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_VRNG, CON, 1, body, sizeof(body)), -EBADMSG);
	body[40 + 34] = 1; /* enabled, but of no size */
	assert_int_equal(fake_check(vm, REC_VIRTIO, RNG, 1, body, sizeof(body)), -EBADMSG);
	body[40 + 34] = 0;
	body[26] = 9; /* no such vector */
	assert_int_equal(fake_check(vm, REC_VIRTIO, RNG, 1, body, sizeof(body)), -EBADMSG);
	body[26] = 0xff;
	body[24] = 8;
	body[8] = 1; /* a feature that is not there */
	assert_int_equal(fake_check(vm, REC_VIRTIO, RNG, 1, body, sizeof(body)), -EBADMSG);
	memset(body, 0xff, sizeof(body));
	assert_int_equal(fake_check(vm, REC_VCONSOLE, CON, 1, body, sizeof(body)), -EBADMSG);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiation),
		cmocka_unit_test(entropy),
		cmocka_unit_test(masked_vector),
		cmocka_unit_test(malformed_ring_stops_it),
		cmocka_unit_test(console_both_ways),
		cmocka_unit_test(window),
		cmocka_unit_test(quiet),
		cmocka_unit_test(filled_by_others),
		cmocka_unit_test(move),
		cmocka_unit_test(refuses_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
