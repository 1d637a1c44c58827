// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The few kernel types that are read, with only the fields that are; the loader finds their places (CO-RE).
#pragma once

#include <linux/types.h>

// When a packet was received, CLOCK_REALTIME in nanoseconds, if any socket asked for receive stamps (struct sk_buff,
// include/linux/skbuff.h; the field is in an anonymous union since 4.20).
struct sk_buff {
	__s64 tstamp;
} __attribute__((preserve_access_index));

// A thread's flags (arch/*/include/asm/thread_info.h). It is the first member of task_struct where
// CONFIG_THREAD_INFO_IN_TASK is set, as on every architecture here.
struct thread_info {
	unsigned long flags;
#if defined(__TARGET_ARCH_x86)
	__u32 status;
#endif
} __attribute__((preserve_access_index));

struct task_struct {
	struct thread_info thread_info;
} __attribute__((preserve_access_index));

// Registers at the entry to the kernel (arch/*/include/asm/ptrace.h).
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	__s32 syscallno;
#endif
} __attribute__((preserve_access_index));
