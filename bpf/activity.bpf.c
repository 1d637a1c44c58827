// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Counts by control group: programs executed, files opened, and system calls by class.
//
// Two tracepoints see every system call. Hooks on single calls would cost the other calls less, but pass over 32-bit
// calls without a word, and what they pass over cannot be set beside the kernel's own count of runs.
//
// A successful exec is counted where the kernel has put the new program in place, whichever call asked for it; a failed
// one at the end of the call.
//
// Counters are per CPU and still added to atomically: nothing promises that a program is not preempted.
//
// Needs nothing newer than Linux 5.10.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "activity.h"
#include "activity_syscalls.h"
#include "drift.h"
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// What is counted of the ends of calls.
const volatile __u8 activity_exec;
const volatile __u8 activity_open;

#if defined(__TARGET_ARCH_x86)
#define BOTH(name, x86, arm64, class) [x86] = ACTIVITY_CLASS_##class,
#define X86(name, x86, class) [x86] = ACTIVITY_CLASS_##class,
#elif defined(__TARGET_ARCH_arm64)
#define BOTH(name, x86, arm64, class) [arm64] = ACTIVITY_CLASS_##class,
#define X86(name, x86, class)
#else
#error "no numbers of system calls for this architecture"
#endif
static const volatile __u8 classes[ACTIVITY_NUMBERS] = { ACTIVITY_SYSCALLS(BOTH, X86) };
#undef BOTH
#undef X86

#if defined(__TARGET_ARCH_x86)
#define BOTH(name, x86, arm64, class) NUMBER_##name = x86,
#define X86(name, x86, class) NUMBER_##name = x86,
#else
#define BOTH(name, x86, arm64, class) NUMBER_##name = arm64,
#define X86(name, x86, class)
#endif
enum activity_number { ACTIVITY_SYSCALLS(BOTH, X86) };
#undef BOTH
#undef X86

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct activity_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct activity_classes);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct activity_result);
	__type(value, __u64);
} results SEC(".maps");

static __always_inline int verdict(enum activity_verdict verdict)
{
	__u32 zero = 0;
	struct activity_counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine)
		__sync_fetch_and_add(&mine->verdicts[verdict], 1);
	return 0;
}

static __always_inline int record(enum activity_action action, __u32 error)
{
	struct activity_result key = {
		.cgroup = bpf_get_current_cgroup_id(),
		.action = action,
		.error = error,
	};
	__u64 *count, zero = 0;

	count = bpf_map_lookup_elem(&results, &key);
	if (!count) {
		// It fails when the map is full, or when another CPU was first: the second look tells which.
		bpf_map_update_elem(&results, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&results, &key);
		if (!count)
			return verdict(ACTIVITY_LOST_RESULTS_FULL);
	}
	__sync_fetch_and_add(count, 1);
	return verdict(action == ACTIVITY_EXEC ? ACTIVITY_RECORDED_EXEC : ACTIVITY_RECORDED_OPEN);
}

static __always_inline int record_class(__u32 number)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	struct activity_classes *mine, zero = {};
	__u32 class = number < ACTIVITY_NUMBERS ? classes[number & (ACTIVITY_NUMBERS - 1)] : ACTIVITY_CLASS_OTHER;

	mine = bpf_map_lookup_elem(&cgroups, &cgroup);
	if (!mine) {
		bpf_map_update_elem(&cgroups, &cgroup, &zero, BPF_NOEXIST);
		mine = bpf_map_lookup_elem(&cgroups, &cgroup);
		if (!mine)
			return verdict(ACTIVITY_LOST_CGROUPS_FULL);
	}
	if (class < ACTIVITY_CLASSES)
		__sync_fetch_and_add(&mine->calls[class], 1);
	return verdict(ACTIVITY_RECORDED_SYSCALL);
}

static __always_inline int is_open(__u32 number)
{
#if defined(__TARGET_ARCH_x86)
	if (number == NUMBER_open || number == NUMBER_creat)
		return 1;
#endif
	return number == NUMBER_openat || number == NUMBER_openat2 || number == NUMBER_open_by_handle_at;
}

static __always_inline int is_exec(__u32 number)
{
	return number == NUMBER_execve || number == NUMBER_execveat;
}

// The kernel's own errors are not for programs to see: the call ends with EINTR, or is made again.
static __always_inline __u32 error_of(long result)
{
	if (result >= 0)
		return 0;
	return result > -ACTIVITY_INTERRUPTED ? -result : ACTIVITY_INTERRUPTED;
}

static __always_inline int began(__u32 number)
{
	if (is_foreign_call(number))
		return verdict(ACTIVITY_FILTERED_COMPAT);
#ifdef MUTANT_EXECVE_ONLY
	// The known mistake: one of the two calls is taken for the exec itself.
	if (number == NUMBER_execve)
		return record(ACTIVITY_EXEC, 0);
#endif
	return record_class(number);
}

static __always_inline int ended(__u32 number, long result)
{
	int exec = activity_exec && is_exec(number);

	if (!exec && !(activity_open && is_open(number)))
		return verdict(ACTIVITY_FILTERED_OTHER_CALL);
	if (is_foreign_call(number))
		return verdict(ACTIVITY_FILTERED_COMPAT);
	if (!exec)
		return record(ACTIVITY_OPEN, error_of(result));
	if (result >= 0)
		return verdict(ACTIVITY_FILTERED_EXEC_RETURNED);
#ifdef MUTANT_EXECVE_ONLY
	return verdict(ACTIVITY_FILTERED_OTHER_CALL);
#else
	return record(ACTIVITY_EXEC, error_of(result));
#endif
}

SEC("tp_btf/sys_enter")
int BPF_PROG(activity_sys_enter, struct pt_regs *registers, long number)
{
	return began(number);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(activity_sys_exit, struct pt_regs *registers, long result)
{
	return ended(system_call_number(registers), result);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(activity_sched_process_exec)
{
#ifdef MUTANT_EXECVE_ONLY
	return verdict(ACTIVITY_FILTERED_OTHER_CALL);
#else
	return record(ACTIVITY_EXEC, 0);
#endif
}
