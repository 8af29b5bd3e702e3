/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's worlds. "console" reads every byte and sorts: a line that
 * starts with '@' is a program's (shell_sort.c) and runs in a world of its
 * own; everything else goes to "shell", the interactive line. Ctrl-C while the
 * interactive command runs interrupts it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>
#include <tern/world.h>

#include "shell_int.h"

#define KEYS_MAX 4096u
#define KEY_CTRL_C 0x03
#define KEY_RS 0x1e
#define SHELL_STACK (64u << 10)
#define LINE_TOO_LONG "the line is longer than 1023 characters: nothing was done"

_Static_assert(SHELL_LINE_MAX == 1024, "LINE_TOO_LONG has the number");

/* Keys on their way from "console" to "shell". */
static struct {
	struct spinlock lock; /* guards the ring and framed_list */
	struct waitq waiters;
	char ring[KEYS_MAX];
	unsigned head, tail;
	struct shell *framed_list;
	unsigned nr_framed;
} keys;

static struct shell interactive;
static struct lineedit edit;
static bool ask_cols = true; /* as soon as a person types */
static char offers[SHELL_ARGS_MAX][64];

static void keys_push(char c)
{
	unsigned long f = spin_lock(&keys.lock);

	if (keys.head - keys.tail < KEYS_MAX)
		keys.ring[keys.head++ % KEYS_MAX] = c;
	spin_unlock(&keys.lock, f);
	waitq_wake_one(&keys.waiters);
}

size_t shell_read(struct shell *sh, char *buf, size_t len, uint64_t deadline_ns)
{
	unsigned long f = spin_lock(&keys.lock);
	size_t n = 0;

	(void)sh;
	while (keys.head == keys.tail)
		if (waitq_sleep(&keys.waiters, &keys.lock, &f, deadline_ns))
			break;
	while (n < len && keys.head != keys.tail)
		buf[n++] = keys.ring[keys.tail++ % KEYS_MAX];
	spin_unlock(&keys.lock, f);
	return n;
}

static bool keys_wait(void)
{
	unsigned long f = spin_lock(&keys.lock);
	bool any = keys.head != keys.tail;

	spin_unlock(&keys.lock, f);
	return any;
}

bool shell_json(const struct shell *sh)
{
	return sh->json;
}

bool shell_interrupted(struct shell *sh)
{
	return __atomic_load_n(&sh->interrupted, __ATOMIC_RELAXED);
}

/* Framed commands */

static void framed_world(void *arg)
{
	struct shell *sh = arg, **p;
	char end[SHELL_TAG_MAX + 16];
	int status = shell_execute(sh, sh->line);
	unsigned long f;

	shell_out_end(sh);
	snprintf(end, sizeof(end), "@%s=%d\r\n", sh->tag, status);
	console_write(end, strlen(end));
	f = spin_lock(&keys.lock);
	for (p = &keys.framed_list; *p != sh; p = &(*p)->next)
		;
	*p = sh->next;
	keys.nr_framed--;
	spin_unlock(&keys.lock, f);
	shell_out_free(sh);
	free(sh);
}

static void framed_refuse(const char *tag, const char *code, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "@%s|error: %s %s\r\n@%s=1\r\n", tag, code, why, tag);
	console_write(text, strlen(text));
}

static void framed_start(const char *tag, const char *command)
{
	struct world_opts o = {
		.name = "command", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = SHELL_STACK
	};
	struct shell *sh = keys.nr_framed < SHELL_FRAMED_MAX ? calloc(1, sizeof(*sh)) : NULL;
	unsigned long f;

	if (!sh) {
		framed_refuse(tag, "busy", "too many commands at once");
		return;
	}
	sh->framed = true;
	strcpy(sh->tag, tag);
	strcpy(sh->line, command);
	f = spin_lock(&keys.lock);
	sh->next = keys.framed_list;
	keys.framed_list = sh;
	keys.nr_framed++;
	spin_unlock(&keys.lock, f);
	if (!world_create(NULL, &o, framed_world, sh))
		return;
	f = spin_lock(&keys.lock);
	keys.framed_list = sh->next; /* "console" alone adds: it is still the first */
	keys.nr_framed--;
	spin_unlock(&keys.lock, f);
	free(sh);
	framed_refuse(tag, "busy", "no memory for another command");
}

static void framed_interrupt(const char *tag)
{
	unsigned long f = spin_lock(&keys.lock);

	for (struct shell *sh = keys.framed_list; sh; sh = sh->next)
		if (!strcmp(sh->tag, tag))
			__atomic_store_n(&sh->interrupted, 1, __ATOMIC_RELAXED);
	spin_unlock(&keys.lock, f);
}

/* "@12 command" or "@12!"; what did not fit is not there, and half a command is not run. */
static void framed_line(const char *line, bool cut)
{
	char tag[SHELL_TAG_MAX];
	size_t n = strspn(line + 1, "0123456789");

	if (!n || n >= sizeof(tag))
		return;
	memcpy(tag, line + 1, n);
	tag[n] = '\0';
	if (cut)
		framed_refuse(tag, "usage", LINE_TOO_LONG);
	else if (line[1 + n] == '!')
		framed_interrupt(tag);
	else
		framed_start(tag, line + 1 + n + strspn(line + 1 + n, " "));
}

/* The console's reader */

static void key(char c)
{
	if (c == KEY_CTRL_C && interactive.running && !interactive.raw)
		__atomic_store_n(&interactive.interrupted, 1, __ATOMIC_RELAXED);
	else
		keys_push(c);
}

static void console_world(void *arg)
{
	static struct shell_sort sort = { .line_start = true };
	char buf[128];
	size_t n;

	(void)arg;
	for (;;) {
		n = console_read(buf, sizeof(buf),
				 sort.marked ? time_ns() + SHELL_RS_NS : NEVER_NS);
		if (!n && shell_sort_quiet(&sort))
			key(KEY_RS);
		for (size_t i = 0; i < n; i++) {
			switch (shell_sort(&sort, buf[i], interactive.raw)) {
			case SHELL_BYTE_KEY_BEFORE:
				key(KEY_RS);
				key(buf[i]);
				break;
			case SHELL_BYTE_KEY:
				key(buf[i]);
				break;
			case SHELL_BYTE_LINE:
				framed_line(sort.line, sort.cut);
				break;
			case SHELL_BYTE_TAKEN:
				break;
			}
		}
	}
}

/* The interactive line */

void shell_set_cols(unsigned cols)
{
	edit.cols = cols;
	ask_cols = !cols;
}

unsigned shell_cols(void)
{
	return edit.cols ? edit.cols : LINEEDIT_COLS;
}

/* The answer is a key of this line; what is pasted would be done before it comes. */
static void draw(void)
{
	if (ask_cols && edit.len)
		lineedit_ask(&interactive);
	ask_cols = ask_cols && !edit.len;
	lineedit_draw(&edit, &interactive);
}

static void complete(void)
{
	struct shell *sh = &interactive;
	char text[SHELL_LINE_MAX], line[SHELL_LINE_MAX];
	size_t prefix, common; /* what of an offer is typed already; what all have */

	memcpy(text, edit.buf, edit.pos);
	text[edit.pos] = '\0';
	sh->offers = offers;
	sh->nr_offers = 0;
	sh->offer_prefix = "";
	shell_complete_line(sh, text, line);
	if (!sh->nr_offers)
		return;
	prefix = strlen(sh->offer_prefix);
	common = strlen(offers[0]);
	for (unsigned i = 1; i < sh->nr_offers; i++) {
		size_t n = 0;

		while (n < common && offers[i][n] == offers[0][n])
			n++;
		common = n;
	}
	if (sh->nr_offers == 1) {
		strcpy(text, offers[0]);
		strcat(text, " ");
	} else {
		if (common == prefix) {
			shell_write(sh, "\n", 1);
			for (unsigned i = 0; i < sh->nr_offers; i++)
				shell_printf(sh, "%s  ", offers[i]);
			shell_write(sh, "\n", 1);
		}
		memcpy(text, offers[0], common);
		text[common] = '\0';
	}
	lineedit_insert(&edit, text + prefix, sh);
}

static void run_line(void)
{
	struct shell *sh = &interactive;
	char line[SHELL_LINE_MAX];

	lineedit_remember(&edit);
	memcpy(line, edit.buf, edit.len + 1);
	__atomic_store_n(&sh->interrupted, 0, __ATOMIC_RELAXED);
	sh->running = true;
	shell_execute(sh, line);
	shell_out_end(sh);
	sh->running = false;
}

static void shell_world(void *arg)
{
	char key;

	(void)arg;
	for (;;) {
		lineedit_reset(&edit);
		lineedit_draw(&edit, &interactive);
		for (;;) {
			enum lineedit_result r;

			if (!shell_read(&interactive, &key, 1, NEVER_NS))
				continue;
			r = lineedit_key(&edit, key, &interactive);
			if (r == LINE_MORE && !keys_wait())
				draw();
			if (r == LINE_TAB)
				complete();
			if (r == LINE_DONE)
				run_line();
			if (r == LINE_DONE || r == LINE_ABORT)
				break;
		}
	}
}

void shell_start(const char *hostname)
{
	struct world_opts o = { .name = "console", .prio = WORLD_HIGH, .cpu = -1 };

	spin_init(&keys.lock, LOCK_DRIVER, "shell keys");
	waitq_init(&keys.waiters, "shell keys");
	snprintf(edit.prompt, sizeof(edit.prompt), "tern:%s> ", hostname);
	cmd_host_register();
	cmd_cpu_register();
	cmd_cluster_register();
	cmd_vm_create_register();
	cmd_vm_life_register();
	cmd_vm_register();
	cmd_vm_home_register();
	cmd_vm_disk_register();
	cmd_vm_balloon_register();
	cmd_vm_disk_limit_register();
	cmd_vm_log_register();
	cmd_vm_serial_register();
	cmd_console_register();
	cmd_vm_sched_register();
	cmd_vm_stats_register();
	cmd_vm_top_register();
	cmd_mig_register();
	cmd_svmotion_register();
	cmd_stats_register();
	cmd_net_register();
	cmd_disk_register();
	cmd_ds_register();
	cmd_ds_file_register();
	cmd_ds_net_register();
	cmd_switch_register();
	cmd_debug_register();
	cmd_power_register();
	if (world_create(NULL, &o, console_world, NULL))
		panic("no memory for the console");
	o = (struct world_opts){
		.name = "shell", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = SHELL_STACK
	};
	if (world_create(NULL, &o, shell_world, NULL))
		panic("no memory for the shell");
}
