/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU part of a checkpoint: all of it comes back as it was, clocks with the
 * blackout in them and never backwards; what does not fit is refused. And the
 * arithmetic of kvmclock's line.
 */
// SOURCES: kernel/vm/vm_cpu.c kernel/vm/vm_cpu_state.c kernel/vm/vmtime.c kernel/vm/pvclock.c
// SOURCES: kernel/vm/msr_list.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c
// SOURCES: kernel/vm/cpuid_rec.c kernel/vm/cpu_model.c kernel/vm/cpu_common.c
// SOURCES: kernel/vm/hyperv_rec.c kernel/vm/cpu_check.c kernel/lib/rec.c
// SOURCES: kernel/lib/muldiv.c kernel/lib/tscscale.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/rec.h>

#include "fake_vm_cpu.h"

/* ---- a backend that keeps what it is given ---- */

static struct virt_state kept[4];
static unsigned loads;

static void state_save(struct virt_vcpu *v, struct virt_state *s)
{
	*s = kept[v->index];
}

static int state_load(struct virt_vcpu *v, const struct virt_state *s)
{
	kept[2 + v->index] = *s;
	v->tsc_offset = 12345; /* the record of time decides */
	loads++;
	return 0;
}

/* Refuses one value of one register, and any vector state that the VM has not. */
static uint64_t bad_rip = 1;

static int state_check(uint64_t xcr0_mask, const struct virt_state *s)
{
	return s->rip == bad_rip || xcr0_mask != 7 ? -EINVAL : 0;
}

static const struct virt_ops fake_virt = { .state_save = state_save,
					   .state_check = state_check,
					   .state_load = state_load };
const struct virt_ops *virt = &fake_virt;
struct virt_caps virt_caps;

static int setup(void **state)
{
	uint8_t *p = (uint8_t *)kept;

	host_khz = KHZ;
	host_base = rdtsc() - 1000000000ull;
	virt_caps.tsc_scaling = false;
	virt_caps.tsc_ratio_bits = 32;
	virt_caps.tsc_ratio_end = 256;
	loads = 0;
	memset(ram, 0, sizeof(ram));
	for (size_t i = 0; i < sizeof(kept); i++)
		p[i] = (uint8_t)(i * 7 + i / 256);
	for (unsigned i = 0; i < 2; i++) {
		kept[i].nr_msrs = 3;
		kept[i].xsave_size = 832;
		kept[i].event = (struct virt_event){ EV_EXCEPTION, 14, true, 0, 6, 0x1234 };
		kept[i].irq_shadow = true;
		kept[i].nmi_blocked = false;
	}
	return 0;
}

static int move(struct vm *a, struct vm *b, int64_t delta)
{
	struct rec_writer w;
	struct rec_reader r;
	char why[96] = "";
	int rc;

	rec_writer_init(&w);
	vm_cpu_save(a, &w);
	assert_int_equal(rec_finish(&w), 0);
	rec_reader_init(&r, w.buf, w.len);
	while ((rc = rec_next(&r)) == 1 && (rc = vm_cpu_check(b, &r, why, sizeof(why))) == 0)
		;
	if (!rc) {
		rec_reader_init(&r, w.buf, w.len);
		while ((rc = rec_next(&r)) == 1 && (rc = vm_cpu_load(b, &r, delta)) == 0)
			;
	}
	rec_writer_fini(&w);
	return rc;
}

static void comes_back(void **state)
{
	struct vm *a = make(), *b = make();
	struct vcpu *from = a->vcpu[1], *to = b->vcpu[1];

	from->halted = true;
	from->nmi_pending = 1;
	from->init_asked = 1;
	from->sipi_asked = 1 + 0xff;
	from->clock->system_msr = 0x1001;
	assert_int_equal(msr_list_set(from->msrs, 0x200, 0x12345006), 0);
	assert_int_equal(move(a, b, 0), 0);
	assert_int_equal(loads, 2);
	assert_memory_equal(b->cpuid, a->cpuid, sizeof(*a->cpuid));
	for (unsigned i = 0; i < 2; i++) {
		const struct virt_state *s = &kept[i], *t = &kept[2 + i];

		assert_memory_equal(s->gpr, t->gpr, sizeof(s->gpr));
		assert_int_equal(s->rip, t->rip);
		assert_int_equal(s->xss, t->xss);
		assert_int_equal(s->sysenter_eip, t->sysenter_eip);
		assert_int_equal(s->dr7, t->dr7);
		for (unsigned k = 0; k < SEG_COUNT; k++) {
			assert_int_equal(s->seg[k].base, t->seg[k].base);
			assert_int_equal(s->seg[k].limit, t->seg[k].limit);
			assert_int_equal(s->seg[k].selector, t->seg[k].selector);
			assert_int_equal(s->seg[k].attr, t->seg[k].attr);
		}
		assert_int_equal(s->idtr.base, t->idtr.base);
		assert_int_equal(t->event.vector, 14);
		assert_int_equal(t->event.cr2, 0x1234);
		assert_true(t->irq_shadow);
		assert_int_equal(t->nr_msrs, 3);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(s->msr[k].value, t->msr[k].value);
		assert_memory_equal(s->xsave, t->xsave, 832);
	}
	assert_true(to->halted);
	assert_true(to->nmi_pending);
	assert_true(to->init_asked);
	assert_int_equal(to->sipi_asked, 1 + 0xff);
	assert_int_equal(b->vcpu[0]->init_asked | b->vcpu[0]->sipi_asked, 0);
	assert_false(b->vcpu[0]->halted);
	assert_int_equal(to->clock->system_msr, 0x1001);
	assert_memory_equal(to->msrs, from->msrs, sizeof(*to->msrs));
	assert_true(b->run->loaded_time);
	assert_int_equal(b->run->loaded_vcpus, 3);
	unmake(a);
	unmake(b);
}

/* The destination's clock reads otherwise; the guest's goes on by what has passed. */
static void clocks(void **state)
{
	static const int64_t blackouts[] = { 0, 1000, 300000000, 40000000000 };

	for (unsigned i = 0; i < ARRAY_SIZE(blackouts); i++) {
		struct vm *a = make(), *b = make();
		int64_t ahead = 777000000; /* destination's clock minus source's */
		uint64_t tsc = vcpu_guest_tsc(a->vcpu[0]), ns = vm_guest_ns(a), limit;

		/* A later load is an earlier save: the offset says so. */
		assert_int_equal(move(a, b, -blackouts[i]), 0);
		limit = mul_div64((uint64_t)blackouts[i], KHZ, 1000000);
		assert_true(vcpu_guest_tsc(b->vcpu[0]) >= tsc + limit);
		assert_true(vcpu_guest_tsc(b->vcpu[0]) < tsc + limit + KHZ * 2000ull);
		assert_true(vm_guest_ns(b) >= ns + (uint64_t)blackouts[i]);
		assert_true(vm_guest_ns(b) < ns + (uint64_t)blackouts[i] + 2 * NSEC_PER_SEC);
		assert_int_equal(b->vcpu[0]->v.tsc_offset, b->vcpu[1]->v.tsc_offset);
		/* A clock exchange that was off into the future must not set the guest back. */
		tsc = vcpu_guest_tsc(a->vcpu[0]);
		ns = vm_guest_ns(a);
		assert_int_equal(move(a, b, ahead), 0);
		assert_true(vcpu_guest_tsc(b->vcpu[0]) >= tsc);
		assert_true(vm_guest_ns(b) >= ns);
		unmake(a);
		unmake(b);
	}
}

/* A guest that wrote its TSC on some vCPUs finds them so on the next host, and the one after; the
 * time of day is nobody's TSC. */
static void tsc_of_each_vcpu(void **state)
{
	const uint64_t ahead = 123456789012ull, behind = 0 - 987654321ull;
	struct vm *a = make(), *b = make(), *c = make();

	uint64_t ns = vm_guest_ns(a);

	a->vcpu[1]->v.tsc_offset += ahead;
	assert_int_equal(move(a, b, 0), 0);
	assert_int_equal(vcpu_tsc_ahead(b->vcpu[0]), 0);
	assert_int_equal(vcpu_tsc_ahead(b->vcpu[1]), ahead);
	b->vcpu[0]->v.tsc_offset += behind;
	assert_int_equal(move(b, c, -40000000000), 0);
	assert_int_equal(vcpu_tsc_ahead(c->vcpu[0]), behind);
	assert_int_equal(vcpu_tsc_ahead(c->vcpu[1]), ahead);
	assert_in_range(vm_guest_ns(c), ns + 40 * NSEC_PER_SEC, ns + 50 * NSEC_PER_SEC);
	unmake(a);
	unmake(b);
	unmake(c);
}

static void many_moves(void **state)
{
	struct vm *a = make();
	uint64_t tsc = 0, ns = 0;

	for (unsigned i = 0; i < 200; i++) {
		struct vm *b = make();

		assert_int_equal(move(a, b, i & 1 ? -5000 : 5000), 0);
		assert_true(vcpu_guest_tsc(b->vcpu[0]) >= tsc);
		assert_true(vm_guest_ns(b) >= ns);
		tsc = vcpu_guest_tsc(b->vcpu[0]);
		ns = vm_guest_ns(b);
		unmake(a);
		a = b;
	}
	/* TSC and kvmclock are still one line. */
	assert_in_range(mul_div64(tsc, 1000000, KHZ), ns - 100000, ns + 100000);
	unmake(a);
}

static void frequency(void **state)
{
	struct vm *a = make(), *b;

	host_khz = KHZ + KHZ / 10000; /* 100 ppm */
	b = make();
	assert_int_equal(move(a, b, 0), 0);
	assert_int_equal(b->tsc_khz, KHZ);
	unmake(b);
	host_khz = KHZ + KHZ / 1000;
	b = make();
	assert_int_equal(move(a, b, 0), -ENOTSUP);
	virt_caps.tsc_scaling = true;
	assert_int_equal(move(a, b, 0), 0);
	unmake(a);
	unmake(b);
}

/* AMD-V's ratio has eight bits before the point. */
static void ratio(void **state)
{
	struct vm *a = make(), *b;

	virt_caps.tsc_scaling = true;
	host_khz = KHZ / 256;
	b = make();
	assert_int_equal(move(a, b, 0), -ENOTSUP);
	host_khz = KHZ / 255;
	assert_int_equal(move(a, b, 0), 0);
	virt_caps.tsc_ratio_bits = 48; /* VT-x's sixteen */
	virt_caps.tsc_ratio_end = 65536;
	host_khz = KHZ / 256;
	assert_int_equal(move(a, b, 0), 0);
	host_khz = KHZ / 65536;
	assert_int_equal(move(a, b, 0), -ENOTSUP);
	unmake(a);
	unmake(b);
}

static int check_body(struct vm *vm, uint16_t type, uint16_t instance, const void *body, size_t len)
{
	struct rec_writer w;
	struct rec_reader r;
	char why[96];
	int rc;

	rec_writer_init(&w);
	rec_begin(&w, type, 1, 0, instance);
	rec_bytes(&w, body, len);
	rec_end(&w);
	assert_int_equal(rec_finish(&w), 0);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	rc = vm_cpu_check(vm, &r, why, sizeof(why));
	rec_writer_fini(&w);
	return rc;
}

static void refuses(void **state)
{
	static uint8_t junk[5000];
	struct vm *vm = make();

	for (unsigned fill = 0; fill < 3; fill++) {
		memset(junk, fill == 2 ? 0xff : (int)fill, sizeof(junk));
		for (uint16_t type = REC_CPUID; type <= REC_TIME; type++)
			for (size_t len = 0; len < sizeof(junk); len += 331)
				assert_int_not_equal(check_body(vm, type, 0, junk, len), 0);
	}
	assert_int_equal(check_body(vm, REC_UART, 0, junk, 8), -ENOENT);
	assert_int_equal(check_body(vm, REC_VCPU, 2, junk, 8), -EBADMSG);
	unmake(vm);
}

/* What the CPU would not be entered with is told before anything is loaded. */
static void refuses_state(void **state)
{
	struct vm *a = make(), *b = make();

	bad_rip = kept[1].rip;
	assert_int_equal(move(a, b, 0), -EBADMSG);
	assert_int_equal(loads, 0);
	assert_false(b->run->loaded_time);
	bad_rip = 1;
	assert_int_equal(move(a, b, 0), 0);
	unmake(a);
	unmake(b);
}

/* Values of kept registers that no guest could have written. */
static void refuses_msrs(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t value;
		int rc;
	} sent[] = {
		{ 0x200, 0xc0000001, 0 },
		{ 0x200, 0xc0000002, -EBADMSG }, /* type 2 */
		{ 0x200, BIT(52), -EBADMSG },	 /* beyond all addresses */
		{ 0x201, BIT(10), -EBADMSG },
		{ 0x201, 0xff0000800, 0 },
		{ 0x250, 0x0606060606060606, 0 },
		{ 0x250, 0x0706060606060606, -EBADMSG },
		{ 0x2ff, 0xc06, 0 },
		{ 0x2ff, 0xc03, -EBADMSG },
		{ 0x2ff, BIT(8), -EBADMSG },
		{ 0xfe, 0xffff, -EBADMSG },  /* read-only */
		{ 0x1a0, 0xffff, -EBADMSG }, /* what is written there is dropped */
		{ 0xc0010010, BIT(18), 0 },
		{ 0xc0010010, BIT(23), -EBADMSG },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(sent); i++) {
		struct vm *a = make(), *b = make();
		uint64_t reset;
		unsigned n = 0;
		int rc;

		while (msr_list_index(n) != sent[i].index)
			n++;
		reset = a->vcpu[1]->msrs->value[n];
		a->vcpu[1]->msrs->value[n] = sent[i].value;
		rc = move(a, b, 0);
		if (rc != sent[i].rc)
			fail_msg("MSR %x = %llx: %d", sent[i].index,
				 (unsigned long long)sent[i].value, rc);
		assert_int_equal(b->vcpu[1]->msrs->value[n], rc ? reset : sent[i].value);
		unmake(a);
		unmake(b);
	}
}

/* A guest gets a #GP for what a record would be refused for. */
static void mtrr_types(void **state)
{
	struct vcpu_msrs m;

	msr_list_reset(&m);
	for (unsigned type = 0; type < 256; type++) {
		int want = type <= 6 && type != 2 && type != 3 ? 0 : -EINVAL;

		assert_int_equal(msr_list_set(&m, 0x202, type), want);
		assert_int_equal(msr_list_set(&m, 0x26f, (uint64_t)type << 56), want);
		assert_int_equal(msr_list_set(&m, 0x2ff, 0xc00 | type), want);
	}
}

/* The line against exact arithmetic, at odd frequencies and over years. */
static void scale(void **state)
{
	static const uint32_t khz[] = { 1000,	 32768,	  999999,  1000000,
					1000001, 2100003, 5432109, 10000000 };

	for (unsigned i = 0; i < ARRAY_SIZE(khz); i++)
		for (uint64_t s = 1; s < 100000000; s *= 10) {
			uint64_t tsc = s * khz[i] * 1000, want = s * NSEC_PER_SEC;
			uint64_t got = pvclock_ns(pvclock_scale(khz[i]), tsc);

			/* mul is below 2^32 and above 2^31: half a part in 2^31 */
			assert_in_range(got, want - (want >> 30) - 2, want);
		}
}

static void page(void **state)
{
	struct vm *vm = make();
	uint32_t version, again;

	assert_int_equal(pvclock_msr_set(vm->vcpu[0], 0x4b564d01, 0x1001), 0);
	memcpy(&version, ram + 0x1000, 4);
	assert_int_equal(version & 1, 0);
	assert_int_not_equal(version, 0);
	assert_int_equal(ram[0x1000 + 29], 1);
	vm->vcpu[0]->clock->stopped = true;
	pvclock_update(vm->vcpu[0]);
	memcpy(&again, ram + 0x1000, 4);
	assert_true(again > version && !(again & 1));
	assert_int_equal(ram[0x1000 + 29], 3);
	assert_int_equal(pvclock_msr_set(vm->vcpu[0], 0x12, 0xffff000000000001),
			 0); /* no RAM there */
	assert_int_equal(pvclock_msr_set(vm->vcpu[0], 0x4b564d00, 0x800), 0);
	memcpy(&version, ram + 0x804, 4);
	assert_in_range(version, 1699999998, 1700000002);
	assert_int_equal(pvclock_msr_set(vm->vcpu[0], 0x4b564d02, 0), -ENOENT);
	unmake(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(comes_back, setup),
		cmocka_unit_test_setup(clocks, setup),
		cmocka_unit_test_setup(many_moves, setup),
		cmocka_unit_test_setup(frequency, setup),
		cmocka_unit_test_setup(refuses, setup),
		cmocka_unit_test_setup(refuses_state, setup),
		cmocka_unit_test_setup(refuses_msrs, setup),
		cmocka_unit_test_setup(mtrr_types, setup),
		cmocka_unit_test_setup(scale, setup),
		cmocka_unit_test_setup(page, setup),
		cmocka_unit_test_setup(tsc_of_each_vcpu, setup),
		cmocka_unit_test_setup(ratio, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
