/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world that owns lwIP, for tests with the real lwIP and streams and nobody beside them: each
 * sleep is a millisecond in which what is due happens. The test brings lwip_port_rand, pages, and
 * what its frames do.
 */
#ifndef TEST_FAKE_LWIP_H
#define TEST_FAKE_LWIP_H

#include <tern/timer.h>

#include "lwip/netif.h"
#include "net/stream_int.h"

extern uint64_t fake_now_ms;
/* Called in each millisecond, before streams and lwIP's timers: frames may come. */
extern void (*fake_frames)(void);

/* lwIP, the streams, and the only interface, 10.0.0.1/24, which init fills in. */
void fake_lwip_start(struct netif *nif, netif_init_fn init);
void fake_lwip_tick(void); /* a millisecond */

#endif
