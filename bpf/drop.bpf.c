// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A socket filter that lets whole TCP segments pass and discards the rest, and counts both by protocol and
// reason. It judges what a receiver would get and answers 0 to the kernel: no packet is ever queued for user
// space.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "drop.h"
#include "packet.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drop_counters);
} counters SEC(".maps");

struct judgement {
	__u32 protocol; // enum drop_protocol
	__u32 reason;   // enum drop_reason
};

static __always_inline __u32 protocol_of(__u8 number)
{
	switch (number) {
	case IPPROTO_TCP:
		return DROP_PROTOCOL_TCP;
	case IPPROTO_UDP:
		return DROP_PROTOCOL_UDP;
	case IPPROTO_ICMP:
		return DROP_PROTOCOL_ICMP;
	case IPPROTO_ICMPV6:
		return DROP_PROTOCOL_ICMPV6;
	case IPPROTO_IGMP:
		return DROP_PROTOCOL_IGMP;
	case IPPROTO_SCTP:
		return DROP_PROTOCOL_SCTP;
	case IPPROTO_GRE:
		return DROP_PROTOCOL_GRE;
	case IPPROTO_ESP:
		return DROP_PROTOCOL_ESP;
	default:
		return DROP_PROTOCOL_OTHER_IP;
	}
}

// The shortest header of a protocol, without which nothing can be made of the packet.
static __always_inline __u32 header_bytes(__u32 protocol)
{
	switch (protocol) {
	case DROP_PROTOCOL_TCP:
		return 20;
	case DROP_PROTOCOL_SCTP:
		return 12;
	case DROP_PROTOCOL_UDP:
	case DROP_PROTOCOL_ICMP:
	case DROP_PROTOCOL_IGMP:
	case DROP_PROTOCOL_ESP:
		return 8;
	case DROP_PROTOCOL_ICMPV6:
	case DROP_PROTOCOL_GRE:
		return 4;
	default:
		return 0;
	}
}

// What is to be said of a whole packet of this protocol, whose header starts at `offset` and which ends at
// `end` (0: not said, as in super-segments over 64 KiB).
static __always_inline __u32 reason_of(struct __sk_buff *skb, __u32 protocol, __u32 offset, __u32 end)
{
	if (!end)
		end = skb->len;
	if (end > skb->len || offset + header_bytes(protocol) > end)
		return DROP_REASON_TRUNCATED;
	return protocol == DROP_PROTOCOL_TCP ? DROP_REASON_NONE : DROP_REASON_PROTOCOL;
}

static __always_inline void judge_ipv4(struct __sk_buff *skb, struct judgement *judgement, __u32 offset)
{
	struct packet_ipv4 ip;
	__u32 own_bytes, total_bytes;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)))
		return;
	own_bytes = (ip.version_and_length & 0xf) * 4;
	if (ip.version_and_length >> 4 != 4 || own_bytes < sizeof(ip))
		return;
	judgement->protocol = protocol_of(ip.protocol);
	if (ip.fragment & bpf_htons(0x3fff)) {
		judgement->reason = DROP_REASON_FRAGMENT;
		return;
	}
	total_bytes = bpf_ntohs(ip.total_bytes);
	judgement->reason = reason_of(skb, judgement->protocol, offset + own_bytes,
				      total_bytes ? offset + total_bytes : 0);
}

static __always_inline void judge_ipv6(struct __sk_buff *skb, struct judgement *judgement, __u32 offset)
{
	struct packet_ipv6 ip;
	__u32 payload_bytes, end;
	__u8 next;
	int kind;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || (bpf_ntohl(ip.version_and_flow) >> 28) != 6)
		return;
	offset += sizeof(ip);
	payload_bytes = bpf_ntohs(ip.payload_bytes);
	end = payload_bytes ? offset + payload_bytes : 0;
	next = ip.next;
	kind = packet_follow_extensions(skb, &offset, &next);
	if (kind == PACKET_TRUNCATED)
		return;
	judgement->protocol = protocol_of(next);
	if (kind == PACKET_FRAGMENT)
		judgement->reason = DROP_REASON_FRAGMENT;
	else if (packet_is_extension(next))
		judgement->reason = DROP_REASON_EXTENSIONS;
	else
		judgement->reason = reason_of(skb, judgement->protocol, offset, end);
}

static __always_inline void judge(struct __sk_buff *skb, struct judgement *judgement)
{
	__u32 protocol;
	int offset = packet_skip_tags(skb, &protocol);

	// What holds unless more can be read.
	judgement->protocol = DROP_PROTOCOL_UNREADABLE;
	judgement->reason = DROP_REASON_TRUNCATED;
	if (offset < 0)
		return;
#ifdef MUTANT_IPV4_ONLY
	if (protocol == bpf_htons(ETH_P_IPV6))
		protocol = 0;
#endif
	if (protocol == bpf_htons(ETH_P_IP)) {
		judge_ipv4(skb, judgement, offset);
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		judge_ipv6(skb, judgement, offset);
	} else {
		judgement->protocol = protocol == bpf_htons(ETH_P_ARP) ? DROP_PROTOCOL_ARP : DROP_PROTOCOL_NOT_IP;
		judgement->reason = DROP_REASON_PROTOCOL;
	}
}

SEC("socket")
int drop_packet(struct __sk_buff *skb)
{
	__u32 zero = 0, slot;
	struct drop_counters *counted = bpf_map_lookup_elem(&counters, &zero);
	struct judgement judgement;

	if (!counted)
		return 0;
	if (skb->pkt_type == PACKET_OUTGOING) {
		counted->verdicts[DROP_FILTERED_OUTGOING]++;
		return 0;
	}
#ifdef MUTANT_SLOWER
#pragma unroll
	for (slot = 0; slot < 8; slot++)
		bpf_ktime_get_ns();
#endif
	judge(skb, &judgement);
	slot = (judgement.protocol * DROP_REASON_SLOTS + judgement.reason) & (DROP_SLOTS - 1);
	counted->table[slot].packets++;
	counted->table[slot].bytes += skb->len;
	if (judgement.reason == DROP_REASON_NONE)
		counted->verdicts[DROP_RECORDED_PASSED]++;
	else
		counted->verdicts[DROP_RECORDED_DISCARDED]++;
	return 0;
}
