// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Which packets are of interest, whose they are and when they came.
#ifndef PROBELAB_HTTP_PACKET_H
#define PROBELAB_HTTP_PACKET_H

#include <linux/bpf.h>
#include <linux/if_packet.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "http.h"
#include "http_maps.h"
#include "kernel.h"
#include "packet.h"

static __always_inline int is_watched(__u16 port)
{
	int i;

#pragma unroll
	for (i = 0; i < HTTP_MAX_PORTS; i++)
		if (http_ports[i] == port)
			return port != 0;
	return 0;
}

static __always_inline int find_direction(struct packet *tcp)
{
	if (is_watched(tcp->destination_port))
		return HTTP_REQUEST;
	if (is_watched(tcp->source_port))
		return HTTP_RESPONSE;
	return -1;
}

static __always_inline void fill_key(struct http_packet *packet, int direction)
{
	struct http_key *key = &packet->key;

	if (direction == HTTP_REQUEST) {
		__builtin_memcpy(key->client, packet->tcp.source, 16);
		__builtin_memcpy(key->server, packet->tcp.destination, 16);
		key->client_port = packet->tcp.source_port;
		key->server_port = packet->tcp.destination_port;
	} else {
		__builtin_memcpy(key->client, packet->tcp.destination, 16);
		__builtin_memcpy(key->server, packet->tcp.source, 16);
		key->client_port = packet->tcp.destination_port;
		key->server_port = packet->tcp.source_port;
	}
	key->family = packet->tcp.family;
}

static __always_inline int has_nothing_to_say(struct packet *tcp)
{
#ifdef MUTANT_WRONG_PAIRING
	return 0;
#else
	return !tcp->payload_bytes && !(tcp->flags & (HTTP_FLAG_SYN | HTTP_FLAG_FIN | HTTP_FLAG_RST)) &&
	       !http_any_slow;
#endif
}

// When the packet arrived, on the monotonic clock. An interrupt between the kernel's receive path and this program
// would be counted as the peer's time, so the kernel's own stamp is taken where there is a fresh one. Packets on their
// way out carry none, or a departure time; their moment is now.
static __always_inline __u64 arrival_ns(struct __sk_buff *skb)
{
	struct sk_buff *kernel = (void *)skb; // at run time the context is the kernel's own structure
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 stamp_ns = 0;
	__u32 zero = 0;
	__u64 *offset_ns = bpf_map_lookup_elem(&clock_offset, &zero);

	if (!offset_ns || !*offset_ns || bpf_core_read(&stamp_ns, sizeof(stamp_ns), &kernel->tstamp))
		return now_ns;
	stamp_ns -= *offset_ns;
	return now_ns - stamp_ns < HTTP_FRESH_STAMP_NS ? stamp_ns : now_ns;
}

// Sorts one packet: a verdict, or the number of the direction that has to look at it minus HTTP_DIRECTIONS.
static __always_inline int sort(struct __sk_buff *skb, struct http_packet *packet)
{
	int direction;

	if (http_loopback && skb->pkt_type == PACKET_OUTGOING)
		return HTTP_FILTERED_LOOPBACK_DUPLICATE;
	switch (packet_parse(skb, &packet->tcp)) {
	case PACKET_TCP:
		break;
	case PACKET_NOT_IP:
		return HTTP_FILTERED_NOT_IP;
	case PACKET_NOT_TCP:
		return HTTP_FILTERED_NOT_TCP;
	case PACKET_FRAGMENT:
		return HTTP_LOST_FRAGMENT;
	default:
		return HTTP_LOST_TRUNCATED;
	}
	direction = find_direction(&packet->tcp);
	if (direction < 0)
		return HTTP_FILTERED_OTHER_PORT;
	if (has_nothing_to_say(&packet->tcp))
		return HTTP_FILTERED_NO_PAYLOAD;
	fill_key(packet, direction);
	packet->now_ns = arrival_ns(skb);
	packet->position = 0;
	packet->window_start = 0;
	packet->window_bytes = 0;
	packet->rounds = 0;
	packet->direction = direction;
	return direction - HTTP_DIRECTIONS;
}

#endif
