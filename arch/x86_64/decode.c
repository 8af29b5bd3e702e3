/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction decoding for emulation, by Zydis: what the kernel emulates is put
 * into one small description, everything else is INSN_OTHER with its length.
 *
 * In order: the decoder for the vCPU's mode, the mnemonic's row in a table, the
 * operands into their places.
 */
#include <errno.h>

#include <Zydis/Zydis.h>

#include <tern/decode.h>

#define CR0_PE BIT(0)
#define EFER_LMA BIT(10)
#define ATTR_L BIT(9)
#define ATTR_DB BIT(10)
#define NO_REG 0xff
#define BASE_RIP 0xfe

enum form {
	FORM_MOVE,   /* load or store by which operand is memory */
	FORM_ALU,    /* RMW or LOAD_OP likewise */
	FORM_TEST,   /* CMP or LOAD_OP likewise */
	FORM_SWAP,   /* RMW whichever operand is memory */
	FORM_STRING, /* implicit operands */
	FORM_ONE,    /* one operand, in memory: op */
	FORM_VEC,    /* vector register and memory; MOVSD is in FORM_STRING's row */
};

static const struct row {
	uint16_t mnemonic;
	uint8_t form, op, alu;
	bool sign;
} rows[] = {
	{ ZYDIS_MNEMONIC_MOV, FORM_MOVE, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVNTI, FORM_MOVE, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVZX, FORM_MOVE, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVSX, FORM_MOVE, 0, 0, true },
	{ ZYDIS_MNEMONIC_MOVSXD, FORM_MOVE, 0, 0, true },
	{ ZYDIS_MNEMONIC_AND, FORM_ALU, 0, ALU_AND, false },
	{ ZYDIS_MNEMONIC_OR, FORM_ALU, 0, ALU_OR, false },
	{ ZYDIS_MNEMONIC_XOR, FORM_ALU, 0, ALU_XOR, false },
	{ ZYDIS_MNEMONIC_ADD, FORM_ALU, 0, ALU_ADD, false },
	{ ZYDIS_MNEMONIC_SUB, FORM_ALU, 0, ALU_SUB, false },
	{ ZYDIS_MNEMONIC_ADC, FORM_ALU, 0, ALU_ADC, false },
	{ ZYDIS_MNEMONIC_SBB, FORM_ALU, 0, ALU_SBB, false },
	{ ZYDIS_MNEMONIC_INC, FORM_ALU, 0, ALU_INC, false },
	{ ZYDIS_MNEMONIC_DEC, FORM_ALU, 0, ALU_DEC, false },
	{ ZYDIS_MNEMONIC_NOT, FORM_ALU, 0, ALU_NOT, false },
	{ ZYDIS_MNEMONIC_NEG, FORM_ALU, 0, ALU_NEG, false },
	{ ZYDIS_MNEMONIC_BTS, FORM_ALU, 0, ALU_BTS, false },
	{ ZYDIS_MNEMONIC_BTR, FORM_ALU, 0, ALU_BTR, false },
	{ ZYDIS_MNEMONIC_BTC, FORM_ALU, 0, ALU_BTC, false },
	{ ZYDIS_MNEMONIC_CMP, FORM_TEST, 0, ALU_CMP, false },
	{ ZYDIS_MNEMONIC_TEST, FORM_TEST, 0, ALU_TEST, false },
	{ ZYDIS_MNEMONIC_BT, FORM_TEST, 0, ALU_BT, false },
	{ ZYDIS_MNEMONIC_XCHG, FORM_SWAP, 0, ALU_XCHG, false },
	{ ZYDIS_MNEMONIC_XADD, FORM_SWAP, 0, ALU_XADD, false },
	{ ZYDIS_MNEMONIC_CMPXCHG, FORM_SWAP, 0, ALU_CMPXCHG, false },
	{ ZYDIS_MNEMONIC_MOVSB, FORM_STRING, INSN_MOVS, 0, false },
	{ ZYDIS_MNEMONIC_MOVSW, FORM_STRING, INSN_MOVS, 0, false },
	{ ZYDIS_MNEMONIC_MOVSD, FORM_STRING, INSN_MOVS, 0, false },
	{ ZYDIS_MNEMONIC_MOVSQ, FORM_STRING, INSN_MOVS, 0, false },
	{ ZYDIS_MNEMONIC_STOSB, FORM_STRING, INSN_STOS, 0, false },
	{ ZYDIS_MNEMONIC_STOSW, FORM_STRING, INSN_STOS, 0, false },
	{ ZYDIS_MNEMONIC_STOSD, FORM_STRING, INSN_STOS, 0, false },
	{ ZYDIS_MNEMONIC_STOSQ, FORM_STRING, INSN_STOS, 0, false },
	{ ZYDIS_MNEMONIC_LODSB, FORM_STRING, INSN_LODS, 0, false },
	{ ZYDIS_MNEMONIC_LODSW, FORM_STRING, INSN_LODS, 0, false },
	{ ZYDIS_MNEMONIC_LODSD, FORM_STRING, INSN_LODS, 0, false },
	{ ZYDIS_MNEMONIC_LODSQ, FORM_STRING, INSN_LODS, 0, false },
	{ ZYDIS_MNEMONIC_SCASB, FORM_STRING, INSN_SCAS, 0, false },
	{ ZYDIS_MNEMONIC_SCASW, FORM_STRING, INSN_SCAS, 0, false },
	{ ZYDIS_MNEMONIC_SCASD, FORM_STRING, INSN_SCAS, 0, false },
	{ ZYDIS_MNEMONIC_SCASQ, FORM_STRING, INSN_SCAS, 0, false },
	{ ZYDIS_MNEMONIC_CMPSB, FORM_STRING, INSN_CMPS, 0, false },
	{ ZYDIS_MNEMONIC_CMPSW, FORM_STRING, INSN_CMPS, 0, false },
	{ ZYDIS_MNEMONIC_CMPSD, FORM_STRING, INSN_CMPS, 0, false },
	{ ZYDIS_MNEMONIC_CMPSQ, FORM_STRING, INSN_CMPS, 0, false },
	{ ZYDIS_MNEMONIC_MOVBE, FORM_MOVE, 0, 0, false },
	{ ZYDIS_MNEMONIC_BSF, FORM_ALU, 0, ALU_BSF, false },
	{ ZYDIS_MNEMONIC_BSR, FORM_ALU, 0, ALU_BSR, false },
	{ ZYDIS_MNEMONIC_IMUL, FORM_ALU, 0, ALU_IMUL, false },
	{ ZYDIS_MNEMONIC_SHL, FORM_ALU, 0, ALU_SHL, false },
	{ ZYDIS_MNEMONIC_SHR, FORM_ALU, 0, ALU_SHR, false },
	{ ZYDIS_MNEMONIC_SAR, FORM_ALU, 0, ALU_SAR, false },
	{ ZYDIS_MNEMONIC_ROL, FORM_ALU, 0, ALU_ROL, false },
	{ ZYDIS_MNEMONIC_ROR, FORM_ALU, 0, ALU_ROR, false },
	{ ZYDIS_MNEMONIC_PUSH, FORM_ONE, INSN_PUSH, 0, false },
	{ ZYDIS_MNEMONIC_POP, FORM_ONE, INSN_POP, 0, false },
	{ ZYDIS_MNEMONIC_CMPXCHG8B, FORM_ONE, INSN_CMPXCHG8, 0, false },
	{ ZYDIS_MNEMONIC_CMPXCHG16B, FORM_ONE, INSN_CMPXCHG8, 0, false },
	{ ZYDIS_MNEMONIC_SMSW, FORM_ONE, INSN_SMSW, 0, false },
	{ ZYDIS_MNEMONIC_MOVUPS, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVAPS, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVUPD, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVAPD, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVDQU, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVDQA, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_LDDQU, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVNTDQ, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVNTDQA, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVNTPS, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVNTPD, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVD, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVQ, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_MOVSS, FORM_VEC, 0, 0, false },
	{ ZYDIS_MNEMONIC_INSB, FORM_STRING, INSN_PIO_STRING, 0, false },
	{ ZYDIS_MNEMONIC_INSW, FORM_STRING, INSN_PIO_STRING, 0, false },
	{ ZYDIS_MNEMONIC_INSD, FORM_STRING, INSN_PIO_STRING, 0, false },
	{ ZYDIS_MNEMONIC_OUTSB, FORM_STRING, INSN_PIO_STRING, 0, false },
	{ ZYDIS_MNEMONIC_OUTSW, FORM_STRING, INSN_PIO_STRING, 0, false },
	{ ZYDIS_MNEMONIC_OUTSD, FORM_STRING, INSN_PIO_STRING, 0, false },
};

typedef ZydisDecodedOperand operand_t;

static const struct row *find_row(ZydisMnemonic m)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].mnemonic == m)
			return &rows[i];
	return NULL;
}

static bool code64(const struct virt_mode *m)
{
	return (m->efer & EFER_LMA) && (m->seg[SEG_CS].attr & ATTR_L);
}

static void init_decoder(ZydisDecoder *d, const struct virt_mode *m)
{
	bool wide = (m->seg[SEG_CS].attr & ATTR_DB) != 0;
	ZydisStackWidth stack =
		(m->seg[SEG_SS].attr & ATTR_DB) ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
	ZydisMachineMode mode;

	if (code64(m)) {
		mode = ZYDIS_MACHINE_MODE_LONG_64;
		stack = ZYDIS_STACK_WIDTH_64;
	} else if (!(m->cr0 & CR0_PE)) {
		mode = wide ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_REAL_16;
		stack = wide ? stack : ZYDIS_STACK_WIDTH_16;
	} else if (m->efer & EFER_LMA) {
		mode = wide ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
	} else {
		mode = wide ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
	}
	(void)ZydisDecoderInit(d, mode, stack);
}

/* Number in instruction encodings; AH..BH are 0..3 with *high. NO_REG when not a general register.
 */
static uint8_t gpr_number(ZydisRegister r, bool *high)
{
	*high = r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH;
	if (*high)
		return (uint8_t)(r - ZYDIS_REGISTER_AH);
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
		return (uint8_t)(r - ZYDIS_REGISTER_AL);
	if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
		return (uint8_t)(r - ZYDIS_REGISTER_SPL + 4);
	if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W)
		return (uint8_t)(r - ZYDIS_REGISTER_AX);
	if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D)
		return (uint8_t)(r - ZYDIS_REGISTER_EAX);
	if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15)
		return (uint8_t)(r - ZYDIS_REGISTER_RAX);
	return NO_REG;
}

static uint8_t seg_number(ZydisRegister r)
{
	if (r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS)
		return (uint8_t)(r - ZYDIS_REGISTER_ES);
	return SEG_DS;
}

static uint8_t base_number(ZydisRegister r)
{
	bool high;

	if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP || r == ZYDIS_REGISTER_IP)
		return BASE_RIP;
	return gpr_number(r, &high);
}

static void take_memory(struct insn *out, const operand_t *o)
{
	out->size = (uint8_t)(o->size / 8);
	out->seg = seg_number(o->mem.segment);
	out->base = base_number(o->mem.base);
	out->index = base_number(o->mem.index);
	out->scale = o->mem.scale;
	out->disp = o->mem.disp.has_displacement ? o->mem.disp.value : 0;
}

/* The other operand: false when it is neither a general register nor an immediate. */
static bool take_source(struct insn *out, const operand_t *o)
{
	if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		out->reg = NO_REG;
		out->reg_size = out->size;
		out->has_imm = true;
		out->imm = o->imm.value.u;
		return true;
	}
	if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	out->reg = gpr_number(o->reg.value, &out->high_byte);
	out->reg_size = (uint8_t)(o->size / 8);
	return out->reg != NO_REG;
}

static enum insn_op op_for(const struct row *row, bool to_memory)
{
	switch (row->form) {
	case FORM_MOVE:
		return to_memory ? INSN_STORE : INSN_LOAD;
	case FORM_TEST:
		return to_memory ? INSN_CMP : INSN_LOAD_OP;
	case FORM_SWAP:
		return INSN_RMW;
	default:
		return to_memory ? INSN_RMW : INSN_LOAD_OP;
	}
}

static bool is_bit_test(const struct row *row)
{
	return row->alu == ALU_BT || row->alu == ALU_BTS || row->alu == ALU_BTR ||
	       row->alu == ALU_BTC;
}

static void take_explicit(struct insn *out, const struct row *row, const operand_t *o,
			  unsigned visible)
{
	bool to_memory = o[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	const operand_t *mem = to_memory ? &o[0] : &o[1];

	if (!visible || visible > 3 || (visible == 3 && row->alu != ALU_IMUL) ||
	    (!to_memory && (visible < 2 || mem->type != ZYDIS_OPERAND_TYPE_MEMORY)))
		return;
	if (row->form != FORM_MOVE && row->alu == ALU_IMUL && to_memory)
		return; /* into RDX:RAX: nobody does that to a device */
	take_memory(out, mem);
	if (visible >= 2 && !take_source(out, to_memory ? &o[1] : &o[0]))
		return;
	if (visible == 3) {
		out->three = true;
		out->imm = o[2].imm.value.u;
	}
	out->far_bit = row->form != FORM_MOVE && is_bit_test(row) && !out->has_imm;
	out->swap = row->mnemonic == ZYDIS_MNEMONIC_MOVBE;
	out->alu = (enum insn_alu)row->alu;
	out->sign_extend = row->sign;
	out->op = op_for(row, to_memory);
}

static void take_one(struct insn *out, const struct row *row, const operand_t *o)
{
	if (o[0].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return;
	take_memory(out, &o[0]);
	out->op = (enum insn_op)row->op;
}

static void take_vector(struct insn *out, const ZydisDecodedInstruction *insn, const operand_t *o)
{
	bool to_memory = o[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	const operand_t *mem = to_memory ? &o[0] : &o[1], *reg = to_memory ? &o[1] : &o[0];

	if (insn->operand_count_visible != 2 || mem->type != ZYDIS_OPERAND_TYPE_MEMORY ||
	    reg->type != ZYDIS_OPERAND_TYPE_REGISTER || reg->reg.value < ZYDIS_REGISTER_XMM0 ||
	    reg->reg.value > ZYDIS_REGISTER_XMM15)
		return;
	take_memory(out, mem);
	out->reg = (uint8_t)(reg->reg.value - ZYDIS_REGISTER_XMM0);
	out->op = to_memory ? INSN_VEC_STORE : INSN_VEC_LOAD;
}

/* SETcc and CMOVcc, whose mnemonics are many: by opcode, in the map behind 0F. */
static void take_conditional(struct insn *out, const ZydisDecodedInstruction *insn,
			     const operand_t *o)
{
	bool set = (insn->opcode & 0xf0) == 0x90;

	if (insn->opcode_map != ZYDIS_OPCODE_MAP_0F || (!set && (insn->opcode & 0xf0) != 0x40) ||
	    o[set ? 0 : 1].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return;
	take_memory(out, &o[set ? 0 : 1]);
	if (!set && !take_source(out, &o[0]))
		return;
	out->cond = insn->opcode & 0xf;
	out->op = set ? INSN_SET : INSN_CMOV;
}

/* MOVS and OUTS have their source, whose segment can be overridden, second. */
static void take_string(struct insn *out, const struct row *row,
			const ZydisDecodedInstruction *insn, const operand_t *o)
{
	const operand_t *mem = NULL;

	if (insn->meta.category != ZYDIS_CATEGORY_STRINGOP &&
	    insn->meta.category != ZYDIS_CATEGORY_IOSTRINGOP) {
		take_vector(out, insn, o); /* MOVSD of SSE */
		return;
	}
	for (unsigned i = 0; i < insn->operand_count && i < 3; i++)
		if (o[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			mem = &o[i];
	if (!mem)
		return;
	take_memory(out, mem);
	out->op = (enum insn_op)row->op;
	out->repne = (insn->attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0;
}

static void take_control(struct insn *out, const operand_t *o)
{
	bool to_cr = ZydisRegisterGetClass(o[0].reg.value) == ZYDIS_REGCLASS_CONTROL;
	bool from_cr = ZydisRegisterGetClass(o[1].reg.value) == ZYDIS_REGCLASS_CONTROL;

	if (o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || o[1].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    (!to_cr && !from_cr))
		return;
	out->reg = gpr_number(o[to_cr ? 1 : 0].reg.value, &out->high_byte);
	out->imm = (uint64_t)(o[to_cr ? 0 : 1].reg.value - ZYDIS_REGISTER_CR0);
	out->op = INSN_MOV_CR;
}

int insn_decode(const uint8_t *bytes, size_t len, const struct virt_mode *m, struct insn *out)
{
	operand_t o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	const struct row *row;
	ZydisDecoder d;
	ZyanStatus r;

	init_decoder(&d, m);
	r = ZydisDecoderDecodeFull(&d, bytes, len, &insn, o);
	if (r == ZYDIS_STATUS_NO_MORE_DATA)
		return -EAGAIN;
	if (ZYAN_FAILED(r))
		return -EINVAL;
	*out = (struct insn){ .length = insn.length,
			      .op = INSN_OTHER,
			      .reg = NO_REG,
			      .seg = SEG_DS,
			      .base = NO_REG,
			      .index = NO_REG };
	out->addr_size = (uint8_t)(insn.address_width / 8);
	out->rep = (insn.attributes &
		    (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
	row = find_row(insn.mnemonic);
	if (!row) {
		if (insn.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
			take_conditional(out, &insn, o);
	} else if (row->form == FORM_STRING)
		take_string(out, row, &insn, o);
	else if (row->form == FORM_VEC)
		take_vector(out, &insn, o);
	else if (row->form == FORM_ONE)
		take_one(out, row, o);
	else if (insn.mnemonic == ZYDIS_MNEMONIC_MOV && insn.operand_count_visible == 2 &&
		 o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		 o[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
		take_control(out, o);
	else
		take_explicit(out, row, o, insn.operand_count_visible);
	return 0;
}

uint64_t insn_linear(const struct insn *i, const struct virt_mode *m, const uint64_t gpr[16],
		     uint64_t rip)
{
	uint64_t a = (uint64_t)i->disp, base = m->seg[i->seg].base;

	if (i->base == BASE_RIP)
		a += rip + i->length;
	else if (i->base != NO_REG)
		a += gpr[i->base & 15];
	if (i->index != NO_REG)
		a += gpr[i->index & 15] * i->scale;
	if (i->addr_size < 8)
		a &= BIT(8 * i->addr_size) - 1;
	if (code64(m))
		return a + (i->seg == SEG_FS || i->seg == SEG_GS ? base : 0);
	return (a + base) & 0xffffffffull;
}
