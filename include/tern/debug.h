/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking into a guest from outside: its memory and registers as an ELF core over a
 * stream, and a debugger that talks to it over TCP.
 */
#ifndef TERN_DEBUG_H
#define TERN_DEBUG_H

#include <tern/stream.h>
#include <tern/vm.h>

#define DEBUG_DUMP_PORT 8903 /* where a receiver of dumps listens unless told otherwise */

struct debug_dump {
	uint64_t bytes, pages;
	unsigned segments, threads;
	bool whole; /* false: the guest's tables map more than the core has segments for */
};
/*
 * Writes the core and waits until it has arrived. The VM stands meanwhile and then goes on, unless
 * it stood before. stop may end it early. -EBUSY, -ENOMEM, -ECANCELED, the stream's error, with
 * why.
 */
MUST_CHECK int debug_dump_vm(struct vm *vm, struct stream *s, bool (*stop)(void *arg), void *arg,
			     struct debug_dump *out, char *why, size_t why_len);

#define DEBUG_GDB_PORT 1234
/*
 * Waits for debuggers of the VM with that name, one at a time, at this TCP port, until
 * debug_gdb_end. Whoever reaches the port has the guest. -EEXIST: one waits for this VM already;
 * -EADDRINUSE and others of the network, -ENOMEM.
 */
MUST_CHECK int debug_gdb_begin(const char *vm, uint16_t port);
/* -ENOENT. A debugger that is attached is sent away, and the guest goes on. */
MUST_CHECK int debug_gdb_end(const char *vm);

#define DEBUG_SERIAL_VIEWERS 8u /* at once, of one port */
struct debug_serial {
	char vm[VM_NAME_MAX];
	unsigned port; /* of the VM's: vdev.h */
	uint16_t tcp_port;
	bool read_only;	  /* what viewers type is thrown away */
	unsigned viewers; /* connected now */
};
/*
 * Shows that port to all who connect, until debug_serial_end or until the VM is not here any more.
 * Whoever reaches the TCP port has the guest's console. -EEXIST: it is shown already; -ENOSPC,
 * -EADDRINUSE and others of the network, -ENOMEM.
 */
MUST_CHECK int debug_serial_begin(const struct debug_serial *d);
MUST_CHECK int debug_serial_end(const char *vm, unsigned port); /* -ENOENT; viewers are sent away */
MUST_CHECK int debug_serial_get(const char *vm, unsigned port, struct debug_serial *out);

#endif
