/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 16550A (uart.h). Transmission takes no time: a byte written to THR is in the
 * log when the write returns, so THR is always empty and the transmitter-empty
 * interrupt is pending again at once; a driver that refills the FIFO from the
 * interrupt sends 16 bytes for each pass. Received bytes wait in a queue and
 * show through the FIFO, so none is lost to an overrun.
 *
 * The line is edge-triggered at the IOAPIC: it falls when IIR is read or the
 * cause goes, and rises with the next cause. It stays high while a cause stays
 * unread, so no edge is missed and none is made twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uart.h"

#define UART_REC_VERSION 1

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RX 0x01u
#define IER_THRE 0x02u
#define IER_BITS 0x0fu
#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_TRIGGER_SHIFT 6u
#define IIR_NONE 0x01u
#define IIR_THRE 0x02u
#define IIR_RX 0x04u
#define IIR_RX_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u
#define LCR_DLAB 0x80u
#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_BITS 0x1fu
#define LSR_DATA 0x01u
#define LSR_EMPTY 0x60u /* THR and shift register */
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

#define REC_THRE 0x01u
#define REC_LINE 0x02u

static uint32_t rx_trigger(const struct uart_regs *s)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return s->fcr & FCR_ENABLE ? level[s->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static uint8_t cause(const struct uart_regs *s)
{
	if (s->ier & IER_RX && s->in_count > 0)
		return s->in_count >= rx_trigger(s) ? IIR_RX : IIR_RX_TIMEOUT;
	if (s->ier & IER_THRE && s->thre)
		return IIR_THRE;
	return IIR_NONE;
}

static void update_line(struct uart *u)
{
	bool high = cause(&u->regs) != IIR_NONE;

	if (high == u->regs.line)
		return;
	u->regs.line = high;
	vm_set_gsi(u->d.vm, u->gsi, high);
}

static bool rx_push(struct uart_regs *s, uint8_t byte)
{
	if (s->in_count == UART_INPUT_MAX)
		return false;
	s->in[(s->in_head + s->in_count) % UART_INPUT_MAX] = byte;
	s->in_count++;
	return true;
}

static uint8_t rx_pop(struct uart_regs *s)
{
	uint8_t byte;

	if (s->in_count == 0)
		return 0;
	byte = s->in[s->in_head];
	s->in_head = (s->in_head + 1) % UART_INPUT_MAX;
	s->in_count--;
	return byte;
}

static void rx_clear_fifo(struct uart_regs *s)
{
	uint32_t n = MIN(s->in_count, UART_FIFO);

	s->in_head = (s->in_head + n) % UART_INPUT_MAX;
	s->in_count -= n;
}

static uint8_t modem_status(const struct uart_regs *s)
{
	uint8_t v = 0;

	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	v |= s->mcr & MCR_RTS ? MSR_CTS : 0;
	v |= s->mcr & MCR_DTR ? MSR_DSR : 0;
	v |= s->mcr & MCR_OUT1 ? MSR_RI : 0;
	v |= s->mcr & MCR_OUT2 ? MSR_DCD : 0;
	return v;
}

static uint8_t read_iir(struct uart *u)
{
	struct uart_regs *s = &u->regs;
	uint8_t v = cause(s);

	if (v == IIR_THRE) {
		s->thre = false;
		update_line(u);
	}
	return (uint8_t)(v | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0));
}

static uint8_t read_reg(struct uart *u, uint64_t reg)
{
	struct uart_regs *s = &u->regs;
	uint8_t v;

	switch (reg) {
	case LSR:
		return (uint8_t)(LSR_EMPTY | (s->in_count ? LSR_DATA : 0));
	case RBR_THR:
		if (s->lcr & LCR_DLAB)
			return s->dll;
		v = rx_pop(s);
		update_line(u);
		return v;
	case IER:
		return s->lcr & LCR_DLAB ? s->dlm : s->ier;
	case IIR_FCR:
		return read_iir(u);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void transmit(struct uart *u, uint8_t byte)
{
	struct uart_regs *s = &u->regs;

	if (s->mcr & MCR_LOOP)
		rx_push(s, byte);
	else
		keptlog_put(u->log, &byte, 1);
	s->thre = true;
	update_line(u);
}

static void write_ier(struct uart *u, uint8_t v)
{
	struct uart_regs *s = &u->regs;

	v &= IER_BITS;
	/* Enabling the interrupt while THR is empty raises it: drivers test for that. */
	if (v & ~s->ier & IER_THRE)
		s->thre = true;
	s->ier = v;
	update_line(u);
}

static void write_fcr(struct uart *u, uint8_t v)
{
	struct uart_regs *s = &u->regs;

	if (v & FCR_CLEAR_RX || (v ^ s->fcr) & FCR_ENABLE)
		rx_clear_fifo(s);
	s->fcr = v & (FCR_ENABLE | 0xc0u);
	update_line(u);
}

static void write_reg(struct uart *u, uint64_t reg, uint8_t v)
{
	struct uart_regs *s = &u->regs;

	switch (reg) {
	case RBR_THR:
		if (s->lcr & LCR_DLAB)
			s->dll = v;
		else
			transmit(u, v);
		break;
	case IER:
		if (s->lcr & LCR_DLAB)
			s->dlm = v;
		else
			write_ier(u, v);
		break;
	case IIR_FCR:
		write_fcr(u, v);
		break;
	case LCR:
		s->lcr = v;
		break;
	case MCR:
		s->mcr = v & MCR_BITS;
		break;
	case SCR:
		s->scr = v;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct uart *u = container_of((struct vdev *)arg, struct uart, d);

	(void)c;
	if (size == 1)
		*value = read_reg(u, off);
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct uart *u = container_of((struct vdev *)arg, struct uart, d);

	(void)c;
	if (size == 1)
		write_reg(u, off, (uint8_t)value);
}

static const struct io_ops uart_io = { .read = io_read, .write = io_write };

size_t uart_input(struct uart *u, const char *bytes, size_t len)
{
	size_t n = 0;

	mutex_lock(&u->d.lock);
	while (n < len && !u->quiet && rx_push(&u->regs, (uint8_t)bytes[n]))
		n++;
	update_line(u);
	mutex_unlock(&u->d.lock);
	return n;
}

static void set_quiet(struct vdev *d, bool quiet)
{
	mutex_lock(&d->lock);
	container_of(d, struct uart, d)->quiet = quiet;
	mutex_unlock(&d->lock);
}

static int uart_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	(void)deadline_ns;
	set_quiet(d, true);
	return 0;
}

static void uart_resume(struct vdev *d)
{
	set_quiet(d, false);
}

/* Input that nobody read yet survives a reset, like a person's typing ahead. */
static void uart_reset(struct vdev *d)
{
	struct uart *u = container_of(d, struct uart, d);
	struct uart_regs *s = &u->regs;

	s->ier = s->fcr = s->lcr = s->mcr = s->scr = s->dlm = 0;
	s->dll = 1;
	s->thre = false;
	update_line(u);
}

/*
 * REC_UART version 1, instance = port:
 *   0  u8   IER, FCR, LCR, MCR, SCR, DLL, DLM
 *   7  u8   bit 0 transmitter-empty interrupt pending, bit 1 line high
 *   8  u32  bytes of input waiting, at most UART_INPUT_MAX
 *  12  ...  the bytes, oldest first
 */
static void uart_save(struct vdev *d, struct rec_writer *w)
{
	const struct uart_regs *s = &container_of(d, struct uart, d)->regs;
	const uint8_t regs[7] = { s->ier, s->fcr, s->lcr, s->mcr, s->scr, s->dll, s->dlm };

	mutex_lock(&d->lock); /* input may come at any time */
	rec_begin(w, REC_UART, UART_REC_VERSION, 0, d->instance);
	rec_bytes(w, regs, sizeof(regs));
	rec_u8(w, (uint8_t)((s->thre ? REC_THRE : 0) | (s->line ? REC_LINE : 0)));
	rec_u32(w, s->in_count);
	for (uint32_t i = 0; i < s->in_count; i++)
		rec_u8(w, s->in[(s->in_head + i) % UART_INPUT_MAX]);
	rec_end(w);
	mutex_unlock(&d->lock);
}

static int uart_parse(struct rec_reader *r, struct uart_regs *s)
{
	uint8_t regs[7], flags;

	if (r->head.version != UART_REC_VERSION)
		return -EBADMSG;
	rec_get_bytes(r, regs, sizeof(regs));
	flags = rec_get_u8(r);
	s->in_count = rec_get_u32(r);
	if (r->bad || flags & ~(REC_THRE | REC_LINE) || s->in_count > UART_INPUT_MAX)
		return -EBADMSG;
	if (regs[0] & ~IER_BITS || regs[1] & ~(FCR_ENABLE | 0xc0u) || regs[3] & ~MCR_BITS)
		return -EBADMSG;
	s->in_head = 0;
	rec_get_bytes(r, s->in, s->in_count);
	s->ier = regs[0];
	s->fcr = regs[1];
	s->lcr = regs[2];
	s->mcr = regs[3];
	s->scr = regs[4];
	s->dll = regs[5];
	s->dlm = regs[6];
	s->thre = flags & REC_THRE;
	s->line = flags & REC_LINE;
	return rec_done(r);
}

static int uart_check(struct vdev *d, struct rec_reader *r)
{
	struct uart_regs *s = malloc(sizeof(*s));
	int rc = s ? uart_parse(r, s) : -ENOMEM;

	(void)d;
	free(s);
	return rc;
}

/* The line's level at the interrupt controllers comes with their own records. */
static int uart_load(struct vdev *d, struct rec_reader *r)
{
	return uart_parse(r, &container_of(d, struct uart, d)->regs);
}

static void uart_destroy(struct vdev *d)
{
	free(container_of(d, struct uart, d));
}

static const struct vdev_ops uart_ops = {
	.name = "uart",
	.reset = uart_reset,
	.quiesce = uart_quiesce,
	.resume = uart_resume,
	.save = uart_save,
	.check = uart_check,
	.load = uart_load,
	.destroy = uart_destroy,
};

int uart_create(struct vm *vm, uint16_t port, uint16_t base, unsigned gsi, struct keptlog *log,
		struct uart **out)
{
	struct uart *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->log = log;
	u->gsi = gsi;
	u->regs.dll = 1;
	vdev_init(&u->d, vm, &uart_ops, REC_UART, REC_UART, port);
	vdev_region(&u->d, &u->io, IO_PIO, base, UART_PORTS, &uart_io, &u->d.lock);
	*out = u;
	return 0;
}
