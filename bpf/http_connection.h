// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A connection's life: its entry in the map from the first packet to the last.
#ifndef PROBELAB_HTTP_CONNECTION_H
#define PROBELAB_HTTP_CONNECTION_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http.h"
#include "http_maps.h"
#include "http_pairing.h"
#include "http_stream.h"

static __always_inline int is_in_request_line(volatile struct http_half *half)
{
	__u8 state = half->parser.state;

	return !half->waiting && !half->opaque && state >= HTTP_STATE_METHOD && state <= HTTP_STATE_REQUEST_VERSION;
}

// User space settles the requests it was told of. Those of a connection whose snapshot always found the ring full are
// settled here, and as unknown: their responses may have been lost on the same way.
static __always_inline int is_settled_elsewhere(struct context *c)
{
	return c->connection->slow && c->connection->half[HTTP_REQUEST].handed_over;
}

// A connection ends once: only the packet that removes the entry settles what is left.
static __always_inline void remove(struct context *c, int outcome)
{
	__u32 left = pending(c->connection);
	int slow = c->connection->slow;
	int elsewhere = is_settled_elsewhere(c);
	int incomplete = is_in_request_line(&c->connection->half[HTTP_REQUEST]);

	if (bpf_map_delete_elem(&connections, &c->packet->key) || elsewhere)
		return;
	if (slow)
		outcome = HTTP_OUTCOME_UNKNOWN_GAP;
	c->counters->outcomes[outcome % HTTP_OUTCOMES] += left;
	if (incomplete && !slow)
		c->counters->unparsed[HTTP_UNPARSED_INCOMPLETE_REQUEST]++;
}

// FIN and RST, after the payload that came with them.
static __always_inline void close_side(struct context *c, int direction)
{
	volatile struct http_half *half = &c->connection->half[direction];
	volatile struct http_half *request = &c->connection->half[HTTP_REQUEST];
	__u8 flags = c->packet->tcp.flags;
	int outcome = direction == HTTP_REQUEST || request->closed ? HTTP_OUTCOME_ABORTED_CLIENT :
								      HTTP_OUTCOME_ABORTED_SERVER;

	if (flags & HTTP_FLAG_RST) {
		remove(c, outcome);
		return;
	}
	if (!(flags & HTTP_FLAG_FIN))
		return;
	half->closed = 1;
	if (direction == HTTP_RESPONSE && !c->connection->slow) {
		if (half->parser.state == HTTP_STATE_UNTIL_CLOSE && pending(c->connection)) {
			complete(c, half->data_ns);
			half->parser.state = HTTP_STATE_START;
		}
		settle(c, outcome);
	}
	if (c->connection->half[!direction].closed)
		remove(c, outcome);
}

static __always_inline struct http_connection *create(struct context *c, int from_start)
{
	struct http_connection *blank = &c->packet->blank;

	__builtin_memset(blank, 0, sizeof(*blank));
	blank->opened_ns = c->packet->now_ns;
	blank->first_sequence = c->packet->tcp.sequence;
	blank->half[HTTP_REQUEST].next_sequence = c->packet->tcp.sequence;
	blank->half[HTTP_REQUEST].synchronised = 1;
	blank->half[HTTP_REQUEST].from_start = from_start;
	blank->half[HTTP_REQUEST].waiting = !from_start;
	blank->half[HTTP_REQUEST].last_ns = c->packet->now_ns;
	if (bpf_map_update_elem(&connections, &c->packet->key, blank, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&connections, &c->packet->key);
}

// The connection's own SYN once more: sent again, or doubled on its way and overtaken by what follows it. A later
// connection between the same ports starts elsewhere (RFC 6528).
static __always_inline int is_syn_again(struct context *c)
{
	return c->connection->half[HTTP_REQUEST].from_start && c->connection->first_sequence == c->packet->tcp.sequence;
}

// The first packet of a client. Returns a verdict, or STEP_CONTINUE when the packet also carries payload.
static __always_inline int on_syn(struct context *c)
{
	// The SYN itself takes one number; its payload, if any, starts behind it.
	c->packet->tcp.sequence++;
	if (c->connection) {
		if (is_syn_again(c))
			return c->packet->tcp.payload_bytes ? HTTP_FILTERED_RETRANSMISSION : HTTP_FILTERED_NO_PAYLOAD;
		if (c->connection->slow)
			return STEP_FORWARD;
		settle(c, HTTP_OUTCOME_UNKNOWN_PORT_REUSE);
	}
	c->connection = create(c, 1);
	if (!c->connection)
		return HTTP_LOST_MAP_FULL;
	return c->packet->tcp.payload_bytes ? STEP_CONTINUE : HTTP_FILTERED_NO_PAYLOAD;
}

// A packet's first run: find its connection and its place in it.
static __always_inline int enter(struct context *c, int direction)
{
	__u8 flags = c->packet->tcp.flags;
	int result;

	if (flags & HTTP_FLAG_SYN) {
		if (direction == HTTP_RESPONSE)
			return HTTP_FILTERED_NO_PAYLOAD;
		result = on_syn(c);
		if (result != STEP_CONTINUE)
			return result;
	}
	if (!c->connection) {
		if (!c->packet->tcp.payload_bytes)
			return HTTP_FILTERED_NO_PAYLOAD;
		if (direction == HTTP_RESPONSE)
			return HTTP_FILTERED_MIDSTREAM;
		c->connection = create(c, 0);
		if (!c->connection)
			return HTTP_LOST_MAP_FULL;
	}
	c->connection->half[direction].last_ns = c->packet->now_ns;
#ifdef MUTANT_WRONG_PAIRING
	// The known mistake: the clock starts at whatever packet comes first after the last response.
	if (!c->connection->armed_ns)
		c->connection->armed_ns = c->packet->now_ns;
#endif
	if (c->connection->slow)
		return STEP_FORWARD;
	if (!c->packet->tcp.payload_bytes && !(flags & HTTP_FLAG_FIN))
		return HTTP_FILTERED_NO_PAYLOAD;
	return position_segment(c, direction);
}

#endif
