/* SPDX-License-Identifier: BSD-2-Clause */
/* The room's errors for people (tern/net.h). */
#include <errno.h>

#include <tern/net.h>

static const struct net_fault faults[] = {
	{ -EHOSTUNREACH, "unreachable", "no such host on this network, or no route to it", false },
	{ -ETIMEDOUT, "timeout", "no answer", false },
	{ -ECONNREFUSED, "refused", "nobody listens there", false },
	{ -ECONNRESET, "reset", "the other side closed the connection", false },
	{ -EADDRINUSE, "busy", "the port is in use here", true },
	{ -EADDRNOTAVAIL, "invalid",
	  "no host's own address: loopback, multicast, the network's or its broadcast", true },
	{ -EMSGSIZE, "invalid", "larger than the interface's MTU", true },
	{ -EBUSY, "busy", "too many are under way here", true },
	{ -ENOMEM, "no-memory", "the host has no memory for it", true },
	{ -ENOBUFS, "no-memory",
	  "the host's network has no room for it: which of its pools is full, 'stats' shows",
	  true },
	{ -ENETDOWN, "no-network", "this host's network is not up", true },
	{ 0, "failed", "failed", false },
};

const struct net_fault *net_fault(int err)
{
	const struct net_fault *f = faults;

	while (f->err && f->err != err)
		f++;
	return f;
}
