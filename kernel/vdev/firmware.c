/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts a guest by a PC's firmware: the image goes into ROM so that it ends at
 * 4 GiB, and vCPU 0 stays where a reset leaves it, in real mode at 0xfffffff0.
 * All else the firmware finds out by itself: the chipset (bridge.h), memory, CPUs
 * and ACPI tables (fwcfg.h), disks. Its stores to ROM go nowhere, so the variables
 * of UEFI firmware are in RAM, and gone with it.
 *
 * ROM keeps its contents through resets and moves, as a board's does: the file is
 * read once a start, by the host that starts the VM.
 * [SDM 3A 10.1.4 "First Instruction Executed"]
 */
#include <errno.h>
#include <stdio.h>

#include <tern/page.h>

#include "bootfile.h"
#include "firmware.h"

#define ROM_BASE (GMEM_ROM_END - VM_ROM_BYTES)
#define RESET_VECTOR_BYTES 16u
#define COPY_CHUNK (512u << 10)

static bool rom_is_filled(struct vm *vm)
{
	gfn_t first;
	uint64_t count;

	return gmem_next_backed(vm->mem, ROM_BASE >> PAGE_SHIFT, 1, &first, &count) &&
	       first < GMEM_ROM_END >> PAGE_SHIFT;
}

/* An erased chip, or a file of something else that happens to have the size. */
static bool is_blank(const uint8_t vector[RESET_VECTOR_BYTES])
{
	for (unsigned i = 1; i < RESET_VECTOR_BYTES; i++)
		if (vector[i] != vector[0])
			return false;
	return true;
}

static int load(struct bootfile *f, char *why, size_t why_len)
{
	int rc;

	if (!f->size || f->size % PAGE_SIZE || f->size > VM_ROM_BYTES) {
		snprintf(why, why_len, "%s: firmware is a multiple of 4 KiB, at most %u MiB",
			 f->name, (unsigned)(VM_ROM_BYTES >> 20));
		return -EINVAL;
	}
	rc = bootfile_load(f, why, why_len);
	if (!rc && is_blank(f->whole + f->size - RESET_VECTOR_BYTES)) {
		snprintf(why, why_len, "%s: no PC's firmware, it ends without a first instruction",
			 f->name);
		rc = -EINVAL;
	}
	return rc;
}

static int fill_rom(struct vm *vm, const struct bootfile *f, char *why, size_t why_len)
{
	gpa_t to = GPA(GMEM_ROM_END - f->size);
	int rc = 0;

	for (uint64_t from = 0, n; !rc && from < f->size; from += n, to.v += n) {
		n = MIN(f->size - from, COPY_CHUNK);
		rc = gmem_write_rom(vm->mem, to, f->whole + from, (size_t)n);
		if (world_should_yield())
			world_yield();
	}
	if (rc)
		snprintf(why, why_len, "%s: host memory ran out while loading", f->name);
	return rc;
}

int firmware_boot(struct vm *vm, char *why, size_t why_len)
{
	struct bootfile f;
	int rc;

	if (rom_is_filled(vm))
		return 0;
	rc = bootfile_open(&f, vm->cfg.kernel, why, why_len);
	if (rc)
		return rc;
	rc = load(&f, why, why_len);
	if (!rc)
		rc = fill_rom(vm, &f, why, why_len);
	bootfile_close(&f);
	return rc;
}
