/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC32C (Castagnoli), as iSCSI, NVMe and the datastore use it: reflected,
 * polynomial 0x1edc6f41, initial value and final xor all ones.
 */
#ifndef LIB_CRC32C_H
#define LIB_CRC32C_H

#include <tern/types.h>

/* Continues from crc, which is 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
