/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses: text to struct net_addr and back, and to lwIP's form. IPv6 text is
 * written as [RFC 5952] asks: lower case, the longest run of zeros as "::".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/net.h>

#define GROUPS 8u

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One decimal byte without leading zeros; advances *p. -1 when there is none. */
static int byte_of(const char **p)
{
	const char *s = *p;
	int v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	if (*s == '0' && s[1] >= '0' && s[1] <= '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (*s - '0');
		if (v > 255)
			return -1;
	}
	*p = s;
	return v;
}

static int parse4(const char *s, uint8_t *ip)
{
	for (unsigned i = 0; i < 4; i++) {
		int v = byte_of(&s);

		if (v < 0 || *s != (i < 3 ? '.' : '\0'))
			return -EINVAL;
		ip[i] = (uint8_t)v;
		s++;
	}
	return 0;
}

/* One group of one to four hex digits; advances *p. */
static int group_of(const char **p)
{
	const char *s = *p;
	int v = 0, n = 0, d;

	for (; (d = hex_digit(*s)) >= 0; s++) {
		v = v << 4 | d;
		if (++n > 4)
			return -1;
	}
	*p = s;
	return n ? v : -1;
}

/* Groups after a "::" are shifted to the end. */
static int spread(uint16_t *g, unsigned n, int gap)
{
	if (gap < 0)
		return n == GROUPS ? 0 : -EINVAL;
	if (n == GROUPS)
		return -EINVAL;
	memmove(g + gap + (GROUPS - n), g + gap, (n - (unsigned)gap) * sizeof(*g));
	memset(g + gap, 0, (GROUPS - n) * sizeof(*g));
	return 0;
}

static int parse6(const char *s, uint8_t *ip)
{
	uint16_t g[GROUPS] = { 0 };
	unsigned n = 0;
	int gap = -1, v;

	if (s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (*s) {
		if (n == GROUPS)
			return -EINVAL;
		v = group_of(&s);
		if (v < 0)
			return -EINVAL;
		g[n++] = (uint16_t)v;
		if (!*s)
			break;
		if (*s++ != ':')
			return -EINVAL;
		if (*s == ':') {
			if (gap >= 0)
				return -EINVAL;
			gap = (int)n;
			s++;
		} else if (!*s) {
			return -EINVAL;
		}
	}
	if (spread(g, n, gap))
		return -EINVAL;
	for (unsigned i = 0; i < GROUPS; i++) {
		ip[2 * i] = (uint8_t)(g[i] >> 8);
		ip[2 * i + 1] = (uint8_t)g[i];
	}
	return 0;
}

int net_addr_parse(const char *text, struct net_addr *out)
{
	struct net_addr a = { 0 };
	int err;

	if (strchr(text, ':')) {
		a.family = 6;
		err = parse6(text, a.ip);
	} else {
		a.family = 4;
		err = parse4(text, a.ip);
	}
	if (!err)
		*out = a;
	return err;
}

int net_addr_parse_prefix(const char *text, struct net_addr *a, unsigned *prefix)
{
	char buf[64], *slash, *end;
	unsigned long v;
	int err;

	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, text);
	slash = strchr(buf, '/');
	if (slash)
		*slash = '\0';
	err = net_addr_parse(buf, a);
	if (err)
		return err;
	*prefix = a->family == 4 ? 24 : 64;
	if (!slash)
		return 0;
	v = strtoul(slash + 1, &end, 10);
	if (*end || end == slash + 1 || v == 0 || v > (a->family == 4 ? 32u : 128u))
		return -EINVAL;
	*prefix = (unsigned)v;
	return 0;
}

static bool is_host4(const uint8_t ip[4], unsigned prefix)
{
	uint32_t v = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
	uint32_t rest = prefix < 31 ? UINT32_MAX >> prefix : 0;

	if (!ip[0] || ip[0] == 127 || ip[0] >= 224)
		return false;
	return !rest || ((v & rest) && (v & rest) != rest);
}

void net_addr_loopback(struct net_addr *out)
{
	*out = (struct net_addr){ .family = 4, .ip = { 127, 0, 0, 1 } };
}

bool net_addr_is_loopback(const struct net_addr *a)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (a->family == 4)
		return a->ip[0] == 127;
	return a->family == 6 && !memcmp(a->ip, loopback, 16);
}

bool net_addr_is_host(const struct net_addr *a, unsigned prefix)
{
	static const uint8_t none[16];

	if (a->family == 4)
		return is_host4(a->ip, prefix);
	return a->ip[0] != 0xff && !net_addr_is_loopback(a) && memcmp(a->ip, none, 16);
}

/* The longest run of at least two zero groups, the first of equals; *len 0 when there is none. */
static unsigned zero_run(const uint16_t *g, unsigned *len)
{
	unsigned best = 0, run = 0;

	*len = 0;
	for (unsigned i = 0; i < GROUPS; i++) {
		run = g[i] ? 0 : run + 1;
		if (run > 1 && run > *len) {
			*len = run;
			best = i + 1 - run;
		}
	}
	return best;
}

static void format6(const uint8_t *ip, char *buf, size_t len)
{
	char text[48];
	uint16_t g[GROUPS];
	unsigned run_len, run, at = 0;

	for (unsigned i = 0; i < GROUPS; i++)
		g[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
	run = zero_run(g, &run_len);
	for (unsigned i = 0; i < GROUPS; i++) {
		if (run_len && i == run) {
			at += (unsigned)snprintf(text + at, sizeof(text) - at, "::");
			i += run_len - 1;
			continue;
		}
		if (at && text[at - 1] != ':')
			text[at++] = ':';
		at += (unsigned)snprintf(text + at, sizeof(text) - at, "%x", (unsigned)g[i]);
	}
	snprintf(buf, len, "%s", text);
}

void net_addr_format(const struct net_addr *a, char *buf, size_t len)
{
	if (a->family == 4)
		snprintf(buf, len, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
	else if (a->family == 6)
		format6(a->ip, buf, len);
	else
		snprintf(buf, len, "none");
}
