/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest data at linear addresses, for emulated instructions: each page is
 * translated by the guest's tables and is RAM or a device's region. All pages
 * are translated before the first byte is written, so that a faulting store
 * leaves nothing behind.
 */
#include <errno.h>
#include <string.h>

#include "vm_int.h"

#define PIECES 2 /* no emulated access is longer than a page */

struct piece {
	gpa_t gpa;
	size_t len;
};

uint64_t linear_base(const struct virt_mode *m, unsigned seg)
{
	if (mode_code64(m) && seg != SEG_FS && seg != SEG_GS)
		return 0;
	return m->seg[seg].base;
}

static unsigned guest_phys_bits(const struct vcpu *c)
{
	const struct cpuid_entry *e = cpuid_find(c->vm->cpuid, 0x80000008u, 0);
	unsigned bits = e ? e->r.eax & 0xff : 36;

	return bits >= 32 && bits <= 52 ? bits : 52;
}

static int translate(struct vcpu *c, const struct virt_mode *m, uint64_t linear, unsigned access,
		     gpa_t *out, struct virt_event *fault)
{
	struct walk w = { c->vm->mem, m, guest_phys_bits(c), access };
	uint32_t error;

	if (m->cpl == 3)
		w.access |= WALK_USER;
	if (c->v.rflags & RFLAGS_AC)
		w.access |= WALK_AC;
	if (!walk_linear(&w, linear, out, &error))
		return 0;
	*fault = (struct virt_event){ .type = EV_EXCEPTION,
				      .vector = EXC_PF,
				      .has_error = true,
				      .error = error,
				      .cr2 = linear };
	return -EFAULT;
}

/* Splits [linear, linear+len) at the page edge; how many pieces, or -EFAULT. */
static int split(struct vcpu *c, const struct virt_mode *m, uint64_t linear, size_t len,
		 unsigned access, struct piece p[PIECES], struct virt_event *fault)
{
	size_t first = MIN(len, (size_t)(PAGE_SIZE - (linear & PAGE_MASK)));
	int err;

	if (len > PAGE_SIZE)
		return -EIO;
	err = translate(c, m, linear, access, &p[0].gpa, fault);
	p[0].len = first;
	p[1].len = len - first;
	if (!err && p[1].len)
		err = translate(c, m, linear + first, access, &p[1].gpa, fault);
	return err;
}

/* Device registers are accessed in naturally sized parts. */
static size_t device_part(gpa_t a, size_t len)
{
	size_t n = 8;

	while (n > len || (a.v & (n - 1)))
		n >>= 1;
	return n;
}

static void device_read(struct vcpu *c, gpa_t a, uint8_t *buf, size_t len)
{
	while (len) {
		size_t n = device_part(a, len);
		uint64_t v = ~0ull;

		io_read(c, IO_MMIO, a.v, (unsigned)n, &v);
		memcpy(buf, &v, n);
		a.v += n;
		buf += n;
		len -= n;
	}
}

static void device_write(struct vcpu *c, gpa_t a, const uint8_t *buf, size_t len)
{
	while (len) {
		size_t n = device_part(a, len);
		uint64_t v = 0;

		memcpy(&v, buf, n);
		io_write(c, IO_MMIO, a.v, (unsigned)n, v);
		a.v += n;
		buf += n;
		len -= n;
	}
}

int linear_read(struct vcpu *c, const struct virt_mode *m, uint64_t linear, void *buf, size_t len,
		struct virt_event *fault)
{
	struct piece p[PIECES];
	uint8_t *to = buf;
	int err = split(c, m, linear, len, 0, p, fault);

	for (unsigned i = 0; !err && i < PIECES && p[i].len; i++) {
		if (gmem_read(c->vm->mem, p[i].gpa, to, p[i].len))
			device_read(c, p[i].gpa, to, p[i].len);
		to += p[i].len;
	}
	return err;
}

int linear_write(struct vcpu *c, const struct virt_mode *m, uint64_t linear, const void *buf,
		 size_t len, struct virt_event *fault)
{
	struct piece p[PIECES];
	const uint8_t *from = buf;
	int err = split(c, m, linear, len, WALK_WRITE, p, fault);

	for (unsigned i = 0; !err && i < PIECES && p[i].len; i++) {
		if (gmem_write(c->vm->mem, p[i].gpa, from, p[i].len))
			device_write(c, p[i].gpa, from, p[i].len);
		from += p[i].len;
	}
	return err;
}

int linear_check(struct vcpu *c, const struct virt_mode *m, uint64_t linear, size_t len, gpa_t *out,
		 struct virt_event *fault)
{
	struct piece p[PIECES];
	int err = split(c, m, linear, len, WALK_WRITE, p, fault);

	*out = p[0].gpa;
	return err;
}

/* Instruction bytes up to the page's end, then the rest: an instruction may end where the next page
 * is absent. */
static int fetch(struct vcpu *c, const struct virt_mode *m, uint64_t linear, uint8_t *buf,
		 size_t len, struct virt_event *fault)
{
	gpa_t a;
	int err = translate(c, m, linear, WALK_FETCH, &a, fault);

	if (err)
		return err;
	return gmem_read(c->vm->mem, a, buf, len) ? -EIO : 0;
}

int linear_decode(struct vcpu *c, const struct vmexit *x, const struct virt_mode *m,
		  struct insn *out, struct virt_event *fault)
{
	uint64_t at = linear_base(m, SEG_CS) + c->v.rip;
	uint8_t bytes[15];
	size_t have = x->insn_bytes,
	       first = MIN(sizeof(bytes), (size_t)(PAGE_SIZE - (at & PAGE_MASK)));
	int err;

	if (have) {
		err = insn_decode(x->insn, have, m, out);
		if (err != -EAGAIN)
			return err;
	}
	err = fetch(c, m, at, bytes, first, fault);
	if (err)
		return err;
	err = insn_decode(bytes, first, m, out);
	if (err != -EAGAIN || first == sizeof(bytes))
		return err == -EAGAIN ? -EINVAL : err;
	err = fetch(c, m, at + first, bytes + first, sizeof(bytes) - first, fault);
	if (!err)
		err = insn_decode(bytes, sizeof(bytes), m, out);
	return err == -EAGAIN ? -EINVAL : err;
}
