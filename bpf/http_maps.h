// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What all programs of the HTTP probe share at run time: knobs, maps, and the notes about one packet. No logic.
#ifndef PROBELAB_HTTP_MAPS_H
#define PROBELAB_HTTP_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http.h"
#include "packet.h"

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

#endif
