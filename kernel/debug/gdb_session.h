/* SPDX-License-Identifier: BSD-2-Clause */
/* One debugger's conversation (gdb_session.c), its breakpoints and its view of the VM (gdb_vm.c).
 */
#ifndef KERNEL_DEBUG_GDB_SESSION_H
#define KERNEL_DEBUG_GDB_SESSION_H

#include <tern/stream.h>
#include <tern/vmdebug.h>
#include <tern/world.h>

#include "gdb.h"

#define GDB_BREAKS_MAX 128u
#define GDB_IN 1024u

struct gdb_break {
	uint64_t linear;
	gpa_t at;     /* where the byte was replaced, whichever tables are in use later */
	uint8_t byte; /* the guest's */
};

struct gdb_session {
	struct vm_debugger d;
	struct vm *vm; /* [const] */
	struct gdb gdb;
	struct gdb_target target;
	struct virt_state cpu;		      /* scratch: too large for a stack */
	struct gdb_break brk[GDB_BREAKS_MAX]; /* changed while all vCPUs are out */
	unsigned breaks;
	bool running;
	bool over;
	uint32_t stop; /* [atom] 1 + vCPU, and AT_BREAK; 0: none has stopped */
	struct stream *stream;
	struct event ev; /* bytes came, a vCPU stopped, or it is to end */
	struct event taken;
	uint8_t in[GDB_IN];	/* from the ears, which wait until it is taken */
	uint32_t fill;		/* [atom] */
	uint32_t gone;		/* [atom] the stream has ended */
	const uint32_t *ending; /* [atom] the server's */
};

/* gdb_vm.c */
void gdb_vm_init(struct gdb_session *s);
bool gdb_vm_is_break(const struct gdb_session *s, uint64_t linear);
/* All vCPUs out: the guest's own bytes are back. */
void gdb_vm_clear(struct gdb_session *s);

/* gdb_session.c: until the debugger goes, is sent away, or the VM ends. */
void gdb_session_run(struct vm *vm, struct stream *stream, const uint32_t *ending);

#endif
