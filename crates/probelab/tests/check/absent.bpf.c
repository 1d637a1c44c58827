// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Programs that want what no kernel has, one each; and one that wants nothing.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct task_struct {
	int no_such_field;
} __attribute__((preserve_access_index));

struct {
	__uint(type, 200);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} no_such_type SEC(".maps");


SEC("tracepoint/syscalls/sys_enter_getppid")
int fine(void *ctx)
{
	return 0;
}

SEC("tracepoint/no_such/tracepoint")
int hook(void *ctx)
{
	return 0;
}

SEC("fentry/no_such_function")
int typed_hook(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int helper(void *ctx)
{
	static int (*no_such_helper)(void) = (void *)9999;

	return no_such_helper();
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int field(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_such_field);
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int map(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&no_such_type, &key) != 0;
}

SEC("struct_ops/no_such_member")
int only_loaded(void *ctx)
{
	return 0;
}
