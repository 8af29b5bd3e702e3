/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command's line: its words and its options. Pure code; values are read by
 * kernel/lib/text.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shell_int.h"

/* Copies one word to *to, unquoting; returns where it ended, NULL on an open quote. */
static char *take_word(char *from, char *to)
{
	char quote = 0;

	for (; *from && (quote || (*from != ' ' && *from != '\t')); from++) {
		if (quote ? *from == quote : (*from == '"' || *from == '\'')) {
			quote = quote ? 0 : *from;
		} else {
			if (*from == '\\' && from[1] && quote != '\'')
				from++;
			*to++ = *from;
		}
	}
	if (quote)
		return NULL;
	if (*from)
		from++;
	*to = '\0';
	return from;
}

int shell_tokenize(char *line, int *argc, char **argv, int max)
{
	int n = 0;

	for (;;) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (!*line)
			break;
		if (n == max - 1)
			return -E2BIG;
		argv[n++] = line;
		line = take_word(line, line);
		if (!line)
			return -EINVAL;
	}
	argv[n] = NULL;
	*argc = n;
	return 0;
}

static void take_args(int *argc, char **argv, int at, int count)
{
	for (int i = at; i + count <= *argc; i++)
		argv[i] = argv[i + count];
	*argc -= count;
}

const char *shell_opt(int *argc, char **argv, const char *name)
{
	size_t n = strlen(name);

	for (int i = 1; i < *argc; i++) {
		char *value;

		if (strncmp(argv[i], name, n))
			continue;
		if (argv[i][n] == '=') {
			value = argv[i] + n + 1;
			take_args(argc, argv, i, 1);
			return value;
		}
		if (!argv[i][n] && i + 1 < *argc) {
			value = argv[i + 1];
			take_args(argc, argv, i, 2);
			return value;
		}
	}
	return NULL;
}

bool shell_flag(int *argc, char **argv, const char *name)
{
	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], name)) {
			take_args(argc, argv, i, 1);
			return true;
		}
	}
	return false;
}

/* What follows an option of n characters in a usage line; NULL when it is not in there. */
static const char *behind_option(const char *usage, const char *option, size_t n)
{
	for (const char *at = strstr(usage, "--"); at; at = strstr(at + 2, "--")) {
		if (!strncmp(at, option, n) && (!at[n] || strchr(" ]|", at[n])))
			return at + n;
	}
	return NULL;
}

/* Does the usage line show a value after this option, as in [--port N]? */
static bool takes_value(const char *usage, const char *option)
{
	const char *at = behind_option(usage, option, strcspn(option, "="));

	return at && at[0] == ' ' && !strchr("|[", at[1]) && strncmp(at + 1, "--", 2);
}

/* May it stand more than once, as in [--net NETWORK]...? */
static bool repeats(const char *usage, const char *option, size_t n)
{
	const char *at = behind_option(usage, option, n);
	size_t value = at && *at ? strcspn(at + 1, " ") + 1 : 0;

	return value > 4 && !strncmp(at + value - 3, "...", 3);
}

static bool given_before(const char *usage, int at, char **argv)
{
	size_t n = strcspn(argv[at], "=");

	for (int i = 1; i < at; i++) {
		if (!strncmp(argv[i], argv[at], n) && (!argv[i][n] || argv[i][n] == '='))
			return !repeats(usage, argv[at], n);
		if (!strncmp(argv[i], "--", 2) && takes_value(usage, argv[i]) &&
		    !strchr(argv[i], '='))
			i++;
	}
	return false;
}

static enum shell_option_fault option_fault(const char *usage, int at, int argc, char **argv)
{
	size_t n = strcspn(argv[at], "=");
	bool value = argv[at][n] == '=';

	if (!behind_option(usage, argv[at], n))
		return OPTION_UNKNOWN;
	if (takes_value(usage, argv[at])) {
		if (!value && at + 1 == argc)
			return OPTION_NO_VALUE;
	} else if (value) {
		return OPTION_UNWANTED_VALUE;
	}
	return given_before(usage, at, argv) ? OPTION_TWICE : OPTION_FINE;
}

enum shell_option_fault shell_options_check(const char *usage, int argc, char **argv,
					    const char **which)
{
	for (int i = 1; i < argc; i++) {
		enum shell_option_fault fault;

		if (strncmp(argv[i], "--", 2) || !argv[i][2])
			continue;
		*which = argv[i];
		fault = option_fault(usage, i, argc, argv);
		if (fault)
			return fault;
		if (takes_value(usage, argv[i]) && !strchr(argv[i], '='))
			i++;
	}
	return OPTION_FINE;
}

int shell_options_end(const char *usage, int argc, char **argv)
{
	int i = 1;

	while (i < argc && !strncmp(argv[i], "--", 2)) {
		if (!argv[i][2])
			return i + 1;
		i += takes_value(usage, argv[i]) && !strchr(argv[i], '=') ? 2 : 1;
	}
	return MIN(i, argc);
}
