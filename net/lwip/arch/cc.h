/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's view of the compiler and of the kernel: types come from the standard
 * headers, diagnostics go to the log, a broken invariant of the stack is a panic.
 * Anything that a packet can cause is an error inside lwIP, never an assertion.
 */
#ifndef TERN_LWIP_CC_H
#define TERN_LWIP_CC_H

#include <stddef.h>
#include <stdint.h>

/* Before lwip/arch.h, which would else define a second ssize_t. */
#include <sys/types.h>
#ifndef SSIZE_MAX
#define SSIZE_MAX INT64_MAX
#endif

#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_NO_CTYPE_H 0
#define LWIP_NO_UNISTD_H 1
#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif

#include <tern/log.h>

/* net/port.c */
uint32_t lwip_port_rand(void);
extern void *lwip_port_heap; /* set before lwip_init */

/* net/stream_tcp.c: a packet has come for it, and is looked at next; ERR_OK. */
struct tcp_pcb;
signed char lwip_port_hear(struct tcp_pcb *pcb);

#define LWIP_RAND() lwip_port_rand()
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) panic("lwip: %s", (x))

#endif
