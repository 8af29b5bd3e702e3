/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A serial port of a guest: eight I/O ports, an interrupt line, a kept
 * log of what the guest sent, a queue of what it will receive.
 *
 * Interface in order of use: uart_create; the guest's accesses; uart_input from
 * any world. Output is read from the kept log (keptlog.h).
 */
#ifndef KERNEL_VDEV_UART_H
#define KERNEL_VDEV_UART_H

#include "device.h"
#include "keptlog.h"

#define UART_COM1 0x3f8u
#define UART_COM2 0x2f8u
#define UART_PORTS 8u
#define UART_FIFO 16u
#define UART_INPUT_MAX 4096u

struct uart_regs {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thre; /* transmitter-empty interrupt is pending */
	bool line; /* level of the interrupt line */
	uint32_t in_count;
	uint32_t in_head;	    /* index of the oldest byte */
	uint8_t in[UART_INPUT_MAX]; /* the first UART_FIFO of it are "in the FIFO" */
};

struct uart {
	struct vdev d; /* record REC_UART, instance = port */
	struct io_region io;
	struct keptlog *log; /* [const] */
	unsigned gsi;	     /* [const] */
	struct uart_regs regs;
	bool quiet; /* between quiesce and resume: what is typed now would not be saved */
};

/* -ENOMEM. log outlives the port. */
MUST_CHECK int uart_create(struct vm *vm, uint16_t port, uint16_t base, unsigned gsi,
			   struct keptlog *log, struct uart **out);
/* How many of them it took: none while it is quiet, else what the queue has room for. */
size_t uart_input(struct uart *u, const char *bytes, size_t len);

#endif
