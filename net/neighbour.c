/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning and announcing addresses (neighbour.h). */
#include <string.h>

#include "net/headers.h"
#include "net/neighbour.h"

#define FRAME_MIN 60u /* Ethernet's least, without its check sequence */

/* ARP over Ethernet and IPv4; offsets in its body. */
#define ARP_BODY 28u
#define ARP_HW_ETHERNET 1u
#define ARP_OP 6u
#define ARP_SENDER_MAC 8u
#define ARP_SENDER_IP 14u
#define ARP_TARGET_MAC 18u
#define ARP_TARGET_IP 24u
#define ARP_REQUEST 1u
#define RARP_REQUEST 3u

/* ICMPv6; offsets in its body, which follows the IPv6 header. */
#define ICMP6 58u
#define ND_BODY 32u /* with one link-layer option */
#define ND_SOLICIT 135u
#define ND_ADVERTISE 136u
#define ND_OVERRIDE 0x20u
#define ND_TARGET 8u
#define ND_OPTION 24u
#define ND_OPT_TARGET_MAC 2u
#define ND_HOPS 255u

static bool is_zero(const uint8_t *b, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

static bool take(struct net_addr *out, uint8_t family, const uint8_t *ip)
{
	unsigned len = family == 4 ? 4 : 16;

	if (is_zero(ip, len))
		return false; /* not yet its own: a probe, an address being tested */
	memset(out, 0, sizeof(*out));
	out->family = family;
	memcpy(out->ip, ip, len);
	return true;
}

static bool seen_arp(const uint8_t *f, uint32_t len, struct net_addr *out)
{
	const uint8_t *b = f + ETH_HLEN;

	return len >= ETH_HLEN + ARP_BODY && be16(b) == ARP_HW_ETHERNET &&
	       be16(b + 2) == ETH_IPV4 && memcmp(b + ARP_SENDER_MAC, f + MAC_LEN, MAC_LEN) == 0 &&
	       take(out, 4, b + ARP_SENDER_IP);
}

static bool seen_nd(const uint8_t *f, uint32_t len, struct net_addr *out)
{
	const uint8_t *ip = f + ETH_HLEN, *nd = ip + IP6_HEADER_LEN;

	if (len < ETH_HLEN + IP6_HEADER_LEN + ND_OPTION || ip[IP6_NEXT] != ICMP6 ||
	    ip[IP6_HOPS] != ND_HOPS)
		return false;
	if (nd[0] == ND_SOLICIT)
		return take(out, 6, ip + IP6_SRC);
	return nd[0] == ND_ADVERTISE && take(out, 6, nd + ND_TARGET);
}

bool neighbour_seen(const uint8_t *f, uint32_t len, struct net_addr *out)
{
	if (len < ETH_HLEN)
		return false;
	if (be16(f + ETH_TYPE) == ETH_ARP)
		return seen_arp(f, len, out);
	return be16(f + ETH_TYPE) == ETH_IPV6 && seen_nd(f, len, out);
}

static uint8_t *ethernet(uint8_t *out, const uint8_t *mac, uint32_t type)
{
	memset(out, 0, NEIGHBOUR_FRAME_MAX);
	memset(out, 0xff, MAC_LEN);
	memcpy(out + MAC_LEN, mac, MAC_LEN);
	put_be16(out + ETH_TYPE, type);
	return out + ETH_HLEN;
}

static void arp(uint8_t *b, const uint8_t *mac, unsigned op)
{
	put_be16(b, ARP_HW_ETHERNET);
	put_be16(b + 2, ETH_IPV4);
	b[4] = MAC_LEN;
	b[5] = 4;
	put_be16(b + ARP_OP, op);
	memcpy(b + ARP_SENDER_MAC, mac, MAC_LEN);
}

uint32_t neighbour_rarp(uint8_t out[NEIGHBOUR_FRAME_MAX], const uint8_t mac[6])
{
	uint8_t *b = ethernet(out, mac, ETH_RARP);

	arp(b, mac, RARP_REQUEST);
	memcpy(b + ARP_TARGET_MAC, mac, MAC_LEN);
	return FRAME_MIN;
}

static uint32_t here_arp(uint8_t *out, const uint8_t *mac, const struct net_addr *a)
{
	uint8_t *b = ethernet(out, mac, ETH_ARP);

	arp(b, mac, ARP_REQUEST);
	memcpy(b + ARP_SENDER_IP, a->ip, 4);
	memcpy(b + ARP_TARGET_IP, a->ip, 4);
	return FRAME_MIN;
}

static void icmp6_sum(uint8_t *ip)
{
	uint8_t *nd = ip + IP6_HEADER_LEN;
	uint64_t sum = ICMP6 + ND_BODY;

	for (unsigned i = IP6_SRC; i < IP6_HEADER_LEN; i += 2)
		sum += be16(ip + i);
	for (unsigned i = 0; i < ND_BODY; i += 2)
		sum += be16(nd + i);
	put_be16(nd + 2, ~fold16(sum));
}

static uint32_t here_nd(uint8_t *out, const uint8_t *mac, const struct net_addr *a)
{
	static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
	uint8_t *ip = ethernet(out, mac, ETH_IPV6), *nd = ip + IP6_HEADER_LEN;

	memcpy(out, (const uint8_t[MAC_LEN]){ 0x33, 0x33, 0, 0, 0, 1 }, MAC_LEN);
	ip[0] = 0x60;
	put_be16(ip + 4, ND_BODY);
	ip[IP6_NEXT] = ICMP6;
	ip[IP6_HOPS] = ND_HOPS;
	memcpy(ip + IP6_SRC, a->ip, 16);
	memcpy(ip + IP6_DST, all_nodes, 16);
	nd[0] = ND_ADVERTISE;
	nd[4] = ND_OVERRIDE;
	memcpy(nd + ND_TARGET, a->ip, 16);
	nd[ND_OPTION] = ND_OPT_TARGET_MAC;
	nd[ND_OPTION + 1] = 1; /* units of 8 bytes */
	memcpy(nd + ND_OPTION + 2, mac, MAC_LEN);
	icmp6_sum(ip);
	return ETH_HLEN + IP6_HEADER_LEN + ND_BODY;
}
_Static_assert(ETH_HLEN + IP6_HEADER_LEN + ND_BODY == NEIGHBOUR_FRAME_MAX, "frame");

uint32_t neighbour_here(uint8_t out[NEIGHBOUR_FRAME_MAX], const uint8_t mac[6],
			const struct net_addr *a)
{
	return a->family == 4 ? here_arp(out, mac, a) : here_nd(out, mac, a);
}
