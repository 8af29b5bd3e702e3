/* SPDX-License-Identifier: BSD-2-Clause */
/* REC_VCPU, version 1: write and read field by field, in the order of docs/wire.md. */
#include <errno.h>
#include <string.h>

#include "vm_cpu.h"

static void write_seg(struct rec_writer *w, const struct virt_seg *g)
{
	rec_u64(w, g->base);
	rec_u32(w, g->limit);
	rec_u16(w, g->selector);
	rec_u16(w, 0);
	rec_u32(w, g->attr);
	rec_u32(w, 0);
}

static void read_seg(struct rec_reader *r, struct virt_seg *g)
{
	g->base = rec_get_u64(r);
	g->limit = rec_get_u32(r);
	g->selector = rec_get_u16(r);
	r->bad |= rec_get_u16(r) != 0;
	g->attr = rec_get_u32(r);
	r->bad |= rec_get_u32(r) != 0;
}

/* The plain 64-bit fields after the general registers, once for both directions. */
#define STATE_FIELDS 29u
static void fields(struct virt_state *s, uint64_t *f[STATE_FIELDS])
{
	uint64_t *const list[STATE_FIELDS] = {
		&s->rip,	 &s->rflags,	   &s->cr0,
		&s->cr2,	 &s->cr3,	   &s->cr4,
		&s->cr8,	 &s->efer,	   &s->xcr0,
		&s->dr[0],	 &s->dr[1],	   &s->dr[2],
		&s->dr[3],	 &s->dr6,	   &s->dr7,
		&s->pat,	 &s->star,	   &s->lstar,
		&s->cstar,	 &s->sfmask,	   &s->kernel_gs_base,
		&s->sysenter_cs, &s->sysenter_esp, &s->sysenter_eip,
		&s->tsc,	 &s->tsc_aux,	   &s->debugctl,
		&s->spec_ctrl,	 &s->xss,
	};

	memcpy(f, list, sizeof(list));
}

static void write_event(struct rec_writer *w, const struct virt_state *s)
{
	rec_u8(w, s->event.type);
	rec_u8(w, s->event.vector);
	rec_u8(w, s->event.has_error);
	rec_u8(w, s->event.insn_len);
	rec_u32(w, s->event.error);
	rec_u64(w, s->event.cr2);
	rec_u8(w, s->irq_shadow);
	rec_u8(w, s->nmi_blocked);
	rec_u16(w, 0);
	rec_u32(w, 0);
}

static int read_event(struct rec_reader *r, struct virt_state *s)
{
	uint8_t has_error, shadow, blocked;

	s->event.type = rec_get_u8(r);
	s->event.vector = rec_get_u8(r);
	has_error = rec_get_u8(r);
	s->event.insn_len = rec_get_u8(r);
	s->event.error = rec_get_u32(r);
	s->event.cr2 = rec_get_u64(r);
	shadow = rec_get_u8(r);
	blocked = rec_get_u8(r);
	r->bad |= rec_get_u16(r) != 0;
	r->bad |= rec_get_u32(r) != 0;
	s->event.has_error = has_error == 1;
	s->irq_shadow = shadow == 1;
	s->nmi_blocked = blocked == 1;
	if (s->event.type > EV_SOFT_INT || has_error > 1 || shadow > 1 || blocked > 1)
		return -EBADMSG;
	return s->event.type == EV_EXCEPTION && s->event.vector > 31 ? -EBADMSG : 0;
}

static void write_extra(struct vcpu *c, struct rec_writer *w)
{
	uint32_t flags = (c->halted ? VCPU_HALTED : 0) | (c->waiting_sipi ? VCPU_WAITS_SIPI : 0) |
			 (c->nmi_pending ? VCPU_NMI_PENDING : 0) |
			 (c->init_asked ? VCPU_INIT_ASKED : 0) | c->sipi_asked << VCPU_SIPI_SHIFT;

	rec_u32(w, flags);
	rec_u32(w, msr_list_count());
	rec_u64(w, c->clock->system_msr);
	rec_u64(w, c->clock->wall_msr);
	for (unsigned i = 0; i < msr_list_count(); i++) {
		rec_u32(w, msr_list_index(i));
		rec_u32(w, 0);
		rec_u64(w, c->msrs->value[i]);
	}
}

static int read_extra(struct rec_reader *r, struct vcpu_extra *x)
{
	memset(x, 0, sizeof(*x));
	x->flags = rec_get_u32(r);
	x->nr_kept = rec_get_u32(r);
	x->system_msr = rec_get_u64(r);
	x->wall_msr = rec_get_u64(r);
	if (x->nr_kept > MSR_KEPT_MAX || (x->flags & ~VCPU_FLAGS) ||
	    x->flags >> VCPU_SIPI_SHIFT > VCPU_SIPI_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < x->nr_kept; i++) {
		x->kept[i].index = rec_get_u32(r);
		r->bad |= rec_get_u32(r) != 0;
		x->kept[i].value = rec_get_u64(r);
		if (msr_list_check(x->kept[i].index, x->kept[i].value))
			return -EBADMSG; /* not kept here, or no value of it */
	}
	return 0;
}

void vcpu_state_write(struct vcpu *c, const struct virt_state *s, struct rec_writer *w)
{
	uint64_t *f[STATE_FIELDS];

	fields((struct virt_state *)(uintptr_t)s, f);
	for (unsigned i = 0; i < 16; i++)
		rec_u64(w, s->gpr[i]);
	for (unsigned i = 0; i < STATE_FIELDS; i++)
		rec_u64(w, *f[i]);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		write_seg(w, &s->seg[i]);
	write_seg(w, &s->gdtr);
	write_seg(w, &s->idtr);
	write_event(w, s);
	rec_u32(w, s->nr_msrs);
	rec_u32(w, 0);
	for (unsigned i = 0; i < s->nr_msrs && i < VIRT_MSRS_MAX; i++) {
		rec_u32(w, s->msr[i].index);
		rec_u32(w, 0);
		rec_u64(w, s->msr[i].value);
	}
	write_extra(c, w);
}

int vcpu_state_read(struct rec_reader *r, struct virt_state *s, struct vcpu_extra *extra)
{
	uint64_t *f[STATE_FIELDS];

	fields(s, f);
	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = rec_get_u64(r);
	for (unsigned i = 0; i < STATE_FIELDS; i++)
		*f[i] = rec_get_u64(r);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		read_seg(r, &s->seg[i]);
	read_seg(r, &s->gdtr);
	read_seg(r, &s->idtr);
	if (read_event(r, s))
		return -EBADMSG;
	s->nr_msrs = rec_get_u32(r);
	r->bad |= rec_get_u32(r) != 0;
	if (s->nr_msrs > VIRT_MSRS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < s->nr_msrs; i++) {
		s->msr[i].index = rec_get_u32(r);
		r->bad |= rec_get_u32(r) != 0;
		s->msr[i].value = rec_get_u64(r);
	}
	if (read_extra(r, extra))
		return -EBADMSG;
	return rec_done(r);
}

int vcpu_extra_load(struct vcpu *c, const struct vcpu_extra *x)
{
	for (uint32_t i = 0; i < x->nr_kept; i++) {
		unsigned n = 0;

		while (n < msr_list_count() && msr_list_index(n) != x->kept[i].index)
			n++;
		if (n == msr_list_count())
			return -EBADMSG;
		c->msrs->value[n] = x->kept[i].value;
	}
	c->clock->system_msr = x->system_msr;
	c->clock->wall_msr = x->wall_msr;
	c->halted = (x->flags & VCPU_HALTED) != 0;
	c->waiting_sipi = (x->flags & VCPU_WAITS_SIPI) != 0;
	c->nmi_pending = (x->flags & VCPU_NMI_PENDING) != 0;
	c->init_asked = (x->flags & VCPU_INIT_ASKED) != 0;
	c->sipi_asked = x->flags >> VCPU_SIPI_SHIFT;
	return 0;
}
