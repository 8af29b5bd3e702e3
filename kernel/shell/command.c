/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command table: rooms register theirs, a line is matched against the
 * longest path of words, Tab completes paths and whatever a command offers.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "shell_int.h"

#define TABLES_MAX 32

static struct {
	const struct shell_cmd *cmds;
	unsigned count;
} tables[TABLES_MAX];
static unsigned nr_tables;

void shell_register(const struct shell_cmd *cmds, unsigned count)
{
	tern_assert(nr_tables < TABLES_MAX);
	tables[nr_tables].cmds = cmds;
	tables[nr_tables++].count = count;
}

const struct shell_cmd *shell_cmd_at(unsigned index)
{
	for (unsigned t = 0; t < nr_tables; t++) {
		if (index < tables[t].count)
			return &tables[t].cmds[index];
		index -= tables[t].count;
	}
	return NULL;
}

/* How many of the words the path covers; 0 when it does not match. */
static int path_match(const char *path, int argc, char **argv)
{
	int words = 0;

	while (*path) {
		size_t n = strcspn(path, " ");

		if (words == argc || strlen(argv[words]) != n || strncmp(argv[words], path, n))
			return 0;
		words++;
		path += n;
		while (*path == ' ')
			path++;
	}
	return words;
}

static const struct shell_cmd *find(int argc, char **argv, int *words)
{
	const struct shell_cmd *best = NULL, *c;

	*words = 0;
	for (unsigned i = 0; (c = shell_cmd_at(i)); i++) {
		int n = path_match(c->path, argc, argv);

		if (n > *words) {
			*words = n;
			best = c;
		}
	}
	return best;
}

/* Is the first word the start of some path? Then the error names the choices. */
static int unknown(struct shell *sh, const char *word)
{
	char choices[160] = "";
	size_t n = strlen(word);
	const struct shell_cmd *c;

	for (unsigned i = 0; (c = shell_cmd_at(i)); i++) {
		const char *rest = c->path + n + 1;

		if (strncmp(c->path, word, n) || c->path[n] != ' ')
			continue;
		if (strlen(choices) + strlen(rest) + 3 > sizeof(choices))
			break;
		if (choices[0])
			strcat(choices, ", ");
		strcat(choices, rest);
	}
	if (choices[0])
		return shell_error(sh, "usage", "'%s' needs one of: %s", word, choices);
	return shell_error(sh, "unknown-command", "no command '%s': try 'help'", word);
}

/* Says what is wrong with the options; false when nothing is. */
static bool options_wrong(struct shell *sh, const struct shell_cmd *c, int argc, char **argv)
{
	static const char *const what[] = {
		[OPTION_UNKNOWN] = "there is no such option",
		[OPTION_NO_VALUE] = "its value is missing",
		[OPTION_UNWANTED_VALUE] = "it takes no value",
		[OPTION_TWICE] = "it can be given once",
	};
	const char *which = NULL;
	enum shell_option_fault fault = shell_options_check(c->usage, argc, argv, &which);

	if (!fault)
		return false;
	shell_error(sh, "usage", "%s: %s: %s %s", which, what[fault], c->path, c->usage);
	return true;
}

static int run(struct shell *sh, const struct shell_cmd *c, int argc, char **argv)
{
	int status;

	sh->failed = false;
	if (strstr(c->usage, "TEXT...")) {
		int end = shell_options_end(c->usage, argc, argv);

		sh->text = argv + end;
		sh->nr_text = argc - end;
		argc = end;
	}
	sh->json = shell_flag(&argc, argv, "--json");
	sh->json_depth = 0;
	if (shell_flag(&argc, argv, "--help")) {
		shell_printf(sh, "usage: %s%s%s\n  %s\n", c->path, c->usage[0] ? " " : "", c->usage,
			     c->help);
		return 0;
	}
	if (options_wrong(sh, c, argc, argv))
		return 1;
	sh->wrote = false;
	status = c->run(sh, argc, argv);
	if (sh->failed)
		return 1;
	if (!status && sh->json && !sh->wrote) { /* it has nothing to say: that is one line too */
		json_object(sh, NULL);
		json_end(sh);
	}
	return status;
}

char **shell_text(struct shell *sh, int *count)
{
	*count = sh->nr_text;
	return sh->text;
}

int shell_execute(struct shell *sh, char *line)
{
	char *argv[SHELL_ARGS_MAX];
	const struct shell_cmd *c;
	int argc, words, status;

	if (shell_tokenize(line, &argc, argv, SHELL_ARGS_MAX))
		return shell_error(sh, "usage", "the line has an open quote or too many words");
	if (!argc)
		return 0;
	c = find(argc, argv, &words);
	if (!c)
		return unknown(sh, argv[0]);
	status = run(sh, c, argc - words + 1, argv + words - 1);
	shell_out_end(sh);
	return status;
}

/* Completion */

void shell_offer(struct shell *sh, const char *candidate)
{
	size_t n = strlen(sh->offer_prefix);

	if (strncmp(candidate, sh->offer_prefix, n) || sh->nr_offers == SHELL_ARGS_MAX)
		return;
	for (unsigned i = 0; i < sh->nr_offers; i++)
		if (!strcmp(sh->offers[i], candidate))
			return;
	strncpy(sh->offers[sh->nr_offers], candidate, sizeof(sh->offers[0]) - 1);
	sh->offers[sh->nr_offers++][sizeof(sh->offers[0]) - 1] = '\0';
}

/* Offers the word of the path that follows the words already there. */
static void offer_path(struct shell *sh, const char *path, int words, char **argv)
{
	char word[64];
	size_t n;

	for (int i = 0; i < words; i++) {
		n = strcspn(path, " ");
		if (strlen(argv[i]) != n || strncmp(argv[i], path, n) || !path[n])
			return;
		path += n + 1;
	}
	n = MIN(strcspn(path, " "), sizeof(word) - 1);
	memcpy(word, path, n);
	word[n] = '\0';
	shell_offer(sh, word);
}

/* Option names stand in the usage line: offers each word there that starts with "--". */
static void offer_options(struct shell *sh, const char *usage)
{
	while ((usage = strstr(usage, "--"))) {
		char word[64];
		size_t n = MIN(strcspn(usage, " ]|"), sizeof(word) - 1);

		memcpy(word, usage, n);
		word[n] = '\0';
		shell_offer(sh, word);
		usage += n;
	}
	shell_offer(sh, "--json");
}

void shell_complete_line(struct shell *sh, const char *text, char line[SHELL_LINE_MAX])
{
	char *argv[SHELL_ARGS_MAX];
	static char empty[1];
	size_t len = strlen(text);
	const struct shell_cmd *c;
	int argc, words;

	memcpy(line, text, len + 1);
	if (shell_tokenize(line, &argc, argv, SHELL_ARGS_MAX - 1))
		return;
	if (!argc || text[len - 1] == ' ')
		argv[argc++] = empty;
	sh->offer_prefix = argv[argc - 1];
	for (unsigned i = 0; (c = shell_cmd_at(i)); i++)
		offer_path(sh, c->path, argc - 1, argv);
	c = find(argc - 1, argv, &words);
	if (!c)
		return;
	if (argv[argc - 1][0] == '-')
		offer_options(sh, c->usage);
	else if (c->complete)
		c->complete(sh, argc - words + 1, argv + words - 1);
}
