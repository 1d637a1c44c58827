// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Requests and their responses: the queue of pending requests, and how each of them ends. The request side pushes,
// the response side settles, oldest first.
#ifndef PROBELAB_HTTP_PAIRING_H
#define PROBELAB_HTTP_PAIRING_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http.h"
#include "http_maps.h"
#include "http_parser.h"

static __always_inline int bucket(__u64 value_ns)
{
	int i;

#pragma unroll
	for (i = 0; i < HTTP_BOUNDS; i++)
		if (value_ns <= http_bounds_ns[i])
			return i;
	return HTTP_BOUNDS;
}

static __always_inline __u32 pending(struct http_connection *connection)
{
	return connection->half[HTTP_REQUEST].count - connection->half[HTTP_RESPONSE].count;
}

static __always_inline void log_exchange(struct context *c, struct http_pending *request, __u64 first_byte_ns,
					 __u64 end_ns)
{
	volatile struct http_half *half = &c->connection->half[HTTP_RESPONSE];
	struct http_exchange exchange = {
		.key = c->packet->key,
		.start_ns = request->start_ns,
		.first_byte_ns = first_byte_ns,
		.end_ns = end_ns,
		.number = half->count + 1,
		.status = half->parser.status,
		.method = request->method,
	};
	// User space drains the log when it is asked for it, and has to be woken only before it overflows.
	__u64 used = bpf_ringbuf_query(&exchanges, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&exchanges, BPF_RB_RING_SIZE);
	__u64 flags = used > size / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_output(&exchanges, &exchange, sizeof(exchange), flags))
		c->counters->exchanges_lost++;
}

// Receive stamps are by the wall clock. One that was set by less than HTTP_FRESH_STAMP_NS since user space last looked
// can put an end before its beginning.
static __always_inline __u64 not_before(__u64 time_ns, __u64 earliest_ns)
{
	return time_ns < earliest_ns ? earliest_ns : time_ns;
}

// The oldest pending request has its whole response.
static __always_inline void complete(struct context *c, __u64 end_ns)
{
	volatile struct http_half *half = &c->connection->half[HTTP_RESPONSE];
	struct http_pending *request = &c->connection->fifo[half->count % HTTP_FIFO_SLOTS];
	struct http_series series = {.status = half->parser.status, .method = request->method};
	struct http_histogram *histogram;
	__u64 first_byte_ns, duration_ns, waited_ns;

#ifdef MUTANT_WRONG_PAIRING
	request->start_ns = c->connection->armed_ns;
	c->connection->armed_ns = 0;
#endif
	first_byte_ns = not_before(half->message_ns, request->start_ns);
	end_ns = not_before(end_ns, first_byte_ns);
	waited_ns = first_byte_ns - request->start_ns;
	duration_ns = end_ns - request->start_ns;
	histogram = bpf_map_lookup_elem(&histograms, &series);
	if (!histogram) {
		bpf_map_update_elem(&histograms, &series, &c->packet->zero, BPF_NOEXIST);
		histogram = bpf_map_lookup_elem(&histograms, &series);
	}
	if (histogram) {
		histogram->count++;
		histogram->duration_sum_ns += duration_ns;
		histogram->first_byte_sum_ns += waited_ns;
		histogram->duration_buckets[bucket(duration_ns)]++;
		histogram->first_byte_buckets[bucket(waited_ns)]++;
		c->counters->outcomes[HTTP_OUTCOME_COMPLETE]++;
		if (http_exchange_log)
			log_exchange(c, request, first_byte_ns, end_ns);
	} else {
		c->counters->outcomes[HTTP_OUTCOME_UNKNOWN_SERIES_FULL]++;
	}
	half->count++;
}

// Every pending request ends the same way.
static __always_inline void settle(struct context *c, int outcome)
{
	c->counters->outcomes[outcome] += pending(c->connection);
	c->connection->half[HTTP_RESPONSE].count = c->connection->half[HTTP_REQUEST].count;
}

// What the byte loop leaves behind; negative values are not verdicts.
#define STEP_CONTINUE (-1)
#define STEP_HAND_OVER (-2)
#define STEP_FORWARD (-3)

static __always_inline int on_request_event(struct context *c, int event)
{
	volatile struct http_half *half = &c->connection->half[HTTP_REQUEST];
	struct http_pending *slot;

	if (event == HTTP_PARSE_BEGIN) {
		if (pending(c->connection) >= HTTP_FIFO_SLOTS) {
			half->parser.state = HTTP_STATE_START;
			return STEP_HAND_OVER;
		}
		half->message_ns = c->packet->now_ns;
		if (!half->count)
			half->join_sequence = c->packet->tcp.acknowledged;
	} else if (event == HTTP_PARSE_START_LINE) {
		if (half->waiting && half->parser.method == HTTP_METHOD_OTHER) {
			half->parser.state = HTTP_STATE_START;
			return HTTP_FILTERED_MIDSTREAM;
		}
		half->waiting = 0;
		slot = &c->connection->fifo[half->count % HTTP_FIFO_SLOTS];
		slot->start_ns = half->message_ns;
		slot->method = half->parser.method;
		half->count++;
		c->counters->started++;
	} else if (event == HTTP_PARSE_ERROR) {
		half->parser.state = HTTP_STATE_START;
		if (half->waiting)
			return HTTP_FILTERED_MIDSTREAM;
		half->opaque = 1;
		c->counters->unparsed[half->parser.error % HTTP_UNPARSED_KINDS]++;
		return HTTP_RECORDED_SEGMENT;
	}
	return STEP_CONTINUE;
}

static __always_inline int on_response_event(struct context *c, int event)
{
	volatile struct http_half *half = &c->connection->half[HTTP_RESPONSE];

	if (event == HTTP_PARSE_BEGIN) {
		if (!pending(c->connection)) {
			half->opaque = 1;
			if (!c->connection->half[HTTP_REQUEST].opaque)
				c->counters->unparsed[HTTP_UNPARSED_UNSOLICITED_RESPONSE]++;
			return HTTP_RECORDED_SEGMENT;
		}
		half->message_ns = c->packet->now_ns;
	} else if (event == HTTP_PARSE_START_LINE) {
		half->parser.method = c->connection->fifo[half->count % HTTP_FIFO_SLOTS].method;
	} else if (event == HTTP_PARSE_END) {
		complete(c, c->packet->now_ns);
	} else if (event == HTTP_PARSE_UPGRADE) {
		complete(c, c->packet->now_ns);
		half->upgraded = 1;
		return HTTP_RECORDED_SEGMENT;
	} else if (event == HTTP_PARSE_ERROR) {
		half->opaque = 1;
		c->counters->unparsed[HTTP_UNPARSED_RESPONSE]++;
		settle(c, HTTP_OUTCOME_UNKNOWN_UNPARSED_RESPONSE);
		return HTTP_RECORDED_SEGMENT;
	}
	return STEP_CONTINUE;
}

#endif
