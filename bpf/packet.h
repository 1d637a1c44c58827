// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// From a socket buffer to a TCP segment: link-layer tags, IPv4 with options, IPv6 with extension headers.
// Made for a filter on a SOCK_DGRAM packet socket, which starts at the network header whatever the link layer
// is.
#ifndef PROBELAB_PACKET_H
#define PROBELAB_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Tags before the network header, and extension headers behind it, that are followed.
#define PACKET_MAX_TAGS 4
#define PACKET_MAX_EXTENSIONS 6

enum packet_kind { PACKET_TCP, PACKET_NOT_IP, PACKET_NOT_TCP, PACKET_FRAGMENT, PACKET_TRUNCATED };

struct packet {
	__u8 source[16]; // IPv4: the first four bytes, the rest zero
	__u8 destination[16];
	__u32 sequence;
	__u32 acknowledged;
	__u32 payload_offset; // from where the filter starts
	__u32 payload_bytes;
	__u16 source_port; // host byte order
	__u16 destination_port;
	__u8 family; // 4 or 6
	__u8 flags;  // low byte of the TCP flags
};

struct packet_ipv4 {
	__u8 version_and_length;
	__u8 service;
	__be16 total_bytes;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__u8 source[4];
	__u8 destination[4];
};
_Static_assert(sizeof(struct packet_ipv4) == 20, "packet_ipv4");

struct packet_ipv6 {
	__be32 version_and_flow;
	__be16 payload_bytes;
	__u8 next;
	__u8 hops;
	__u8 source[16];
	__u8 destination[16];
};
_Static_assert(sizeof(struct packet_ipv6) == 40, "packet_ipv6");

struct packet_tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledged;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};
_Static_assert(sizeof(struct packet_tcp) == 20, "packet_tcp");

// TCP at `offset`; the IP packet ends at `end` (0: not said, as in super-segments over 64 KiB).
static __always_inline int packet_parse_tcp(struct __sk_buff *skb, struct packet *packet, __u32 offset, __u32 end)
{
	struct packet_tcp tcp;
	__u32 header_bytes;

	if (bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)))
		return PACKET_TRUNCATED;
	header_bytes = (tcp.offset >> 4) * 4;
	if (end == 0)
		end = skb->len;
	if (header_bytes < sizeof(tcp) || end > skb->len || offset + header_bytes > end)
		return PACKET_TRUNCATED;
	packet->source_port = bpf_ntohs(tcp.source);
	packet->destination_port = bpf_ntohs(tcp.destination);
	packet->sequence = bpf_ntohl(tcp.sequence);
	packet->acknowledged = bpf_ntohl(tcp.acknowledged);
	packet->flags = tcp.flags;
	packet->payload_offset = offset + header_bytes;
	packet->payload_bytes = end - packet->payload_offset;
	return PACKET_TCP;
}

static __always_inline int packet_parse_ipv4(struct __sk_buff *skb, struct packet *packet, __u32 offset)
{
	struct packet_ipv4 ip;
	__u32 header_bytes, total_bytes;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)))
		return PACKET_TRUNCATED;
	if (ip.protocol != IPPROTO_TCP)
		return PACKET_NOT_TCP;
	header_bytes = (ip.version_and_length & 0xf) * 4;
	if (header_bytes < sizeof(ip))
		return PACKET_TRUNCATED;
	// "More fragments" or a non-zero offset: what stands where ports should be may be payload.
	if (ip.fragment & bpf_htons(0x3fff))
		return PACKET_FRAGMENT;
	packet->family = 4;
	__builtin_memset(packet->source, 0, 32);
	__builtin_memcpy(packet->source, ip.source, 4);
	__builtin_memcpy(packet->destination, ip.destination, 4);
	total_bytes = bpf_ntohs(ip.total_bytes);
	return packet_parse_tcp(skb, packet, offset + header_bytes, total_bytes ? offset + total_bytes : 0);
}

// Whether a number says that an IPv6 extension header follows.
static __always_inline int packet_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

// Passes over IPv6 extension headers: `next` becomes the protocol behind them, or stays an extension's when
// there are more than are followed. Of a fragment that is not whole only the protocol can be told.
static __always_inline int packet_follow_extensions(struct __sk_buff *skb, __u32 *offset, __u8 *next)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < PACKET_MAX_EXTENSIONS; i++) {
		__u8 extension[4], kind = *next;

		if (kind == IPPROTO_TCP || !packet_is_extension(kind))
			break;
		if (bpf_skb_load_bytes(skb, *offset, extension, sizeof(extension)))
			return PACKET_TRUNCATED;
		*next = extension[0];
		if (kind == IPPROTO_FRAGMENT) {
			*offset += 8;
			// An "atomic" fragment is whole.
			if (extension[2] || (extension[3] & 0xf9))
				return PACKET_FRAGMENT;
		} else if (kind == IPPROTO_AH) {
			*offset += (extension[1] + 2) * 4;
		} else {
			*offset += (extension[1] + 1) * 8;
		}
	}
	return PACKET_TCP;
}

static __always_inline int packet_parse_ipv6(struct __sk_buff *skb, struct packet *packet, __u32 offset)
{
	struct packet_ipv6 ip;
	__u32 end;
	__u8 next;
	int kind;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)))
		return PACKET_TRUNCATED;
	packet->family = 6;
	__builtin_memcpy(packet->source, ip.source, 16);
	__builtin_memcpy(packet->destination, ip.destination, 16);
	end = bpf_ntohs(ip.payload_bytes);
	offset += sizeof(ip);
	if (end)
		end += offset;
	next = ip.next;
	kind = packet_follow_extensions(skb, &offset, &next);
	if (kind == PACKET_TRUNCATED)
		return kind;
	if (next != IPPROTO_TCP)
		return PACKET_NOT_TCP;
	if (kind == PACKET_FRAGMENT)
		return kind;
	return packet_parse_tcp(skb, packet, offset, end);
}

// Passes over tags that stand between the link layer and what it carries, and gives the latter's protocol.
// Returns its offset, or -1 when a tag is not whole.
static __always_inline int packet_skip_tags(struct __sk_buff *skb, __u32 *protocol)
{
	__u32 offset = 0, i;

	*protocol = skb->protocol;
#pragma unroll
	for (i = 0; i < PACKET_MAX_TAGS; i++) {
		__be16 tag[4];

		if (*protocol == bpf_htons(ETH_P_8021Q) || *protocol == bpf_htons(ETH_P_8021AD)) {
			if (bpf_skb_load_bytes(skb, offset, tag, 4))
				return -1;
			*protocol = tag[1];
			offset += 4;
		} else if (*protocol == bpf_htons(ETH_P_PPP_SES)) {
			if (bpf_skb_load_bytes(skb, offset, tag, 8))
				return -1;
			offset += 8;
			if (tag[3] == bpf_htons(0x0021))
				*protocol = bpf_htons(ETH_P_IP);
			else if (tag[3] == bpf_htons(0x0057))
				*protocol = bpf_htons(ETH_P_IPV6);
			break;
		} else {
			break;
		}
	}
	return offset;
}

// Returns the offset of IP behind any tags, or -1.
static __always_inline int packet_find_ip(struct __sk_buff *skb)
{
	__u32 protocol = skb->protocol;
	int offset;

	// A packet on its way out starts at IP even when its tag is already written in front.
	if (skb->pkt_type == PACKET_OUTGOING &&
	    (protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD)))
		return 0;
	offset = packet_skip_tags(skb, &protocol);
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6) ? offset : -1;
}

static __always_inline int packet_parse(struct __sk_buff *skb, struct packet *packet)
{
	int offset = packet_find_ip(skb);
	__u8 version;

	if (offset < 0)
		return PACKET_NOT_IP;
	if (bpf_skb_load_bytes(skb, offset, &version, 1))
		return PACKET_TRUNCATED;
	version >>= 4;
	if (version == 4)
		return packet_parse_ipv4(skb, packet, offset);
	if (version == 6)
		return packet_parse_ipv6(skb, packet, offset);
	return PACKET_NOT_IP;
}

#endif
