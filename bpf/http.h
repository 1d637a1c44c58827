// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// What the kernel half and the Rust half of the HTTP probe share: layouts, limits and names of counters.
// Rust reads this file through bindgen, so nothing here is declared a second time. No logic lives here.
#ifndef PROBELAB_HTTP_H
#define PROBELAB_HTTP_H

#include <linux/types.h>

// Requests of one connection that may wait for their response before the connection moves to user space.
#define HTTP_FIFO_SLOTS 8
// A receive stamp older than this, or from the future, is not believed: the clock was set. Nanoseconds.
#define HTTP_FRESH_STAMP_NS 1000000
// Server ports one probe watches.
#define HTTP_MAX_PORTS 8
// Pairs of method and status counted apart.
#define HTTP_MAX_SERIES 512
// Places for upper bounds of the duration buckets: the 14 that OpenTelemetry advises and those that a manifest adds.
// Places after the last bound hold what no duration exceeds. One more bucket holds everything above a full list.
#define HTTP_BOUNDS 18
#define HTTP_BUCKETS (HTTP_BOUNDS + 1)
// Payload bytes copied at once for parsing. Eight spare bytes let a word be read at any offset.
#define HTTP_WINDOW_BYTES 256
// Parser steps in one program run. The kernel verifier walks each of them, so the number bounds load time.
#define HTTP_STEPS 32
// Runs of the parsing program for one packet; the kernel itself stops at 33.
#define HTTP_MAX_ROUNDS 30
// Payload bytes in one event of the user-space path, and events for one (super-)segment.
#define HTTP_EVENT_BYTES 2048
#define HTTP_MAX_EVENTS 32

enum http_direction { HTTP_REQUEST, HTTP_RESPONSE, HTTP_DIRECTIONS };

// Programs by their place in the tail-call map; the first two are the directions.
enum http_stage { HTTP_STAGE_FORWARD = HTTP_DIRECTIONS, HTTP_STAGES };

// The methods OpenTelemetry lists; every other token is HTTP_METHOD_OTHER.
enum http_method {
	HTTP_METHOD_OTHER,
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_TRACE,
	HTTP_METHODS,
};

// Every run of the program ends in exactly one of these.
enum http_verdict {
	// filtered: looked at and of no interest
	HTTP_FILTERED_LOOPBACK_DUPLICATE,
	HTTP_FILTERED_NOT_IP,
	HTTP_FILTERED_NOT_TCP,
	HTTP_FILTERED_OTHER_PORT,
	HTTP_FILTERED_NO_PAYLOAD,
	HTTP_FILTERED_RETRANSMISSION,
	HTTP_FILTERED_MIDSTREAM,
	HTTP_FILTERED_OPAQUE,
	HTTP_FILTERED_UPGRADED,
	// recorded: its bytes were parsed here, or handed to user space
	HTTP_RECORDED_SEGMENT,
	HTTP_RECORDED_HANDED_OVER,
	// lost: it may have carried bytes of interest that nobody read
	HTTP_LOST_FRAGMENT,
	HTTP_LOST_TRUNCATED,
	HTTP_LOST_MAP_FULL,
	HTTP_LOST_RING_FULL,
	HTTP_LOST_INTERNAL,
	HTTP_VERDICTS,
};

enum http_unparsed {
	HTTP_UNPARSED_NONE,
	HTTP_UNPARSED_TLS,
	HTTP_UNPARSED_HTTP09,
	HTTP_UNPARSED_HTTP2,
	HTTP_UNPARSED_REQUEST,
	HTTP_UNPARSED_RESPONSE,
	HTTP_UNPARSED_UNSOLICITED_RESPONSE,
	HTTP_UNPARSED_INCOMPLETE_REQUEST,
	HTTP_UNPARSED_KINDS,
};

// How a request ends. Exactly one of these per started request.
enum http_outcome {
	HTTP_OUTCOME_COMPLETE,
	HTTP_OUTCOME_ABORTED_CLIENT,
	HTTP_OUTCOME_ABORTED_SERVER,
	HTTP_OUTCOME_UNKNOWN_GAP,
	HTTP_OUTCOME_UNKNOWN_PORT_REUSE,
	HTTP_OUTCOME_UNKNOWN_EXPIRED,
	HTTP_OUTCOME_UNKNOWN_UNPARSED_RESPONSE,
	HTTP_OUTCOME_UNKNOWN_FIFO_FULL,
	HTTP_OUTCOME_UNKNOWN_SERIES_FULL,
	HTTP_OUTCOMES,
};

// Parser states. The ones from HTTP_STATE_TRAILER_LINE on discard bytes up to the next line feed.
enum http_state {
	HTTP_STATE_START,
	HTTP_STATE_METHOD,
	HTTP_STATE_TARGET,
	HTTP_STATE_REQUEST_VERSION,
	HTTP_STATE_RESPONSE_VERSION,
	HTTP_STATE_STATUS,
	HTTP_STATE_LINE_START,
	HTTP_STATE_NAME,
	HTTP_STATE_CONTENT_LENGTH,
	HTTP_STATE_TRANSFER_ENCODING,
	HTTP_STATE_CHUNK_SIZE,
	HTTP_STATE_CHUNK_END,
	HTTP_STATE_TRAILER_START,
	HTTP_STATE_BODY,
	HTTP_STATE_CHUNK_DATA,
	HTTP_STATE_UNTIL_CLOSE,
	HTTP_STATE_TRAILER_LINE,
	HTTP_STATE_CHUNK_EXTENSION,
	HTTP_STATE_REASON,
	HTTP_STATE_IGNORED_LINE,
};

// One direction's message parser, between two bytes.
struct http_parser {
	__u64 token[3];        // the last 24 bytes of the current token, oldest in the high byte of [0]
	__u64 remaining_bytes; // body or chunk bytes still to skip
	__u64 number;          // number being read
	__u64 content_length;
	__u16 status;
	__u8 state;  // enum http_state
	__u8 method; // enum http_method; of a response: the method it answers
	__u8 flags;  // HTTP_PARSER_*
	__u8 token_bytes;
	__u8 digits;
	__u8 error; // enum http_unparsed
};
#define HTTP_PARSER_HAS_LENGTH 1
#define HTTP_PARSER_HAS_CODING 2
#define HTTP_PARSER_CHUNKED 4
#define HTTP_PARSER_FRAMING_HEADER 8 // the line just read was one of the two above
_Static_assert(sizeof(struct http_parser) == 56, "http_parser");

// One direction of a connection, written only by packets of that direction.
struct http_half {
	struct http_parser parser;
	__u64 last_ns;       // when the last packet of this direction was seen
	__u64 message_ns;    // first byte of the message being parsed
	__u64 data_ns;       // last payload byte
	__u32 next_sequence; // sequence number of the next byte to parse
	__u32 join_sequence; // request: the server's sequence number when the first request was seen
	__u32 count;         // request: requests pushed; response: requests settled
	__u8 synchronised;   // next_sequence is valid
	__u8 waiting;        // joined in the middle: wait for a segment that starts a request
	__u8 opaque;         // not HTTP/1.x: ignore what follows
	__u8 closed;         // FIN seen
	__u8 handed_over;    // user space has this half
	__u8 upgraded;       // response: 101 or CONNECT
	__u8 from_start;     // request: the connection was seen from its SYN
	__u8 pad[5];
};
_Static_assert(sizeof(struct http_half) == 104, "http_half");

struct http_pending {
	__u64 start_ns;
	__u8 method;
	__u8 pad[7];
};

// A connection. The FIFO has one writer (request side) and one reader (response side): no lock.
struct http_connection {
	struct http_half half[HTTP_DIRECTIONS];
	struct http_pending fifo[HTTP_FIFO_SLOTS];
	__u64 opened_ns;      // when the entry was made: with the key, which connection this is
	__u64 armed_ns;       // only in the wrong-pairing object
	__u32 first_sequence; // of the client's first byte, if the connection was seen from its SYN
	__u8 slow;            // user space decides; both sides only ever set it
	__u8 pad[3];
};
_Static_assert(sizeof(struct http_connection) == 360, "http_connection");

// Network byte order except ports. IPv4 addresses stand in the first four bytes.
struct http_key {
	__u8 client[16];
	__u8 server[16];
	__u16 client_port;
	__u16 server_port;
	__u8 family; // 4 or 6
	__u8 pad[3];
};
_Static_assert(sizeof(struct http_key) == 40, "http_key");

struct http_series {
	__u16 status;
	__u8 method;
	__u8 pad;
};
_Static_assert(sizeof(struct http_series) == 4, "http_series");

struct http_histogram {
	__u64 count;
	__u64 duration_sum_ns;
	__u64 first_byte_sum_ns;
	__u64 duration_buckets[HTTP_BUCKETS];
	__u64 first_byte_buckets[HTTP_BUCKETS];
};
_Static_assert(sizeof(struct http_histogram) == 328, "http_histogram");

struct http_counters {
	__u64 verdicts[HTTP_VERDICTS];
	__u64 outcomes[HTTP_OUTCOMES];
	__u64 unparsed[HTTP_UNPARSED_KINDS];
	__u64 started;
	__u64 handovers;
	__u64 exchanges_lost;
};
_Static_assert(sizeof(struct http_counters) == 8 * (16 + 9 + 8 + 3), "http_counters");

// One finished request, for the exchange log.
struct http_exchange {
	struct http_key key;
	__u64 start_ns;
	__u64 first_byte_ns;
	__u64 end_ns;
	__u32 number; // of the request on its connection, from 1
	__u16 status;
	__u8 method;
	__u8 pad;
};
_Static_assert(sizeof(struct http_exchange) == 72, "http_exchange");

// Events of the user-space path. Both start with this header.
enum http_event_kind { HTTP_EVENT_SNAPSHOT = 1, HTTP_EVENT_SEGMENT };

#define HTTP_FLAG_FIN 1
#define HTTP_FLAG_SYN 2
#define HTTP_FLAG_RST 4
#define HTTP_FLAG_ACK 16

struct http_event {
	struct http_key key;
	__u64 opened_ns; // of the connection: a later one may have the same key
	__u64 now_ns;
	__u8 kind;
	__u8 direction;
	__u8 flags; // TCP flags, only on a segment's last event
	__u8 pad;
	__u32 sequence; // of the first byte in this event
	__u32 acknowledged;
	__u32 data_bytes; // bytes that follow
};
_Static_assert(sizeof(struct http_event) == 72, "http_event");

struct http_snapshot_event {
	struct http_event event;
	struct http_half half;
	struct http_pending fifo[HTTP_FIFO_SLOTS];
};
_Static_assert(sizeof(struct http_snapshot_event) == 304, "http_snapshot_event");

struct http_segment_event {
	struct http_event event;
	__u8 data[HTTP_EVENT_BYTES];
};

#endif
