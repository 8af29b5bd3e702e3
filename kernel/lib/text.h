/* SPDX-License-Identifier: BSD-2-Clause */
/* Values as people write them, on the console and in files. */
#ifndef KERNEL_LIB_TEXT_H
#define KERNEL_LIB_TEXT_H

#include <tern/types.h>
#include <tern/vswitch.h>

/* "256M", "1G", "4096K", plain bytes. -EINVAL. */
MUST_CHECK int parse_size(const char *text, uint64_t *bytes);
MUST_CHECK int parse_u64(const char *text, uint64_t *v);
/* A number from 1 to most, or "none": 0. */
MUST_CHECK bool parse_limit(const char *text, uint32_t most, uint32_t *out);
/* Nothing that a terminal would obey. */
bool text_printable(const char *text);

/* An Ethernet address, "aa:bb:cc:dd:ee:ff"; only a unicast one is read. */
#define MAC_TEXT 18
MUST_CHECK bool parse_mac(const char *text, uint8_t mac[6]);
void mac_format(const uint8_t mac[6], char out[MAC_TEXT]);
/* Rules of a guest's network device: "100" Mbit/s or "none"; "allow" or "deny". */
MUST_CHECK bool parse_rate(const char *text, uint32_t *mbit);
MUST_CHECK bool parse_spoof(const char *text, bool *any_source);

#endif
