/* SPDX-License-Identifier: BSD-2-Clause */
/* Control and debug registers of this CPU. [SDM 3A "Control Registers", SDM 3B "Debug Registers"]
 */
#ifndef ARCH_CONTROL_H
#define ARCH_CONTROL_H

#include <tern/types.h>

#define READ_DR(n, to) __asm__ volatile("mov %%db" #n ", %0" : "=r"(to))
#define WRITE_DR(n, from) __asm__ volatile("mov %0, %%db" #n ::"r"(from))

static inline uint64_t read_cr4(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static inline void write_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}

#endif
