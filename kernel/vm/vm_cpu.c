/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU part of a checkpoint: REC_CPUID, REC_TIME, then REC_VCPU and REC_XSAVE
 * of every vCPU, and REC_HYPERV, in this order. Bodies are in docs/wire.md; save, check and load
 * of each stand side by side.
 *
 * A vCPU's state begins with its REC_VCPU, which waits in run->incoming, and ends
 * with its REC_XSAVE, after which the backend has the whole of it: to say whether
 * it could be entered in check, to take it in load.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/rec.h>

#include "hyperv.h"
#include "vm_cpu.h"
#include "vm_int.h"

#define REC_VERSION 1u
#define PPM_EQUAL 250u

static int bad(char *why, size_t len, const char *what)
{
	snprintf(why, len, "malformed %s record", what);
	return -EBADMSG;
}

/* ---- REC_CPUID: cpuid_rec.c ---- */

void vm_cpuid_save(struct vm *vm, struct rec_writer *w)
{
	cpuid_table_save(vm->cpuid, w);
}

static int cpuid_check(struct vm *vm, struct rec_reader *r, char *why, size_t len)
{
	struct cpu_model want, here;
	struct cpuid_table t;

	if (cpuid_table_parse(r, &t))
		return bad(why, len, "CPUID");
	vm->run->checked_xcr0 = cpuid_table_xcr0(&t);
	cpu_model_of(&t, &want);
	cpu_model_host(&here);
	return cpu_model_check(&want, &here, vm->cfg.baseline, "the destination", why, len);
}

static int cpuid_load(struct vm *vm, struct rec_reader *r)
{
	struct cpuid_table t;

	if (cpuid_table_parse(r, &t))
		return -EBADMSG;
	*vm->cpuid = t;
	vm->virt.xcr0_mask = cpuid_table_xcr0(&t);
	return 0;
}

/* ---- REC_TIME ---- */

struct time_rec {
	uint32_t tsc_khz;
	struct vm_time t; /* by the source's clock */
};

/* The line's TSC that it saved. */
static uint64_t time_save(struct vm *vm, struct rec_writer *w)
{
	struct vm_time t;

	vm_time_read(vm, &t);
	rec_begin(w, REC_TIME, REC_VERSION, 0, 0);
	rec_u32(w, vm->tsc_khz);
	rec_u32(w, 0);
	rec_u64(w, t.tsc);
	rec_u64(w, t.ns);
	rec_u64(w, t.host_ns);
	rec_end(w);
	return t.tsc;
}

static int time_parse(struct rec_reader *r, struct time_rec *t)
{
	if (r->head.version != REC_VERSION)
		return -EBADMSG;
	t->tsc_khz = rec_get_u32(r);
	if (rec_get_u32(r))
		return -EBADMSG;
	t->t.tsc = rec_get_u64(r);
	t->t.ns = rec_get_u64(r);
	t->t.host_ns = rec_get_u64(r);
	return rec_done(r);
}

int vm_tsc_check(uint32_t khz, char *why, size_t why_len)
{
	uint64_t host = tsc_khz(), diff = khz > host ? khz - host : host - khz;

	if (diff * 1000000 <= host * PPM_EQUAL)
		return 0;
	if (virt_caps.tsc_scaling) {
		if (khz < host * virt_caps.tsc_ratio_end)
			return 0;
		snprintf(why, why_len,
			 "the guest's TSC runs at %u kHz, the destination's at %u, and its CPU "
			 "scales by less than %u",
			 (unsigned)khz, (unsigned)host, virt_caps.tsc_ratio_end);
		return -ENOTSUP;
	}
	snprintf(why, why_len,
		 "the guest's TSC runs at %u kHz, the destination's at %u, more than %u ppm apart, "
		 "and its CPU cannot scale it",
		 (unsigned)khz, (unsigned)host, PPM_EQUAL);
	return -ENOTSUP;
}

static int time_check(struct rec_reader *r, char *why, size_t len)
{
	struct time_rec t;

	if (time_parse(r, &t) || t.tsc_khz < 1000)
		return bad(why, len, "time");
	return vm_tsc_check(t.tsc_khz, why, len);
}

static int time_load(struct vm *vm, struct rec_reader *r, int64_t clock_delta_ns)
{
	struct time_rec t;

	if (time_parse(r, &t))
		return -EBADMSG;
	vm->tsc_khz = vm->virt.tsc_khz = t.tsc_khz;
	t.t.host_ns += (uint64_t)clock_delta_ns;
	vm_time_continue(vm, &t.t);
	vm->run->loaded_time = true;
	return 0;
}

/* ---- REC_VCPU, REC_XSAVE: fields in vm_cpu_state.c ---- */

static struct virt_state *state_alloc(void)
{
	return calloc(1, sizeof(struct virt_state));
}

/* line_tsc: the line's at the moment of REC_TIME; this vCPU's of the same moment goes out. */
static void vcpu_save(struct vcpu *c, uint64_t line_tsc, struct virt_state *s, struct rec_writer *w)
{
	virt->state_save(&c->v, s);
	s->tsc = line_tsc + vcpu_tsc_ahead(c);
	rec_begin(w, REC_VCPU, REC_VERSION, 0, (uint16_t)c->index);
	vcpu_state_write(c, s, w);
	rec_end(w);
	rec_begin(w, REC_XSAVE, REC_VERSION, 0, (uint16_t)c->index);
	rec_u32(w, s->xsave_size);
	rec_u32(w, 0);
	rec_bytes(w, s->xsave, s->xsave_size);
	rec_end(w);
}

static int xsave_parse(struct rec_reader *r, struct virt_state *s)
{
	if (r->head.version != REC_VERSION)
		return -EBADMSG;
	s->xsave_size = rec_get_u32(r);
	if (rec_get_u32(r) || s->xsave_size > XSAVE_AREA_MAX || s->xsave_size < 576)
		return -EBADMSG;
	rec_get_bytes(r, s->xsave, s->xsave_size);
	return rec_done(r);
}

/* REC_VCPU: parsed into run->incoming. */
static int vcpu_read(struct vm *vm, struct rec_reader *r, struct vcpu_extra *extra)
{
	unsigned i = r->head.instance;
	struct virt_state *s;

	if (i >= vm->nr_vcpus || r->head.version != REC_VERSION)
		return -EBADMSG;
	s = vm->run->incoming[i] ? vm->run->incoming[i] : state_alloc();
	if (!s)
		return -ENOMEM;
	vm->run->incoming[i] = s;
	return vcpu_state_read(r, s, extra);
}

/* The whole state, which is the caller's now; NULL when the record is bad or no REC_VCPU came. */
static struct virt_state *xsave_read(struct vm *vm, struct rec_reader *r)
{
	unsigned i = r->head.instance;
	struct virt_state *s = i < vm->nr_vcpus ? vm->run->incoming[i] : NULL;

	if (!s)
		return NULL;
	vm->run->incoming[i] = NULL;
	if (!xsave_parse(r, s))
		return s;
	free(s);
	return NULL;
}

static int vcpu_check(struct vm *vm, struct rec_reader *r, char *why, size_t len)
{
	struct vcpu_extra extra;
	int err;

	if (r->head.instance >= vm->nr_vcpus) {
		snprintf(why, len, "the VM has no vCPU %u", r->head.instance);
		return -EBADMSG;
	}
	err = vcpu_read(vm, r, &extra);
	return err == -EBADMSG ? bad(why, len, "vCPU") : err;
}

static int xsave_check(struct vm *vm, struct rec_reader *r, char *why, size_t len)
{
	struct virt_state *s = xsave_read(vm, r);
	int err;

	if (!s)
		return bad(why, len, "vector state");
	err = virt->state_check(vm->run->checked_xcr0, s);
	free(s);
	if (!err)
		return 0;
	snprintf(why, len, "no processor could go on with the state of vCPU %u", r->head.instance);
	return -EBADMSG;
}

static int vcpu_load(struct vm *vm, struct rec_reader *r)
{
	struct vcpu_extra extra;
	int err = vcpu_read(vm, r, &extra);

	return err ? err : vcpu_extra_load(vm->vcpu[r->head.instance], &extra);
}

static int xsave_load(struct vm *vm, struct rec_reader *r)
{
	unsigned i = r->head.instance;
	struct virt_state *s = vm->run->loaded_time ? xsave_read(vm, r) : NULL;
	uint64_t offset;
	int err;

	if (!s)
		return -EBADMSG;
	/* REC_TIME's, with the blackout, and what this one is ahead of the line. */
	offset = vm->run->tsc_offset + (s->tsc - vm->run->base_tsc);
	err = virt->state_load(&vm->vcpu[i]->v, s);
	vm->vcpu[i]->v.tsc_offset = offset;
	if (!err)
		vm->run->loaded_vcpus |= BIT(i);
	free(s);
	return err;
}

/* ---- all ---- */

void vm_cpu_save(struct vm *vm, struct rec_writer *w)
{
	struct virt_state *s = state_alloc();
	uint64_t line_tsc;

	vm_cpuid_save(vm, w);
	line_tsc = time_save(vm, w);
	if (!s) {
		w->error = -ENOMEM; /* told by rec_finish */
		return;
	}
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_save(vm->vcpu[i], line_tsc, s, w);
	vm_hyperv_save(vm, w);
	free(s);
}

int vm_cpu_check(struct vm *vm, struct rec_reader *r, char *why, size_t why_len)
{
	switch (r->head.type) {
	case REC_CPUID:
		return cpuid_check(vm, r, why, why_len);
	case REC_TIME:
		return time_check(r, why, why_len);
	case REC_VCPU:
		return vcpu_check(vm, r, why, why_len);
	case REC_XSAVE:
		return xsave_check(vm, r, why, why_len);
	case REC_HYPERV:
		return hyperv_check(vm, r) ? bad(why, why_len, "Hyper-V") : 0;
	default:
		return -ENOENT;
	}
}

int vm_cpu_load(struct vm *vm, struct rec_reader *r, int64_t clock_delta_ns)
{
	switch (r->head.type) {
	case REC_CPUID:
		return cpuid_load(vm, r);
	case REC_TIME:
		return time_load(vm, r, clock_delta_ns);
	case REC_VCPU:
		return vcpu_load(vm, r);
	case REC_XSAVE:
		return xsave_load(vm, r);
	case REC_HYPERV:
		return hyperv_load(vm, r);
	default:
		return -ENOENT;
	}
}
