// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The ground the HTTP parser stands on: what a byte can mean to it, and the register it collects words in.
#ifndef PROBELAB_HTTP_TOKEN_H
#define PROBELAB_HTTP_TOKEN_H

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

HTTP_PARSER_INLINE __u8 http_parser_lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

HTTP_PARSER_INLINE int http_parser_end(http_parser_t *p, int event)
{
	p->state = HTTP_STATE_START;
	return event;
}

HTTP_PARSER_INLINE int http_parser_bad_message(http_parser_t *p, int direction)
{
	return http_parser_fail(p, direction == HTTP_REQUEST ? HTTP_UNPARSED_REQUEST : HTTP_UNPARSED_RESPONSE);
}

#endif
