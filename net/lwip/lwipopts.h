/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's options. One world owns the stack and calls it through the raw
 * interface, so there are no threads, no locks and no mailboxes. Every pool is
 * static; together they stay near 8 MiB, because the whole hypervisor must fit
 * in 64 MiB of a 1 GiB host.
 */
#ifndef TERN_LWIPOPTS_H
#define TERN_LWIPOPTS_H

/* One owner world, raw interface. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_RAW 1
#define LWIP_TIMERS 1

/* Protocols. */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DHCP 0
#define LWIP_AUTOIP 0
#define LWIP_IGMP 0
#define LWIP_DNS 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_AUTOCONFIG 0
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_FRAG 1

/* TCP: windows for a LAN of 10 Gbit/s, below what makes the unacked list's walk dear. */
#define TCP_MSS 8960
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 5
#define TCP_WND (1024 * 1024)
#define TCP_SND_BUF (1024 * 1024)
#define TCP_SND_QUEUELEN 2048
#define TCP_SNDLOWAT 16384
#define TCP_SNDQUEUELOWAT 1024
#define TCP_QUEUE_OOSEQ 1
/* Received frames are custom pbufs in the NIC's buffers, which the check does not count. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 1
#define TCP_TMR_INTERVAL 50
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 1

/* Memory: pools of lwIP's own. MEM_SIZE holds headers and copied payloads. */
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 16
#define MEM_SIZE (2 * 1024 * 1024)
#define MEMP_NUM_PBUF 4096
#define MEMP_NUM_RAW_PCB 8
#define MEMP_NUM_UDP_PCB 8
#define MEMP_NUM_TCP_PCB 64
#define MEMP_NUM_TCP_PCB_LISTEN 16
#define MEMP_NUM_TCP_SEG 4096
#define MEMP_NUM_REASSDATA 8
#define IP_REASS_MAX_PBUFS 64
#define MEMP_NUM_FRAG_PBUF 64
#define PBUF_POOL_SIZE 512
#define PBUF_POOL_BUFSIZE 2048
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0

/* Interfaces; what a NIC checks or fills in, lwIP does not. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_NETIF_STATUS_CALLBACK 0
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_LOOPBACK 0
#define ETH_PAD_SIZE 0
#define ARP_QUEUEING 1
#define ETHARP_SUPPORT_STATIC_ENTRIES 1

#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define LWIP_STATS_DISPLAY 0
#define LWIP_NOASSERT 0

#endif
