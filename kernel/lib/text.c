/* SPDX-License-Identifier: BSD-2-Clause */
/* Text to values and back (text.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int parse_u64(const char *text, uint64_t *v)
{
	uint64_t n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned d = (unsigned)(*text - '0');

		if (d > 9 || n > (UINT64_MAX - d) / 10)
			return -EINVAL;
		n = n * 10 + d;
	}
	*v = n;
	return 0;
}

static int size_shift(char unit)
{
	switch (unit) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	default:
		return -1;
	}
}

int parse_size(const char *text, uint64_t *bytes)
{
	char digits[24];
	size_t n = strlen(text);
	int shift = n ? size_shift(text[n - 1]) : -1;
	uint64_t v;

	if (shift > 0)
		n--;
	if (!n || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (parse_u64(digits, &v))
		return -EINVAL;
	if (shift > 0) {
		if (v > UINT64_MAX >> shift)
			return -EINVAL;
		v <<= shift;
	}
	*bytes = v;
	return 0;
}

bool text_printable(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* ---- a network device ---- */

bool parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t any = 0;

	for (unsigned i = 0; i < 6; i++) {
		size_t n = strspn(text, "0123456789abcdefABCDEF");

		if (!n || n > 2 || text[n] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)strtoul(text, NULL, 16);
		any |= mac[i];
		text += n + 1;
	}
	return any && !(mac[0] & 1);
}

void mac_format(const uint8_t mac[6], char out[MAC_TEXT])
{
	snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
}

bool parse_limit(const char *text, uint32_t most, uint32_t *out)
{
	uint64_t n = 0;

	if (strcmp(text, "none") && (parse_u64(text, &n) || !n || n > most))
		return false;
	*out = (uint32_t)n;
	return true;
}

bool parse_rate(const char *text, uint32_t *mbit)
{
	return parse_limit(text, VPORT_RATE_MAX, mbit);
}

bool parse_spoof(const char *text, bool *any_source)
{
	*any_source = !strcmp(text, "allow");
	return *any_source || !strcmp(text, "deny");
}
