//! The parser both halves share: however a stream is cut into segments, it says the same.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use probe_http::parser::{Direction, Event, Parser};
use probe_http::types::{HTTP_METHOD_CONNECT, HTTP_METHOD_GET, HTTP_METHOD_HEAD, UNPARSED_NAMES};
use proptest::prelude::*;

/// All events with the stream offset behind the byte that caused them, and method or status where known.
fn events(direction: Direction, answers: &[u32], pieces: &[&[u8]]) -> Vec<(usize, Event, u16)> {
    let mut parser = Parser::new(direction);
    let mut answers = answers.iter();
    let (mut found, mut offset) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let (taken, event) = parser.feed(rest);
            rest = &rest[taken..];
            offset += taken;
            let Some(event) = event else { continue };
            if event == Event::StartLine && direction == Direction::Response {
                parser.answers(*answers.clone().next().unwrap_or(&HTTP_METHOD_GET) as u8);
            }
            if matches!(event, Event::End | Event::Upgrade) {
                answers.next();
            }
            let value = match (event, direction) {
                (Event::Begin, _) => 0,
                (Event::Error, _) => parser.unparsed() as u16,
                (_, Direction::Request) => u16::from(parser.method()),
                (_, Direction::Response) => parser.status(),
            };
            found.push((offset, event, value));
            if matches!(event, Event::Error | Event::Upgrade) {
                return found;
            }
        }
    }
    found
}

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\r\nHEAD /a%20b HTTP/1.0\n\nGET / HTTP/1.1\r\n\r\n",
    "POST /x HTTP/1.1\r\nContent-Length: 21\r\n\r\nGET / HTTP/1.1\r\nX: 1\n\nPUT / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\ntransfer-encoding:  Chunked \r\n\r\nA;q=\"1\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "FROBNICATE / HTTP/1.1\r\nContent-Length-Not: 5\r\nContent-Lengt: 5\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\n",
    "GET /with blank HTTP/1.1\r\nA: b\r\n folded\r\n\r\nDELETE / HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /\r\n",
    "\u{16}\u{3}\u{1}\u{2}",
    "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.0 404 \r\ncontent-length:0\r\n\r\n",
    "HTTP/1.1 200\r\nContent-Length: 19\r\n\r\nHTTP/1.1 500 Oops\r\nHTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\n!",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nH\r\n0f\r\nHTTP/1.1 200 OK\r\n0\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 500 Oops\r\n\r\n",
    "HTTP/1.1 20 x",
    "HTTP/1.1 2000 x",
    "HTTP/1.1 099 x",
    "HTTP/2 200 \r\n",
    "SSH-2.0\r\n",
];

#[test]
fn every_pair_of_splits_says_the_same() {
    for (direction, streams) in [(Direction::Request, REQUESTS), (Direction::Response, RESPONSES)] {
        for stream in streams {
            let bytes = stream.as_bytes();
            let whole = events(direction, &[], &[bytes]);
            assert!(!whole.is_empty(), "{stream:?}");
            for first in 0..bytes.len() {
                for second in first..bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(
                        events(direction, &[], &pieces),
                        whole,
                        "{stream:?} cut at {first} and {second}"
                    );
                }
            }
        }
    }
}

fn ends(direction: Direction, answers: &[u32], stream: &str) -> Vec<(usize, u16)> {
    events(direction, answers, &[stream.as_bytes()])
        .into_iter()
        .filter(|(_, event, _)| matches!(event, Event::End | Event::Upgrade))
        .map(|(offset, _, value)| (offset, value))
        .collect()
}

#[test]
fn messages_end_where_they_should() {
    let request = |index: usize| ends(Direction::Request, &[], REQUESTS[index]);
    assert_eq!(request(0), [(27, 3)]);
    assert_eq!(request(1).len(), 2);
    assert_eq!(request(2).iter().map(|end| end.1).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(request(3).iter().map(|end| end.1).collect::<Vec<_>>(), [7, 3]);
    assert_eq!(request(4).iter().map(|end| end.1).collect::<Vec<_>>(), [0, 5]);
    assert_eq!(request(5).iter().map(|end| end.1).collect::<Vec<_>>(), [3, 2]);
    let statuses = |index: usize| -> Vec<u16> {
        ends(Direction::Response, &[], RESPONSES[index])
            .iter()
            .map(|end| end.1)
            .collect()
    };
    assert_eq!(statuses(0), [200, 404]);
    assert_eq!(statuses(1), [200, 204, 304, 200]);
    assert_eq!(statuses(2), [201]);
    assert_eq!(statuses(3), [200]);
    assert_eq!(statuses(4), [101]);
    assert!(statuses(5).is_empty());
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        ends(Direction::Response, &[HTTP_METHOD_HEAD], head),
        [(38, 200), (76, 200)]
    );
    let tunnel = "HTTP/1.1 200 OK\r\n\r\nanything";
    assert_eq!(
        ends(Direction::Response, &[HTTP_METHOD_CONNECT], tunnel),
        [(19, 200)]
    );
}

#[test]
fn what_is_not_http1_has_a_name() {
    let name = |direction, stream: &str| {
        let found = events(direction, &[], &[stream.as_bytes()]);
        let (_, event, value) = found.last().unwrap();
        (*event == Event::Error).then(|| UNPARSED_NAMES[usize::from(*value)])
    };
    for (index, kind) in [(6, "http2"), (7, "http09"), (8, "tls")] {
        assert_eq!(name(Direction::Request, REQUESTS[index]), Some(kind));
    }
    for stream in &REQUESTS[9..] {
        assert_eq!(name(Direction::Request, stream), Some("request"), "{stream:?}");
    }
    for stream in &RESPONSES[6..] {
        assert_eq!(name(Direction::Response, stream), Some("response"), "{stream:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_any_cuts(
        stream in prop::sample::select(RESPONSES.iter().chain(REQUESTS).copied().collect::<Vec<_>>()),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        response in any::<bool>(),
    ) {
        let mut bytes = stream.as_bytes().to_vec();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let direction = if response { Direction::Response } else { Direction::Request };
        prop_assert_eq!(events(direction, &[], &pieces), events(direction, &[], &[&bytes]));
    }
}
