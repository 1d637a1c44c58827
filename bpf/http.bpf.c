// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// HTTP/1.x latency and outcomes, from a socket filter on an AF_PACKET socket. It always answers 0: no packet is ever
// queued for user space. One program sorts packets; one per direction follows the connection's bytes. What cannot be
// decided here (a gap, too many pipelined requests, too many structure bytes in one segment) moves the connection to
// user space for the rest of its life.
//
// Needs nothing newer than Linux 5.10: no loop helper, no lock, no timer.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http.h"
#include "http_connection.h"
#include "http_handover.h"
#include "http_maps.h"
#include "http_packet.h"
#include "http_pairing.h"
#include "http_stream.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline int run(struct __sk_buff *skb, int direction)
{
	struct context c = {.skb = skb, .packet = this_packet(), .counters = this_counters()};
	int result = STEP_CONTINUE;

	if (!c.packet || !c.counters)
		return 0;
	c.connection = bpf_map_lookup_elem(&connections, &c.packet->key);
	if (!c.packet->rounds)
		result = enter(&c, direction);
	if (!c.connection) {
		// In a later round it is gone only when the other side has just ended the connection.
		if (result < 0)
			result = HTTP_LOST_INTERNAL;
		goto out;
	}
	if (result == STEP_CONTINUE)
		result = parse(&c, direction);
	if (result == STEP_CONTINUE && c.packet->rounds < HTTP_MAX_ROUNDS) {
		c.packet->rounds++;
		bpf_tail_call(skb, &stages, direction);
	}
	if (result < 0) {
		if (result != STEP_FORWARD) {
			if (c.packet->position)
				c.connection->half[direction].next_sequence =
					c.packet->tcp.sequence + c.packet->position;
			c.connection->slow = 1;
			http_any_slow = 1;
			c.counters->handovers++;
		}
		bpf_tail_call(skb, &stages, HTTP_STAGE_FORWARD);
		result = HTTP_LOST_INTERNAL;
	} else if (result == HTTP_RECORDED_SEGMENT || result == HTTP_FILTERED_MIDSTREAM) {
		c.connection->half[direction].next_sequence = c.packet->tcp.sequence + c.packet->tcp.payload_bytes;
	}
	close_side(&c, direction);
out:
	c.counters->verdicts[result % HTTP_VERDICTS]++;
	return 0;
}

SEC("socket")
int http_request(struct __sk_buff *skb)
{
	return run(skb, HTTP_REQUEST);
}

SEC("socket")
int http_response(struct __sk_buff *skb)
{
	return run(skb, HTTP_RESPONSE);
}

// Connections that user space decides.
SEC("socket")
int http_forward(struct __sk_buff *skb)
{
	struct context c = {.skb = skb, .packet = this_packet(), .counters = this_counters()};
	__u32 direction;
	int result;

	if (!c.packet || !c.counters)
		return 0;
	c.connection = bpf_map_lookup_elem(&connections, &c.packet->key);
	if (!c.connection) {
		c.counters->verdicts[HTTP_LOST_INTERNAL]++;
		return 0;
	}
	direction = c.packet->direction & 1;
	result = forward(&c, direction);
	if (c.packet->tcp.flags & HTTP_FLAG_SYN) {
		if (!is_settled_elsewhere(&c))
			settle(&c, HTTP_OUTCOME_UNKNOWN_GAP);
		create(&c, 1);
	} else {
		close_side(&c, direction);
	}
	c.counters->verdicts[result % HTTP_VERDICTS]++;
	return 0;
}

SEC("socket")
int http_packet(struct __sk_buff *skb)
{
	struct http_packet *packet = this_packet();
	struct http_counters *counted = this_counters();
	int result;

	if (!packet || !counted)
		return 0;
	result = sort(skb, packet);
	if (result < 0) {
		bpf_tail_call(skb, &stages, result + HTTP_DIRECTIONS);
		result = HTTP_LOST_INTERNAL;
	}
	counted->verdicts[result % HTTP_VERDICTS]++;
	return 0;
}
