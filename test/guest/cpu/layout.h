/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that C and assembler share. */
#ifndef TEST_GUEST_CPU_LAYOUT_H
#define TEST_GUEST_CPU_LAYOUT_H

#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define SEL_USER_DATA 0x33
#define SEL_USER_CODE 0x3b
#define SEL_TSS 0x40
#define SEL_ABSENT 0x50
#define GDT_SIZE 0x58

#define AP_START 0x8000 /* other processors' first code, below 1 MiB */
#define AP_STACK 8192
#define AP_MAX 8
#define REAL_START 0x7000 /* real-mode code */

#endif
