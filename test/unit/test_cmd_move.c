/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * migrate, svmotion and tasks, as lines of the console: what becomes of their words, what is said
 * of a job, and each mistake in its words.
 */
// SOURCES: kernel/shell/command.c kernel/shell/cmd_mig.c kernel/shell/cmd_svmotion.c
// SOURCES: kernel/shell/cmd_job.c kernel/shell/parse.c kernel/shell/json.c
// SOURCES: kernel/shell/shell_out.c kernel/lib/text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/mig.h>

#include "kernel/shell/cmd_mig.h"
#include "kernel/shell/shell_int.h"

static struct shell sh;
static struct mig_status job;
static struct mig_request asked; /* of the move that was started last */
static unsigned started;
static char out[4096];

/* ---- the rooms around ---- */

void console_write(const char *text, size_t len)
{
	strncat(out, text, MIN(len, sizeof(out) - strlen(out) - 1));
}

bool shell_json(const struct shell *s)
{
	return s->json;
}

bool shell_interrupted(struct shell *s)
{
	return false;
}

uint64_t time_ns(void)
{
	return 0;
}

static int start(const struct mig_request *r, uint32_t *id)
{
	asked = *r;
	started++;
	*id = 1;
	return 0;
}

int mig_start(const struct mig_request *r, uint32_t *id, char *code, size_t code_len, char *why,
	      size_t why_len)
{
	return start(r, id);
}

int mig_storage_start(const struct mig_request *r, uint32_t *id, char *code, size_t code_len,
		      char *why, size_t why_len)
{
	return start(r, id);
}

bool mig_status(uint32_t id, struct mig_status *s)
{
	*s = job;
	return id == job.id;
}

bool mig_next(uint32_t *cursor, struct mig_status *s)
{
	*s = job;
	return !(*cursor)++;
}

int mig_wait(uint32_t id, uint64_t deadline_ns)
{
	job.phase = MIG_DONE;
	return 0;
}

unsigned mig_steps(uint32_t id, struct mig_step_told told[MIG_STEPS_MAX])
{
	return 0;
}

int mig_cancel(uint32_t id, char *why, size_t len)
{
	return 0;
}

int mig_continue(uint32_t id, char *why, size_t len)
{
	return 0;
}

int mig_resolve(const char *vm, bool here, char *why, size_t len)
{
	return 0;
}

const char *mig_phase_name(enum mig_phase p)
{
	return p == MIG_FAILED ? "failed" : p == MIG_COPY ? "copy" : p == MIG_DONE ? "done" : "?";
}

int cmd_resolve_host(const char *text, struct net_addr *a)
{
	*a = (struct net_addr){ .family = 4 };
	return text[0] == '1' ? 0 : -EINVAL;
}

void net_addr_loopback(struct net_addr *a)
{
}

void net_addr_format(const struct net_addr *a, char *buf, size_t len)
{
	snprintf(buf, len, "%s", a->family ? "10.77.0.2" : "none");
}

bool cmd_is_own_host(const char *text, const struct net_addr *a)
{
	return false;
}

void cmd_offer_vms(struct shell *s, int argc, char **argv)
{
}

void cmd_offer_svmotion(struct shell *s, int argc, char **argv)
{
}

void cmd_offer_migrate(struct shell *s, int argc, char **argv)
{
}

void cmd_offer_resolve(struct shell *s, int argc, char **argv)
{
}

/* ---- the tests ---- */

static const char *run(const char *line)
{
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", line);
	out[0] = '\0';
	started = 0;
	memset(&asked, 0, sizeof(asked));
	(void)shell_execute(&sh, copy);
	return out;
}

/* Nothing is started, and it begins with these words. */
static void refused(const char *line, const char *says)
{
	(void)run(line);
	assert_int_equal(started, 0);
	assert_memory_equal(out, says, strlen(says));
}

static void what_is_asked_for(void **state)
{
	assert_string_equal(run("svmotion g nv --disk 1=sata --flat --bw 8"), "job 1\r\n");
	assert_int_equal(started, 1);
	assert_true(asked.storage);
	assert_string_equal(asked.disks.all, "nv");
	assert_string_equal(asked.disks.to[1], "sata");
	assert_int_equal(asked.disks.kind, MIG_DISK_FLAT);
	assert_int_equal(asked.bw_mbit, 8);
	(void)run("migrate g 10.77.0.2 --disk 0=one --disk 2=two --thin --verify");
	assert_false(asked.storage);
	assert_string_equal(asked.disks.to[0], "one");
	assert_string_equal(asked.disks.to[2], "two");
	assert_true(asked.disks.verify);
}

static void mistakes(void **state)
{
	refused("svmotion g", "error: usage svmotion VM DATASTORE, or");
	refused("svmotion g --disk 0=nv --disk 0=sata",
		"error: invalid --disk 0=sata: disk 0 is to go to nv already");
	refused("svmotion g --disk 0=", "error: invalid --disk 0=: N=DATASTORE is meant");
	refused("svmotion g --disk nv", "error: invalid --disk nv: N=DATASTORE is meant");
	refused("svmotion g --disk 8=nv", "error: invalid --disk 8=nv: N=DATASTORE is meant");
	refused("svmotion g nv --hold precopy", "error: invalid --hold precopy");
	refused("svmotion g nv --disks nv", "error: usage --disks: there is no such option");
	refused("migrate g 10.77.0.2 --hold rounds", "error: invalid --hold rounds");
	refused("migrate g 10.77.0.2 --verify", "error: usage --verify, --thin and --flat");
	refused("migrate g 10.77.0.2 --flat", "error: usage --verify, --thin and --flat");
	refused("migrate g 10.77.0.2 --thin", "error: usage --verify, --thin and --flat");
	refused("migrate follow 9", "error: not-found no job 9: 'tasks'");
	refused("migrate status 9", "error: not-found no job 9: 'tasks'");
	refused("migrate steps 9", "error: not-found no job 9: 'tasks'");
}

/* Also one in which no disk moves: a home alone, or none since it was refused. */
static void storage_is_shown_as_such(void **state)
{
	job = (struct mig_status){
		.id = 1, .storage = true, .vm = "g", .phase = MIG_FAILED, .disk.to = "nv"
	};
	strcpy(job.error_code, "invalid");
	strcpy(job.error, "that is why");
	assert_memory_equal(run("tasks"), "1  g to /ds/nv  failed ", 23);
	assert_non_null(strstr(out, "  invalid: that is why\r\n"));
	assert_non_null(strstr(run("migrate status 1 --json"), "\"direction\":\"disks\""));
	assert_non_null(strstr(out, "\"to\":\"nv\""));
	assert_non_null(strstr(out, "\"peer\":\"\""));
	assert_non_null(strstr(run("migrate follow 1"), "error: invalid that is why"));
}

static void a_migration_has_a_peer(void **state)
{
	job = (struct mig_status){ .id = 1, .vm = "g", .phase = MIG_DONE, .peer.family = 4 };
	assert_memory_equal(run("tasks"), "1  g to 10.77.0.2  done  0%", 27);
	assert_non_null(strstr(run("migrate status 1 --json"), "\"peer\":\"10.77.0.2\""));
	assert_non_null(strstr(out, "\"direction\":\"out\""));
	assert_null(strstr(out, "\"disk\""));
	job.disk.disks = 1;
	assert_non_null(strstr(run("migrate status 1 --json"), "\"disk\":{\"disks\":1,"));
}

/* Of disks only where some move. */
static void progress_says_what_moves(void **state)
{
	job = (struct mig_status){
		.id = 1, .vm = "g", .phase = MIG_COPY, .percent = 7, .bytes_sent = 61 << 20
	};
	assert_non_null(strstr(run("migrate follow 1"),
			       "1 out g   7%  copy round 0  61 MiB sent  0 MB/s  dirty 0 pages/s"));
	job.phase = MIG_COPY;
	job.disk = (struct mig_disk_figures){ .disks = 1, .copied_bytes = 5 << 20 };
	assert_non_null(
		strstr(run("migrate follow 1"), "round 0  5 MiB of disks, 61 MiB sent  0 MB/s"));
	job.phase = MIG_COPY;
	job.incoming = true;
	job.disk.disks = 0;
	assert_non_null(strstr(run("migrate follow 1"), "1 in g "));
	assert_non_null(strstr(out, "5 MiB of disks, "));
}

static int quiet(struct shell *s, int argc, char **argv)
{
	return argc - 1;
}

/* JSON is one line, also of a command that says nothing. */
static void nothing_to_say(void **state)
{
	static const struct shell_cmd cmds[] = { { "quiet", "[STATUS]", "", quiet, NULL } };

	shell_register(cmds, ARRAY_SIZE(cmds));
	assert_string_equal(run("quiet"), "");
	assert_string_equal(run("quiet --json"), "{}\r\n");
	assert_string_equal(run("quiet fails --json"), "");
	assert_string_equal(run("svmotion g nv --json"), "{\"id\":1}\r\n");
}

static int begin(void **state)
{
	cmd_mig_register();
	cmd_svmotion_register();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(storage_is_shown_as_such),
		cmocka_unit_test(a_migration_has_a_peer),
		cmocka_unit_test(progress_says_what_moves),
		cmocka_unit_test(nothing_to_say),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
