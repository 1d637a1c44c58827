// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// As objects of Go toolchains were written for long: map definitions in "maps", a classifier by its old name.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct legacy_map {
	__u32 type, key_size, value_size, max_entries, flags;
};

struct legacy_map counts SEC("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 1,
};

SEC("classifier")
int classify(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	if (count)
		*count += 1;
	return -1;
}
