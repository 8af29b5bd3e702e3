/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts Linux without firmware, by its 64-bit boot protocol: kernel at its
 * preferred address, initrd as high as it may lie, zero page, command line,
 * identity page tables over 4 GiB, ACPI tables below 1 MiB, and vCPU 0 at the
 * kernel's 64-bit entry. The chipset is left as firmware would leave it: ECAM
 * and PM block placed, BARs assigned.
 * [Linux Documentation/x86/boot.rst "64-bit Boot Protocol"]
 *
 * Low memory, all of which is free for the kernel once it has read it:
 *   0x1000 GDT   0x2000 zero page   0x3000 command line
 *   0x10000 PML4, PDPT, four page directories of 2 MiB pages
 *   0xe0000 RSDP, then the tables
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tern/page.h>

#include "bzimage.h"
#include "direct.h"

#define GDT_GPA 0x1000u
#define ZERO_PAGE_GPA 0x2000u
#define CMDLINE_GPA 0x3000u
#define STACK_GPA 0x9000u
#define TABLES_GPA 0x10000u

#define ENTRY_64 0x200u

/* Zero page. [Linux Documentation/x86/zero-page.rst] */
#define ZP_RSDP 0x070u
#define ZP_E820_COUNT 0x1e8u
#define ZP_LOADER_TYPE 0x210u
#define ZP_RAMDISK 0x218u
#define ZP_RAMDISK_SIZE 0x21cu
#define ZP_CMDLINE 0x228u
#define ZP_E820 0x2d0u
#define LOADER_UNDEFINED 0xffu

#define PTE_P 0x001u
#define PTE_W 0x002u
#define PTE_PS 0x080u

#define CS_SELECTOR 0x10u
#define DS_SELECTOR 0x18u
#define CS_ATTR 0xa9bu	      /* code, read, accessed, present, long, 4 KiB granular */
#define CR0_START 0x80000031u /* PG, NE, ET, PE */
#define CR4_PAE 0x20u
#define EFER_LONG 0x500u /* LMA, LME */

struct boot {
	struct vm *vm;
	struct bzimage bz;
	struct bootfile *kernel, *initrd;
	uint64_t initrd_gpa;
	char *why;
	size_t why_len;
};

/* Everything fits, or nothing has been touched. */
static int place(struct boot *b)
{
	uint64_t top = MIN(b->vm->cfg.mem_bytes, GMEM_LOW_MAX);
	uint64_t end = b->bz.load + b->bz.init_size;
	uint64_t room;

	if (strlen(b->vm->cfg.cmdline) > b->bz.cmdline_max) {
		snprintf(b->why, b->why_len, "command line longer than the kernel takes (%u)",
			 b->bz.cmdline_max);
		return -EINVAL;
	}
	if (end > top) {
		snprintf(b->why, b->why_len, "the kernel needs %u MiB to start",
			 (unsigned)(ALIGN_UP(end, SIZE_2M) >> 20));
		return -ENOMEM;
	}
	if (!b->initrd->name)
		return 0;
	room = MIN(top, b->bz.initrd_max + 1);
	if (b->initrd->size > room || ALIGN_DOWN(room - b->initrd->size, PAGE_SIZE) < end) {
		snprintf(b->why, b->why_len,
			 "no room for the initrd beside the kernel: needs %u MiB",
			 (unsigned)(ALIGN_UP(end + b->initrd->size, SIZE_2M) >> 20));
		return -ENOMEM;
	}
	b->initrd_gpa = ALIGN_DOWN(room - b->initrd->size, PAGE_SIZE);
	return 0;
}

static void put(uint8_t *at, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static int write_zero_page(struct boot *b, uint8_t page[PAGE_SIZE])
{
	const uint8_t *file = b->kernel->whole;
	struct e820_entry map[Q35_E820_MAX];
	unsigned n = q35_e820(b->vm, true, map);

	memset(page, 0, PAGE_SIZE);
	memcpy(page + BZ_SETUP_START, file + BZ_SETUP_START, b->bz.setup_len);
	page[ZP_LOADER_TYPE] = LOADER_UNDEFINED;
	put(page + ZP_RSDP, 8, Q35_BIOS_BASE);
	put(page + ZP_CMDLINE, 4, CMDLINE_GPA);
	put(page + ZP_RAMDISK, 4, b->initrd_gpa);
	put(page + ZP_RAMDISK_SIZE, 4, b->initrd->size);
	page[ZP_E820_COUNT] = (uint8_t)n;
	memcpy(page + ZP_E820, map, n * sizeof(map[0]));
	return gmem_write(b->vm->mem, GPA(ZERO_PAGE_GPA), page, PAGE_SIZE);
}

static int write_page_tables(struct boot *b, uint64_t table[512])
{
	struct gmem *g = b->vm->mem;
	int rc;

	memset(table, 0, PAGE_SIZE);
	table[0] = (TABLES_GPA + PAGE_SIZE) | PTE_P | PTE_W;
	rc = gmem_write(g, GPA(TABLES_GPA), table, PAGE_SIZE);
	for (unsigned i = 0; i < 4; i++)
		table[i] = (TABLES_GPA + (2 + i) * PAGE_SIZE) | PTE_P | PTE_W;
	if (!rc)
		rc = gmem_write(g, GPA(TABLES_GPA + PAGE_SIZE), table, PAGE_SIZE);
	for (unsigned d = 0; d < 4 && !rc; d++) {
		for (unsigned i = 0; i < 512; i++)
			table[i] = (d * 512ull + i) * SIZE_2M | PTE_P | PTE_W | PTE_PS;
		rc = gmem_write(g, GPA(TABLES_GPA + (2 + d) * PAGE_SIZE), table, PAGE_SIZE);
	}
	return rc;
}

static int write_low_memory(struct boot *b)
{
	static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };
	const char *cmdline = b->vm->cfg.cmdline;
	hpa_t scratch;
	int rc = page_alloc(ORDER_4K, 0, FRAME_VM, &scratch);

	if (rc)
		return rc;
	rc = write_zero_page(b, hpa_ptr(scratch));
	if (!rc)
		rc = write_page_tables(b, hpa_ptr(scratch));
	if (!rc)
		rc = gmem_write(b->vm->mem, GPA(GDT_GPA), gdt, sizeof(gdt));
	if (!rc)
		rc = gmem_write(b->vm->mem, GPA(CMDLINE_GPA), cmdline, strlen(cmdline) + 1);
	page_put(scratch);
	return rc;
}

/* Interrupts off, paging on, RSI at the zero page; the rest as after reset. */
static void fill_entry(struct virt_state *s, void *arg)
{
	const struct boot *b = arg;

	s->gpr[GPR_RSI] = ZERO_PAGE_GPA;
	s->gpr[GPR_RSP] = STACK_GPA;
	s->rip = b->bz.load + ENTRY_64;
	s->cr0 = CR0_START;
	s->cr3 = TABLES_GPA;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LONG;
	direct_segments(s, CS_ATTR, CS_SELECTOR, DS_SELECTOR);
	s->gdtr = (struct virt_seg){ .base = GDT_GPA, .limit = 4 * 8 - 1 };
}

int linux_boot(struct vm *vm, struct bootfile *kernel, struct bootfile *initrd, char *why,
	       size_t why_len)
{
	struct boot b = {
		.vm = vm, .kernel = kernel, .initrd = initrd, .why = why, .why_len = why_len
	};
	int rc = bzimage_parse(kernel->whole, kernel->size, &b.bz, why, why_len);

	if (!rc)
		rc = place(&b);
	if (!rc)
		rc = bootfile_copy(vm, GPA(b.bz.load), kernel, b.bz.payload, b.bz.payload_len, why,
				   why_len);
	if (!rc)
		rc = bootfile_copy(vm, GPA(b.initrd_gpa), initrd, 0, initrd->size, why, why_len);
	if (rc)
		return rc;
	return direct_start(vm, write_low_memory(&b), fill_entry, &b, why, why_len);
}
