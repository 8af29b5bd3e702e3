/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fills guest memory from PAGES and DELTA batches whose body has passed its check.
 */
#ifndef MIG_RAM_RECV_H
#define MIG_RAM_RECV_H

#include <tern/gmem.h>
#include <tern/pageset.h>

#include "peer.h"

/*
 * Reads the batch's payload from the stream straight into guest frames, zeroes
 * its zero runs, and takes all its pages out of owed (when not NULL). -EFAULT
 * when a frame is not RAM, -ENOMEM, stream errors.
 */
MUST_CHECK int ram_recv_batch(struct peer *p, struct gmem *g, const struct wire_pages *b,
			      struct pageset *owed);
/* Changes pages by a DELTA body that has passed delta_check. -EFAULT when one of them is not here.
 */
MUST_CHECK int ram_recv_delta(struct gmem *g, const struct wire_delta *d, size_t len,
			      struct pageset *owed);

#endif
