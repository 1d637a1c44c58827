// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A program that no verifier accepts, between two that all accept.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int first(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int unchecked(void *ctx)
{
	__u32 key = 0;
	__u64 *cell = bpf_map_lookup_elem(&cells, &key);

	// Whether there is a cell is not asked.
	return (int)*cell;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int last(void *ctx)
{
	__u32 key = 0;
	__u64 *cell = bpf_map_lookup_elem(&cells, &key);

	if (cell)
		*cell += 1;
	return 0;
}
