// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Events for user space: what the kernel half knew of a connection, then every segment of it.
#ifndef PROBELAB_HTTP_HANDOVER_H
#define PROBELAB_HTTP_HANDOVER_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bounds.h"
#include "http.h"
#include "http_maps.h"

static __always_inline int output(struct context *c, void *event, __u64 bytes)
{
	return bpf_ringbuf_output(&segments, event, bytes, 0);
}

static __always_inline void fill_event(struct context *c, struct http_event *event, int kind, int direction)
{
	event->key = c->packet->key;
	event->opened_ns = c->connection->opened_ns;
	event->now_ns = c->packet->now_ns;
	event->kind = kind;
	event->direction = direction;
	event->flags = 0;
	event->pad = 0;
	event->sequence = c->packet->tcp.sequence;
	event->acknowledged = c->packet->tcp.acknowledged;
	event->data_bytes = 0;
}

// Gives user space this half of the connection as it was before this packet.
static __always_inline int output_snapshot(struct context *c, __u32 direction)
{
	struct http_snapshot_event *snapshot = &c->packet->out.snapshot;
	struct http_half *half = &c->connection->half[direction];

	if (half->handed_over)
		return 0;
	fill_event(c, &snapshot->event, HTTP_EVENT_SNAPSHOT, direction);
	__builtin_memcpy(&snapshot->half, half, sizeof(*half));
	__builtin_memcpy(snapshot->fifo, c->connection->fifo, sizeof(snapshot->fifo));
	if (output(c, snapshot, sizeof(*snapshot)))
		return -1;
	half->handed_over = 1;
	return 0;
}

// Sends this packet's payload to user space, behind the snapshots it needs.
static __always_inline int forward(struct context *c, __u32 direction)
{
	volatile struct http_packet *packet = c->packet;
	struct http_segment_event *segment = &c->packet->out.segment;
	int i;

	if (output_snapshot(c, direction))
		return HTTP_LOST_RING_FULL;
	// The entry is about to go, and with it what only the other half knows.
	if ((packet->tcp.flags & (HTTP_FLAG_RST | HTTP_FLAG_SYN)) && output_snapshot(c, !direction))
		return HTTP_LOST_RING_FULL;
	fill_event(c, &segment->event, HTTP_EVENT_SEGMENT, direction);
	packet->forwarded_bytes = 0;
	for (i = 0; i < HTTP_MAX_EVENTS; i++) {
		__u32 offset = packet->forwarded_bytes;
		__u32 left = packet->tcp.payload_bytes - offset;
		__u32 bytes = left;

		if (bytes > HTTP_EVENT_BYTES)
			bytes = HTTP_EVENT_BYTES;
		asm volatile("" : "+r"(bytes)); // keeps the bound where the verifier sees it
		if (bytes > HTTP_EVENT_BYTES)
			return HTTP_LOST_INTERNAL;
		if (bytes && bpf_skb_load_bytes(c->skb, packet->tcp.payload_offset + offset, segment->data,
						within(bytes, HTTP_EVENT_BYTES)))
			return HTTP_LOST_TRUNCATED;
		segment->event.sequence = packet->tcp.sequence + offset;
		segment->event.data_bytes = bytes;
		packet->forwarded_bytes = offset + bytes;
		if (bytes == left)
			segment->event.flags = packet->tcp.flags;
		if (output(c, segment, sizeof(segment->event) + bytes))
			return HTTP_LOST_RING_FULL;
		if (bytes == left)
			return HTTP_RECORDED_HANDED_OVER;
	}
	return HTTP_LOST_TRUNCATED;
}

#endif
