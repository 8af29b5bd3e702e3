/* SPDX-License-Identifier: BSD-2-Clause */
/* One counter of an 8254 as a function of time (pit_count.c); time is guest nanoseconds. */
#ifndef KERNEL_VDEV_PIT_COUNT_H
#define KERNEL_VDEV_PIT_COUNT_H

#include <tern/types.h>

#define PIT_HZ 1193182ull

struct pit_channel {
	uint64_t start_ns; /* when this count was loaded or its gate rose */
	uint32_t reload;   /* 1..65536; 0 = nothing loaded: it stands still */
	uint16_t latch;	   /* latched count */
	uint8_t mode;	   /* 0..5 */
	uint8_t access;	   /* 1 low, 2 high, 3 low then high */
	uint8_t status;	   /* latched status */
	uint8_t write_low; /* first byte of a two-byte write */
	bool bcd, gate;
	bool count_latched, status_latched;
	bool read_high, write_high; /* the second byte is next */
};

uint64_t pit_ticks(uint64_t ns);
uint64_t pit_ns(uint64_t ticks); /* rounded up: that many ticks have passed then */
/* Count as the CPU reads it, and the OUT pin. */
uint16_t pit_count(const struct pit_channel *c, uint64_t now_ns);
bool pit_out(const struct pit_channel *c, uint64_t now_ns);
/* First time after now_ns at which OUT rises; NEVER_NS when it does not. */
uint64_t pit_next_rise(const struct pit_channel *c, uint64_t now_ns);

#endif
