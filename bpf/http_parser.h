// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The HTTP/1.x message parser: incremental, one byte at a time, no buffer, no allocation. The kernel half and the
// user-space path run this same code, so that a test of one is a test of the other. It finds where messages begin and
// end; it keeps no header and no body.
//
// All state is in memory behind a volatile pointer: to the kernel verifier each step then starts from the same unknown
// state, and a loop over steps costs the verifier their sum, not their product.
#ifndef PROBELAB_HTTP_PARSER_H
#define PROBELAB_HTTP_PARSER_H

#include "http.h"

enum http_parse_event {
	HTTP_PARSE_NONE,
	HTTP_PARSE_BEGIN,      // this byte is the first of a message
	HTTP_PARSE_START_LINE, // method, or status, is known; for a response set the method it answers now
	HTTP_PARSE_INTERIM,    // a 1xx response is over, another follows
	HTTP_PARSE_END,        // this byte was the message's last
	HTTP_PARSE_UPGRADE,    // 101, or 2xx to CONNECT: no HTTP after this byte
	HTTP_PARSE_ERROR,      // see parser.error
};

typedef volatile struct http_parser http_parser_t;

#define HTTP_PARSER_INLINE static inline __attribute__((always_inline))

HTTP_PARSER_INLINE int http_parser_fail(http_parser_t *p, __u8 error)
{
	p->error = error;
	return HTTP_PARSE_ERROR;
}

HTTP_PARSER_INLINE void http_parser_clear_token(http_parser_t *p)
{
	p->token[0] = 0;
	p->token[1] = 0;
	p->token[2] = 0;
	p->token_bytes = 0;
}

// The token is a 24-byte shift register: comparing it with a constant needs no index and no table.
HTTP_PARSER_INLINE void http_parser_push(http_parser_t *p, __u8 byte)
{
	__u64 middle = p->token[1], low = p->token[2];
	__u8 bytes = p->token_bytes;

	p->token[0] = p->token[0] << 8 | middle >> 56;
	p->token[1] = middle << 8 | low >> 56;
	p->token[2] = low << 8 | byte;
	if (bytes < 255)
		p->token_bytes = bytes + 1;
}

#define HTTP_T1(a) ((__u64)(a))
#define HTTP_T2(a, b) (HTTP_T1(a) << 8 | (b))
#define HTTP_T3(a, b, c) (HTTP_T2(a, b) << 8 | (c))
#define HTTP_T4(a, b, c, d) (HTTP_T3(a, b, c) << 8 | (d))
#define HTTP_T5(a, b, c, d, e) (HTTP_T4(a, b, c, d) << 8 | (e))
#define HTTP_T6(a, b, c, d, e, f) (HTTP_T5(a, b, c, d, e) << 8 | (f))
#define HTTP_T7(a, b, c, d, e, f, g) (HTTP_T6(a, b, c, d, e, f) << 8 | (g))
#define HTTP_T8(a, b, c, d, e, f, g, h) (HTTP_T7(a, b, c, d, e, f, g) << 8 | (h))

#define HTTP_VERSION_1_0 HTTP_T8('H', 'T', 'T', 'P', '/', '1', '.', '0')
#define HTTP_VERSION_1_1 HTTP_T8('H', 'T', 'T', 'P', '/', '1', '.', '1')
#define HTTP_VERSION_2_0 HTTP_T8('H', 'T', 'T', 'P', '/', '2', '.', '0')

// What "PRI", the only method of the HTTP/2 preface, is stored as until its version is read.
#define HTTP_METHOD_PREFACE 255

HTTP_PARSER_INLINE __u8 http_parser_method(http_parser_t *p)
{
	__u64 token = p->token[2];

	if (p->token_bytes > 8)
		return HTTP_METHOD_OTHER;
	if (token == HTTP_T3('G', 'E', 'T'))
		return HTTP_METHOD_GET;
	if (token == HTTP_T4('P', 'O', 'S', 'T'))
		return HTTP_METHOD_POST;
	if (token == HTTP_T3('P', 'U', 'T'))
		return HTTP_METHOD_PUT;
	if (token == HTTP_T4('H', 'E', 'A', 'D'))
		return HTTP_METHOD_HEAD;
	if (token == HTTP_T6('D', 'E', 'L', 'E', 'T', 'E'))
		return HTTP_METHOD_DELETE;
	if (token == HTTP_T5('P', 'A', 'T', 'C', 'H'))
		return HTTP_METHOD_PATCH;
	if (token == HTTP_T7('O', 'P', 'T', 'I', 'O', 'N', 'S'))
		return HTTP_METHOD_OPTIONS;
	if (token == HTTP_T7('C', 'O', 'N', 'N', 'E', 'C', 'T'))
		return HTTP_METHOD_CONNECT;
	if (token == HTTP_T5('T', 'R', 'A', 'C', 'E'))
		return HTTP_METHOD_TRACE;
	if (token == HTTP_T3('P', 'R', 'I'))
		return HTTP_METHOD_PREFACE;
	return HTTP_METHOD_OTHER;
}

// May this byte stand in a method? Letters, digits, '-' and '_' : what registered methods are made of, and then some.
HTTP_PARSER_INLINE int http_parser_is_method_byte(__u8 byte)
{
	__u8 lower = byte | 0x20;

	return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

HTTP_PARSER_INLINE __u8 http_parser_lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

HTTP_PARSER_INLINE int http_parser_end(http_parser_t *p, int event)
{
	p->state = HTTP_STATE_START;
	return event;
}

// The empty line after the headers: how long is the body? (RFC 9112, section 6.3)
HTTP_PARSER_INLINE int http_parser_headers_end(http_parser_t *p, int direction)
{
	__u8 flags = p->flags;

	if (direction == HTTP_RESPONSE) {
		__u16 status = p->status;
		__u8 method = p->method;

		if (status == 101 || (method == HTTP_METHOD_CONNECT && status >= 200 && status < 300))
			return http_parser_end(p, HTTP_PARSE_UPGRADE);
		if (status < 200)
			return http_parser_end(p, HTTP_PARSE_INTERIM);
		if (status == 204 || status == 304 || method == HTTP_METHOD_HEAD)
			return http_parser_end(p, HTTP_PARSE_END);
	}
	if (flags & HTTP_PARSER_HAS_CODING) {
		if (flags & HTTP_PARSER_CHUNKED) {
			p->state = HTTP_STATE_CHUNK_SIZE;
			p->number = 0;
			p->digits = 0;
			return HTTP_PARSE_NONE;
		}
		if (direction == HTTP_REQUEST)
			return http_parser_fail(p, HTTP_UNPARSED_REQUEST);
	} else if (flags & HTTP_PARSER_HAS_LENGTH) {
		__u64 length = p->content_length;

		if (!length)
			return http_parser_end(p, HTTP_PARSE_END);
		p->remaining_bytes = length;
		p->state = HTTP_STATE_BODY;
		return HTTP_PARSE_NONE;
	}
	if (direction == HTTP_REQUEST)
		return http_parser_end(p, HTTP_PARSE_END);
	p->state = HTTP_STATE_UNTIL_CLOSE;
	return HTTP_PARSE_NONE;
}

HTTP_PARSER_INLINE int http_parser_begin(http_parser_t *p, int direction, __u8 byte)
{
	if (byte == '\r' || byte == '\n')
		return HTTP_PARSE_NONE;
	http_parser_clear_token(p);
	p->flags = 0;
	p->status = 0;
	p->method = HTTP_METHOD_OTHER;
	p->digits = 0;
	if (direction == HTTP_REQUEST) {
		if (byte == 0x16) // a TLS handshake record
			return http_parser_fail(p, HTTP_UNPARSED_TLS);
		if (!http_parser_is_method_byte(byte))
			return http_parser_fail(p, HTTP_UNPARSED_REQUEST);
		p->state = HTTP_STATE_METHOD;
	} else {
		if (byte != 'H')
			return http_parser_fail(p, HTTP_UNPARSED_RESPONSE);
		p->state = HTTP_STATE_RESPONSE_VERSION;
	}
	http_parser_push(p, byte);
	return HTTP_PARSE_BEGIN;
}

HTTP_PARSER_INLINE int http_parser_request_line(http_parser_t *p, __u8 state, __u8 byte)
{
	if (state == HTTP_STATE_METHOD) {
		if (byte == ' ') {
			p->method = http_parser_method(p);
			http_parser_clear_token(p);
			p->state = HTTP_STATE_TARGET;
		} else if (http_parser_is_method_byte(byte)) {
			http_parser_push(p, byte);
		} else {
			return http_parser_fail(p, HTTP_UNPARSED_REQUEST);
		}
		return HTTP_PARSE_NONE;
	}
	if (state == HTTP_STATE_TARGET) {
		if (byte == ' ')
			p->state = HTTP_STATE_REQUEST_VERSION;
		else if (byte == '\n')
			return http_parser_fail(p, HTTP_UNPARSED_HTTP09);
		return HTTP_PARSE_NONE;
	}
	// A blank inside the target restarts the version: only the last word of the line can be one.
	if (byte == ' ') {
		http_parser_clear_token(p);
	} else if (byte == '\n') {
		__u64 version = p->token[2];
		__u8 method = p->method;

		if (p->token_bytes != 8 || (version != HTTP_VERSION_1_1 && version != HTTP_VERSION_1_0)) {
			if (method == HTTP_METHOD_PREFACE && version == HTTP_VERSION_2_0)
				return http_parser_fail(p, HTTP_UNPARSED_HTTP2);
			return http_parser_fail(p, HTTP_UNPARSED_REQUEST);
		}
		if (method == HTTP_METHOD_PREFACE)
			p->method = HTTP_METHOD_OTHER;
		p->state = HTTP_STATE_LINE_START;
		return HTTP_PARSE_START_LINE;
	} else if (byte != '\r') {
		http_parser_push(p, byte);
	}
	return HTTP_PARSE_NONE;
}

HTTP_PARSER_INLINE int http_parser_status_line(http_parser_t *p, __u8 state, __u8 byte)
{
	__u16 status;

	if (state == HTTP_STATE_RESPONSE_VERSION) {
		if (byte == ' ') {
			__u64 version = p->token[2];

			if (p->token_bytes != 8 || (version != HTTP_VERSION_1_1 && version != HTTP_VERSION_1_0))
				return http_parser_fail(p, HTTP_UNPARSED_RESPONSE);
			p->state = HTTP_STATE_STATUS;
		} else {
			if (p->token_bytes >= 8)
				return http_parser_fail(p, HTTP_UNPARSED_RESPONSE);
			http_parser_push(p, byte);
		}
		return HTTP_PARSE_NONE;
	}
	status = p->status;
	if (byte >= '0' && byte <= '9') {
		__u8 digits = p->digits;

		if (digits >= 3)
			return http_parser_fail(p, HTTP_UNPARSED_RESPONSE);
		p->digits = digits + 1;
		p->status = status * 10 + (byte - '0');
		return HTTP_PARSE_NONE;
	}
	if ((byte != ' ' && byte != '\r' && byte != '\n') || status < 100 || status > 599)
		return http_parser_fail(p, HTTP_UNPARSED_RESPONSE);
	p->state = byte == '\n' ? HTTP_STATE_LINE_START : HTTP_STATE_REASON;
	return HTTP_PARSE_START_LINE;
}

HTTP_PARSER_INLINE int http_parser_bad_message(http_parser_t *p, int direction)
{
	return http_parser_fail(p, direction == HTTP_REQUEST ? HTTP_UNPARSED_REQUEST : HTTP_UNPARSED_RESPONSE);
}

HTTP_PARSER_INLINE int http_parser_line_start(http_parser_t *p, int direction, __u8 byte)
{
	__u8 lower = byte | 0x20;

	if (byte == '\n')
		return http_parser_headers_end(p, direction);
	if (byte == '\r')
		return HTTP_PARSE_NONE;
	if (byte == ' ' || byte == '\t') {
		// A folded line continues the header before it; a framing header must not be folded.
		if (p->flags & HTTP_PARSER_FRAMING_HEADER)
			return http_parser_bad_message(p, direction);
		p->state = HTTP_STATE_IGNORED_LINE;
		return HTTP_PARSE_NONE;
	}
	p->flags &= ~HTTP_PARSER_FRAMING_HEADER;
	if (lower != 'c' && lower != 't') {
		p->state = HTTP_STATE_IGNORED_LINE;
		return HTTP_PARSE_NONE;
	}
	http_parser_clear_token(p);
	http_parser_push(p, lower);
	p->state = HTTP_STATE_NAME;
	return HTTP_PARSE_NONE;
}

HTTP_PARSER_INLINE int http_parser_name(http_parser_t *p, __u8 byte)
{
	__u64 middle, low;
	__u8 bytes;

	if (byte == '\n') {
		p->state = HTTP_STATE_LINE_START;
		return HTTP_PARSE_NONE;
	}
	if (byte != ':') {
		http_parser_push(p, http_parser_lower(byte));
		return HTTP_PARSE_NONE;
	}
	bytes = p->token_bytes;
	middle = p->token[1];
	low = p->token[2];
	p->state = HTTP_STATE_IGNORED_LINE;
	if (bytes == 14 && middle == HTTP_T6('c', 'o', 'n', 't', 'e', 'n') &&
	    low == HTTP_T8('t', '-', 'l', 'e', 'n', 'g', 't', 'h')) {
		p->flags |= HTTP_PARSER_FRAMING_HEADER;
		p->number = 0;
		p->digits = 0;
		p->state = HTTP_STATE_CONTENT_LENGTH;
	} else if (bytes == 17 && p->token[0] == 't' &&
		   middle == HTTP_T8('r', 'a', 'n', 's', 'f', 'e', 'r', '-') &&
		   low == HTTP_T8('e', 'n', 'c', 'o', 'd', 'i', 'n', 'g')) {
		p->flags |= HTTP_PARSER_FRAMING_HEADER;
		http_parser_clear_token(p);
		p->state = HTTP_STATE_TRANSFER_ENCODING;
	}
	return HTTP_PARSE_NONE;
}

// digits: 0 before the number, 1..19 in it, 255 after it.
HTTP_PARSER_INLINE int http_parser_content_length(http_parser_t *p, int direction, __u8 byte)
{
	__u8 digits = p->digits, flags;
	__u64 number = p->number;

	if (byte >= '0' && byte <= '9') {
		if (digits >= 18)
			return http_parser_bad_message(p, direction);
		p->number = number * 10 + (byte - '0');
		p->digits = digits + 1;
		return HTTP_PARSE_NONE;
	}
	if (byte == ' ' || byte == '\t' || byte == '\r') {
		if (digits)
			p->digits = 255;
		return HTTP_PARSE_NONE;
	}
	flags = p->flags;
	if (byte != '\n' || !digits || ((flags & HTTP_PARSER_HAS_LENGTH) && p->content_length != number))
		return http_parser_bad_message(p, direction);
	p->content_length = number;
	p->flags = flags | HTTP_PARSER_HAS_LENGTH;
	p->state = HTTP_STATE_LINE_START;
	return HTTP_PARSE_NONE;
}

// Only the last coding of the list counts: "chunked" or not.
HTTP_PARSER_INLINE int http_parser_transfer_encoding(http_parser_t *p, __u8 byte)
{
	__u8 flags;

	if (byte == ',') {
		http_parser_clear_token(p);
	} else if (byte == '\n') {
		flags = (p->flags & ~HTTP_PARSER_CHUNKED) | HTTP_PARSER_HAS_CODING;
		if (p->token_bytes == 7 && p->token[2] == HTTP_T7('c', 'h', 'u', 'n', 'k', 'e', 'd'))
			flags |= HTTP_PARSER_CHUNKED;
		p->flags = flags;
		p->state = HTTP_STATE_LINE_START;
	} else if (byte != ' ' && byte != '\t' && byte != '\r') {
		http_parser_push(p, http_parser_lower(byte));
	}
	return HTTP_PARSE_NONE;
}

HTTP_PARSER_INLINE int http_parser_chunk_line(http_parser_t *p, int direction, __u8 state, __u8 byte)
{
	__u8 lower = byte | 0x20, digit = 255, digits;

	if (byte == '\n') {
		__u64 size = p->number;

		if (!p->digits)
			return http_parser_bad_message(p, direction);
		p->remaining_bytes = size;
		p->state = size ? HTTP_STATE_CHUNK_DATA : HTTP_STATE_TRAILER_START;
		return HTTP_PARSE_NONE;
	}
	if (state == HTTP_STATE_CHUNK_EXTENSION || byte == '\r')
		return HTTP_PARSE_NONE;
	if (byte >= '0' && byte <= '9')
		digit = byte - '0';
	else if (lower >= 'a' && lower <= 'f')
		digit = lower - 'a' + 10;
	digits = p->digits;
	if (digit < 16 && digits < 15) {
		p->number = p->number << 4 | digit;
		p->digits = digits + 1;
	} else if (byte == ';' || byte == ' ' || byte == '\t') {
		p->state = HTTP_STATE_CHUNK_EXTENSION;
	} else {
		return http_parser_bad_message(p, direction);
	}
	return HTTP_PARSE_NONE;
}

HTTP_PARSER_INLINE int http_parser_chunk_end(http_parser_t *p, int direction, __u8 byte)
{
	if (byte == '\n') {
		p->number = 0;
		p->digits = 0;
		p->state = HTTP_STATE_CHUNK_SIZE;
	} else if (byte != '\r') {
		return http_parser_bad_message(p, direction);
	}
	return HTTP_PARSE_NONE;
}

// Does the parser discard bytes until the next line feed?
HTTP_PARSER_INLINE int http_parser_in_ignored_line(http_parser_t *p)
{
	return p->state >= HTTP_STATE_TRAILER_LINE;
}

// Is there a line feed among these eight bytes?
HTTP_PARSER_INLINE int http_parser_has_line_feed(__u64 word)
{
	__u64 zero = word ^ 0x0a0a0a0a0a0a0a0aULL;

	return ((zero - 0x0101010101010101ULL) & ~zero & 0x8080808080808080ULL) != 0;
}

// Takes one byte that is not body. Call http_parser_skip first.
HTTP_PARSER_INLINE int http_parser_step(http_parser_t *p, int direction, __u8 byte)
{
	__u8 state = p->state;

	switch (state) {
	case HTTP_STATE_START:
		return http_parser_begin(p, direction, byte);
	case HTTP_STATE_METHOD:
	case HTTP_STATE_TARGET:
	case HTTP_STATE_REQUEST_VERSION:
		if (direction == HTTP_REQUEST)
			return http_parser_request_line(p, state, byte);
		break;
	case HTTP_STATE_RESPONSE_VERSION:
	case HTTP_STATE_STATUS:
		if (direction == HTTP_RESPONSE)
			return http_parser_status_line(p, state, byte);
		break;
	case HTTP_STATE_LINE_START:
		return http_parser_line_start(p, direction, byte);
	case HTTP_STATE_NAME:
		return http_parser_name(p, byte);
	case HTTP_STATE_CONTENT_LENGTH:
		return http_parser_content_length(p, direction, byte);
	case HTTP_STATE_TRANSFER_ENCODING:
		return http_parser_transfer_encoding(p, byte);
	case HTTP_STATE_CHUNK_SIZE:
	case HTTP_STATE_CHUNK_EXTENSION:
		return http_parser_chunk_line(p, direction, state, byte);
	case HTTP_STATE_CHUNK_END:
		return http_parser_chunk_end(p, direction, byte);
	case HTTP_STATE_TRAILER_START:
		if (byte == '\n')
			return http_parser_end(p, HTTP_PARSE_END);
		if (byte != '\r')
			p->state = HTTP_STATE_TRAILER_LINE;
		return HTTP_PARSE_NONE;
	case HTTP_STATE_TRAILER_LINE:
		if (byte == '\n')
			p->state = HTTP_STATE_TRAILER_START;
		return HTTP_PARSE_NONE;
	case HTTP_STATE_REASON:
	case HTTP_STATE_IGNORED_LINE:
		if (byte == '\n')
			p->state = HTTP_STATE_LINE_START;
		return HTTP_PARSE_NONE;
	}
	return HTTP_PARSE_NONE;
}

// Passes over body bytes: how many of `available` (> 0) are body. *event is set when they end the message.
HTTP_PARSER_INLINE __u32 http_parser_skip(http_parser_t *p, __u32 available, int *event)
{
	__u8 state = p->state;
	__u64 remaining;

	*event = HTTP_PARSE_NONE;
	if (state == HTTP_STATE_UNTIL_CLOSE)
		return available;
	if (state != HTTP_STATE_BODY && state != HTTP_STATE_CHUNK_DATA)
		return 0;
	remaining = p->remaining_bytes;
	if (remaining > available) {
		p->remaining_bytes = remaining - available;
		return available;
	}
	p->remaining_bytes = 0;
	if (state == HTTP_STATE_BODY)
		*event = http_parser_end(p, HTTP_PARSE_END);
	else
		p->state = HTTP_STATE_CHUNK_END;
	return remaining;
}

#endif
