/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's registers as the remote protocol has them, and the target description that
 * says so: GDB's features for x86-64, and control registers as a feature of our own.
 * One table makes places and XML. [GDB manual, "i386 Features"]
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gdb.h"

struct reg {
	const char *name;
	uint8_t bytes;
	const char *type;    /* NULL: int of that size */
	const char *feature; /* begins with this register; NULL: as the one before */
};

#define CORE "org.gnu.gdb.i386.core"
#define SEGMENTS "org.gnu.gdb.i386.segments"
#define CONTROL "org.tern.control"

static const struct reg regs[GDB_REGS_COUNT] = {
	{ "rax", 8, NULL, CORE },	  { "rbx", 8, NULL, NULL },
	{ "rcx", 8, NULL, NULL },	  { "rdx", 8, NULL, NULL },
	{ "rsi", 8, NULL, NULL },	  { "rdi", 8, NULL, NULL },
	{ "rbp", 8, "data_ptr", NULL },	  { "rsp", 8, "data_ptr", NULL },
	{ "r8", 8, NULL, NULL },	  { "r9", 8, NULL, NULL },
	{ "r10", 8, NULL, NULL },	  { "r11", 8, NULL, NULL },
	{ "r12", 8, NULL, NULL },	  { "r13", 8, NULL, NULL },
	{ "r14", 8, NULL, NULL },	  { "r15", 8, NULL, NULL },
	{ "rip", 8, "code_ptr", NULL },	  { "eflags", 4, NULL, NULL },
	{ "cs", 4, NULL, NULL },	  { "ss", 4, NULL, NULL },
	{ "ds", 4, NULL, NULL },	  { "es", 4, NULL, NULL },
	{ "fs", 4, NULL, NULL },	  { "gs", 4, NULL, NULL },
	{ "st0", 10, "i387_ext", NULL },  { "st1", 10, "i387_ext", NULL },
	{ "st2", 10, "i387_ext", NULL },  { "st3", 10, "i387_ext", NULL },
	{ "st4", 10, "i387_ext", NULL },  { "st5", 10, "i387_ext", NULL },
	{ "st6", 10, "i387_ext", NULL },  { "st7", 10, "i387_ext", NULL },
	{ "fctrl", 4, NULL, NULL },	  { "fstat", 4, NULL, NULL },
	{ "ftag", 4, NULL, NULL },	  { "fiseg", 4, NULL, NULL },
	{ "fioff", 4, NULL, NULL },	  { "foseg", 4, NULL, NULL },
	{ "fooff", 4, NULL, NULL },	  { "fop", 4, NULL, NULL },
	{ "fs_base", 8, NULL, SEGMENTS }, { "gs_base", 8, NULL, NULL },
	{ "cr0", 8, NULL, CONTROL },	  { "cr2", 8, NULL, NULL },
	{ "cr3", 8, NULL, NULL },	  { "cr4", 8, NULL, NULL },
	{ "cr8", 8, NULL, NULL },	  { "efer", 8, NULL, NULL },
};
enum {
	REG_RIP = 16,
	REG_FLAGS = 17,
	REG_CS = 18,
	REG_ST0 = 24,
	REG_FCTRL = 32,
	REG_FS_BASE = 40,
	REG_CR0 = 42
};

/* GDB's order of the first eight is not the instruction encoding's. */
static const uint8_t gpr_of[16] = { GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX, GPR_RSI, GPR_RDI,
				    GPR_RBP, GPR_RSP, 8,       9,	10,	 11,
				    12,	     13,      14,      15 };
static const uint8_t seg_of[6] = { SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS };

bool gdb_reg_place(unsigned n, unsigned *at, unsigned *bytes)
{
	if (n >= GDB_REGS_COUNT)
		return false;
	*at = 0;
	for (unsigned i = 0; i < n; i++)
		*at += regs[i].bytes;
	*bytes = regs[n].bytes;
	return true;
}

static void put(uint8_t *to, unsigned n, uint64_t v)
{
	unsigned at, bytes;

	if (gdb_reg_place(n, &at, &bytes))
		memcpy(to + at, &v, MIN(bytes, 8u));
}

static uint64_t get(const uint8_t *from, unsigned n)
{
	unsigned at, bytes;
	uint64_t v = 0;

	if (gdb_reg_place(n, &at, &bytes))
		memcpy(&v, from + at, MIN(bytes, 8u));
	return v;
}

/* The x87 part as FXSAVE leaves it, tags unpacked to "valid" or "empty" alone.
 * [SDM 1 10.5.1 "FXSAVE Area"] */
static void put_x87(uint8_t *to, const uint8_t *area)
{
	static const uint8_t from[8] = {
		0, 2, 4, 12, 8, 20, 16, 6
	}; /* FCW FSW FTW CS IP DS DP FOP */
	unsigned at, bytes;

	for (unsigned i = 0; i < 8; i++) {
		uint32_t v = 0;

		if (gdb_reg_place(REG_ST0 + i, &at, &bytes))
			memcpy(to + at, area + 32 + 16 * i, bytes);
		memcpy(&v, area + from[i], i == 4 || i == 6 ? 4 : 2);
		put(to, REG_FCTRL + i, i == 2 ? v & 0xff : v);
	}
}

void gdb_regs_get(uint8_t to[GDB_REGS_BYTES], const struct virt_state *s)
{
	const uint64_t control[6] = { s->cr0, s->cr2, s->cr3, s->cr4, s->cr8, s->efer };

	memset(to, 0, GDB_REGS_BYTES);
	for (unsigned i = 0; i < 16; i++)
		put(to, i, s->gpr[gpr_of[i]]);
	put(to, REG_RIP, s->rip);
	put(to, REG_FLAGS, s->rflags);
	for (unsigned i = 0; i < 6; i++)
		put(to, REG_CS + i, s->seg[seg_of[i]].selector);
	put_x87(to, s->xsave);
	put(to, REG_FS_BASE, s->seg[SEG_FS].base);
	put(to, REG_FS_BASE + 1, s->seg[SEG_GS].base);
	for (unsigned i = 0; i < 6; i++)
		put(to, REG_CR0 + i, control[i]);
}

#define FLAGS_WRITABLE 0x254dd5ull /* not the reserved bits, VM, VIP, VIF, IOPL */

void gdb_regs_set(struct virt_state *s, const uint8_t from[GDB_REGS_BYTES])
{
	for (unsigned i = 0; i < 16; i++)
		s->gpr[gpr_of[i]] = get(from, i);
	s->rip = get(from, REG_RIP);
	s->rflags = (s->rflags & ~FLAGS_WRITABLE) | (get(from, REG_FLAGS) & FLAGS_WRITABLE);
	s->seg[SEG_FS].base = get(from, REG_FS_BASE);
	s->seg[SEG_GS].base = get(from, REG_FS_BASE + 1);
}

/* ---- XML ---- */

struct text {
	char *to;
	size_t room, len;
};

static void add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->to + t->len, t->room - t->len, fmt, ap);
	va_end(ap);
	t->len += MIN((size_t)MAX(n, 0), t->room - t->len - 1);
}

size_t gdb_target_xml(char *to, size_t room)
{
	struct text t = { to, room, 0 };

	add(&t, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
		"<target><architecture>i386:x86-64</architecture>");
	for (unsigned i = 0; i < GDB_REGS_COUNT; i++) {
		const struct reg *r = &regs[i];

		if (r->feature)
			add(&t, "%s<feature name=\"%s\">", i ? "</feature>" : "", r->feature);
		add(&t, "<reg name=\"%s\" bitsize=\"%u\"", r->name, r->bytes * 8u);
		if (r->type)
			add(&t, " type=\"%s\"", r->type);
		add(&t, "/>");
	}
	add(&t, "</feature></target>");
	return t.len;
}
