// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// HTTP/1.x latency and outcomes, from a socket filter on an AF_PACKET socket. It always answers 0: no packet is ever
// queued for user space. One program sorts packets; one per direction follows the connection's bytes. What cannot be
// decided here (a gap, too many pipelined requests, too many structure bytes in one segment) moves the connection to
// user space for the rest of its life.
//
// Needs nothing newer than Linux 5.10: no loop helper, no lock, no timer.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "http.h"
#include "http_parser.h"
#include "kernel.h"
#include "packet.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// Zero ends the list.
const volatile __u16 http_ports[HTTP_MAX_PORTS];
// A loopback interface shows each packet twice, when sent and when received; the received one carries the kernel's
// own stamp.
const volatile __u8 http_loopback;
const volatile __u8 http_exchange_log;
const volatile __u64 http_bounds_ns[HTTP_BOUNDS];

// Set with the first connection that moves to user space; from then on bare acknowledgements are looked at, too.
__u32 http_any_slow;

// What the programs tell each other about one packet, and buffers too large for the stack.
struct http_packet {
	struct packet tcp;
	struct http_key key;
	__u64 now_ns;
	__u32 position; // payload bytes consumed
	__u32 window_start;
	__u32 window_bytes;
	__u32 rounds;
	__u32 forwarded_bytes;
	__u8 direction;
	__u8 window[HTTP_WINDOW_BYTES + 8];
	struct http_connection blank;
	struct http_histogram zero;
	union {
		struct http_segment_event segment;
		struct http_snapshot_event snapshot;
	} out;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct http_packet);
} packets SEC(".maps");

// CLOCK_REALTIME minus CLOCK_MONOTONIC in nanoseconds, kept current by user space.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} clock_offset SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct http_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct http_key);
	__type(value, struct http_connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, HTTP_MAX_SERIES);
	__type(key, struct http_series);
	__type(value, struct http_histogram);
} histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} segments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} exchanges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HTTP_STAGES);
	__type(key, __u32);
	__type(value, __u32);
} stages SEC(".maps");

// Everything a direction program works with.
struct context {
	struct __sk_buff *skb;
	struct http_packet *packet;
	struct http_counters *counters;
	struct http_connection *connection;
};

static __always_inline struct http_packet *this_packet(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&packets, &zero);
}

static __always_inline struct http_counters *this_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

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

static __always_inline void log_exchange(struct context *c, struct http_pending *request, __u64 end_ns)
{
	volatile struct http_half *half = &c->connection->half[HTTP_RESPONSE];
	struct http_exchange exchange = {
		.key = c->packet->key,
		.start_ns = request->start_ns,
		.first_byte_ns = half->message_ns,
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

// The oldest pending request has its whole response.
static __always_inline void complete(struct context *c, __u64 end_ns)
{
	volatile struct http_half *half = &c->connection->half[HTTP_RESPONSE];
	struct http_pending *request = &c->connection->fifo[half->count % HTTP_FIFO_SLOTS];
	struct http_series series = {.status = half->parser.status, .method = request->method};
	struct http_histogram *histogram;
	__u64 duration_ns, first_byte_ns;

#ifdef MUTANT_WRONG_PAIRING
	request->start_ns = c->connection->armed_ns;
	c->connection->armed_ns = 0;
#endif
	duration_ns = end_ns - request->start_ns;
	first_byte_ns = half->message_ns - request->start_ns;
	histogram = bpf_map_lookup_elem(&histograms, &series);
	if (!histogram) {
		bpf_map_update_elem(&histograms, &series, &c->packet->zero, BPF_NOEXIST);
		histogram = bpf_map_lookup_elem(&histograms, &series);
	}
	if (histogram) {
		histogram->count++;
		histogram->duration_sum_ns += duration_ns;
		histogram->first_byte_sum_ns += first_byte_ns;
		histogram->duration_buckets[bucket(duration_ns)]++;
		histogram->first_byte_buckets[bucket(first_byte_ns)]++;
		c->counters->outcomes[HTTP_OUTCOME_COMPLETE]++;
		if (http_exchange_log)
			log_exchange(c, request, end_ns);
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

static __always_inline int output(struct context *c, void *event, __u64 bytes)
{
	return bpf_ringbuf_output(&segments, event, bytes, 0);
}

static __always_inline void fill_event(struct context *c, struct http_event *event, int kind, int direction)
{
	event->key = c->packet->key;
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

// `bytes`, not zero, as a number from 1 to `limit`, a power of two. The verifiers of 5.10 and 6.1 learn nothing
// from a comparison with zero, so both bounds come from arithmetic.
static __always_inline __u32 within(__u32 bytes, __u32 limit)
{
	__u32 last = bytes - 1;

	asm volatile("" : "+r"(last)); // or the compiler folds the bounds away again
	return (last & (limit - 1)) + 1;
}

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

static __always_inline int is_in_request_line(volatile struct http_half *half)
{
	__u8 state = half->parser.state;

	return !half->waiting && !half->opaque && state >= HTTP_STATE_METHOD && state <= HTTP_STATE_REQUEST_VERSION;
}

// A connection ends once: only the packet that removes the entry settles what is left.
static __always_inline void remove(struct context *c, int outcome)
{
	__u32 left = pending(c->connection);
	int slow = c->connection->slow;
	int incomplete = is_in_request_line(&c->connection->half[HTTP_REQUEST]);

	if (bpf_map_delete_elem(&connections, &c->packet->key) || slow)
		return;
	c->counters->outcomes[outcome % HTTP_OUTCOMES] += left;
	if (incomplete)
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
	blank->half[HTTP_REQUEST].next_sequence = c->packet->tcp.sequence;
	blank->half[HTTP_REQUEST].synchronised = 1;
	blank->half[HTTP_REQUEST].from_start = from_start;
	blank->half[HTTP_REQUEST].waiting = !from_start;
	blank->half[HTTP_REQUEST].last_ns = c->packet->now_ns;
	if (bpf_map_update_elem(&connections, &c->packet->key, blank, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&connections, &c->packet->key);
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

// The first packet of a client. Returns a verdict, or STEP_CONTINUE when the packet also carries payload.
static __always_inline int on_syn(struct context *c)
{
	// The SYN itself takes one number; its payload, if any, starts behind it.
	c->packet->tcp.sequence++;
	if (c->connection) {
		volatile struct http_half *half = &c->connection->half[HTTP_REQUEST];

		if (half->from_start && !half->count && half->next_sequence == c->packet->tcp.sequence)
			return HTTP_FILTERED_NO_PAYLOAD;
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
	if (c.packet->tcp.flags & HTTP_FLAG_SYN)
		create(&c, 1);
	else
		close_side(&c, direction);
	c.counters->verdicts[result % HTTP_VERDICTS]++;
	return 0;
}

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
