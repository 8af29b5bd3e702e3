/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial console on COM1. uart_early() polls; uart_start() goes over to interrupts. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <tern/types.h>

/* Registers the console sink. -ENODEV when no 16550 answers. */
int uart_early(void);
/* After arch_init. -ENODEV when its interrupt cannot be routed: output goes on by polling. */
int uart_start(void);

#endif
