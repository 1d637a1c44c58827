// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The shared parser as a function for user space: a loop over its steps, as the kernel half has one.
#include "http_parser.h"

__u32 probelab_http_feed(struct http_parser *parser, __u32 direction, const __u8 *data, __u32 bytes, __s32 *event);

// Takes bytes up to the first event, or all of them. Returns how many.
__u32 probelab_http_feed(struct http_parser *parser, __u32 direction, const __u8 *data, __u32 bytes, __s32 *event)
{
	__u32 position = 0;

	*event = HTTP_PARSE_NONE;
	while (position < bytes && *event == HTTP_PARSE_NONE) {
		__u32 skipped = http_parser_skip(parser, bytes - position, event);

		if (skipped) {
			position += skipped;
			continue;
		}
		*event = direction == HTTP_REQUEST ? http_parser_step(parser, HTTP_REQUEST, data[position]) :
						     http_parser_step(parser, HTTP_RESPONSE, data[position]);
		position++;
	}
	return position;
}
