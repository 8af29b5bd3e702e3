/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's commands. A command is a word path ("vm create"), a usage line
 * and a function that writes plain text or, when asked for --json, one JSON
 * value. Errors go through shell_error: "error: CODE text", status 1.
 */
#ifndef TERN_SHELL_H
#define TERN_SHELL_H

#include <tern/types.h>

struct shell;

struct shell_cmd {
	const char *path; /* "vm create" */
	/* "NAME --mem SIZE [--vcpus N] ...". With TEXT... in it, options stand before the first
	 * other word, or end at "--"; argv has them, shell_text the rest as it is. */
	const char *usage;
	const char *help; /* one line */
	int (*run)(struct shell *sh, int argc,
		   char **argv); /* argv[0] = last word of path; --json is taken out */
	/* Completion: calls shell_offer with candidates for the last word. May be NULL. */
	void (*complete)(struct shell *sh, int argc, char **argv);
};

void shell_register(const struct shell_cmd *cmds, unsigned count);
void shell_start(const char *hostname); /* console world */

bool shell_json(const struct shell *sh); /* --json was given */
void shell_printf(struct shell *sh, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the error and returns 1, for "return shell_error(...)". */
int shell_error(struct shell *sh, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void shell_offer(struct shell *sh, const char *candidate);
/* A progress line that replaces the last one (in plain interactive mode), else a new line when it
 * changed. */
void shell_progress(struct shell *sh, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The user pressed Ctrl-C (or the client went away) since the command began. */
bool shell_interrupted(struct shell *sh);
/* Raw console input for "vm console"; sleeps; 0 on time-out. */
size_t shell_read(struct shell *sh, char *buf, size_t len, uint64_t deadline_ns);
void shell_write(struct shell *sh, const char *bytes, size_t len);

/* JSON: begin/end nest; key is NULL inside arrays. Output is one line, ended by the shell. */
void json_object(struct shell *sh, const char *key);
void json_array(struct shell *sh, const char *key);
void json_end(struct shell *sh);
void json_u64(struct shell *sh, const char *key, uint64_t v);
void json_i64(struct shell *sh, const char *key, int64_t v);
void json_bool(struct shell *sh, const char *key, bool v);
void json_str(struct shell *sh, const char *key, const char *v);
void json_strn(struct shell *sh, const char *key, const char *v, size_t len);

/* Option parsing: value of "--name VALUE" (taken out of argv), NULL when absent. */
const char *shell_opt(int *argc, char **argv, const char *name);
bool shell_flag(int *argc, char **argv, const char *name);
/* The words of a command with text that follow its options. */
char **shell_text(struct shell *sh, int *count);

#endif
