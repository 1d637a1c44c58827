// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Drops, bounces or lets pass frames by the address they come from (or go to), as the longest prefix that is
// in force says. Everything the program cannot read passes, unless the manifest says otherwise: a blocklist
// that fails must not take the machine off the network.
//
// Needs nothing newer than Linux 5.10, and 5.18 for frames in several pieces.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "blocklist.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// Where addresses are taken from: 0 the source, 1 the destination.
const volatile __u8 blocklist_destination;
// Whether ARP and neighbour discovery are matched like everything else.
const volatile __u8 blocklist_match_neighbours;
// What is done with frames whose address cannot be read, and with those that carry more tags than are passed
// over.
const volatile __u8 blocklist_drop_unreadable;
const volatile __u8 blocklist_drop_deep_tags;

// A trie compares its keys from the first byte on.
struct ipv4_key {
	__u32 prefix_bits;
	__u8 address[4];
};

struct ipv6_key {
	__u32 prefix_bits;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4097);
	__type(key, struct ipv4_key);
	__type(value, struct blocklist_entry);
} ipv4_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4097);
	__type(key, struct ipv6_key);
	__type(value, struct blocklist_entry);
} ipv6_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096 + BLOCKLIST_SPARE_SLOTS);
	__type(key, __u32);
	__type(value, struct blocklist_count);
} entry_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct blocklist_counters);
} counters SEC(".maps");

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 protocol;
};
_Static_assert(sizeof(struct ethernet) == 14, "ethernet");

struct vlan_tag {
	__be16 control;
	__be16 protocol;
};
_Static_assert(sizeof(struct vlan_tag) == 4, "vlan_tag");

struct arp {
	__be16 link_type;
	__be16 protocol;
	__u8 link_address_bytes;
	__u8 address_bytes;
	__be16 operation;
	__u8 sender_link[6];
	__u8 sender[4];
	__u8 target_link[6];
	__u8 target[4];
};
_Static_assert(sizeof(struct arp) == 28, "arp");

struct ipv4 {
	__u8 version_and_length;
	__u8 unread[11];
	__u8 source[4];
	__u8 destination[4];
};
_Static_assert(sizeof(struct ipv4) == 20, "ipv4");

struct ipv6 {
	__u8 version_and_class;
	__u8 unread[5];
	__u8 next;
	__u8 hops;
	__u8 source[16];
	__u8 destination[16];
};
_Static_assert(sizeof(struct ipv6) == 40, "ipv6");

#define ND_ROUTER_SOLICITATION 133
#define ND_REDIRECT 137
// A neighbour's message that a router forwarded would have fewer.
#define ND_HOPS 255

// A frame and what is left of it.
struct frame {
	struct ethernet *ethernet;
	void *at;
	void *end;
	__u64 bytes;
};

static __always_inline void swap_link_addresses(struct ethernet *ethernet)
{
	__u8 address[6];

	__builtin_memcpy(address, ethernet->destination, 6);
	__builtin_memcpy(ethernet->destination, ethernet->source, 6);
	__builtin_memcpy(ethernet->source, address, 6);
}

static __always_inline int apply(struct frame *frame, struct blocklist_entry *entry)
{
	__u32 slot = entry->slot;
	struct blocklist_count *count = bpf_map_lookup_elem(&entry_counters, &slot);

	if (!count)
		return BLOCKLIST_LOST_INTERNAL;
	count->packets++;
	count->bytes += frame->bytes;
#ifndef MUTANT_SHADOW_DROPS
	if (entry->shadow)
		return BLOCKLIST_RECORDED_SHADOW;
#endif
	if (entry->action == BLOCKLIST_ACTION_DROP)
		return BLOCKLIST_RECORDED_DROP;
	if (entry->action == BLOCKLIST_ACTION_PASS)
		return BLOCKLIST_RECORDED_PASS;
	if (frame->ethernet->destination[0] & 1)
		return BLOCKLIST_RECORDED_TX_GROUP;
	swap_link_addresses(frame->ethernet);
	return BLOCKLIST_RECORDED_TX;
}

// The longest prefix in force. An entry that has expired counts as absent although it is still in the map:
// what the next shorter prefix says holds then. `key` starts with its length in bits.
static __always_inline int find(struct frame *frame, void *entries, void *key)
{
	struct blocklist_entry *entry;
	int i;

#pragma unroll
	for (i = 0; i <= BLOCKLIST_MAX_EXPIRED; i++) {
		entry = bpf_map_lookup_elem(entries, key);
		if (!entry)
			return i ? BLOCKLIST_FILTERED_EXPIRED : BLOCKLIST_FILTERED_NO_MATCH;
		if (!entry->expires_ns || bpf_ktime_get_ns() < entry->expires_ns)
			goto in_force;
		if (!entry->prefix_bits)
			return BLOCKLIST_FILTERED_EXPIRED;
		*(__u32 *)key = entry->prefix_bits - 1;
	}
	return BLOCKLIST_LOST_EXPIRED;
in_force:
	return apply(frame, entry);
}

static __always_inline int find_ipv4(struct frame *frame, const __u8 *source, const __u8 *destination)
{
	struct ipv4_key key = {.prefix_bits = 32};

	__builtin_memcpy(key.address, blocklist_destination ? destination : source, 4);
	return find(frame, &ipv4_entries, &key);
}

static __always_inline int match_arp(struct frame *frame)
{
	struct arp *arp = frame->at;

	if (!blocklist_match_neighbours)
		return BLOCKLIST_FILTERED_ARP;
	if ((void *)(arp + 1) > frame->end)
		return BLOCKLIST_FILTERED_TRUNCATED;
	if (arp->link_type != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->link_address_bytes != 6 || arp->address_bytes != 4)
		return BLOCKLIST_FILTERED_ARP;
	return find_ipv4(frame, arp->sender, arp->target);
}

// Options stand behind the addresses, and every fragment has them: neither matters.
static __always_inline int match_ipv4(struct frame *frame)
{
	struct ipv4 *ip = frame->at;

	if ((void *)(ip + 1) > frame->end)
		return BLOCKLIST_FILTERED_TRUNCATED;
	if (ip->version_and_length >> 4 != 4 || (ip->version_and_length & 0xf) < 5)
		return BLOCKLIST_FILTERED_MALFORMED;
	return find_ipv4(frame, ip->source, ip->destination);
}

static __always_inline int is_neighbour_discovery(struct frame *frame, struct ipv6 *ip)
{
	__u8 *type = (void *)(ip + 1);

	return ip->next == IPPROTO_ICMPV6 && ip->hops == ND_HOPS && (void *)(type + 1) <= frame->end &&
	       *type >= ND_ROUTER_SOLICITATION && *type <= ND_REDIRECT;
}

static __always_inline int match_ipv6(struct frame *frame)
{
	struct ipv6 *ip = frame->at;
	struct ipv6_key key = {.prefix_bits = 128};

	if ((void *)(ip + 1) > frame->end)
		return BLOCKLIST_FILTERED_TRUNCATED;
	if (ip->version_and_class >> 4 != 6)
		return BLOCKLIST_FILTERED_MALFORMED;
	if (!blocklist_match_neighbours && is_neighbour_discovery(frame, ip))
		return BLOCKLIST_FILTERED_NEIGHBOUR_DISCOVERY;
	__builtin_memcpy(key.address, blocklist_destination ? ip->destination : ip->source, 16);
	return find(frame, &ipv6_entries, &key);
}

static __always_inline int is_tag(__be16 protocol)
{
#ifdef MUTANT_UNTAGGED_ONLY
	return 0;
#endif
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline int match(struct frame *frame)
{
	__be16 protocol;
	int i;

	if ((void *)(frame->ethernet + 1) > frame->end)
		return BLOCKLIST_FILTERED_TRUNCATED;
	protocol = frame->ethernet->protocol;
	frame->at = frame->ethernet + 1;
#pragma unroll
	for (i = 0; i < BLOCKLIST_MAX_TAGS; i++) {
		struct vlan_tag *tag = frame->at;

		if (!is_tag(protocol))
			break;
		if ((void *)(tag + 1) > frame->end)
			return BLOCKLIST_FILTERED_TRUNCATED;
		protocol = tag->protocol;
		frame->at = tag + 1;
	}
	if (is_tag(protocol))
		return BLOCKLIST_FILTERED_TAGS;
	if (protocol == bpf_htons(ETH_P_IP))
		return match_ipv4(frame);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return match_ipv6(frame);
	if (protocol == bpf_htons(ETH_P_ARP))
		return match_arp(frame);
	return BLOCKLIST_FILTERED_NOT_IP;
}

static __always_inline int action_of(int verdict)
{
	switch (verdict) {
	case BLOCKLIST_RECORDED_DROP:
	case BLOCKLIST_RECORDED_TX_GROUP:
		return XDP_DROP;
	case BLOCKLIST_RECORDED_TX:
		return XDP_TX;
	case BLOCKLIST_FILTERED_TRUNCATED:
	case BLOCKLIST_FILTERED_MALFORMED:
#ifdef MUTANT_ABORT_ON_ERROR
		return XDP_ABORTED;
#endif
		return blocklist_drop_unreadable ? XDP_DROP : XDP_PASS;
	case BLOCKLIST_FILTERED_TAGS:
		return blocklist_drop_deep_tags ? XDP_DROP : XDP_PASS;
	default:
		return XDP_PASS;
	}
}

static __always_inline int run(struct xdp_md *xdp, __u64 bytes)
{
	struct frame frame = {
		.ethernet = (void *)(long)xdp->data,
		.end = (void *)(long)xdp->data_end,
		.bytes = bytes,
	};
	__u32 zero = 0, verdict;
	struct blocklist_counters *counted = bpf_map_lookup_elem(&counters, &zero);

	if (!counted)
		return XDP_PASS;
	verdict = match(&frame);
	if (verdict >= BLOCKLIST_VERDICTS)
		verdict = BLOCKLIST_LOST_INTERNAL;
	counted->verdicts[verdict].packets++;
	counted->verdicts[verdict].bytes += bytes;
	return action_of(verdict);
}

SEC("xdp")
int blocklist(struct xdp_md *xdp)
{
	return run(xdp, xdp->data_end - xdp->data);
}

// For frames that do not fit one buffer. Headers are in the first piece.
SEC("xdp.frags")
int blocklist_frags(struct xdp_md *xdp)
{
	return run(xdp, bpf_xdp_get_buff_len(xdp));
}
