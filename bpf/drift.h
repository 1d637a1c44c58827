// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What differs between kernels and architectures, one accessor each with version and commit: the caller does not know
// which kernel it runs on.
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"

// Linux 5.14 renamed task_struct's `state` to `__state` and made it an unsigned int (2f064a59a11f).
struct task_struct___before_5_14 {
	long state;
} __attribute__((preserve_access_index));

static __always_inline __u32 task_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___before_5_14 *)task)->state;
}

// Since Linux 6.18 each task takes itself off the queue when its control group is throttled, and says so
// (e1fad12dcb66); before, the whole queue of its control group is taken off, whichever group above has the
// limit.
struct task_struct___since_6_18 {
	_Bool throttled;
} __attribute__((preserve_access_index));

static __always_inline int task_throttled(struct task_struct *task)
{
	struct task_struct___since_6_18 *new_task = (void *)task;

	if (bpf_core_field_exists(new_task->throttled))
		return new_task->throttled;
	if (bpf_core_field_exists(task->se.cfs_rq->throttle_count))
		return task->se.cfs_rq->throttle_count > 0;
	return 0;
}

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

// Before Linux 6.4 (d7ba4cc900bf) the functions behind the map helpers return an int, and the kernel calls them directly: an
// error has nothing in the upper half of the register, and is equal to no negative number of 64 bits.
static __always_inline int map_update(void *map, const void *key, const void *value, __u64 flags)
{
	return bpf_map_update_elem(map, key, value, flags);
}
