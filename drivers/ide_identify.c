/* SPDX-License-Identifier: BSD-2-Clause */
/* What a drive says of itself. Pure code. [ATA8-ACS 7.12 "IDENTIFY DEVICE"] */
#include <errno.h>
#include <string.h>

#include "drivers/ide.h"

enum identify_word {
	W_CONFIG = 0,
	W_SERIAL = 10,
	W_MODEL = 27,
	W_CAPABILITIES = 49,
	W_BLOCKS28 = 60,
	W_QUEUE_DEPTH = 75,
	W_SATA = 76,
	W_SUPPORTED_1 = 82,
	W_SUPPORTED_2 = 83,
	W_SUPPORTED_3 = 84,
	W_ENABLED_1 = 85,
	W_ENABLED_3 = 87,
	W_BLOCKS48 = 100,
	W_TRIM_BLOCKS = 105,
	W_BLOCK_SIZE = 106,
	W_BLOCK_WORDS = 117,
	W_TRIM = 169,
};

#define CONFIG_NOT_ATA 0x8000u
#define CAPABILITY_DMA 0x100u
#define CAPABILITY_LBA 0x200u
#define WRITE_CACHE 0x20u     /* words 82 and 85 */
#define SUPPORTS_LBA48 0x400u /* word 83, as the next two */
#define SUPPORTS_FLUSH 0x1000u
#define SUPPORTS_FLUSH_EXT 0x2000u
#define SUPPORTS_LOGS 0x20u /* word 84 */
#define SATA_NCQ 0x100u	    /* word 76, which is 0 or all ones without Serial ATA */
#define QUEUE_DEPTH 0x1fu   /* word 75: less one */
#define LONG_BLOCKS 0x1000u /* word 106, as the next two */
#define SEVERAL_PER_PHYSICAL 0x2000u
#define PHYSICAL_SHIFT 0xfu

#define DEFAULT_BLOCK_BYTES 512u
#define MAX_BLOCK_BYTES 4096u
#define MAX_BLOCKS28 (1u << 28)
#define MAX_BLOCKS48 (1ull << 48)

/* Words 83, 87 and 106 are what they should be when their top bits read 01. */
static bool valid(uint16_t word)
{
	return (word & 0xc000u) == 0x4000u;
}

/* Two characters a word, the first in the high octet, filled up with blanks. */
static void text(char *to, const uint16_t *from, unsigned words)
{
	size_t len = 0, start = 0;

	for (unsigned i = 0; i < words * 2; i++) {
		char c = (char)(from[i / 2] >> ((i & 1) ? 0 : 8));

		to[i] = c > ' ' && c <= '~' ? c : ' ';
		if (to[i] != ' ')
			len = i + 1;
	}
	to[len] = 0;
	while (to[start] == ' ')
		start++;
	memmove(to, to + start, len - start + 1);
}

static uint64_t number(const uint16_t *word, unsigned words)
{
	uint64_t v = 0;

	while (words--)
		v = v << 16 | word[words];
	return v;
}

static void block_sizes(const uint16_t *word, struct ide_identity *out)
{
	uint16_t w = word[W_BLOCK_SIZE];

	out->block_bytes = DEFAULT_BLOCK_BYTES;
	if (valid(w) && (w & LONG_BLOCKS))
		out->block_bytes = (uint32_t)number(&word[W_BLOCK_WORDS], 2) * 2;
	out->physical_bytes = out->block_bytes;
	if (valid(w) && (w & SEVERAL_PER_PHYSICAL))
		out->physical_bytes = out->block_bytes << (w & PHYSICAL_SHIFT);
}

static void features(const uint16_t *word, struct ide_identity *out)
{
	uint16_t supported = valid(word[W_SUPPORTED_2]) ? word[W_SUPPORTED_2] : 0;
	uint16_t cache = word[valid(word[W_ENABLED_3]) ? W_ENABLED_1 : W_SUPPORTED_1];

	out->lba48 = supported & SUPPORTS_LBA48;
	out->flush = supported & SUPPORTS_FLUSH;
	out->flush_ext = out->lba48 && (supported & SUPPORTS_FLUSH_EXT);
	out->write_cache = valid(word[W_SUPPORTED_2]) && (cache & WRITE_CACHE);
	out->trim = out->lba48 && (word[W_TRIM] & 1u);
	out->trim_blocks = MAX(word[W_TRIM_BLOCKS], 1u);
}

static bool good_size(const struct ide_identity *id)
{
	uint32_t b = id->block_bytes;

	return b >= DEFAULT_BLOCK_BYTES && b <= MAX_BLOCK_BYTES && (b & (b - 1)) == 0;
}

static void queueing(const uint16_t *word, struct ide_identity *out)
{
	bool ncq = word[W_SATA] != 0xffff && (word[W_SATA] & SATA_NCQ);

	out->queue_depth = ncq ? (word[W_QUEUE_DEPTH] & QUEUE_DEPTH) + 1u : 1;
	out->logs = valid(word[W_SUPPORTED_3]) && (word[W_SUPPORTED_3] & SUPPORTS_LOGS);
}

int ide_parse_identify(const uint16_t word[256], struct ide_identity *out, const char **why)
{
	memset(out, 0, sizeof(*out));
	text(out->model, &word[W_MODEL], 20);
	text(out->serial, &word[W_SERIAL], 10);
	features(word, out);
	queueing(word, out);
	block_sizes(word, out);
	out->blocks = number(&word[W_BLOCKS28], 2);
	if (out->lba48 && number(&word[W_BLOCKS48], 4))
		out->blocks = number(&word[W_BLOCKS48], 4);
	*why = NULL;
	if (word[W_CONFIG] & CONFIG_NOT_ATA)
		*why = "not an ATA disk";
	else if (!(word[W_CAPABILITIES] & CAPABILITY_LBA))
		*why = "no logical block addresses";
	else if (!(word[W_CAPABILITIES] & CAPABILITY_DMA))
		*why = "no DMA";
	else if (!good_size(out))
		*why = "blocks of an odd size";
	else if (!out->blocks || out->blocks > (out->lba48 ? MAX_BLOCKS48 : MAX_BLOCKS28))
		*why = "no sensible size";
	return *why ? -EINVAL : 0;
}
