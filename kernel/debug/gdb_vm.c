/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM as a target of the remote protocol (gdb.h). All vCPUs are out of the guest in
 * each of these. A breakpoint is an INT3 in guest memory: the debugger reads the
 * guest's own byte there, and what it writes there goes beneath. A guest that reads its
 * own code sees the INT3; a dump or a migration cannot meet one, since the VM has one owner.
 */
#include <errno.h>

#include "gdb_session.h"

#define INT3 0xccu

static struct vcpu *vcpu(struct gdb_session *s, unsigned thread)
{
	return s->vm->vcpu[thread];
}

static int read_regs(void *arg, unsigned thread, uint8_t regs[GDB_REGS_BYTES])
{
	struct gdb_session *s = arg;

	virt->state_save(&vcpu(s, thread)->v, &s->cpu);
	gdb_regs_get(regs, &s->cpu);
	return 0;
}

static int write_regs(void *arg, unsigned thread, const uint8_t regs[GDB_REGS_BYTES])
{
	struct gdb_session *s = arg;

	virt->state_save(&vcpu(s, thread)->v, &s->cpu);
	gdb_regs_set(&s->cpu, regs);
	return vm_debug_set(vcpu(s, thread), &s->cpu);
}

static int read_memory(void *arg, unsigned thread, uint64_t at, void *buf, size_t len)
{
	struct gdb_session *s = arg;
	uint8_t *to = buf;
	int err = vm_debug_read(vcpu(s, thread), at, buf, len);

	for (unsigned i = 0; !err && i < s->breaks; i++)
		if (s->brk[i].linear - at < len)
			to[s->brk[i].linear - at] = s->brk[i].byte;
	return err;
}

static int put(struct gdb_session *s, const struct gdb_break *b, uint8_t byte)
{
	return gmem_write(s->vm->mem, b->at, &byte, 1);
}

static int write_memory(void *arg, unsigned thread, uint64_t at, const void *buf, size_t len)
{
	struct gdb_session *s = arg;
	const uint8_t *from = buf;
	int err = vm_debug_write(vcpu(s, thread), at, buf, len);

	for (unsigned i = 0; !err && i < s->breaks; i++) {
		struct gdb_break *b = &s->brk[i];

		if (b->linear - at >= len)
			continue;
		b->byte = from[b->linear - at];
		err = put(s, b, INT3);
	}
	return err;
}

static struct gdb_break *find(struct gdb_session *s, uint64_t linear)
{
	for (unsigned i = 0; i < s->breaks; i++)
		if (s->brk[i].linear == linear)
			return &s->brk[i];
	return NULL;
}

static int add(struct gdb_session *s, unsigned thread, uint64_t linear)
{
	struct gdb_break *b = &s->brk[s->breaks];
	int err;

	if (s->breaks == GDB_BREAKS_MAX)
		return -ENOSPC;
	b->linear = linear;
	err = vm_debug_gpa(vcpu(s, thread), linear, &b->at);
	if (!err)
		err = gmem_read(s->vm->mem, b->at, &b->byte, 1);
	if (!err)
		err = put(s, b, INT3);
	s->breaks += !err;
	return err;
}

/* Repeated, both do nothing, as the protocol wants. */
static int set_break(void *arg, unsigned thread, uint64_t linear, bool on)
{
	struct gdb_session *s = arg;
	struct gdb_break *b = find(s, linear);
	int err;

	if (!b == !on)
		return 0;
	if (on)
		return add(s, thread, linear);
	err = put(s, b, b->byte);
	*b = s->brk[--s->breaks];
	return err;
}

bool gdb_vm_is_break(const struct gdb_session *s, uint64_t linear)
{
	for (unsigned i = 0; i < s->breaks; i++)
		if (s->brk[i].linear == linear)
			return true;
	return false;
}

void gdb_vm_clear(struct gdb_session *s)
{
	for (; s->breaks; s->breaks--) {
		const struct gdb_break *b = &s->brk[s->breaks - 1];

		if (put(s, b, b->byte))
			continue; /* it was RAM when it was set: cannot be */
	}
}

void gdb_vm_init(struct gdb_session *s)
{
	s->target = (struct gdb_target){ .threads = s->vm->nr_vcpus,
					 .read_regs = read_regs,
					 .write_regs = write_regs,
					 .read_memory = read_memory,
					 .write_memory = write_memory,
					 .set_break = set_break,
					 .arg = s };
	gdb_init(&s->gdb, &s->target);
}
