/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of datastores that come over the network: fetched by HTTP, or pushed by a
 * machine that connects here (docs/wire.md "Pushing a file").
 */
#ifndef TERN_XFER_H
#define TERN_XFER_H

#include <tern/net.h>
#include <tern/store.h>

/* What went wrong, for people: a code of docs/console.md and a sentence. */
struct xfer_fault {
	char code[24], text[160];
};

struct xfer_import {
	const char *url;
	/* Host names are the caller's affair. -EINVAL. */
	int (*resolve)(const char *host, struct net_addr *out);
	struct datastore *ds;
	const char *name; /* of the new file */
	enum ds_kind kind;
	/* Called as bytes come, and at least five times a second: false ends it, -EINTR. */
	bool (*go_on)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
	/* What came of it. */
	uint64_t bytes;
	struct xfer_fault fault;
};
/*
 * In a world: makes the file of what the URL gives, a raw image. Zeros become holes. After a
 * failure there is no such file, and fault says why.
 */
MUST_CHECK int xfer_import(struct xfer_import *i);

#define XFER_PUSH_PORT 8904
/*
 * Lets others push new files to this host's datastores, until told otherwise. Nobody is asked who
 * they are. -EADDRINUSE and others of the network, -ENOMEM. Off: pushes under way fail.
 */
MUST_CHECK int xfer_listen(bool on);
struct xfer_listening {
	bool on;
	unsigned pushing;	/* under way */
	uint64_t files, failed; /* since the host's start */
};
void xfer_listening(struct xfer_listening *out);

#endif
