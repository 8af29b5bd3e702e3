/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text screen in memory: lines that scroll, and the few control sequences that
 * Tern's own console writes. Pure code; drawing is fbcon.c's.
 */
#ifndef DRIVERS_FBTERM_H
#define DRIVERS_FBTERM_H

#include <tern/types.h>

enum fbterm_escape { FBTERM_PLAIN, FBTERM_ESC, FBTERM_CSI, FBTERM_PRIVATE };

struct fbterm {
	unsigned cols, rows;
	unsigned x, y; /* where the next character goes; x == cols: on the next line */
	unsigned top;  /* row of text that is the screen's first line */
	char *text;    /* rows of cols printable characters */
	enum fbterm_escape escape;
	unsigned arg; /* of the escape sequence */
};

/* text has rows * cols bytes, the caller's; both at least 1. Clears it. */
void fbterm_init(struct fbterm *t, unsigned cols, unsigned rows, char *text);
/* Any bytes: newline, return, backspace, tab, CSI K (to the line's end), D and C (move); others
 * that are not printable show nothing. */
void fbterm_write(struct fbterm *t, const char *bytes, size_t len);
/* The screen's line, 0 is the uppermost; cols characters. */
const char *fbterm_line(const struct fbterm *t, unsigned line);

#endif
