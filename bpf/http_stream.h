// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// One direction's bytes: where a segment stands in its stream, and the loop that gives it to the parser.
#ifndef PROBELAB_HTTP_STREAM_H
#define PROBELAB_HTTP_STREAM_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bounds.h"
#include "http.h"
#include "http_maps.h"
#include "http_pairing.h"
#include "http_parser.h"

// Copies the next payload bytes to where they can be indexed.
static __always_inline int load_window(struct context *c, __u32 position)
{
	__u32 bytes = c->packet->tcp.payload_bytes - position;

	if (bytes > HTTP_WINDOW_BYTES)
		bytes = HTTP_WINDOW_BYTES;
	if (!bytes)
		return -1;
	bytes = within(bytes, HTTP_WINDOW_BYTES);
	if (bpf_skb_load_bytes(c->skb, c->packet->tcp.payload_offset + position, c->packet->window, bytes))
		return -1;
	c->packet->window_start = position;
	c->packet->window_bytes = bytes;
	return 0;
}

// One step: a run of body bytes, eight bytes of a line nobody needs, or one byte.
static __always_inline int step(struct context *c, volatile struct http_packet *packet, int direction)
{
	http_parser_t *parser = &c->connection->half[direction].parser;
	__u32 position = packet->position;
	__u32 offset, skipped;
	int event;

	skipped = http_parser_skip(parser, packet->tcp.payload_bytes - position, &event);
	if (skipped) {
		packet->position = position + skipped;
	} else {
		offset = position - packet->window_start;
		if (offset >= packet->window_bytes) {
			if (load_window(c, position))
				return HTTP_LOST_TRUNCATED;
			offset = 0;
		}
		if (http_parser_in_ignored_line(parser) && packet->window_bytes - offset >= 8) {
			offset &= HTTP_WINDOW_BYTES - 1;
			if (!http_parser_has_line_feed(*(volatile __u64 *)(packet->window + offset))) {
				packet->position = position + 8;
				return STEP_CONTINUE;
			}
		}
		offset &= HTTP_WINDOW_BYTES - 1;
		event = http_parser_step(parser, direction, packet->window[offset]);
		packet->position = position + 1;
	}
	if (event == HTTP_PARSE_NONE)
		return STEP_CONTINUE;
	return direction == HTTP_REQUEST ? on_request_event(c, event) : on_response_event(c, event);
}

// Parses this packet's payload from `position`. STEP_CONTINUE: steps ran out before bytes did.
static __always_inline int parse(struct context *c, int direction)
{
	volatile struct http_packet *packet = c->packet;
	int i;

	for (i = 0; i < HTTP_STEPS; i++) {
		int result;

		if (packet->position >= packet->tcp.payload_bytes)
			return HTTP_RECORDED_SEGMENT;
		result = step(c, packet, direction);
		if (result == STEP_HAND_OVER)
			packet->position--;
		if (result != STEP_CONTINUE)
			return result;
	}
	return packet->position >= packet->tcp.payload_bytes ? HTTP_RECORDED_SEGMENT : STEP_CONTINUE;
}

// Where this segment stands in the stream of its direction: a verdict, or parse on, or hand over.
static __always_inline int position_segment(struct context *c, int direction)
{
	volatile struct http_half *half = &c->connection->half[direction];
	volatile struct http_half *request = &c->connection->half[HTTP_REQUEST];
	volatile struct http_half *response = &c->connection->half[HTTP_RESPONSE];
	__u32 sequence = c->packet->tcp.sequence;
	__u32 payload_bytes = c->packet->tcp.payload_bytes;
	__s32 ahead;

	if (response->upgraded)
		return HTTP_FILTERED_UPGRADED;
	if (response->opaque || (request->opaque && (direction == HTTP_REQUEST || !pending(c->connection))))
		return HTTP_FILTERED_OPAQUE;
	if (direction == HTTP_REQUEST) {
		if (half->waiting && (half->parser.state == HTTP_STATE_START || half->next_sequence != sequence)) {
			half->parser.state = HTTP_STATE_START;
			half->next_sequence = sequence;
		}
	} else if (!half->synchronised) {
		if (!request->count) {
			if (!payload_bytes)
				return HTTP_FILTERED_NO_PAYLOAD;
			if (!request->from_start)
				return HTTP_FILTERED_MIDSTREAM;
			half->opaque = 1;
			c->counters->unparsed[HTTP_UNPARSED_UNSOLICITED_RESPONSE]++;
			return HTTP_RECORDED_SEGMENT;
		}
		half->next_sequence = request->join_sequence;
		half->synchronised = 1;
	}
	ahead = sequence - half->next_sequence;
	if (ahead > 0)
		return STEP_HAND_OVER;
	if (!payload_bytes)
		return HTTP_FILTERED_NO_PAYLOAD;
	if ((__u32)-ahead >= payload_bytes)
		return HTTP_FILTERED_RETRANSMISSION;
	c->packet->position = -ahead;
	half->data_ns = c->packet->now_ns;
	return STEP_CONTINUE;
}

#endif
