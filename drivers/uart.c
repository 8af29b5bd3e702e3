/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 16550 on COM1 as console. Output goes to a ring that the interrupt drains,
 * 16 bytes at a time, so that a log line costs no waiting; when the ring is
 * full, before interrupts run and in a panic the writer drains it by polling.
 * Without a way for its interrupt a timer looks for input.
 * In a panic no lock is taken: the holder may be the one that panicked.
 */
#include "uart.h"

#include <tern/arch.h>
#include <tern/cpu.h>
#include <tern/irq.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/timer.h>

#include <errno.h>

#define COM1 0x3f8
#define COM1_IRQ 4u

#define UART_DATA (COM1 + 0)
#define UART_IER (COM1 + 1)
#define UART_IIR (COM1 + 2)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)
#define UART_SCRATCH (COM1 + 7)

#define IER_RX 1
#define IER_TX 2
#define IIR_NONE 1
#define FCR_ENABLE_CLEAR 0x87 /* FIFOs on and cleared, receive trigger at 8 bytes */
#define LCR_8N1 3
#define LCR_DIVISOR 0x80
#define MCR_DTR_RTS_OUT2 0x0b /* OUT2 lets the interrupt through */
#define LSR_DATA 1
#define LSR_TX_EMPTY 0x20
#define LSR_GONE 0xff
#define FIFO_BYTES 16u
#define POLL_TURNS 1000000
#define RING_BYTES 65536u /* power of two */
#define INPUT_POLL_NS (20 * NSEC_PER_MSEC)

static struct spinlock lock = SPINLOCK_INIT(LOCK_SINK, "uart");
static char ring[RING_BYTES]; /* [lock] */
static uint32_t head, tail;   /* [lock] bytes put in and taken out, since ever */
static bool by_interrupt;     /* [const] after uart_start */
static struct timer poll_timer;

static void wait_tx_empty(void)
{
	for (int i = 0; i < POLL_TURNS && !(inb(UART_LSR) & LSR_TX_EMPTY); i++)
		cpu_pause();
}

/* One FIFO's worth; the transmitter must be empty. */
static void fill_fifo(void)
{
	for (unsigned i = 0; i < FIFO_BYTES && tail != head; i++)
		outb(UART_DATA, (uint8_t)ring[tail++ % RING_BYTES]);
}

static void drain_by_polling(void)
{
	while (tail != head) {
		wait_tx_empty();
		fill_fifo();
	}
}

static void put(char c)
{
	if (head - tail == RING_BYTES) {
		wait_tx_empty();
		fill_fifo();
	}
	ring[head++ % RING_BYTES] = c;
}

static void put_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' && ring[(head - 1) % RING_BYTES] != '\r')
			put('\r');
		put(text[i]);
	}
}

static void uart_write(struct console_sink *s, const char *text, size_t len)
{
	(void)s;
	if (arch_in_panic()) {
		put_text(text, len);
		drain_by_polling();
		return;
	}
	unsigned long flags = spin_lock(&lock);

	put_text(text, len);
	if (!by_interrupt)
		drain_by_polling();
	else if (inb(UART_LSR) & LSR_TX_EMPTY)
		fill_fifo(); /* idle: its end raises the interrupt that goes on */
	spin_unlock(&lock, flags);
}

static struct console_sink sink = { .write = uart_write };

static void receive(void)
{
	char buf[FIFO_BYTES];
	size_t n = 0;

	while (n < sizeof(buf) && inb(UART_LSR) & LSR_DATA)
		buf[n++] = (char)inb(UART_DATA);
	if (n)
		console_input(buf, n);
}

/* The line is edge-triggered on a PC: until no cause is left, or no edge comes again. */
static void uart_irq(void *arg)
{
	(void)arg;
	for (int i = 0; i < 64 && !(inb(UART_IIR) & IIR_NONE); i++) {
		receive();
		unsigned long flags = spin_lock(&lock);

		if (inb(UART_LSR) & LSR_TX_EMPTY)
			fill_fifo();
		spin_unlock(&lock, flags);
	}
}

static void poll_input(struct timer *t)
{
	receive();
	timer_arm(t, time_ns() + INPUT_POLL_NS);
}

int uart_early(void)
{
	outb(UART_SCRATCH, 0x5a);
	if (inb(UART_SCRATCH) != 0x5a || inb(UART_LSR) == LSR_GONE)
		return -ENODEV;
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DIVISOR | LCR_8N1);
	outb(UART_DATA, 1); /* 115200 */
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_8N1);
	outb(UART_FCR, FCR_ENABLE_CLEAR);
	outb(UART_MCR, MCR_DTR_RTS_OUT2);
	console_add(&sink);
	return 0;
}

int uart_start(void)
{
	unsigned gsi;
	bool level, active_low;

	irq_isa_to_gsi(COM1_IRQ, &gsi, &level, &active_low);
	int r = irq_gsi_attach(gsi, level, active_low, uart_irq, NULL, "uart");

	if (r) {
		timer_setup(&poll_timer, poll_input);
		timer_arm(&poll_timer, time_ns() + INPUT_POLL_NS);
		return r;
	}
	outb(UART_IER, IER_RX | IER_TX);
	unsigned long flags = spin_lock(&lock);

	by_interrupt = true;
	spin_unlock(&lock, flags);
	return 0;
}
