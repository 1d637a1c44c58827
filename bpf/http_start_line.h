// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The first line of a request or a response: method, version, status.
#ifndef PROBELAB_HTTP_START_LINE_H
#define PROBELAB_HTTP_START_LINE_H

#include "http.h"
#include "http_token.h"

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

#endif
