/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a VM by number, for the shell: kept output and input of the two
 * UARTs and of the virtio console (vdev.h).
 */
#include <errno.h>

#include "q35.h"
#include "uart.h"
#include "vconsole.h"

static struct keptlog *log_of(struct vm *vm, unsigned port)
{
	return port < SERIAL_LOGS && vm->platform ? q35_of(vm)->log[port] : NULL;
}

size_t serial_log_read(struct vm *vm, unsigned port, uint64_t *from, char *buf, size_t len)
{
	struct keptlog *k = log_of(vm, port);

	return k ? keptlog_read(k, from, buf, len) : 0;
}

uint64_t serial_log_end(struct vm *vm, unsigned port)
{
	struct keptlog *k = log_of(vm, port);

	return k ? keptlog_end(k) : 0;
}

int serial_log_wait(struct vm *vm, unsigned port, uint64_t from, uint64_t deadline_ns)
{
	struct keptlog *k = log_of(vm, port);

	return k ? keptlog_wait(k, from, deadline_ns) : -ETIMEDOUT;
}

/* Is it between hosts? Bytes would go into a copy that is not the VM's any more, or not yet. */
static bool moving(const struct vm *vm)
{
	enum vm_state s = vm->state;

	return s == VM_STUNNED || s == VM_IN_DOUBT || s == VM_INCOMING || s == VM_SUSPENDED;
}

size_t serial_input(struct vm *vm, unsigned port, const char *bytes, size_t len)
{
	if (!vm->platform || moving(vm))
		return 0;
	if (port < SERIAL_PORTS)
		return uart_input(q35_of(vm)->uart[port], bytes, len);
	return port == SERIAL_VCONSOLE ? vconsole_input(q35_of(vm)->vconsole, bytes, len) : 0;
}
