/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's ACPI tables, by both ways they reach it: direct boot's and
 * fw_cfg's script, which a small loader here carries out as firmware would. The
 * results must be the same but for the address, and Debian's iasl must take
 * each table apart without an error.
 */
// SOURCES: kernel/vdev/acpi_tables.c kernel/vdev/acpi_wdat.c kernel/vdev/dsdt.c kernel/vdev/fwcfg.c
// SOURCES: kernel/vdev/fwcfg_loader.c kernel/vdev/vdev.c kernel/lib/rec.c
// SOURCES: test/unit/fake_vdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/fwcfg.h"
#include "kernel/vdev/q35.h"
#include "test/unit/fake_vdev.h"

#define TABLES_GPA 0x3fe40000u
#define FILES 8

static struct acpi_image image;

unsigned q35_e820(struct vm *vm, bool direct, struct e820_entry out[Q35_E820_MAX])
{
	out[0] = (struct e820_entry){ 0, vm->cfg.mem_bytes, E820_RAM };
	return 1;
}

static uint32_t get(const uint8_t *p, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)p[i] << 8 * i;
	return v;
}

static uint32_t get_be(const uint8_t *p, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static unsigned sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* ---- fw_cfg as firmware reads it ---- */

struct file {
	char name[56];
	uint32_t size;
	uint8_t *bytes;
};
static struct file files[FILES];

static void select_key(struct vm *vm, uint16_t key)
{
	fake_out(vm, 0x510, 2, key);
}

static void read_bytes(struct vm *vm, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)fake_in(vm, 0x511, 1);
}

static unsigned read_files(struct vm *vm)
{
	uint8_t count[4], entry[FILES][64];
	unsigned n;

	select_key(vm, 0x19);
	read_bytes(vm, count, 4);
	n = get_be(count, 4);
	assert_in_range(n, 1, FILES);
	read_bytes(vm, entry, n * 64);
	for (unsigned i = 0; i < n; i++) {
		files[i].size = get_be(entry[i], 4);
		memcpy(files[i].name, entry[i] + 8, 56);
		files[i].bytes = malloc(files[i].size);
		select_key(vm, (uint16_t)get_be(entry[i] + 4, 2));
		read_bytes(vm, files[i].bytes, files[i].size);
		assert_int_equal(fake_in(vm, 0x511, 1), 0); /* past the end */
	}
	return n;
}

static struct file *file(const char *name)
{
	for (unsigned i = 0; i < FILES; i++)
		if (!strcmp(files[i].name, name))
			return &files[i];
	fail_msg("no file %s", name);
	return NULL;
}

static void run_script(void)
{
	const struct file *script = file("etc/table-loader");

	assert_int_equal(script->size % 128, 0);
	for (uint32_t at = 0; at < script->size; at += 128) {
		const uint8_t *c = script->bytes + at;
		struct file *f = file((const char *)c + 4);

		switch (get(c, 4)) {
		case 1:
			break;
		case 2: {
			uint32_t off = get(c + 116, 4), size = c[120];
			uint64_t v = 0;

			assert_string_equal((const char *)c + 60, "etc/acpi/tables");
			assert_true(off + size <= f->size);
			memcpy(&v, f->bytes + off, size);
			v += TABLES_GPA;
			memcpy(f->bytes + off, &v, size);
			break;
		}
		case 3: {
			uint32_t off = get(c + 60, 4), start = get(c + 64, 4), len = get(c + 68, 4);

			assert_true(off < f->size && start + len <= f->size);
			f->bytes[off] = (uint8_t)(f->bytes[off] - sum(f->bytes + start, len));
			break;
		}
		default:
			fail_msg("unknown command");
		}
	}
}

static void both_ways_agree(void **state)
{
	struct vm *vm = fake_vm();
	struct fwcfg *f;
	char signature[4];
	unsigned n;

	acpi_build(&image, 1);
	assert_int_equal(fwcfg_create(vm, &image, &f), 0);
	vdevs_reset(vm);
	read_bytes(vm, signature, 4);
	assert_memory_equal(signature, "QEMU", 4);
	select_key(vm, 5);
	assert_int_equal(fake_in(vm, 0x511, 1), 1);
	select_key(vm, 0x7777);
	assert_int_equal(fake_in(vm, 0x511, 1), 0);
	n = read_files(vm);
	assert_int_equal(file("etc/e820")->size, 20);
	run_script();
	acpi_relocate(&image, TABLES_GPA);
	assert_int_equal(file("etc/acpi/tables")->size, image.len);
	assert_memory_equal(file("etc/acpi/tables")->bytes, image.tables, image.len);
	assert_memory_equal(file("etc/acpi/rsdp")->bytes, image.rsdp, ACPI_RSDP_SIZE);
	for (unsigned i = 0; i < n; i++)
		free(files[i].bytes);
	fake_vm_done(vm);
}

static void position_moves(void **state)
{
	struct vm *a = fake_vm(), *b;
	struct fwcfg *f;
	uint8_t bad[8] = { 0, 0, 1 };

	acpi_build(&image, 1);
	assert_int_equal(fwcfg_create(a, &image, &f), 0);
	select_key(a, 0);
	fake_in(a, 0x511, 1);
	b = fake_vm();
	assert_int_equal(fwcfg_create(b, &image, &f), 0);
	assert_int_equal(fake_move(a, b), 0);
	assert_int_equal(fake_in(b, 0x511, 1), 'E');
	assert_int_equal(fake_check(b, REC_FWCFG, 0, 1, bad, 8), -EBADMSG);
	bad[2] = 0;
	memset(bad + 4, 0xff, 4); /* far behind the end */
	assert_int_equal(fake_check(b, REC_FWCFG, 0, 1, bad, 8), 0);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void disassemble(const char *dir, const uint8_t *table)
{
	char path[128], command[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.4s.dat", dir, (const char *)table);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(table, get(table + 4, 4), 1, f), 1);
	fclose(f);
	snprintf(command, sizeof(command),
		 "iasl -d %s > %s.out 2>&1 && ! grep -iE 'error|incorrect|invalid|warning' %s.out "
		 ">&2",
		 path, path, path);
	if (system(command))
		fail_msg("iasl found fault with %.4s", (const char *)table);
}

static const uint8_t *at_pointer(const uint8_t *p)
{
	uint32_t off = get(p, 4) - TABLES_GPA;

	assert_true(off < image.len);
	return image.tables + off;
}

static void iasl_reads_them(void **state)
{
	static const char *const want[3] = { "FACP", "APIC", "MCFG" };
	char dir[] = "/tmp/tern-acpi-XXXXXX", command[64];

	if (system("command -v iasl > /dev/null"))
		skip();
	assert_non_null(mkdtemp(dir));
	for (unsigned vcpus = 1; vcpus <= VM_VCPUS_MAX; vcpus += 21) {
		const uint8_t *xsdt;

		acpi_build(&image, vcpus);
		acpi_relocate(&image, TABLES_GPA);
		assert_int_equal(sum(image.rsdp, 20), 0);
		assert_int_equal(sum(image.rsdp, 36), 0);
		xsdt = at_pointer(image.rsdp + 24);
		disassemble(dir, xsdt);
		for (unsigned i = 0; i < 3; i++) {
			const uint8_t *t = at_pointer(xsdt + 36 + 8 * i);

			assert_memory_equal(t, want[i], 4);
			assert_int_equal(sum(t, get(t + 4, 4)), 0);
			disassemble(dir, t);
		}
		disassemble(dir, at_pointer(at_pointer(xsdt + 36) + 40)); /* DSDT */
		disassemble(dir, at_pointer(at_pointer(xsdt + 36) + 36)); /* FACS */
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_agree),
		cmocka_unit_test(position_moves),
		cmocka_unit_test(iasl_reads_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
