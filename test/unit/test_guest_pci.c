/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's PCI bus with its bridges, power management and clock: what
 * firmware and kernels read and move there.
 */
// SOURCES: kernel/vdev/pci.c kernel/vdev/pci_func.c kernel/vdev/hostbridge.c
// SOURCES: kernel/vdev/rtc_state.c
// SOURCES: kernel/vdev/lpc.c kernel/vdev/pm.c kernel/vdev/rtc.c kernel/vdev/rtc_time.c
// SOURCES: kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/bridge.h"
#include "kernel/vdev/rtc.h"
#include "test/unit/fake_vdev.h"

#define ECAM 0xb0000000ull

static struct pci_bus *bus;

static void dev_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	*value = 0x1000 + off;
}

static void dev_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
}

static const struct io_ops dev_io = { .read = dev_read, .write = dev_write };

static void dev_destroy(struct vdev *d)
{
	free(d);
}

static const struct vdev_ops dev_ops = { .name = "dev", .destroy = dev_destroy };

struct dev {
	struct vdev d;
	struct pci_func f;
};

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct dev *dev = calloc(1, sizeof(*dev));
	struct pm *pm;

	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(hostbridge_create(vm, bus), 0);
	assert_int_equal(pm_create(vm, &pm), 0);
	assert_int_equal(lpc_create(vm, bus, pm), 0);
	assert_int_equal(rtc_create(vm), 0);
	bus->reset_port = pm_reset_port;
	vdev_init(&dev->d, vm, &dev_ops, REC_END, REC_END, 99);
	pci_func_init(&dev->f, 0x1af4, 0x1044, 0xff00, 1);
	pci_bar_add(&dev->f, 0, 0x4000, &dev->d, &dev_io);
	pci_cap_add(&dev->f, 0x09, 20);
	pci_cap_add(&dev->f, 0x11, 12);
	pci_func_add(bus, &dev->f, 1);
	vdevs_reset(vm);
	return vm;
}

static void ports(void **state)
{
	struct vm *vm = machine();

	fake_out(vm, 0xcf8, 4, 0x80000000);
	assert_int_equal(fake_in(vm, 0xcf8, 4), 0x80000000);
	assert_int_equal(fake_cfg_read(vm, 0, 0, 4), 0x29c08086);
	assert_int_equal(fake_cfg_read(vm, 31, 0, 4), 0x29188086);
	assert_int_equal(fake_cfg_read(vm, 31, 0x0a, 2), 0x0601);
	assert_int_equal(fake_cfg_read(vm, 2, 0, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80010000); /* bus 1 */
	assert_int_equal(fake_in(vm, 0xcfc, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80000100); /* function 1 */
	assert_int_equal(fake_in(vm, 0xcfc, 2), 0xffff);
	fake_out(vm, 0xcf8, 4, 0); /* not enabled */
	assert_int_equal(fake_in(vm, 0xcfc, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80000000);
	assert_int_equal(fake_in(vm, 0xcfe, 4), 0xffffffff); /* over the end of the register */
	fake_out(vm, 0xcf9, 1, 0x02);
	assert_int_equal(fake_resets, 0);
	fake_out(vm, 0xcf9, 1, 0x06);
	assert_int_equal(fake_resets, 1);
	assert_int_equal(fake_in(vm, 0x64, 1),
			 0xff); /* no keyboard controller, but its reset line */
	fake_out(vm, 0x64, 1, 0xff);
	assert_int_equal(fake_resets, 1);
	fake_out(vm, 0x64, 1, 0xfe);
	assert_int_equal(fake_resets, 2);
	fake_vm_done(vm);
}

static void ecam_moves(void **state)
{
	struct vm *vm = machine();

	assert_int_equal(fake_read(vm, ECAM, 4), 0xffffffff);
	fake_cfg_write(vm, 0, 0x60, 4, 0xb0000001);
	assert_int_equal(fake_read(vm, ECAM, 4), 0x29c08086);
	assert_int_equal(fake_read(vm, ECAM + (31 << 15), 2), 0x8086);
	assert_int_equal(fake_read(vm, ECAM + 0x100, 4), 0); /* no extended capability */
	assert_int_equal(fake_read(vm, ECAM + (1 << 20), 4), 0xffffffff); /* bus 1 */
	assert_int_equal(fake_read(vm, ECAM + (5 << 15) + 0x100, 4), 0xffffffff);
	fake_write(vm, ECAM + 0x60, 4, 0xd0000001);
	assert_int_equal(fake_read(vm, ECAM, 4), 0xffffffff);
	assert_int_equal(fake_read(vm, 0xd0000060, 4), 0xd0000001);
	fake_write(vm, 0xd00000fe, 4, 0); /* over the end of the header */
	fake_write(vm, 0xd0000060, 4, 0xd0000000);
	assert_int_equal(fake_read(vm, 0xd0000000, 4), 0xffffffff);
	fake_vm_done(vm);
}

static void bars(void **state)
{
	struct vm *vm = machine();

	fake_cfg_write(vm, 1, 0x10, 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(vm, 1, 0x10, 4), 0xffffc000);
	fake_cfg_write(vm, 1, 0x14, 4, 0xffffffff);
	assert_int_equal(fake_cfg_read(vm, 1, 0x14, 4), 0);
	fake_cfg_write(vm, 1, 0x10, 4, 0xc0004000);
	assert_int_equal(fake_read(vm, 0xc0004000, 4), 0xffffffff); /* memory is not enabled */
	fake_cfg_write(vm, 1, 0x04, 2, 2);
	assert_int_equal(fake_read(vm, 0xc0004010, 4), 0x1010);
	fake_cfg_write(vm, 1, 0x12, 2, 0xd000);
	assert_int_equal(fake_read(vm, 0xc0004010, 4), 0xffffffff);
	assert_int_equal(fake_read(vm, 0xd0004010, 4), 0x1010);
	fake_cfg_write(vm, 1, 0, 4, 0); /* identity is read-only */
	assert_int_equal(fake_cfg_read(vm, 1, 0, 4), 0x10441af4);
	assert_int_equal(fake_cfg_read(vm, 1, 0x34, 1), 0x40);
	assert_int_equal(fake_cfg_read(vm, 1, 0x40, 2), 0x5409);
	assert_int_equal(fake_cfg_read(vm, 1, 0x54, 2), 0x0011);
	assert_int_equal(fake_cfg_read(vm, 1, 0x3d, 1), 0); /* no INTx pin */
	vdevs_reset(vm);
	assert_int_equal(fake_read(vm, 0xd0004010, 4), 0xffffffff);
	pci_assign(bus, 0xc0000000, 0xfc000000);
	assert_int_equal(fake_read(vm, 0xc0000000, 4), 0x1000);
	fake_vm_done(vm);
}

static void power_management(void **state)
{
	struct vm *vm = machine();
	uint64_t t0;

	assert_int_equal(fake_in(vm, 0x608, 4), 0xffffffff);
	fake_cfg_write(vm, 31, 0x40, 4, 0x601);
	fake_cfg_write(vm, 31, 0x44, 1, 0x80);
	assert_int_equal(fake_cfg_read(vm, 31, 0x40, 4), 0x601);
	t0 = fake_in(vm, 0x608, 4);
	fake_now_ns += NSEC_PER_SEC;
	assert_int_equal((fake_in(vm, 0x608, 4) - t0) & 0xffffff, 3579545);
	fake_now_ns += 10 * NSEC_PER_SEC;
	assert_true(fake_in(vm, 0x608, 4) <= 0xffffff);
	assert_int_equal(fake_in(vm, 0x604, 2), 1);
	fake_out(vm, 0x602, 2, 0xffff);
	assert_int_equal(fake_in(vm, 0x602, 2), 0x0721);
	assert_int_equal(fake_in(vm, 0x600, 4) >> 16, 0x0721);
	fake_out(vm, 0x604, 2, 0x0401); /* S1-like type without enable */
	fake_out(vm, 0x604, 2, 0x2401);
	assert_int_equal(fake_offs, 0);
	fake_out(vm, 0x604, 2, 0x2001);
	assert_int_equal(fake_offs, 1);
	fake_vm_done(vm);
}

static unsigned cmos(struct vm *vm, unsigned index)
{
	fake_out(vm, 0x70, 1, index);
	return (unsigned)fake_in(vm, 0x71, 1);
}

static void set_cmos(struct vm *vm, unsigned index, unsigned v)
{
	fake_out(vm, 0x70, 1, index);
	fake_out(vm, 0x71, 1, v);
}

static void calendar(void **state)
{
	static const struct {
		uint64_t s;
		struct rtc_time t;
	} known[] = {
		{ 0, { 0, 0, 0, 5, 1, 1, 1970 } },
		{ 951782399, { 59, 59, 23, 2, 28, 2, 2000 } },
		{ 951782400, { 0, 0, 0, 3, 29, 2, 2000 } },
		{ 1700000000, { 20, 13, 22, 3, 14, 11, 2023 } },
		{ 4107542400, { 0, 0, 0, 2, 1, 3, 2100 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct rtc_time t;

		rtc_from_seconds(known[i].s, &t);
		assert_memory_equal(&t, &known[i].t, sizeof(t));
		assert_int_equal(rtc_to_seconds(&t), known[i].s);
	}
	for (unsigned h = 0; h < 24; h++)
		for (uint8_t b = 0; b < 8; b = (uint8_t)(b + 2))
			assert_int_equal(rtc_decode_hour(rtc_encode_hour(h, b), b), h);
}

static void clock(void **state)
{
	struct vm *vm = machine();

	assert_int_equal(cmos(vm, 9), 0x23);
	assert_int_equal(cmos(vm, 0x32), 0x20);
	assert_int_equal(cmos(vm, 8), 0x11);
	assert_int_equal(cmos(vm, 4), 0x22);
	assert_int_equal(cmos(vm, 0), 0x20);
	assert_int_equal(cmos(vm, 0x0d), 0x80);
	fake_now_ns += 5 * NSEC_PER_SEC;
	assert_int_equal(cmos(vm, 0), 0x25);
	fake_now_ns += NSEC_PER_SEC - 1000;
	assert_int_equal(cmos(vm, 0x0a) & 0x80, 0x80);
	set_cmos(vm, 0x0b, 0x82); /* stop, set 2030-01-02 03:04:05 */
	set_cmos(vm, 9, 0x30);
	set_cmos(vm, 8, 0x01);
	set_cmos(vm, 7, 0x02);
	set_cmos(vm, 4, 0x03);
	set_cmos(vm, 2, 0x04);
	set_cmos(vm, 0, 0x05);
	assert_int_equal(cmos(vm, 0), 0x05);
	set_cmos(vm, 0x0b, 0x02);
	fake_now_ns += 2 * NSEC_PER_SEC;
	assert_int_equal(cmos(vm, 0), 0x07);
	assert_int_equal(cmos(vm, 9), 0x30);
	/* A reset starts guest time anew; the clock has a battery. */
	vdevs_reset(vm);
	vm->clock_offset_ns = -(int64_t)fake_now_ns;
	assert_int_equal(cmos(vm, 9), 0x30);
	assert_int_equal(cmos(vm, 4), 0x03);
	set_cmos(vm, 0x32, 0xff); /* nonsense does no harm */
	cmos(vm, 9);
	fake_vm_done(vm);
}

static void alarm(void **state)
{
	struct vm *vm = machine();

	set_cmos(vm, 1, 0x25);
	set_cmos(vm, 3, 0xc0);
	set_cmos(vm, 5, 0xc0);
	set_cmos(vm, 0x0b, 0x22);
	for (int i = 0; i < 4; i++) {
		fake_now_ns += NSEC_PER_SEC;
		assert_true(fake_timer_run());
		assert_false(fake_level[GSI_RTC]);
	}
	fake_now_ns += NSEC_PER_SEC;
	assert_true(fake_timer_run());
	assert_true(fake_level[GSI_RTC]);
	assert_int_equal(cmos(vm, 0x0c), 0xb0);
	assert_false(fake_level[GSI_RTC]);
	assert_int_equal(vdevs_quiesce(vm, 0), 0);
	fake_now_ns += NSEC_PER_SEC;
	assert_false(fake_timer_run());
	vdevs_resume(vm);
	fake_now_ns += NSEC_PER_SEC;
	assert_true(fake_timer_run());
	fake_vm_done(vm);
}

/* An alarm and some seconds fall into a move: each flag comes after it, once. */
static void alarm_in_a_move(void **state)
{
	struct vm *a = machine(), *b;
	uint64_t guest;

	set_cmos(a, 1, 0x25);
	set_cmos(a, 3, 0xc0);
	set_cmos(a, 5, 0xc0);
	set_cmos(a, 0x0b, 0x22);
	fake_now_ns += 2 * NSEC_PER_SEC;
	assert_true(fake_timer_run());
	assert_int_equal(cmos(a, 0x0c), 0x10); /* an update, no alarm */
	assert_int_equal(vdevs_quiesce(a, 0), 0);
	guest = vm_guest_ns(a);
	b = machine();
	assert_int_equal(fake_move(a, b), 0);
	fake_now_ns += 7 * NSEC_PER_SEC + 300 * NSEC_PER_MSEC;
	b->clock_offset_ns = (int64_t)(guest + 5 * NSEC_PER_SEC) - (int64_t)fake_now_ns;
	vdevs_resume(b);
	assert_true(fake_level[GSI_RTC]);
	assert_int_equal(cmos(b, 0x0c), 0xb0);
	assert_false(fake_level[GSI_RTC]);
	vdevs_resume(b);
	assert_int_equal(cmos(b, 0x0c), 0);
	for (int i = 0; i < 58; i++) {
		fake_now_ns += NSEC_PER_SEC;
		(void)fake_timer_run();
		assert_int_equal(fake_level[GSI_RTC], i == 57); /* at 25 s again */
	}
	fake_vm_done(a);
	fake_vm_done(b);
}

static void move(void **state)
{
	struct vm *a = machine(), *b;

	fake_cfg_write(a, 0, 0x60, 4, 0xb0000001);
	fake_cfg_write(a, 31, 0x40, 4, 0x601);
	fake_cfg_write(a, 31, 0x44, 1, 0x80);
	fake_cfg_write(a, 1, 0x10, 4, 0xc0000000);
	fake_cfg_write(a, 1, 0x04, 2, 6);
	fake_out(a, 0x602, 2, 0x100);
	b = machine();
	assert_int_equal(fake_move(a, b), 0);
	assert_int_equal(fake_read(b, ECAM + (1 << 15) + 4, 2), 6);
	assert_int_equal(fake_read(b, 0xc0000000, 4), 0x1000);
	assert_int_equal(fake_in(b, 0x602, 2), 0x100);
	assert_int_equal(fake_in(b, 0xcf8, 4), fake_in(a, 0xcf8, 4));
	bus->func[1]->power[0] ^= 1; /* another device in that slot */
	assert_int_equal(fake_move(a, b), -EBADMSG);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void refuses_nonsense(void **state)
{
	struct vm *vm = machine();
	uint8_t body[512] = { 0 };

	assert_int_equal(fake_check(vm, REC_PCI, 0, 1, body, sizeof(body)), -EBADMSG);
	body[4] = 200;
	assert_int_equal(fake_check(vm, REC_PCI, 0, 1, body, sizeof(body)), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_PM, 0, 1, body + 100, 8), 0);
	assert_int_equal(fake_check(vm, REC_PM, 0, 1, body + 100, 9), -EBADMSG);
	memset(body, 0xff, 8);
	assert_int_equal(fake_check(vm, REC_PM, 0, 1, body, 8), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_RTC, 0, 1, body + 100, 140), 0);
	body[107] = 0x7f; /* centuries off */
	assert_int_equal(fake_check(vm, REC_RTC, 0, 1, body + 100, 140), -EBADMSG);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),    cmocka_unit_test(ecam_moves),
		cmocka_unit_test(bars),	    cmocka_unit_test(power_management),
		cmocka_unit_test(calendar), cmocka_unit_test(clock),
		cmocka_unit_test(alarm),    cmocka_unit_test(alarm_in_a_move),
		cmocka_unit_test(move),	    cmocka_unit_test(refuses_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
