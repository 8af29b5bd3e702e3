/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's serial port as a driver sees it: probing, interrupts by edges,
 * FIFO, loop-back; its kept log; and both after a move.
 */
// SOURCES: kernel/vdev/uart.c kernel/vdev/keptlog.c kernel/vdev/vdev.c kernel/lib/rec.c
// SOURCES: test/unit/fake_vdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/uart.h"
#include "test/unit/fake_vdev.h"

enum { THR = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct keptlog *kept;
static struct uart *port;

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();

	assert_int_equal(keptlog_create(vm, 0, &kept), 0);
	assert_int_equal(uart_create(vm, 0, THR, GSI_COM1, kept, &port), 0);
	vdevs_reset(vm);
	return vm;
}

static void put(struct vm *vm, const char *text)
{
	for (; *text; text++)
		fake_out(vm, THR, 1, (uint8_t)*text);
}

static void probing(void **state)
{
	struct vm *vm = machine();

	fake_out(vm, IER, 1, 0xff);
	assert_int_equal(fake_in(vm, IER, 1), 0x0f);
	fake_out(vm, IER, 1, 0);
	fake_out(vm, SCR, 1, 0xa5);
	assert_int_equal(fake_in(vm, SCR, 1), 0xa5);
	fake_out(vm, MCR, 1, 0x1a); /* loop-back: OUT2, RTS */
	assert_int_equal(fake_in(vm, MSR, 1) & 0xf0, 0x90);
	fake_out(vm, MCR, 1, 0x0b);
	assert_int_equal(fake_in(vm, MSR, 1), 0xb0);
	fake_out(vm, IIR, 1, 0x01);
	assert_int_equal(fake_in(vm, IIR, 1) & 0xc0, 0xc0);
	assert_int_equal(fake_in(vm, LSR, 1), 0x60);
	fake_out(vm, LCR, 1, 0x83);
	fake_out(vm, THR, 1, 0x0c);
	fake_out(vm, IER, 1, 0x01);
	assert_int_equal(fake_in(vm, THR, 1), 0x0c);
	assert_int_equal(fake_in(vm, IER, 1), 0x01);
	fake_out(vm, LCR, 1, 0x03);
	assert_int_equal(fake_in(vm, IER, 1), 0);
	assert_int_equal(fake_in(vm, LCR, 2), 0xffff); /* only bytes */
	fake_vm_done(vm);
}

/* What Linux does at start-up to find chips that forget the interrupt. */
static void transmitter_interrupt(void **state)
{
	struct vm *vm = machine();

	for (int i = 0; i < 2; i++) {
		fake_out(vm, IER, 1, 2);
		assert_true(fake_level[GSI_COM1]);
		assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 2);
		assert_false(fake_level[GSI_COM1]);
		assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 1);
		fake_out(vm, IER, 1, 0);
	}
	assert_int_equal(fake_rises[GSI_COM1], 2);
	/* A refill from the handler raises the line once, whatever its length. */
	fake_out(vm, IER, 1, 2);
	fake_in(vm, IIR, 1);
	put(vm, "sixteen bytes...");
	assert_int_equal(fake_rises[GSI_COM1], 4);
	assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 2);
	fake_vm_done(vm);
}

static void receive(void **state)
{
	struct vm *vm = machine();

	uart_input(port, "ab", 2);
	assert_false(fake_level[GSI_COM1]);
	assert_int_equal(fake_in(vm, LSR, 1), 0x61);
	fake_out(vm, IER, 1, 1);
	assert_true(fake_level[GSI_COM1]);
	assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 4);
	assert_int_equal(fake_in(vm, THR, 1), 'a');
	assert_int_equal(fake_in(vm, THR, 1), 'b');
	assert_false(fake_level[GSI_COM1]);
	assert_int_equal(fake_in(vm, LSR, 1), 0x60);
	fake_out(vm, IIR, 1, 0x81); /* trigger at 8 */
	uart_input(port, "c", 1);
	assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 0x0c);
	uart_input(port, "defghij", 7);
	assert_int_equal(fake_in(vm, IIR, 1) & 0x0f, 4);
	fake_out(vm, IIR, 1, 0x83); /* clear what is in the FIFO */
	assert_int_equal(fake_in(vm, LSR, 1), 0x60);
	fake_vm_done(vm);
}

static void input_is_bounded(void **state)
{
	struct vm *vm = machine();
	static char many[UART_INPUT_MAX + 100];

	assert_int_equal(uart_input(port, many, sizeof(many)), UART_INPUT_MAX);
	assert_int_equal(uart_input(port, "x", 1), 0);
	assert_int_equal(port->regs.in_count, UART_INPUT_MAX);
	fake_vm_done(vm);
}

/* What comes while the VM is being saved would be in neither copy: it is refused, not lost. */
static void refuses_input_while_quiet(void **state)
{
	struct vm *vm = machine();

	assert_int_equal(uart_input(port, "a", 1), 1);
	assert_int_equal(vdevs_quiesce(vm, NEVER_NS), 0);
	assert_int_equal(uart_input(port, "b", 1), 0);
	vdevs_resume(vm);
	assert_int_equal(uart_input(port, "c", 1), 1);
	assert_int_equal(fake_in(vm, THR, 1), 'a');
	assert_int_equal(fake_in(vm, THR, 1), 'c');
	fake_vm_done(vm);
}

static void log_keeps_the_end(void **state)
{
	struct vm *vm = machine();
	uint64_t from = 0;
	char buf[16];

	put(vm, "first");
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 5);
	assert_int_equal(from, 5);
	assert_int_equal(keptlog_wait(kept, 5, 0), -ETIMEDOUT);
	assert_int_equal(keptlog_wait(kept, 4, 0), 0);
	for (size_t i = 0; i < KEPTLOG_BYTES; i++)
		keptlog_put(kept, "x", 1);
	keptlog_put(kept, "end", 3);
	assert_int_equal(keptlog_end(kept), 5 + KEPTLOG_BYTES + 3);
	from = 0;
	assert_int_equal(keptlog_read(kept, &from, buf, 1), 1);
	assert_int_equal(from, 5 + 3 + 1);
	from = keptlog_end(kept) - 4;
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "xend", 4);
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 0);
	from = UINT64_MAX;
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 0);
	fake_vm_done(vm);
}

static void survives_a_move(void **state)
{
	struct vm *a = machine(), *b;
	struct uart *port_a = port;
	uint64_t from = 1;
	char buf[8];

	put(a, "hello");
	fake_out(a, IIR, 1, 0x01);
	fake_out(a, IER, 1, 3);
	fake_in(a, IIR, 1);
	uart_input(port_a, "typed", 5);
	fake_in(a, THR, 1);
	b = machine();
	assert_int_equal(fake_move(a, b), 0);
	assert_int_equal(keptlog_end(kept), 5);
	assert_int_equal(keptlog_read(kept, &from, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "ello", 4);
	assert_true(port->regs.line);
	assert_int_equal(fake_rises[GSI_COM1], 0); /* the level is in the IOAPIC's record */
	assert_int_equal(fake_in(b, IIR, 1), 0xc4);
	assert_int_equal(fake_in(b, THR, 1), 'y');
	assert_int_equal(fake_in(b, IER, 1), 3);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void refuses_nonsense(void **state)
{
	struct vm *vm = machine();
	uint8_t body[12 + 8] = { 0x03, 0x01, 0x03, 0x0b, 0, 1, 0, 3, 8 };

	assert_int_equal(fake_check(vm, REC_UART, 0, 1, body, sizeof(body)), 0);
	assert_int_equal(fake_check(vm, REC_UART, 0, 2, body, sizeof(body)), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_UART, 7, 1, body, sizeof(body)), -ENOENT);
	assert_int_equal(fake_check(vm, REC_UART, 0, 1, body, sizeof(body) - 1), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_UART, 0, 1, body, 5), -EBADMSG);
	body[0] = 0x10;
	assert_int_equal(fake_check(vm, REC_UART, 0, 1, body, sizeof(body)), -EBADMSG);
	body[0] = 3;
	body[11] = 0x80;
	assert_int_equal(fake_check(vm, REC_UART, 0, 1, body, sizeof(body)), -EBADMSG);
	memset(body, 0xff, sizeof(body));
	assert_int_equal(fake_check(vm, REC_SERIAL_LOG, 0, 1, body, sizeof(body)), -EBADMSG);
	assert_int_equal(keptlog_end(kept), 0);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probing),	     cmocka_unit_test(transmitter_interrupt),
		cmocka_unit_test(receive),	     cmocka_unit_test(input_is_bounded),
		cmocka_unit_test(log_keeps_the_end), cmocka_unit_test(survives_a_move),
		cmocka_unit_test(refuses_nonsense),  cmocka_unit_test(refuses_input_while_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
