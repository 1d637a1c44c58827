// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What changed between kernels and architectures: one accessor per difference, with the version and the commit.
#ifndef PROBELAB_DRIFT_H
#define PROBELAB_DRIFT_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"

// bpf_get_current_task_btf gives a pointer that may be followed: Linux 5.11, commit 3ca1032ab7ab ("bpf: Implement
// get_current_task_btf and RET_PTR_TO_BTF_ID"). Before it only a copy can be made.
#define CURRENT_THREAD_INFO(field)                                                               \
	({                                                                                       \
		__u64 value;                                                                     \
		if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) { \
			struct task_struct *task = (void *)bpf_get_current_task_btf();           \
			value = task->thread_info.field;                                         \
		} else {                                                                         \
			struct task_struct *task = (void *)bpf_get_current_task();               \
			value = BPF_CORE_READ(task, thread_info.field);                          \
		}                                                                                \
		value;                                                                           \
	})

// Whether the current system call is numbered by another ABI than the machine's 64-bit one. x86: TS_COMPAT in
// thread_info.status, which is set on the way in before any tracepoint, and a bit of the number for x32; arm64: TIF_32BIT.
static __always_inline int is_foreign_call(__u32 number)
{
#if defined(__TARGET_ARCH_x86)
	return (number & 0x40000000) || (CURRENT_THREAD_INFO(status) & 0x2);
#elif defined(__TARGET_ARCH_arm64)
	return CURRENT_THREAD_INFO(flags) & (1 << 22);
#endif
}

// The number of the system call that ends; -1 if there is none any more (rt_sigreturn). By architecture.
static __always_inline __u32 system_call_number(struct pt_regs *registers)
{
#if defined(__TARGET_ARCH_x86)
	return registers->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return registers->syscallno;
#endif
}

#endif
