/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon as a driver drives it: inflation, free pages, hints only in answer to the
 * question that stands, statistics that wait in the ring, and a move.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c
// SOURCES: kernel/vdev/virtio_pci.c kernel/vdev/virtio_regs.c kernel/vdev/vballoon.c
// SOURCES: kernel/vdev/vballoon_queues.c kernel/vdev/pci.c kernel/vdev/pci_func.c
// SOURCES: kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/pageset.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_balloon.c
// SOURCES: test/unit/fake_virtio.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_balloon.h"
#include "test/unit/fake_virtio.h"
#include "kernel/vdev/q35.h"
#include "kernel/vdev/vballoon.h"

#define SLOT 1u
#define B0 0xc0000000ull
#define B1 0xc0010000ull
#define RING(n) (0x10000u + (n)*0x4000u) /* descriptors, +0x1000 available, +0x2000 used */
#define DATA 0x80000u
#define QUEUES 5u
#define IN 2u /* descriptor flag: the device writes */
#define HINT_ID 8u
#define GENERATION 0x15u

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct q35 *q = calloc(1, sizeof(*q));
	struct pci_bus *bus;

	vm->platform = q;
	memset(fake_given, 0, sizeof(fake_given));
	fake_lent = 0;
	fake_spare = UINT64_MAX;
	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(vballoon_create(vm, bus, SLOT, &q->balloon), 0);
	vdevs_reset(vm);
	fake_virtio_map(vm, SLOT, B0, B1);
	return vm;
}

static void start(struct vm *vm)
{
	assert_int_equal(fake_read(vm, B0 + 0x04, 4) & 0x3f, 0x2f);
	assert_true(fake_virtio_negotiate(vm, B0, 0x2f));
	fake_write(vm, B0 + 0x10, 2, 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		fake_write(vm, B0 + 0x16, 2, i);
		fake_write(vm, B0 + 0x1a, 2, 1);
		assert_true(fake_virtio_queue(vm, B0, i, 8, RING(i), RING(i) + 0x1000,
					      RING(i) + 0x2000));
	}
	for (unsigned v = 0; v < 2; v++) {
		fake_write(vm, B1 + 16 * v, 4, 0xfee00000);
		fake_write(vm, B1 + 16 * v + 8, 4, 0x40 + v);
		fake_write(vm, B1 + 16 * v + 12, 4, 0);
	}
	fake_cfg_write(vm, SLOT, 0x98, 4, 0x80000000);
	fake_virtio_go(vm, B0);
}

static uint16_t used(unsigned queue)
{
	uint16_t v;

	memcpy(&v, fake_ram + RING(queue) + 0x2002, 2);
	return v;
}

static void offer(struct vm *vm, unsigned queue, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint64_t r = RING(queue), d[2] = { addr, len | (uint64_t)flags << 32 };
	uint16_t idx, slot;

	memcpy(&idx, fake_ram + r + 0x1002, 2);
	slot = idx % 8;
	memcpy(fake_ram + r + 16 * slot, d, 16);
	memcpy(fake_ram + r + 0x1004 + 2 * slot, &slot, 2);
	idx++;
	memcpy(fake_ram + r + 0x1002, &idx, 2);
	fake_write(vm, B0 + 0x3000 + 4 * queue, 2, queue);
}

static void offer_word(struct vm *vm, unsigned queue, uint32_t v)
{
	memcpy(fake_ram + DATA, &v, sizeof(v));
	offer(vm, queue, DATA, sizeof(v), 0);
}

static uint32_t config(struct vm *vm, unsigned off)
{
	return (uint32_t)fake_read(vm, B0 + 0x2000 + off, 4);
}

static void gives_and_takes(void **state)
{
	struct vm *vm = machine();
	static uint32_t pfn[200];
	struct balloon_info b;
	char why[160];

	start(vm);
	assert_int_equal(balloon_set(vm, 255u << 20, why, sizeof(why)), 0);
	assert_int_equal(config(vm, 0), 256);
	assert_int_equal(fake_msi_data, 0x40);
	assert_int_equal(fake_read(vm, B0 + GENERATION, 1), 1);
	for (unsigned i = 0; i < 200; i++)
		pfn[i] = 1000 + 2 * i;
	memcpy(fake_ram + DATA, pfn, sizeof(pfn));
	offer(vm, BALLOON_INFLATE, DATA, sizeof(pfn), 0);
	assert_int_equal(used(BALLOON_INFLATE), 1);
	fake_write(vm, B0 + 0x2004, 4, 200);
	for (unsigned i = 900; i < 1500; i++)
		assert_int_equal(fake_given[i], i >= 1000 && i < 1400 && i % 2 == 0);
	balloon_info(vm, &b);
	assert_true(b.driver && b.reports && !b.stats_ns);
	assert_int_equal(b.ballooned, 200);
	assert_int_equal(b.actual_bytes, (256u << 20) - 200 * PAGE_SIZE);
	assert_int_equal(b.target_bytes, 255u << 20);
	assert_int_equal(fake_lent, 200 * PAGE_SIZE);
	fake_spare = 0;
	assert_int_equal(balloon_set(vm, 256u << 20, why, sizeof(why)), -ENOMEM);
	assert_int_equal(balloon_set(vm, 0, why, sizeof(why)), -EINVAL);
	assert_int_equal(balloon_set(vm, 257u << 20, why, sizeof(why)), -EINVAL);
	offer(vm, BALLOON_DEFLATE, DATA, 4, 0); /* not to be had, but the guest goes on */
	assert_int_equal(used(BALLOON_DEFLATE), 1);
	fake_spare = UINT64_MAX;
	offer(vm, BALLOON_DEFLATE, DATA, 400, 0);
	assert_int_equal(fake_lent, 99 * PAGE_SIZE); /* with the one that was not to be had */
	fake_write(vm, B0 + 0x14, 1, 0);	     /* the driver goes */
	assert_int_equal(fake_lent, 0);
	balloon_info(vm, &b);
	assert_true(!b.driver && b.actual_bytes == 256u << 20 && b.target_bytes == 255u << 20);
	fake_vm_done(vm);
}

static void outside_of_memory(void **state)
{
	struct vm *vm = machine();

	start(vm);
	offer_word(vm, BALLOON_INFLATE, FAKE_PAGES);
	assert_int_equal(fake_read(vm, B0 + 0x14, 1), 0x4f);
	fake_vm_done(vm);
	vm = machine();
	start(vm);
	offer(vm, BALLOON_REPORTQ, (uint64_t)FAKE_PAGES << PAGE_SHIFT, PAGE_SIZE, IN);
	assert_int_equal(fake_read(vm, B0 + 0x14, 1), 0x4f);
	fake_vm_done(vm);
}

/* Whole pages only, and nothing of it lent: the guest may use them again without a word. */
static void free_pages(void **state)
{
	struct vm *vm = machine();
	struct balloon_info b;

	start(vm);
	offer(vm, BALLOON_REPORTQ, 0x800800, 0x3000, IN);
	offer(vm, BALLOON_REPORTQ, 0x900100, 0x200, IN);
	balloon_info(vm, &b);
	assert_int_equal(b.reported, 2);
	assert_true(fake_given[0x801] && fake_given[0x802] && !fake_given[0x803]);
	assert_true(!fake_given[0x800] && !fake_given[0x900]);
	assert_int_equal(fake_lent, 0);
	fake_vm_done(vm);
}

static void hints(void **state)
{
	struct vm *vm = machine();
	struct pageset set;
	bool complete;
	uint32_t id;

	assert_int_equal(pageset_init(&set, FAKE_PAGES), 0);
	assert_false(balloon_hints_start(vm)); /* no driver */
	start(vm);
	offer(vm, BALLOON_HINTQ, 0x400000, 0x2000, IN); /* nobody has asked */
	assert_true(balloon_hints_start(vm));
	id = config(vm, HINT_ID);
	assert_true(id >= 2);
	offer_word(vm, BALLOON_HINTQ, id + 1); /* to another question */
	offer(vm, BALLOON_HINTQ, 0x600000, 0x2000, IN);
	assert_int_equal(balloon_hints_seen(vm, &complete), 0);
	offer_word(vm, BALLOON_HINTQ, id);
	offer(vm, BALLOON_HINTQ, 0x800000, 0x2000, IN);
	assert_int_equal(balloon_hints_seen(vm, &complete), 2);
	assert_false(complete);
	offer_word(vm, BALLOON_HINTQ, 0);
	(void)balloon_hints_seen(vm, &complete);
	assert_true(complete);
	offer(vm, BALLOON_HINTQ, 0xa00000, 0x2000, IN); /* after its end */
	assert_int_equal(balloon_hints_end(vm, &set), 0);
	assert_int_equal(config(vm, HINT_ID), 1);
	assert_int_equal(pageset_count(&set), 2);
	assert_true(pageset_test(&set, 0x800) && pageset_test(&set, 0x801));
	offer(vm, BALLOON_HINTQ, 0xc00000, 0x2000, IN);
	assert_true(balloon_hints_start(vm));
	assert_int_equal(config(vm, HINT_ID), id + 1);
	pageset_clear_all(&set);
	assert_int_equal(balloon_hints_end(vm, &set), 0);
	assert_true(pageset_empty(&set));
	assert_false(fake_given[0x800]); /* a hint leaves the page where it is */
	pageset_fini(&set);
	fake_vm_done(vm);
}

static void put_stat(unsigned i, uint16_t tag, uint64_t v)
{
	memcpy(fake_ram + DATA + 10 * i, &tag, 2);
	memcpy(fake_ram + DATA + 10 * i + 2, &v, 8);
}

static void statistics(void **state)
{
	struct vm *vm = machine();
	struct balloon_info b;

	start(vm);
	assert_false(balloon_ask_stats(vm));
	put_stat(0, BALLOON_FREE, 1234);
	put_stat(1, 999, 5); /* one that is not known */
	put_stat(2, BALLOON_TOTAL, 5678);
	offer(vm, BALLOON_STATSQ, DATA, 30, 0);
	assert_int_equal(used(BALLOON_STATSQ), 0); /* it waits */
	balloon_info(vm, &b);
	assert_int_equal(b.stats_known, 1u << BALLOON_FREE | 1u << BALLOON_TOTAL);
	assert_int_equal(b.stat[BALLOON_FREE], 1234);
	fake_now_ns += 5;
	assert_true(balloon_ask_stats(vm));
	assert_int_equal(used(BALLOON_STATSQ), 1);
	assert_false(balloon_ask_stats(vm)); /* it is still writing */
	put_stat(0, BALLOON_FREE, 99);
	offer(vm, BALLOON_STATSQ, DATA, 10, 0);
	balloon_info(vm, &b);
	assert_int_equal(b.stat[BALLOON_FREE], 99);
	assert_int_equal(b.stats_ns, fake_now_ns);
	fake_vm_done(vm);
}

static void move(void **state)
{
	struct vm *a = machine(), *b;
	static uint8_t ram[FAKE_RAM];
	struct balloon_info info;
	struct pageset set;
	char why[160];
	uint32_t id;

	start(a);
	assert_int_equal(pageset_init(&set, FAKE_PAGES), 0);
	assert_int_equal(balloon_set(a, 128u << 20, why, sizeof(why)), 0);
	fake_write(a, B0 + 0x2004, 4, 777);
	offer_word(a, BALLOON_INFLATE, 1500);
	put_stat(0, BALLOON_FREE, 1234);
	offer(a, BALLOON_STATSQ, DATA, 10, 0);
	assert_true(balloon_hints_start(a));
	id = config(a, HINT_ID);
	assert_int_equal(balloon_hints_end(a, &set), 0);
	memcpy(ram, fake_ram, sizeof(ram));
	b = machine();
	memcpy(fake_ram, ram, sizeof(ram));
	assert_int_equal(fake_move(a, b), 0);
	vdevs_resume(b);
	balloon_info(b, &info);
	assert_int_equal(info.target_bytes, 128u << 20);
	assert_int_equal(info.actual_bytes, (256u << 20) - 777 * PAGE_SIZE);
	assert_int_equal(info.stat[BALLOON_FREE], 1234);
	assert_int_equal(fake_lent, PAGE_SIZE);
	assert_int_equal(fake_read(b, B0 + GENERATION, 1), fake_read(a, B0 + GENERATION, 1));
	assert_true(balloon_ask_stats(b)); /* the buffer came along in the ring */
	assert_true(balloon_hints_start(b));
	assert_int_equal(config(b, HINT_ID), id + 1);
	pageset_fini(&set);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void refuses_nonsense(void **state)
{
	struct vm *vm = machine();
	uint32_t body[28] = { 5, 5, 1, 0, 7, 5, 0, 0 };

	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, sizeof(body)), 0);
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 2, body, sizeof(body)), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, 12), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_VNET, SLOT, 1, body, sizeof(body)), -EBADMSG);
	body[2] = 9; /* a question that nobody asked */
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, sizeof(body)), -EBADMSG);
	body[2] = 1;
	body[4] = 256;
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, sizeof(body)), -EBADMSG);
	body[4] = 0;
	body[0] = FAKE_PAGES; /* nothing left */
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, sizeof(body)), -EBADMSG);
	body[0] = 0;
	body[6] = 1u << 10;
	assert_int_equal(fake_check(vm, REC_VBALLOON, SLOT, 1, body, sizeof(body)), -EBADMSG);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_and_takes),  cmocka_unit_test(outside_of_memory),
		cmocka_unit_test(free_pages),	    cmocka_unit_test(hints),
		cmocka_unit_test(statistics),	    cmocka_unit_test(move),
		cmocka_unit_test(refuses_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
