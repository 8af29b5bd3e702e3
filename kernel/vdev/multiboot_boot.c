/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a multiboot 1 payload: its parts where it wants them, its modules page
 * aligned behind them, the boot information in low memory (or behind the
 * modules when the payload lies there), and vCPU 0 at its entry in 32-bit
 * protected mode without paging. ACPI tables and chipset are as for Linux.
 * [Multiboot 0.6.96 3.2 "Machine state", 3.3 "Boot information format"]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>

#include "direct.h"
#include "multiboot.h"

#define LOADED_MAGIC 0x2badb002u
#define INFO_GPA 0x90000u
#define INFO_SIZE 4096u

#define CODE_SELECTOR 0x08u
#define DATA_SELECTOR 0x10u
#define CODE_ATTR 0xc9bu /* code, read, accessed, present, 32-bit, granular */
#define CR0_START 0x11u	 /* ET, PE */

#define INFO_MEMORY BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP BIT(6)
#define INFO_LOADER BIT(9)

struct info {
	uint32_t flags;			 /* 0 */
	uint32_t mem_lower, mem_upper;	 /* 4 KiB from 0 and from 1 MiB */
	uint32_t boot_device;		 /* 12 */
	uint32_t cmdline;		 /* 16 */
	uint32_t mods_count, mods_addr;	 /* 20 */
	uint32_t syms[4];		 /* 28 */
	uint32_t mmap_length, mmap_addr; /* 44 */
	uint32_t drives[2], config;	 /* 52 */
	uint32_t loader_name;		 /* 64 */
	uint32_t apm, vbe[4];		 /* 68 */
};
_Static_assert(sizeof(struct info) == 88, "multiboot information");

struct info_module {
	uint32_t start, end, string, reserved;
};
_Static_assert(sizeof(struct info_module) == 16, "multiboot module");

struct info_range {
	uint32_t size; /* of what follows */
	struct e820_entry e;
} __attribute__((packed));
_Static_assert(sizeof(struct info_range) == 24, "multiboot memory range");

/* All of the information, as it lies in guest memory. */
struct block {
	struct info info;
	struct info_module module[VM_MODULES_MAX];
	struct info_range range[Q35_E820_MAX];
	char loader[8];
	char names[VM_MODULES_MAX][VM_PATH_MAX];
	char cmdline[VM_PATH_MAX + 1 + VM_CMDLINE_MAX];
};
_Static_assert(sizeof(struct block) <= INFO_SIZE, "fits its place");

struct boot {
	struct vm *vm;
	struct multiboot mb;
	struct bootfile payload, module[VM_MODULES_MAX];
	uint64_t module_gpa[VM_MODULES_MAX], info_gpa;
	char *why;
	size_t why_len;
};

static int open_files(struct boot *b)
{
	const struct vm_config *cfg = &b->vm->cfg;
	int rc = bootfile_open(&b->payload, cfg->kernel, b->why, b->why_len);

	for (unsigned i = 0; i < cfg->modules && !rc; i++)
		rc = bootfile_open(&b->module[i], cfg->module[i], b->why, b->why_len);
	if (!rc)
		rc = bootfile_load(&b->payload, b->why, b->why_len);
	if (!rc)
		rc = multiboot_parse(b->payload.whole, b->payload.size, &b->mb, b->why, b->why_len);
	return rc;
}

static void close_files(struct boot *b)
{
	bootfile_close(&b->payload);
	for (unsigned i = 0; i < VM_MODULES_MAX; i++)
		bootfile_close(&b->module[i]);
}

static bool parts_touch(const struct multiboot *m, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < m->parts; i++)
		if (m->part[i].to < end && m->part[i].to + m->part[i].mem_len > start)
			return true;
	return false;
}

/* Everything fits, or nothing has been touched. */
static int place(struct boot *b)
{
	uint64_t top = MIN(b->vm->cfg.mem_bytes, GMEM_LOW_MAX);
	uint64_t at = ALIGN_UP(MAX(b->mb.end, Q35_BIOS_END), PAGE_SIZE);

	if (parts_touch(&b->mb, Q35_LOW_END, Q35_BIOS_END)) {
		snprintf(b->why, b->why_len,
			 "multiboot payload: loaded between 640 KiB and 1 MiB, where no memory is");
		return -EINVAL;
	}
	for (unsigned i = 0; i < b->vm->cfg.modules; i++) {
		b->module_gpa[i] = at;
		at = ALIGN_UP(at + b->module[i].size, PAGE_SIZE);
	}
	b->info_gpa = INFO_GPA;
	if (parts_touch(&b->mb, INFO_GPA, INFO_GPA + INFO_SIZE)) {
		b->info_gpa = at;
		at += INFO_SIZE;
	}
	if (at <= top)
		return 0;
	snprintf(b->why, b->why_len, "the payload and its modules need %u MiB",
		 (unsigned)(ALIGN_UP(at, SIZE_2M) >> 20));
	return -ENOMEM;
}

static int load(struct boot *b)
{
	int rc = 0;

	for (unsigned i = 0; i < b->mb.parts && !rc; i++) {
		const struct multiboot_part *p = &b->mb.part[i];

		rc = bootfile_copy(b->vm, GPA(p->to), &b->payload, p->from, p->len, b->why,
				   b->why_len);
		if (!rc)
			rc = direct_zero(b->vm, GPA(p->to + p->len), &b->payload,
					 p->mem_len - p->len, b->why, b->why_len);
	}
	for (unsigned i = 0; i < b->vm->cfg.modules && !rc; i++)
		rc = bootfile_copy(b->vm, GPA(b->module_gpa[i]), &b->module[i], 0,
				   b->module[i].size, b->why, b->why_len);
	return rc;
}

static uint32_t at(const struct boot *b, size_t offset)
{
	return (uint32_t)(b->info_gpa + offset);
}

static void fill_map(struct boot *b, struct block *k)
{
	struct e820_entry map[Q35_E820_MAX];
	unsigned n = q35_e820(b->vm, true, map);
	uint64_t top = MIN(b->vm->cfg.mem_bytes, GMEM_LOW_MAX);

	for (unsigned i = 0; i < n; i++)
		k->range[i] = (struct info_range){ sizeof(map[i]), map[i] };
	k->info.mmap_length = n * (uint32_t)sizeof(k->range[0]);
	k->info.mmap_addr = at(b, offsetof(struct block, range));
	k->info.mem_lower = Q35_LOW_END >> 10;
	k->info.mem_upper = (uint32_t)((top - Q35_BIOS_END) >> 10);
}

static void fill_modules(struct boot *b, struct block *k)
{
	for (unsigned i = 0; i < b->vm->cfg.modules; i++) {
		k->module[i].start = (uint32_t)b->module_gpa[i];
		k->module[i].end = (uint32_t)(b->module_gpa[i] + b->module[i].size);
		k->module[i].string = at(b, offsetof(struct block, names) + i * VM_PATH_MAX);
		strcpy(k->names[i], b->vm->cfg.module[i]);
	}
	k->info.mods_count = b->vm->cfg.modules;
	k->info.mods_addr = at(b, offsetof(struct block, module));
}

static int write_info(struct boot *b)
{
	const struct vm_config *cfg = &b->vm->cfg;
	struct block *k = calloc(1, sizeof(*k));
	int rc;

	if (!k)
		return -ENOMEM;
	fill_map(b, k);
	fill_modules(b, k);
	snprintf(k->cmdline, sizeof(k->cmdline), "%s%s%s", cfg->kernel, cfg->cmdline[0] ? " " : "",
		 cfg->cmdline);
	strcpy(k->loader, "Tern");
	k->info.cmdline = at(b, offsetof(struct block, cmdline));
	k->info.loader_name = at(b, offsetof(struct block, loader));
	k->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER;
	rc = gmem_write(b->vm->mem, GPA(b->info_gpa), k, sizeof(*k));
	free(k);
	return rc;
}

static void fill_entry(struct virt_state *s, void *arg)
{
	const struct boot *b = arg;

	s->gpr[GPR_RAX] = LOADED_MAGIC;
	s->gpr[GPR_RBX] = b->info_gpa;
	s->rip = b->mb.entry;
	s->cr0 = CR0_START;
	direct_segments(s, CODE_ATTR, CODE_SELECTOR, DATA_SELECTOR);
}

int multiboot_boot(struct vm *vm, char *why, size_t why_len)
{
	struct boot b = { .vm = vm, .why = why, .why_len = why_len };
	int rc = open_files(&b);

	if (!rc)
		rc = place(&b);
	if (!rc)
		rc = load(&b);
	if (!rc)
		rc = direct_start(vm, write_info(&b), fill_entry, &b, why, why_len);
	close_files(&b);
	return rc;
}
