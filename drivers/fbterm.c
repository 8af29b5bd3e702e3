/* SPDX-License-Identifier: BSD-2-Clause */
/* The text screen of fbterm.h. [ECMA-48 8.3 "Definition of control functions"] */
#include <string.h>

#include "drivers/fbterm.h"

#define TAB_COLUMNS 8u
#define ARG_MAX 9999u

static char *row(const struct fbterm *t, unsigned line)
{
	return t->text + (size_t)((t->top + line) % t->rows) * t->cols;
}

void fbterm_init(struct fbterm *t, unsigned cols, unsigned rows, char *text)
{
	*t = (struct fbterm){ .cols = cols, .rows = rows, .text = text };
	memset(text, ' ', (size_t)cols * rows);
}

const char *fbterm_line(const struct fbterm *t, unsigned line)
{
	return row(t, line);
}

static void new_line(struct fbterm *t)
{
	t->x = 0;
	if (t->y + 1 < t->rows) {
		t->y++;
		return;
	}
	t->top = (t->top + 1) % t->rows;
	memset(row(t, t->y), ' ', t->cols);
}

static void put(struct fbterm *t, char c)
{
	if (t->x == t->cols)
		new_line(t);
	row(t, t->y)[t->x++] = c;
}

static void tab(struct fbterm *t)
{
	do
		put(t, ' ');
	while (t->x % TAB_COLUMNS && t->x < t->cols);
}

static void plain(struct fbterm *t, char c)
{
	switch (c) {
	case '\n':
		new_line(t);
		break;
	case '\r':
		t->x = 0;
		break;
	case '\b':
		t->x -= t->x > 0;
		break;
	case '\t':
		tab(t);
		break;
	case '\x1b':
		t->escape = FBTERM_ESC;
		break;
	default:
		if (c >= ' ' && c <= '~')
			put(t, c);
	}
}

/* The sequence's last byte. No number is 1 for moves and 0, to the end, for K. */
static void control(struct fbterm *t, char c)
{
	unsigned steps = MAX(t->arg, 1u);

	if (c == 'K' && t->arg == 0)
		memset(row(t, t->y) + t->x, ' ', t->cols - t->x);
	else if (c == 'D')
		t->x -= MIN(steps, t->x);
	else if (c == 'C')
		t->x = MIN(t->x + steps, t->cols - 1);
}

static void sequence(struct fbterm *t, char c)
{
	if (c >= '0' && c <= '9') {
		t->arg = MIN(t->arg * 10 + (unsigned)(c - '0'), ARG_MAX);
	} else if (c == ';') {
		t->arg = 0;
	} else if (c >= '<' && c <= '?') {
		t->escape = FBTERM_PRIVATE;
	} else {
		t->escape = FBTERM_PLAIN;
		control(t, c);
	}
}

/* Behind ESC: a sequence, or one more of those that go before a last byte, or that. */
static enum fbterm_escape escape(char c)
{
	if (c == '[')
		return FBTERM_CSI;
	return c >= ' ' && c <= '/' ? FBTERM_ESC : FBTERM_PLAIN;
}

void fbterm_write(struct fbterm *t, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (t->escape == FBTERM_CSI) {
			sequence(t, bytes[i]);
		} else if (t->escape == FBTERM_PRIVATE) {
			if (bytes[i] >= '@')
				t->escape = FBTERM_PLAIN;
		} else if (t->escape == FBTERM_ESC) {
			t->escape = escape(bytes[i]);
			t->arg = 0;
		} else {
			plain(t, bytes[i]);
		}
	}
}
