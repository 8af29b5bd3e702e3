/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal at the console: its width (`console size`), and its state behind a guest
 * that has used it.
 */
#include <stdlib.h>
#include <string.h>

#include "shell_int.h"

#define ROWS_MAX 1000u

/* Private modes are those of xterm; a terminal that lacks one passes it over. */
void cmd_console_mend(struct shell *sh)
{
	static const char *const mend[] = {
		"\x1b[?1047l", /* the normal screen, the cursor as it is */
		"\x1b[?6l",    /* positions are the screen's */
		"\x1b"
		"7"
		"\x1b[r"
		"\x1b"
		"8",				     /* it scrolls as a whole; the cursor back */
		"\x1b[0m\x1b(B\x0f",		     /* plain, in ASCII */
		"\x1b[4l\x1b[?7h\x1b[?25h",	     /* no insert mode, lines wrap, a cursor */
		"\x1b[?1l\x1b>",		     /* cursor and number keys as usual */
		"\x1b[?1000l\x1b[?1002l\x1b[?1003l", /* the mouse is the terminal's own */
		"\x1b[?1006l\x1b[?2004l",	     /* so is a paste */
	};

	for (size_t i = 0; i < ARRAY_SIZE(mend); i++)
		shell_write(sh, mend[i], strlen(mend[i]));
}

/* "120x40" */
static bool parse_terminal(char *text, uint64_t *cols, uint64_t *rows)
{
	char *x = strchr(text, 'x');

	if (!x)
		return false;
	*x = '\0';
	return !parse_u64(text, cols) && !parse_u64(x + 1, rows) && *cols >= LINEEDIT_COLS_MIN &&
	       *cols <= LINEEDIT_COLS_MAX && *rows && *rows <= ROWS_MAX;
}

static int console_size(struct shell *sh, int argc, char **argv)
{
	uint64_t cols = 0, rows;
	char text[32];

	if (argc > 2)
		return shell_error(sh, "usage", "console size [COLSxROWS|auto]");
	if (argc == 2) {
		strncpy(text, argv[1], sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		if (strcmp(text, "auto") && !parse_terminal(text, &cols, &rows))
			return shell_error(sh, "invalid",
					   "'%s' is not a size: as 120x40, from %u "
					   "to %u columns, or auto",
					   argv[1], LINEEDIT_COLS_MIN, LINEEDIT_COLS_MAX);
		shell_set_cols((unsigned)cols);
	}
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_u64(sh, "columns", shell_cols());
		json_end(sh);
	} else if (argc < 2) {
		shell_printf(sh, "%u columns\n", shell_cols());
	}
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "console size", "[COLSxROWS|auto]", "how wide the console's terminal is; auto asks it",
	  console_size, NULL },
};

void cmd_console_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
