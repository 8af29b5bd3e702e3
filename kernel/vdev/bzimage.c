/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the setup header of a bzImage (bzimage.h). Pure code. Offsets are the
 * file's. [Linux Documentation/x86/boot.rst "The Real-Mode Kernel Header"]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bzimage.h"

#define SECTOR 512u
#define OFF_SETUP_SECTS 0x1f1u
#define OFF_BOOT_FLAG 0x1feu
#define OFF_JUMP_LEN 0x201u
#define OFF_MAGIC 0x202u
#define OFF_VERSION 0x206u
#define OFF_LOADFLAGS 0x211u
#define OFF_INITRD_MAX 0x22cu
#define OFF_XLOADFLAGS 0x236u
#define OFF_CMDLINE_SIZE 0x238u
#define OFF_PREF_ADDRESS 0x258u
#define OFF_INIT_SIZE 0x260u
#define HEADER_MIN 0x264u
#define HEADER_MAX 0x290u /* the zero page has other things from there */

#define BOOT_FLAG 0xaa55u
#define VERSION_MIN 0x020cu /* the first with xloadflags */
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u
#define ADDRESS_MIN BIT(20)   /* below are zero page, page tables, firmware's tables */
#define ADDRESS_LIMIT BIT(32) /* loaded below 4 GiB */

static uint64_t get(const uint8_t *file, unsigned off, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)file[off + i] << 8 * i;
	return v;
}

static int refuse(char *why, size_t why_len, const char *text)
{
	snprintf(why, why_len, "kernel: %s", text);
	return -EINVAL;
}

static const char *header_fault(const uint8_t *file, uint64_t size)
{
	if (size < HEADER_MIN || get(file, OFF_BOOT_FLAG, 2) != BOOT_FLAG ||
	    memcmp(file + OFF_MAGIC, "HdrS", 4))
		return "not a Linux bzImage";
	if (get(file, OFF_VERSION, 2) < VERSION_MIN)
		return "boot protocol older than 2.12 (Linux 3.8)";
	if (!(file[OFF_LOADFLAGS] & LOADED_HIGH))
		return "not loaded high: a zImage, not a bzImage";
	if (!(get(file, OFF_XLOADFLAGS, 2) & XLF_KERNEL_64))
		return "no 64-bit entry point: not a 64-bit kernel";
	return NULL;
}

int bzimage_parse(const uint8_t *file, uint64_t size, struct bzimage *out, char *why,
		  size_t why_len)
{
	const char *fault = header_fault(file, size);
	uint32_t header_end;
	unsigned sects;

	if (fault)
		return refuse(why, why_len, fault);
	header_end = OFF_MAGIC + file[OFF_JUMP_LEN];
	sects = file[OFF_SETUP_SECTS] ? file[OFF_SETUP_SECTS] : 4;
	out->payload = (uint64_t)(sects + 1) * SECTOR;
	if (header_end < HEADER_MIN || header_end > HEADER_MAX || header_end > size)
		return refuse(why, why_len, "setup header of a wrong length");
	if (out->payload >= size)
		return refuse(why, why_len, "file cut short");
	out->setup_len = header_end - BZ_SETUP_START;
	out->payload_len = size - out->payload;
	out->load = get(file, OFF_PREF_ADDRESS, 8);
	out->init_size = get(file, OFF_INIT_SIZE, 4);
	out->initrd_max = get(file, OFF_INITRD_MAX, 4);
	out->cmdline_max = (uint32_t)get(file, OFF_CMDLINE_SIZE, 4);
	out->version = (uint16_t)get(file, OFF_VERSION, 2);
	if (out->load % PAGE_SIZE || out->load < ADDRESS_MIN || out->load >= ADDRESS_LIMIT)
		return refuse(why, why_len, "preferred load address out of range");
	if (out->init_size < out->payload_len)
		return refuse(why, why_len, "needs less memory than it is long: header damaged");
	return 0;
}
