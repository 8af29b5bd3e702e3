/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a PVH kernel (pvh.h): its parts at their physical addresses, initrd as
 * high as it goes, start information in low memory, and vCPU 0 at its entry in
 * 32-bit protected mode without paging. ACPI tables and chipset are as for
 * linux_boot.c. [Xen public/arch-x86/hvm/start_info.h]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"
#include "pvh.h"

#define INFO_GPA 0x2000u
#define INFO_MAGIC 0x336ec578u
#define INFO_VERSION 1u

#define CODE_SELECTOR 0x08u
#define DATA_SELECTOR 0x10u
#define CODE_ATTR 0xc9bu /* code, read, accessed, present, 32-bit, granular */
#define CR0_START 0x11u	 /* ET, PE */

struct start_info {
	uint32_t magic, version;	      /* 0 */
	uint32_t flags, modules;	      /* 8 */
	uint64_t modlist, cmdline, rsdp, map; /* 16 guest-physical */
	uint32_t map_entries, reserved;	      /* 48 */
};
_Static_assert(sizeof(struct start_info) == 56, "PVH start information");

struct start_module {
	uint64_t start, size, cmdline, reserved;
};
_Static_assert(sizeof(struct start_module) == 32, "PVH module");

struct start_range {
	uint64_t addr, size;
	uint32_t type, reserved; /* type as e820 has it */
};
_Static_assert(sizeof(struct start_range) == 24, "PVH memory range");

/* All of it, as it lies in guest memory. */
struct block {
	struct start_info info;
	struct start_module initrd;
	struct start_range map[Q35_E820_MAX];
	char cmdline[VM_CMDLINE_MAX];
};

struct boot {
	struct vm *vm;
	struct pvh pvh;
	struct bootfile *kernel, *initrd;
	uint64_t initrd_gpa;
	char *why;
	size_t why_len;
};

/* Everything fits, or nothing has been touched. */
static int place(struct boot *b)
{
	uint64_t top = MIN(b->vm->cfg.mem_bytes, GMEM_LOW_MAX);
	uint64_t initrd = b->initrd->size;
	uint64_t end = ALIGN_UP(b->pvh.end, PAGE_SIZE);

	if (end <= top && initrd <= top - end) {
		b->initrd_gpa = ALIGN_DOWN(top - initrd, PAGE_SIZE);
		return 0;
	}
	snprintf(b->why, b->why_len, "the kernel and its initrd need %u MiB to start",
		 (unsigned)(ALIGN_UP(end + initrd, SIZE_2M) >> 20));
	return -ENOMEM;
}

static int load(struct boot *b)
{
	int rc = 0;

	for (unsigned i = 0; i < b->pvh.parts && !rc; i++) {
		const struct pvh_part *p = &b->pvh.part[i];

		rc = bootfile_copy(b->vm, GPA(p->to), b->kernel, p->from, p->len, b->why,
				   b->why_len);
		if (!rc)
			rc = direct_zero(b->vm, GPA(p->to + p->len), b->kernel, p->mem_len - p->len,
					 b->why, b->why_len);
	}
	if (!rc)
		rc = bootfile_copy(b->vm, GPA(b->initrd_gpa), b->initrd, 0, b->initrd->size, b->why,
				   b->why_len);
	return rc;
}

static int write_info(struct boot *b)
{
	struct block *k = calloc(1, sizeof(*k));
	struct e820_entry map[Q35_E820_MAX];
	unsigned n = q35_e820(b->vm, true, map);
	int rc;

	if (!k)
		return -ENOMEM;
	k->info = (struct start_info){
		.magic = INFO_MAGIC,
		.version = INFO_VERSION,
		.modules = b->initrd->name ? 1 : 0,
		.modlist = INFO_GPA + offsetof(struct block, initrd),
		.cmdline = INFO_GPA + offsetof(struct block, cmdline),
		.rsdp = Q35_BIOS_BASE,
		.map = INFO_GPA + offsetof(struct block, map),
		.map_entries = n,
	};
	if (b->initrd->name)
		k->initrd =
			(struct start_module){ .start = b->initrd_gpa, .size = b->initrd->size };
	for (unsigned i = 0; i < n; i++)
		k->map[i] = (struct start_range){ map[i].addr, map[i].size, map[i].type, 0 };
	strcpy(k->cmdline, b->vm->cfg.cmdline);
	rc = gmem_write(b->vm->mem, GPA(INFO_GPA), k, sizeof(*k));
	free(k);
	return rc;
}

/* Interrupts and paging off, EBX at the start information; the rest as after reset. */
static void fill_entry(struct virt_state *s, void *arg)
{
	const struct boot *b = arg;

	s->gpr[GPR_RBX] = INFO_GPA;
	s->rip = b->pvh.entry;
	s->cr0 = CR0_START;
	s->cr3 = s->cr4 = s->efer = 0;
	direct_segments(s, CODE_ATTR, CODE_SELECTOR, DATA_SELECTOR);
}

int pvh_boot(struct vm *vm, struct bootfile *kernel, struct bootfile *initrd, char *why,
	     size_t why_len)
{
	struct boot b = {
		.vm = vm, .kernel = kernel, .initrd = initrd, .why = why, .why_len = why_len
	};
	int rc = pvh_parse(kernel->whole, kernel->size, &b.pvh, why, why_len);

	if (!rc)
		rc = place(&b);
	if (!rc)
		rc = load(&b);
	if (rc)
		return rc;
	return direct_start(vm, write_info(&b), fill_entry, &b, why, why_len);
}
