// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Header lines: the two that frame a body are read, the others passed over, and the empty line says how the body ends.
#ifndef PROBELAB_HTTP_HEADERS_H
#define PROBELAB_HTTP_HEADERS_H

#include "http.h"
#include "http_token.h"

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

#endif
