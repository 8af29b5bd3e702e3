/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the log says of a vCPU that ended its VM: its last exits in their order, and how
 * far the guest's and the nested tables lead from what the CPU needed.
 */
// SOURCES: kernel/vm/trail.c kernel/vm/postmortem.c kernel/vm/walk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/log.h>

#include "kernel/vm/vm_int.h"

#define RAM (1u << 20)
#define LINES 32

static _Alignas(4096) uint8_t ram[RAM];
static char line[LINES][256];
static unsigned lines;
static uint64_t shift; /* the nested tables lead so far beside */
static struct virt_mode mode;
static struct virt_state regs;
static struct vm vm;
static struct vcpu cpu[2];

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	va_list ap;

	assert_true(lines < LINES);
	va_start(ap, fmt);
	vsnprintf(line[lines++], sizeof(line[0]), fmt, ap);
	va_end(ap);
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	if (a.v > RAM - len)
		return -EFAULT;
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	assert_false(for_write);
	*out = ram + a.v;
	return a.v > RAM - len ? -EFAULT : 0;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
}

struct slat *gmem_slat(struct gmem *g)
{
	return NULL;
}

/* One page of each two has a nested leaf. */
bool slat_lookup(struct slat *s, gpa_t a, struct slat_leaf *out)
{
	gpa_t page = GPA(a.v & ~0xfffull);

	if (a.v >= RAM || (a.v & 0x1000))
		return false;
	*out = (struct slat_leaf){ .gpa = page, .hpa = HPA(ptr_hpa(ram).v + page.v + shift) };
	return true;
}

static void fake_mode(struct virt_vcpu *v, struct virt_mode *m)
{
	*m = mode;
}

static void fake_save(struct virt_vcpu *v, struct virt_state *s)
{
	*s = regs;
}

static const struct virt_ops fake_ops = { .mode = fake_mode, .state_save = fake_save };
const struct virt_ops *virt = &fake_ops;

static void stay(struct vcpu *c, int on, uint64_t rip, struct virt_event in, struct vmexit x)
{
	c->v.cpu = on;
	c->v.event = in;
	trail_enter(c);
	c->v.event = (struct virt_event){ .type = EV_NONE };
	c->v.rip = rip;
	trail_leave(c, &x);
}

static const struct virt_event nothing = { .type = EV_NONE };

static int setup(void **state)
{
	memset(ram, 0, sizeof(ram));
	memset(cpu, 0, sizeof(cpu));
	lines = 0;
	shift = 0;
	vm = (struct vm){ .nr_vcpus = 2 };
	for (unsigned i = 0; i < 2; i++) {
		cpu[i].index = i;
		cpu[i].vm = &vm;
		vm.vcpu[i] = &cpu[i];
	}
	mode = (struct virt_mode){ .cr0 = G_CR0_PG | G_CR0_PE,
				   .cr3 = 0x2000,
				   .cr4 = G_CR4_PAE,
				   .efer = G_EFER_LMA | G_EFER_LME };
	memset(&regs, 0, sizeof(regs));
	*(uint64_t *)(ram + 0x2000 + 8 * 511) = 0x4003;
	*(uint64_t *)(ram + 0x4000 + 8 * 511) = 0x6003;
	*(uint64_t *)(ram + 0x6000) = 0x8003;
	*(uint64_t *)(ram + 0x8000 + 8) = 0x55003;
	regs.rip = 0xffffffffc0001abcull;
	regs.gpr[GPR_RSP] = 0xffffce3e40507b60ull;
	return 0;
}

static const char *said(const char *what)
{
	for (unsigned i = 0; i < lines; i++)
		if (!strncmp(line[i], what, strlen(what)))
			return line[i];
	fail_msg("nothing begins with '%s'", what);
	return "";
}

static void last_exits_in_order(void **state)
{
	struct vmexit msr = { .reason = EXIT_MSR_WRITE, .msr.index = 0x830 };
	struct vmexit pio = { .reason = EXIT_PIO, .pio.port = 0x3f8 };
	struct virt_event irq = { .type = EV_IRQ, .vector = 236 };

	for (unsigned i = 0; i < TRAIL_STAYS; i++)
		stay(&cpu[0], 0, 0x1000, nothing, msr);
	stay(&cpu[0], 1, 0x2000, irq, pio);
	trail_log(&cpu[0], TRAIL_STAYS);
	assert_int_equal(lines, TRAIL_STAYS);
	assert_string_equal(line[0], "vCPU 0 exit 1 on CPU 0: msr_write 830 at 1000; event in: -, "
				     "cut: -");
	assert_string_equal(line[TRAIL_STAYS - 1],
			    "vCPU 0 exit 8 on CPU 1: pio 3f8 at 2000; event in: irq 236, cut: -");
}

static void a_young_vcpu_has_few(void **state)
{
	trail_log(&cpu[0], TRAIL_STAYS);
	assert_int_equal(lines, 0);
	stay(&cpu[0], 0, 7, nothing, (struct vmexit){ .reason = EXIT_HLT });
	trail_log(&cpu[0], TRAIL_STAYS);
	assert_int_equal(lines, 1);
}

static void event_under_delivery(void **state)
{
	struct virt_event df = { .type = EV_EXCEPTION, .vector = 8, .has_error = true };
	char text[32];

	event_text(&df, text, sizeof(text));
	assert_string_equal(text, "exception 8(0)");
	event_text(&nothing, text, sizeof(text));
	assert_string_equal(text, "-");
}

static void paths_lead_or_end(void **state)
{
	stay(&cpu[1], 1, 0x3000, nothing, (struct vmexit){ .reason = EXIT_HLT });
	vcpu_postmortem(&cpu[0]);
	assert_string_equal(line[0], "vCPU 1 exit 0 on CPU 1: hlt 0 at 3000; event in: -, cut: -");
	assert_string_equal(said("code"), "code ffffffffc0001abc: 4003 6003 8003 55003, "
					  "guest address 55abc");
	assert_string_equal(said("stack"),
			    "stack ffffce3e40507b60: 0, not mapped ffffce3e40507b60");
}

static void tables_outside_of_ram(void **state)
{
	mode.cr3 = 0x3dfd1000;
	vcpu_postmortem(&cpu[0]);
	assert_non_null(strstr(said("code"), "not RAM: 3dfd1ff8, not mapped"));
}

static void nested_tables_elsewhere(void **state)
{
	shift = 0x1000;
	vcpu_postmortem(&cpu[0]);
	assert_non_null(strstr(said("code"), "; the nested tables lead elsewhere"));
}

static void no_paging(void **state)
{
	mode = (struct virt_mode){ 0 };
	regs.rip = 0x4242;
	vcpu_postmortem(&cpu[0]);
	assert_string_equal(said("code"), "code 4242:, guest address 4242");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(last_exits_in_order, setup),
		cmocka_unit_test_setup(a_young_vcpu_has_few, setup),
		cmocka_unit_test_setup(event_under_delivery, setup),
		cmocka_unit_test_setup(paths_lead_or_end, setup),
		cmocka_unit_test_setup(tables_outside_of_ram, setup),
		cmocka_unit_test_setup(nested_tables_elsewhere, setup),
		cmocka_unit_test_setup(no_paging, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
