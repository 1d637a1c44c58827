// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Counts the calls of one function, of a program (uprobe) or of the kernel (kprobe), by process and control group.
//
// Counters are per CPU and still added to atomically: since Linux 6.0 (commit 8c7dcb84e3b7) a uprobe's program can be
// preempted, and another task's run on the same CPU would then be lost.
//
// Needs nothing newer than Linux 5.10.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "calls.h"
#include "selected.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// Whether processes are told apart, or only control groups.
const volatile __u8 calls_by_process;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct calls_key);
	__type(value, __u64);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct calls_counters);
} counters SEC(".maps");

static __always_inline int verdict(enum calls_verdict verdict)
{
	__u32 zero = 0;
	struct calls_counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine)
		__sync_fetch_and_add(&mine->verdicts[verdict], 1);
	return 0;
}

static __always_inline __u64 *counter(const struct calls_key *key)
{
	__u64 *count, zero = 0;

#ifdef MUTANT_ZERO_KEY
	// The known mistake: a number where the address of a key belongs.
	count = bpf_map_lookup_elem(&calls, 0);
#else
	count = bpf_map_lookup_elem(&calls, key);
#endif
	if (count)
		return count;
	// It fails when the map is full, or when another CPU was first: the second look tells which.
	bpf_map_update_elem(&calls, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&calls, key);
}

static __always_inline int called(void)
{
	struct calls_key key = { .cgroup = bpf_get_current_cgroup_id() };
	__u64 *count;

	if (select_by && !is_selected((void *)bpf_get_current_task(), key.cgroup))
		return verdict(CALLS_FILTERED_NOT_SELECTED);
	if (calls_by_process)
		key.process = bpf_get_current_pid_tgid() >> 32;
	count = counter(&key);
	if (!count)
		return verdict(CALLS_LOST_MAP_FULL);
#ifdef MUTANT_POINTER_ADD
	// The known mistake: one is added to the pointer.
	count += 1;
#else
	__sync_fetch_and_add(count, 1);
#endif
	return verdict(CALLS_RECORDED_CALL);
}

SEC("uprobe")
int calls_uprobe(void *context)
{
	return called();
}

SEC("kprobe")
int calls_kprobe(void *context)
{
	return called();
}

SEC("uprobe")
int calls_uprobe_stimulus(void *context)
{
	return verdict(CALLS_FILTERED_STIMULUS);
}

SEC("kprobe")
int calls_kprobe_stimulus(void *context)
{
	return verdict(CALLS_FILTERED_STIMULUS);
}
