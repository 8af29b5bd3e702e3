/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptions of VMs: what is read, what is refused and how it is said, and that what is written
 * is read again. */
// SOURCES: kernel/home/desc*.c kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/home.h>

void vm_request_reset(struct vm *vm)
{
	abort();
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	abort();
}

static struct vm_desc d;
static char why[224];

static int parse(const char *text)
{
	vm_desc_init(&d);
	strcpy(d.cfg.name, "deb");
	strcpy(d.cfg.home, "ds1");
	why[0] = '\0';
	return vm_desc_parse(&d, text, strlen(text), why, sizeof(why));
}

static const char whole[] = "version = 1\n"
			    "mem = 512M\n"
			    "vcpus = 2\n"
			    "cpu = baseline\n"
			    "hyperv = yes\n"
			    "shares = 2000\n"
			    "kernel = ./vmlinuz\n"
			    "initrd = /boot/initrd\n"
			    "cmdline = quiet root=/dev/vda console=ttyS0\n"
			    "disk = ./root.disk,iops=500,mbps=20,serial=first\n"
			    "disk = /ds/ds2/deb/swap.disk,mode=independent,serial=deb-1\n"
			    "disk = ./scratch.disk,mode=nonpersistent\n"
			    "disk = disk0,ro\n"
			    "net = net0,02:00:00:00:00:01,queues=2,rate=100,spoof=allow\n"
			    "on-panic = stop\n"
			    "on-crash = keep\n"
			    "on-watchdog = reset\n"
			    "host = a\n"
			    "autostart = 3\n"
			    "autostart-delay = 20\n"
			    "moving = fd77::2,000102030405060708090a0b0c0d0eff\n";

static void all_keys(void **state)
{
	char again[VM_DESC_BYTES_MAX];

	assert_int_equal(parse(whole), 0);
	assert_int_equal(d.cfg.mem_bytes, 512 << 20);
	assert_int_equal(d.cfg.vcpus, 2);
	assert_true(d.cfg.baseline && d.cfg.hyperv);
	assert_int_equal(d.cfg.sched.shares, 2000);
	assert_string_equal(d.cfg.kernel, "/ds/ds1/deb/vmlinuz");
	assert_string_equal(d.cfg.cmdline, "quiet root=/dev/vda console=ttyS0");
	assert_int_equal(d.cfg.disks, 4);
	assert_string_equal(d.cfg.disk[0].path, "/ds/ds1/deb/root.disk");
	assert_string_equal(d.cfg.disk[0].serial, "first");
	assert_int_equal(d.cfg.disk[0].limit.iops, 500);
	assert_int_equal(d.cfg.disk[0].limit.mbps, 20);
	assert_int_equal(d.cfg.disk[1].mode, VM_DISK_INDEPENDENT);
	assert_int_equal(d.cfg.disk[2].mode, VM_DISK_NONPERSISTENT);
	assert_true(d.cfg.disk[3].read_only);
	assert_int_equal(d.cfg.nic[0].rate_mbit, 100);
	assert_true(d.cfg.nic[0].any_source);
	assert_int_equal(d.cfg.on[VM_PANIC], VM_POWER_OFF);
	assert_string_equal(d.host, "a");
	assert_int_equal(d.autostart, 3);
	assert_int_equal(d.autostart_delay_s, 20);
	assert_int_equal(vm_desc_write(&d, again, sizeof(again)), strlen(whole));
	assert_string_equal(again, whole);
}

/* As a person writes it: order, blanks, comments, line ends, no newline at the end. */
static void by_hand(void **state)
{
	assert_int_equal(parse("# mine\r\n\r\n  cmdline=a = b  \r\nkernel =\t/boot/k"), 0);
	assert_string_equal(d.cfg.cmdline, "a = b");
	assert_string_equal(d.cfg.kernel, "/boot/k");
	assert_int_equal(d.cfg.mem_bytes, 256 << 20);
	assert_int_equal(d.cfg.on[VM_WATCHDOG], VM_RESET);
	assert_int_equal(d.autostart, 0);
}

static void firmware(void **state)
{
	char again[VM_DESC_BYTES_MAX];

	assert_int_equal(parse("firmware = /boot/OVMF.fd\ndisk = disk0"), 0);
	assert_int_equal(d.cfg.boot, VM_BOOT_FIRMWARE);
	assert_string_equal(d.cfg.kernel, "/boot/OVMF.fd");
	assert_true(vm_desc_write(&d, again, sizeof(again)) > 0);
	assert_non_null(strstr(again, "\nfirmware = /boot/OVMF.fd\n"));
	assert_null(strstr(again, "kernel ="));
}

static void refusals(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "either a kernel" },
		{ "kernel /boot/k", "line 1: it is not KEY = VALUE" },
		{ "\nkernel = /boot/k\ncolour = red", "line 3: colour: there is no such key" },
		{ "\x1b[2J = x", "line 1: ...: there is no such key" },
		{ "kernel = k\nkernel = k", "line 2: kernel k: the key stands twice" },
		{ "kernel = k\nmultiboot = k", "kernel, firmware or multiboot" },
		{ "firmware = f\ninitrd = i", "either a kernel" },
		{ "firmware = f\nmodule = m", "either a kernel" },
		{ "kernel = k\nmodule = k", "either a kernel" },
		{ "kernel =", "a path has 1 to 127" },
		{ "version = 2", "version 1" },
		{ "mem = 3M", "steps of 2M" },
		{ "vcpus = 65", "1 to 64" },
		{ "shares = 99", "100 to 10000" },
		{ "on-panic = explode", "keep, reset or stop" },
		{ "kernel = k\nnet = net0,queues=2", "more than vCPUs" },
		{ "net = net0,01:00:00:00:00:01", "unicast" },
		{ "disk = d,rw", "line 1: disk rw: it is ro" },
		{ "disk = d,serial=two words", "serial=TEXT" },
		{ "disk = d,iops=10000001", "iops=1 to" },
		{ "disk = d,mbps=0", "mbps=1 to" },
		{ "disk = disk0,mode=nonpersistent", "no whole disk" },
		{ "disk = /ds/a/b,ro,mode=nonpersistent", "not ro" },
		{ "host = a b", "no host's name" },
		{ "moving = a b", "no host" },
		{ "moving = ,000102030405060708090a0b0c0d0eff", "no host" },
		{ "moving = a,000102030405060708090a0b0c0d0e", "no host" },
		{ "moving = a,000102030405060708090a0b0c0d0e0g", "no host" },
		{ "autostart = 10000", "0 to 9999" },
		{ "cmdline = \x1b[2J", "control characters" },
		{ "kernel = k\nkernel = \x1b[2J", "line 2: kernel ...: control characters" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_not_equal(parse(bad[i].text), 0);
		if (!strstr(why, bad[i].says))
			fail_msg("'%s' says '%s', not '%s'", bad[i].text, why, bad[i].says);
	}
}

static void too_long(void **state)
{
	char text[2100] = "kernel = ";
	char small[32];

	memset(text + 9, 'a', 127);
	assert_int_equal(parse(text), 0);
	memset(text + 9, 'a', 128);
	assert_int_not_equal(parse(text), 0);
	memset(text + 9, 'a', 2000);
	assert_int_not_equal(parse(text), 0);
	assert_string_equal(why, "line 1: it is too long, or no text");
	assert_int_equal(parse(whole), 0);
	assert_int_equal(vm_desc_write(&d, small, sizeof(small)), -ENOSPC);
}

static void no_home(void **state)
{
	vm_desc_init(&d);
	assert_int_equal(vm_desc_set(&d, "disk", "./root.disk", why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "this one has none"));
}

/* The largest there can be has room in what is written to the datastore. */
static void largest(void **state)
{
	char word[VM_CMDLINE_MAX], out[VM_DESC_BYTES_MAX];

	assert_int_equal(parse("kernel = k"), 0);
	memset(word, 'w', sizeof(word));
	word[VM_CMDLINE_MAX - 1] = '\0';
	strcpy(d.cfg.cmdline, word);
	word[VM_PATH_MAX - 1] = '\0';
	strcpy(d.cfg.kernel, word);
	strcpy(d.cfg.initrd, word);
	d.cfg.modules = VM_MODULES_MAX;
	for (unsigned i = 0; i < VM_MODULES_MAX; i++)
		strcpy(d.cfg.module[i], word);
	d.cfg.disks = VM_DISKS_MAX;
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		d.cfg.disk[i].mode = VM_DISK_NONPERSISTENT;
		d.cfg.disk[i].limit.iops = VM_DISK_IOPS_MAX;
		d.cfg.disk[i].limit.mbps = VM_DISK_MBPS_MAX;
		snprintf(d.cfg.disk[i].path, VM_DISK_PATH_MAX, "%.127s", word);
		snprintf(d.cfg.disk[i].serial, VM_SERIAL_MAX, "%.20s", word);
	}
	assert_in_range(vm_desc_write(&d, out, sizeof(out)), 2500, sizeof(out) - 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys), cmocka_unit_test(by_hand),	cmocka_unit_test(firmware),
		cmocka_unit_test(refusals), cmocka_unit_test(too_long), cmocka_unit_test(no_home),
		cmocka_unit_test(largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
