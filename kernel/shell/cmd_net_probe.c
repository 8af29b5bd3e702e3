/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net ping, bench: what the way to another host is good for. Hosts are addresses, or names of
 * tern.conf.
 */
#include <errno.h>
#include <string.h>

#include <tern/net.h>
#include <tern/world.h>

#include "cmd_net.h"
#include "shell_int.h"

#define PING_TIMEOUT_NS NSEC_PER_SEC
#define PING_INTERVAL_NS (200 * NSEC_PER_MSEC)
#define PING_PAYLOAD 56u
#define PING_COUNT_MAX 1000u
#define BENCH_SECONDS 5u
#define BENCH_SECONDS_MAX 60u
#define BENCH_STREAMS_MAX 8u

int cmd_net_error(struct shell *sh, const char *host, int err)
{
	return shell_error(sh, net_fault(err)->code, "%s: %s", host, net_fault(err)->text);
}

/* A number option within bounds; false when an error was printed. */
static bool number_opt(struct shell *sh, int *argc, char **argv, const char *name, uint64_t max,
		       unsigned *v)
{
	const char *text = shell_opt(argc, argv, name);
	uint64_t n;

	if (!text)
		return true;
	if (parse_u64(text, &n) || n == 0 || n > max) {
		shell_error(sh, "invalid", "%s %s is not a number from 1 to %u", name, text,
			    (unsigned)max);
		return false;
	}
	*v = (unsigned)n;
	return true;
}

/* The one host of a command line; false when an error was printed. */
static bool host_arg(struct shell *sh, int argc, char **argv, struct net_addr *to)
{
	if (argc != 2) {
		shell_error(sh, "usage", "expected: HOST; got %d argument(s)", argc - 1);
		return false;
	}
	if (cmd_resolve_host(argv[1], to)) {
		shell_error(sh, "invalid", "'%s' is neither an address nor a host.%s of tern.conf",
			    argv[1], argv[1]);
		return false;
	}
	return true;
}

struct ping_total {
	unsigned sent, answered;
	uint64_t min_ns, max_ns, sum_ns;
	int last_error;
};

static void ping_once(struct shell *sh, const struct net_addr *to, const char *name, unsigned size,
		      struct ping_total *t)
{
	uint64_t rtt = 0;
	int err = net_ping(to, size, PING_TIMEOUT_NS, &rtt);

	t->sent++;
	if (err) {
		t->last_error = err;
		if (!shell_json(sh))
			shell_printf(sh, "%s: %s\n", name, net_fault(err)->text);
		return;
	}
	t->answered++;
	t->sum_ns += rtt;
	t->min_ns = t->answered == 1 ? rtt : MIN(t->min_ns, rtt);
	t->max_ns = MAX(t->max_ns, rtt);
	if (!shell_json(sh))
		shell_printf(sh, "%u bytes from %s: seq=%u time=%llu us\n", size + 8, name, t->sent,
			     (unsigned long long)(rtt / NSEC_PER_USEC));
}

static void ping_result(struct shell *sh, const struct ping_total *t)
{
	uint64_t avg = t->answered ? t->sum_ns / t->answered : 0;

	if (!shell_json(sh)) {
		shell_printf(sh, "%u sent, %u answered, min/avg/max %llu/%llu/%llu us\n", t->sent,
			     t->answered, (unsigned long long)(t->min_ns / NSEC_PER_USEC),
			     (unsigned long long)(avg / NSEC_PER_USEC),
			     (unsigned long long)(t->max_ns / NSEC_PER_USEC));
		return;
	}
	json_object(sh, NULL);
	json_u64(sh, "sent", t->sent);
	json_u64(sh, "answered", t->answered);
	json_u64(sh, "min_ns", t->min_ns);
	json_u64(sh, "avg_ns", avg);
	json_u64(sh, "max_ns", t->max_ns);
	json_end(sh);
}

int cmd_net_ping(struct shell *sh, int argc, char **argv)
{
	unsigned count = 3, size = PING_PAYLOAD;
	struct ping_total t = { 0 };
	struct net_addr to;

	if (!number_opt(sh, &argc, argv, "--count", PING_COUNT_MAX, &count) ||
	    !number_opt(sh, &argc, argv, "--size", UINT16_MAX, &size) ||
	    !host_arg(sh, argc, argv, &to))
		return 1;
	while (t.sent < count && !shell_interrupted(sh)) {
		if (t.sent)
			world_sleep_ns(PING_INTERVAL_NS);
		ping_once(sh, &to, argv[1], size, &t);
		if (t.last_error == -EMSGSIZE)
			break;
	}
	if (!t.answered)
		return cmd_net_error(sh, argv[1], t.last_error);
	ping_result(sh, &t);
	return 0;
}

/* Hundredths of 10^6 bytes a second. */
static uint64_t centi_mb_per_s(const struct net_bench_result *r)
{
	uint64_t us = r->ns / NSEC_PER_USEC;

	return us ? r->bytes * 100 / us : 0;
}

int cmd_net_bench(struct shell *sh, int argc, char **argv)
{
	unsigned seconds = BENCH_SECONDS, streams = 1;
	struct net_bench_result r;
	struct net_addr to;
	uint64_t rate;
	int err;

	if (!number_opt(sh, &argc, argv, "--seconds", BENCH_SECONDS_MAX, &seconds) ||
	    !number_opt(sh, &argc, argv, "--streams", BENCH_STREAMS_MAX, &streams) ||
	    !host_arg(sh, argc, argv, &to))
		return 1;
	err = net_bench(&to, streams, seconds * NSEC_PER_SEC, &r);
	if (err)
		return cmd_net_error(sh, argv[1], err);
	rate = centi_mb_per_s(&r);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_u64(sh, "bytes", r.bytes);
		json_u64(sh, "ns", r.ns);
		json_u64(sh, "streams", r.streams);
		json_u64(sh, "mb_per_s", rate / 100);
		json_end(sh);
		return 0;
	}
	shell_printf(sh, "%llu bytes in %llu ms over %u stream(s): %llu.%02llu MB/s\n",
		     (unsigned long long)r.bytes, (unsigned long long)(r.ns / NSEC_PER_MSEC),
		     r.streams, (unsigned long long)(rate / 100), (unsigned long long)(rate % 100));
	return 0;
}
