/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a controller and its namespaces say of themselves. The pages come from
 * outside: sizes are checked before anything is computed with them.
 */
#include <errno.h>
#include <string.h>

#include "drivers/nvme.h"

static uint64_t le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return v;
}

/* Padded with spaces; what cannot be printed becomes one. */
static void copy_text(char *to, const uint8_t *from, unsigned len)
{
	unsigned first = 0, n = 0;

	while (first < len && from[first] == ' ')
		first++;
	while (first < len) {
		uint8_t c = from[first++];

		to[n++] = c > ' ' && c < 0x7f ? (char)c : ' ';
	}
	while (n && to[n - 1] == ' ')
		n--;
	to[n] = 0;
}

/* MDTS counts in units of the smallest page, of 4 KiB here; 0 is no limit. */
static uint32_t max_bytes(uint8_t mdts)
{
	uint32_t most = NVME_MAX_BYTES / (uint32_t)PAGE_SIZE;

	return mdts && mdts < 31 && 1u << mdts < most ? (uint32_t)PAGE_SIZE << mdts
						      : NVME_MAX_BYTES;
}

void nvme_parse_ctrl(const uint8_t *page, struct nvme_identity *out)
{
	uint16_t oncs = (uint16_t)le(page + NVME_CTRL_ONCS, 2);

	copy_text(out->serial, page + NVME_CTRL_SERIAL, 20);
	copy_text(out->model, page + NVME_CTRL_MODEL, 40);
	out->namespaces = (uint32_t)le(page + NVME_CTRL_NN, 4);
	out->max_bytes = max_bytes(page[NVME_CTRL_MDTS]);
	out->volatile_cache = page[NVME_CTRL_VWC] & 1;
	out->dataset = oncs & NVME_ONCS_DATASET;
	out->zeroes = oncs & NVME_ONCS_ZEROES;
}

/* The preferred granularity, when it is given and makes sense. */
static uint32_t physical_bytes(const uint8_t *page, uint32_t block_bytes)
{
	uint64_t bytes = (le(page + NVME_NS_NPWG, 2) + 1) * block_bytes;

	if (!(page[NVME_NS_NSFEAT] & NVME_NSFEAT_OPTIMAL) || (bytes & (bytes - 1)) ||
	    bytes > 1u << 20)
		return block_bytes;
	return (uint32_t)bytes;
}

int nvme_parse_ns(const uint8_t *page, struct nvme_ns_identity *out, const char **why)
{
	uint32_t format =
		(uint32_t)le(page + NVME_NS_FORMATS + (page[NVME_NS_FLBAS] & 0xfu) * 4u, 4);
	unsigned shift = format >> 16 & 0xff;

	out->blocks = le(page + NVME_NS_NSZE, 8);
	*why = "it has metadata";
	if (format & 0xffff)
		return -EINVAL;
	*why = "blocks of an odd size";
	if (shift < 9 || shift > 12)
		return -EINVAL;
	out->block_bytes = 1u << shift;
	*why = "no sensible size";
	if (!out->blocks || out->blocks > UINT64_MAX >> 1 >> shift)
		return -EINVAL;
	out->physical_bytes = physical_bytes(page, out->block_bytes);
	out->read_only = page[NVME_NS_ATTR] & NVME_NS_ATTR_PROTECTED;
	return 0;
}
