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
#include "http_headers.h"
#include "http_start_line.h"
#include "http_token.h"

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
