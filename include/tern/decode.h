/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction decoding for emulation: a thin wrapper over Zydis that turns the
 * memory-access instructions compilers emit into one small description.
 */
#ifndef TERN_DECODE_H
#define TERN_DECODE_H

#include <tern/types.h>
#include <tern/virt.h>

enum insn_op {
	INSN_LOAD,  /* reg <- mem, zero or sign extended */
	INSN_STORE, /* mem <- reg or imm */
	INSN_RMW,   /* mem <- mem op src: and, or, xor, add, sub, inc, dec, not, neg, xchg, bts.. */
	INSN_CMP,   /* flags <- mem ? src: cmp, test, bt */
	INSN_LOAD_OP, /* reg <- reg op mem */
	INSN_MOVS,
	INSN_STOS,
	INSN_LODS,
	INSN_SCAS,
	INSN_CMPS,
	INSN_PUSH,     /* stack <- mem */
	INSN_POP,      /* mem <- stack */
	INSN_SET,      /* mem <- 1 when cond holds, else 0 */
	INSN_CMOV,     /* reg <- mem when cond holds */
	INSN_CMPXCHG8, /* 8 bytes against EDX:EAX, or 16 against RDX:RAX */
	INSN_SMSW,     /* mem <- low 2 bytes of CR0 */
	INSN_VEC_LOAD, /* low bytes of a vector register <- mem, rest zero */
	INSN_VEC_STORE,
	INSN_MOV_CR,
	INSN_PIO_STRING,
	INSN_OTHER /* length is right, emulation is not offered */
};
enum insn_alu {
	ALU_AND,
	ALU_OR,
	ALU_XOR,
	ALU_ADD,
	ALU_SUB,
	ALU_ADC,
	ALU_SBB,
	ALU_INC,
	ALU_DEC,
	ALU_NOT,
	ALU_NEG,
	ALU_XCHG,
	ALU_CMP,
	ALU_TEST,
	ALU_BT,
	ALU_BTS,
	ALU_BTR,
	ALU_BTC,
	ALU_CMPXCHG,
	ALU_XADD,
	ALU_BSF,
	ALU_BSR,
	ALU_IMUL,
	ALU_SHL,
	ALU_SHR,
	ALU_SAR,
	ALU_ROL,
	ALU_ROR
};

struct insn {
	uint8_t length;
	enum insn_op op;
	enum insn_alu alu;
	uint8_t size;	  /* bytes of the memory operand */
	uint8_t reg;	  /* enum gpr, or a vector register; 0xff = immediate */
	uint8_t reg_size; /* bytes written or read */
	bool high_byte;	  /* AH..BH */
	bool sign_extend, rep, has_imm;
	bool repne;	   /* of SCAS and CMPS: ends at a match */
	bool far_bit;	   /* reg is a signed bit number: the operand may lie elsewhere */
	bool swap;	   /* MOVBE: bytes in reverse */
	bool three;	   /* IMUL: mem op imm, not reg op mem */
	uint8_t cond;	   /* of SET, CMOV: the encoding's four bits */
	uint8_t addr_size; /* bytes */
	uint8_t seg;	   /* enum seg of the memory operand */
	uint64_t imm;
	uint8_t base, index, scale; /* 0xff = none; base 0xfe = RIP */
	int64_t disp;
};

/* Decodes bytes[0..len) in the vCPU's mode. -EINVAL undefined, -EAGAIN more bytes needed. */
MUST_CHECK int insn_decode(const uint8_t *bytes, size_t len, const struct virt_mode *m,
			   struct insn *out);
/* Linear address of the memory operand. */
uint64_t insn_linear(const struct insn *i, const struct virt_mode *m, const uint64_t gpr[16],
		     uint64_t rip);

#endif
