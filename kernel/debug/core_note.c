/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU as a thread of a core (core.h): the notes NT_PRSTATUS and NT_FPREGSET as Linux writes
 * them for x86-64, which is what debuggers read. [Linux include/uapi/linux/elfcore.h,
 * arch/x86/include/asm/user_64.h: the layouts]
 */
#include <string.h>

#include "core.h"

#define NT_PRSTATUS 1u
#define NT_FPREGSET 2u

struct note_head {
	uint32_t name_bytes, bytes, type; /* 0, 4, 8 */
	char name[8];			  /* 12 */
};
_Static_assert(sizeof(struct note_head) == 20, "a note's head with the name CORE");

struct prstatus {
	uint32_t signo, code, err;	       /* 0 */
	uint16_t signal, pad;		       /* 12 */
	uint64_t pending, held;		       /* 16 */
	uint32_t pid, ppid, pgrp, sid;	       /* 32 */
	uint64_t times[8];		       /* 48 */
	uint64_t r15, r14, r13, r12, rbp, rbx; /* 112 */
	uint64_t r11, r10, r9, r8, rax, rcx;   /* 160 */
	uint64_t rdx, rsi, rdi, orig_rax, rip; /* 208 */
	uint64_t cs, rflags, rsp, ss;	       /* 248 */
	uint64_t fs_base, gs_base;	       /* 280 */
	uint64_t ds, es, fs, gs;	       /* 296 */
	uint32_t fp_valid, pad2;	       /* 328 */
};
_Static_assert(sizeof(struct prstatus) == CORE_PRSTATUS_BYTES, "prstatus");
_Static_assert(offsetof(struct prstatus, r15) == 112, "prstatus: registers");
_Static_assert(offsetof(struct prstatus, fp_valid) == 328, "prstatus: end");

static uint8_t *put_note(uint8_t *at, uint32_t type, const void *contents, uint32_t bytes)
{
	struct note_head h = { .name_bytes = 5, .bytes = bytes, .type = type, .name = "CORE" };

	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), contents, bytes);
	return at + sizeof(h) + bytes;
}

void core_thread(uint8_t *at, unsigned thread, const struct virt_state *s)
{
	const uint64_t *g = s->gpr;
	struct prstatus p = {
		.pid = thread,
		.r15 = g[15],
		.r14 = g[14],
		.r13 = g[13],
		.r12 = g[12],
		.r11 = g[11],
		.r10 = g[10],
		.r9 = g[9],
		.r8 = g[GPR_R8],
		.rax = g[GPR_RAX],
		.rcx = g[GPR_RCX],
		.rdx = g[GPR_RDX],
		.rbx = g[GPR_RBX],
		.rsp = g[GPR_RSP],
		.rbp = g[GPR_RBP],
		.rsi = g[GPR_RSI],
		.rdi = g[GPR_RDI],
		.orig_rax = ~0ull, /* not in a system call */
		.rip = s->rip,
		.rflags = s->rflags,
		.cs = s->seg[SEG_CS].selector,
		.ss = s->seg[SEG_SS].selector,
		.ds = s->seg[SEG_DS].selector,
		.es = s->seg[SEG_ES].selector,
		.fs = s->seg[SEG_FS].selector,
		.gs = s->seg[SEG_GS].selector,
		.fs_base = s->seg[SEG_FS].base,
		.gs_base = s->seg[SEG_GS].base,
		.fp_valid = 1,
	};

	at = put_note(at, NT_PRSTATUS, &p, sizeof(p));
	/* The XSAVE area begins as FXSAVE leaves it. [SDM 1 13.4.1 "Legacy Region"] */
	(void)put_note(at, NT_FPREGSET, s->xsave, CORE_FPREGS_BYTES);
}
