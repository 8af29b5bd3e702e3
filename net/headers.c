/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and summing transport headers (headers.h). */
#include "net/headers.h"

#define IP4_FRAG_MASK 0x3fffu /* more fragments, or an offset */

static bool find_ip4(const uint8_t *f, uint32_t len, struct l4 *out)
{
	const uint8_t *ip = f + ETH_HLEN;
	unsigned words = ip[0] & 15u;

	if (len < ETH_HLEN + IP4_HEADER_MIN || words < 5 || be16(ip + IP4_FRAG) & IP4_FRAG_MASK)
		return false;
	out->ipv6 = false;
	out->proto = ip[IP4_PROTO];
	out->start = (uint16_t)(ETH_HLEN + words * 4);
	out->end = ETH_HLEN + be16(ip + IP4_LEN);
	return true;
}

static bool find_ip6(const uint8_t *f, uint32_t len, struct l4 *out)
{
	if (len < ETH_HLEN + IP6_HEADER_LEN)
		return false;
	out->ipv6 = true;
	out->proto = f[ETH_HLEN + IP6_NEXT];
	out->start = ETH_HLEN + IP6_HEADER_LEN;
	out->end = ETH_HLEN + IP6_HEADER_LEN + be16(f + ETH_HLEN + IP6_LEN);
	return true;
}

static bool find_ip(const uint8_t *f, uint32_t len, struct l4 *out)
{
	if (len <= ETH_HLEN)
		return false;
	if (be16(f + ETH_TYPE) == ETH_IPV4)
		return find_ip4(f, len, out);
	return be16(f + ETH_TYPE) == ETH_IPV6 && find_ip6(f, len, out);
}

bool l4_find(const uint8_t *f, uint32_t len, struct l4 *out)
{
	if (!find_ip(f, len, out))
		return false;
	if (out->proto == PROTO_UDP && len >= (uint32_t)out->start + UDP_HEADER_LEN) {
		out->csum_offset = UDP_CSUM;
		out->hdr_len = (uint16_t)(out->start + UDP_HEADER_LEN);
		return true;
	}
	if (out->proto != PROTO_TCP || len < (uint32_t)out->start + TCP_HEADER_MIN)
		return false;
	out->csum_offset = TCP_CSUM;
	out->hdr_len = (uint16_t)(out->start + tcp_header_len(f + out->start));
	return out->hdr_len >= out->start + TCP_HEADER_MIN && out->hdr_len <= len;
}

void l4_put_pseudo(uint8_t *f, const struct l4 *l, uint32_t frame_len)
{
	const uint8_t *addrs = f + ETH_HLEN + (l->ipv6 ? IP6_SRC : IP4_SRC);
	uint32_t sum = l->proto + (frame_len - l->start);

	for (unsigned i = 0; i < (l->ipv6 ? 32u : 8u); i += 2)
		sum += be16(addrs + i);
	put_be16(f + l->start + l->csum_offset, fold16(sum));
}
