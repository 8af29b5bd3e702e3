/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model as one line of text and back (cpumodel.h): what `cluster baseline`
 * prints and tern.conf's cpu.baseline takes. Fields are separated by '/':
 *
 *   1/AuthenticAMD/sig:800f12/ext:80000008/bits:30.30/line:8/xcr0:7/x2:100@240/1.0.c:...
 *
 * version, vendor, then KEY:HEX in any order, each once. LEAF.SUB.REG:HEX are the
 * feature words without what Tern provides itself; xN:SIZE@OFFSET the XSAVE
 * components. Whoever wrote it may have written anything. Pure code.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

#define TEXT_VERSION "1/"
#define GIVEN_ACTIONS (1u << BIT_PASS | 1u << BIT_XSAVE | 1u << BIT_AVX | 1u << BIT_AVX512)
#define XSAVE_HEADER_END 576u
#define XSAVE_END_MAX 4096u
#define VENDOR_LEN 12u

struct out {
	char *buf;
	size_t len, at;
};

static void put(struct out *o, const char *key, uint64_t value)
{
	int n = snprintf(o->buf + o->at, o->len - o->at, "/%s:%llx", key,
			 (unsigned long long)value);

	o->at = MIN(o->at + (size_t)MAX(n, 0), o->len - 1);
}

static void put_pair(struct out *o, const char *key, uint64_t a, char between, uint64_t b)
{
	int n;

	put(o, key, a);
	n = snprintf(o->buf + o->at, o->len - o->at, "%c%llx", between, (unsigned long long)b);
	o->at = MIN(o->at + (size_t)MAX(n, 0), o->len - 1);
}

static void word_key(unsigned i, char key[16])
{
	snprintf(key, 16, "%x.%x.%c", (unsigned)cpuid_words[i].leaf, cpuid_words[i].sub,
		 "abcd"[cpuid_words[i].reg]);
}

void cpu_model_text(const struct cpu_model *m, char *buf, size_t len)
{
	struct out o = { buf, len, 0 };
	char key[16];

	snprintf(buf, len, TEXT_VERSION "%s", m->vendor);
	o.at = strlen(buf);
	put(&o, "sig", m->signature);
	put(&o, "ext", m->max_ext);
	put_pair(&o, "bits", m->phys_bits, '.', m->virt_bits);
	put(&o, "line", m->line);
	put(&o, "xcr0", m->xcr0);
	for (unsigned i = 2; i < CPU_XCOMPS; i++) {
		if (!(m->xcr0 >> i & 1))
			continue;
		snprintf(key, sizeof(key), "x%u", i);
		put_pair(&o, key, m->comp[i].size, '@', m->comp[i].offset);
	}
	for (unsigned i = 0; i < CPU_WORDS; i++) {
		word_key(i, key);
		if (m->word[i] & cpuid_word_bits(i, GIVEN_ACTIONS))
			put(&o, key, m->word[i] & cpuid_word_bits(i, GIVEN_ACTIONS));
	}
}

/* ---- parsing ---- */

struct in {
	const char *at;
	char *why;
	size_t why_len;
};

static int bad(struct in *in, const char *what, const char *key)
{
	snprintf(in->why, in->why_len, "CPU baseline: %s%s%.16s", what, *key ? " " : "", key);
	return -EINVAL;
}

/* Hexadecimal digits up to something else: -EINVAL without any, or past 64 bits. */
static int take_hex(struct in *in, uint64_t *v)
{
	unsigned digits = 0;

	*v = 0;
	for (;; in->at++, digits++) {
		char c = *in->at;
		unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
						    : 16u;

		if (d == 16 || digits == 16)
			break;
		*v = *v << 4 | d;
	}
	return digits && (*in->at == '/' || *in->at == '@' || *in->at == '.' || !*in->at) ? 0
											  : -EINVAL;
}

/* HEX, or HEX between HEX. */
static int take_values(struct in *in, const char *key, char between, uint64_t v[2])
{
	if (take_hex(in, &v[0]))
		return bad(in, "not a number after", key);
	if (between) {
		if (*in->at != between)
			return bad(in, "two numbers belong after", key);
		in->at++;
		if (take_hex(in, &v[1]))
			return bad(in, "not a number after", key);
	}
	return *in->at && *in->at != '/' ? bad(in, "too much after", key) : 0;
}

enum { F_SIG, F_EXT, F_BITS, F_LINE, F_XCR0, F_WORD, F_COMP = F_WORD + CPU_WORDS };
#define FIELDS (F_COMP + CPU_XCOMPS)
#define FIELDS_NEEDED (BIT(F_SIG) | BIT(F_EXT) | BIT(F_BITS) | BIT(F_LINE) | BIT(F_XCR0))
_Static_assert(FIELDS <= 64, "a bit for each field");

static unsigned field_of(const char *key)
{
	static const char *const names[F_WORD] = { "sig", "ext", "bits", "line", "xcr0" };
	char word[16];

	for (unsigned i = 0; i < F_WORD; i++)
		if (!strcmp(key, names[i]))
			return i;
	for (unsigned i = 0; i < CPU_WORDS; i++) {
		word_key(i, word);
		if (!strcmp(key, word))
			return F_WORD + i;
	}
	if (key[0] == 'x' && key[1] >= '2' && key[1] < '0' + (char)CPU_XCOMPS && !key[2])
		return F_COMP + (unsigned)(key[1] - '0');
	return FIELDS;
}

static bool plain_ok(struct cpu_model *m, unsigned field, const uint64_t v[2])
{
	switch (field) {
	case F_SIG:
		m->signature = (uint32_t)v[0];
		return v[0] <= UINT32_MAX;
	case F_EXT:
		m->max_ext = (uint32_t)v[0];
		return v[0] >= 0x80000001u && v[0] <= 0x80000008u;
	case F_BITS:
		m->phys_bits = (uint8_t)v[0];
		m->virt_bits = (uint8_t)v[1];
		return v[0] >= 32 && v[0] <= 52 && v[1] >= 48 && v[1] <= 57;
	case F_LINE:
		m->line = (uint8_t)v[0];
		return v[0] && v[0] <= 0xff;
	default:
		m->xcr0 = v[0];
		return !(v[0] & ~XCR0_KNOWN);
	}
}

static bool comp_ok(struct cpu_model *m, unsigned i, const uint64_t v[2])
{
	if (!v[0] || v[0] > XSAVE_END_MAX || v[1] < XSAVE_HEADER_END || v[1] > XSAVE_END_MAX - v[0])
		return false;
	m->comp[i].size = (uint32_t)v[0];
	m->comp[i].offset = (uint32_t)v[1];
	return true;
}

static int take_field(struct in *in, struct cpu_model *m, uint64_t *seen)
{
	uint64_t v[2] = { 0, 0 };
	size_t n = strcspn(in->at, ":/");
	char key[16] = "";
	unsigned field;
	bool ok;

	memcpy(key, in->at, MIN(n, sizeof(key) - 1));
	field = in->at[n] == ':' && n < sizeof(key) ? field_of(key) : FIELDS;
	if (field == FIELDS)
		return bad(in, "unknown field", key);
	if (*seen & BIT(field))
		return bad(in, "twice", key);
	*seen |= BIT(field);
	in->at += n + 1;
	if (take_values(in, key, field >= F_COMP ? '@' : field == F_BITS ? '.' : 0, v))
		return -EINVAL;
	if (field >= F_COMP) {
		ok = comp_ok(m, field - F_COMP, v);
	} else if (field >= F_WORD) {
		ok = !(v[0] & ~(uint64_t)cpuid_word_bits(field - F_WORD, GIVEN_ACTIONS));
		m->word[field - F_WORD] = (uint32_t)v[0];
	} else {
		ok = plain_ok(m, field, v);
	}
	return ok ? 0 : bad(in, "no guest can have this", key);
}

static int take_vendor(struct in *in, struct cpu_model *m)
{
	size_t n = strcspn(in->at, "/");

	if (n != VENDOR_LEN)
		return bad(in, "the vendor has 12 characters", "");
	for (size_t i = 0; i < n; i++)
		if (in->at[i] < ' ' || in->at[i] > '~')
			return bad(in, "the vendor is not text", "");
	memcpy(m->vendor, in->at, n);
	in->at += n;
	return 0;
}

/* Components without a place, places without a component. */
static bool comps_match(const struct cpu_model *m)
{
	for (unsigned i = 2; i < CPU_XCOMPS; i++)
		if ((m->xcr0 >> i & 1) != (m->comp[i].size != 0))
			return false;
	return true;
}

int cpu_model_parse(const char *text, struct cpu_model *m, char *why, size_t why_len)
{
	struct in in = { text, why, why_len };
	struct cpu_model given;
	uint64_t seen = 0;

	memset(m, 0, sizeof(*m));
	if (strncmp(text, TEXT_VERSION, strlen(TEXT_VERSION)))
		return bad(&in, "it begins with " TEXT_VERSION, "");
	in.at += strlen(TEXT_VERSION);
	if (take_vendor(&in, m))
		return -EINVAL;
	while (*in.at) {
		in.at++; /* the '/' */
		if (take_field(&in, m, &seen))
			return -EINVAL;
	}
	if ((seen & FIELDS_NEEDED) != FIELDS_NEEDED)
		return bad(&in, "sig, ext, bits, line and xcr0 are needed", "");
	given = *m;
	cpu_model_normalize(m);
	if (!comps_match(&given) || given.xcr0 != m->xcr0)
		return bad(&in, "XSAVE components that do not go together", "");
	return 0;
}
