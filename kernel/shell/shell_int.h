/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell's inside: one struct shell is one command's (or the interactive
 * line's) connection to the console.
 *
 * The console carries two kinds of traffic. A person types lines at the prompt,
 * with editing and history. A program sends "@TAG command" lines, TAG being
 * digits, behind an RS when a person may be typing; each runs in a world of its own and
 * every line that it prints comes back as "@TAG|text", then "@TAG=STATUS". "@TAG!" interrupts
 * it. Log lines carry no such prefix, so a program can tell them apart.
 */
#ifndef TERN_SHELL_INT_H
#define TERN_SHELL_INT_H

#include <tern/shell.h>
#include <tern/world.h>

#include "kernel/lib/text.h"

#define SHELL_LINE_MAX 1024u
#define SHELL_ARGS_MAX 160
#define SHELL_TAG_MAX 12
#define SHELL_HISTORY 64
#define SHELL_JSON_DEPTH 16
#define SHELL_FRAMED_MAX 16 /* commands that run at once */

struct shell {
	bool framed;
	char tag[SHELL_TAG_MAX];
	bool json;
	bool wrote; /* the command has said something */
	bool failed;
	uint32_t interrupted; /* [atom] */
	bool running;	      /* a command runs: Ctrl-C interrupts it */
	bool raw;	      /* all keys go to the command ("vm console") */
	/* Output gathers here until a line is whole, so that lines never mix. */
	char *out;
	size_t out_len, out_cap;
	bool progress_open;
	char **text; /* of the running command, when it takes some */
	int nr_text;
	/* JSON nesting: does the level have a member yet? */
	unsigned json_depth;
	bool json_more[SHELL_JSON_DEPTH];
	bool json_array[SHELL_JSON_DEPTH]; /* closed by ], not } */
	/* Completion candidates of one Tab. */
	char (*offers)[64];
	unsigned nr_offers;
	const char *offer_prefix;
	char line[SHELL_LINE_MAX]; /* a framed command's line */
	struct shell *next;	   /* registry of framed commands */
};

/* shell.c: the interactive line's terminal; 0 = it is asked, at the next line. */
void shell_set_cols(unsigned cols);
unsigned shell_cols(void); /* as known now */

/* shell_sort.c: line_start is true at the begin. */
struct shell_sort {
	bool line_start, framed;
	bool marked; /* an RS came last, and waits for what follows */
	bool cut;    /* the line was too long, a part is there */
	size_t len;
	char line[SHELL_LINE_MAX]; /* a program's, from its '@' on */
};
enum shell_byte {
	SHELL_BYTE_KEY,	       /* a key */
	SHELL_BYTE_KEY_BEFORE, /* two: an RS before it */
	SHELL_BYTE_TAKEN,      /* a program's */
	SHELL_BYTE_LINE,       /* and its line is whole */
};
/* raw: all keys are a guest's. */
enum shell_byte shell_sort(struct shell_sort *s, char c, bool raw);
/* Nothing comes for SHELL_RS_NS while it is marked. True: the RS was a key. */
#define SHELL_RS_NS (200 * NSEC_PER_MSEC)
bool shell_sort_quiet(struct shell_sort *s);

/* shell_out.c */
void shell_out_flush(struct shell *sh); /* writes what is buffered, line or not */
void shell_out_end(struct shell *sh);	/* ends an open line or progress line */
void shell_out_free(struct shell *sh);

/* command.c */
int shell_execute(struct shell *sh, char *line); /* tokenizes, finds, runs: the status */
/* Offers what may follow text; offer_prefix, the word that is begun, is kept in `line`. */
void shell_complete_line(struct shell *sh, const char *text, char line[SHELL_LINE_MAX]);
const struct shell_cmd *shell_cmd_at(unsigned index);

/* lineedit.c */
#define LINEEDIT_COLS 80u /* of a terminal that does not say */
#define LINEEDIT_COLS_MIN 20u
#define LINEEDIT_COLS_MAX 1000u
struct lineedit {
	char prompt[64];
	char buf[SHELL_LINE_MAX];
	size_t len, pos;
	size_t left;   /* first character that is seen */
	unsigned cols; /* of the terminal, 0 = LINEEDIT_COLS */
	char history[SHELL_HISTORY][SHELL_LINE_MAX];
	unsigned nr_history, browse;
	char saved[SHELL_LINE_MAX]; /* the new line while history is browsed */
	unsigned escape;	    /* progress in an escape sequence */
	unsigned escape_arg;
};
enum lineedit_result { LINE_MORE, LINE_DONE, LINE_TAB, LINE_ABORT };
/* LINE_MORE: what it shows may have changed, lineedit_draw() is due. */
enum lineedit_result lineedit_key(struct lineedit *e, char key, struct shell *sh);
void lineedit_draw(struct lineedit *e, struct shell *sh);
void lineedit_ask(struct shell *sh); /* the terminal for its width; the next draw is due */
void lineedit_reset(struct lineedit *e);
void lineedit_remember(struct lineedit *e);
void lineedit_insert(struct lineedit *e, const char *text, struct shell *sh);

/* parse.c: splits a line into words in place; quotes and backslash protect. -EINVAL on an open
 * quote, -E2BIG. */
MUST_CHECK int shell_tokenize(char *line, int *argc, char **argv, int max);

/* parse.c: index of the first word from argv[1] on that is no option of this usage line, nor the
 * value of one; "--" is one that ends them. */
int shell_options_end(const char *usage, int argc, char **argv);

/* parse.c: are argv's options those of the usage line, each once (but "[--net N]..."), with a value
 * where it shows one? *which is the first that is wrong. */
enum shell_option_fault {
	OPTION_FINE,
	OPTION_UNKNOWN,
	OPTION_NO_VALUE,
	OPTION_UNWANTED_VALUE,
	OPTION_TWICE,
};
MUST_CHECK enum shell_option_fault shell_options_check(const char *usage, int argc, char **argv,
						       const char **which);

/* cmd_vm.c: the VM that argv[1] names, with a reference; NULL with the error said. */
struct vm;
struct vm *cmd_find_vm(struct shell *sh, int argc, char **argv);
void cmd_offer_vms(struct shell *sh, int argc, char **argv);
/* The stable code word of an error of the VM room. */
const char *cmd_vm_code(int err);

/* cmd_vm_life.c: the value of --timeout; false with the error said. */
bool cmd_stop_seconds(struct shell *sh, const char *text, uint64_t *seconds);
bool cmd_vm_is_off(const struct vm *vm);

/* cmd_vm_home.c: where it is at home, in `vm info`. */
void cmd_vm_home_info(struct shell *sh, struct vm *vm);

/* cmd_console.c: the terminal as the shell needs it, whatever a guest has made of it. */
void cmd_console_mend(struct shell *sh);

/* cmd_vm_log.c: which of a VM's serial ports --port names, 0 without; false with the error said. */
bool cmd_serial_port(struct shell *sh, int *argc, char **argv, unsigned *port);

/* cmd_vm_sched.c: values of --shares and --pin, NULL where not given; false with the error said. */
struct vm_sched;
bool cmd_sched_opts(struct shell *sh, const char *shares, const char *pin, unsigned vcpus,
		    struct vm_sched *s);
#define CPUS_TEXT 12
void cmd_cpus_text(uint64_t cpus, char out[CPUS_TEXT]);
void json_sched(struct shell *sh, const struct vm *vm);

/* cmd_peer.c: an address, or a name that tern.conf maps by "host.NAME = ADDRESS". -EINVAL. */
struct net_addr;
MUST_CHECK int cmd_resolve_host(const char *text, struct net_addr *a);
/* Is this host what was typed, whose address, if known, is a? */
bool cmd_is_own_host(const char *text, const struct net_addr *a);

/* What resolves a migration in doubt, of this VM; cmd_job.c: as the member "resolve". */
#define CMD_RESOLVE "migrate resolve %s here|there"
void json_resolve(struct shell *sh, const char *vm);

/* The rooms' command tables. */
void cmd_host_register(void);
void cmd_cpu_register(void);
void cmd_cluster_register(void);
void cmd_vm_create_register(void);
void cmd_vm_register(void);
void cmd_vm_life_register(void);
void cmd_vm_home_register(void);
void cmd_vm_disk_register(void);
void cmd_vm_balloon_register(void);
void cmd_vm_disk_limit_register(void);
void cmd_vm_log_register(void);
void cmd_vm_serial_register(void);
void cmd_console_register(void);
void cmd_vm_sched_register(void);
void cmd_vm_stats_register(void);
void cmd_vm_top_register(void);
void cmd_mig_register(void);
void cmd_svmotion_register(void);
void cmd_stats_register(void);
void cmd_net_register(void);
void cmd_disk_register(void);
void cmd_ds_register(void);
void cmd_ds_file_register(void);
void cmd_ds_net_register(void);
void cmd_switch_register(void);
void cmd_debug_register(void);
void cmd_power_register(void);

#endif
