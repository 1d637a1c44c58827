//! No bytes make the slow path panic, or forget more connections than it was told of. A second each under `cargo nextest`;
//! `cargo bolero test -p probe-http --test fuzz TARGET` goes on for as long as it is let.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use bolero::check;
use bytemuck::Zeroable;
use probe_http::{
    parser::{Direction, Parser},
    slow::SlowPath,
    types::{HTTP_EVENT_SEGMENT, http_event},
};

/// Records of a ring buffer: a byte for the length of each, and its bytes.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (record, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        records.push(record);
        bytes = rest;
    }
    records
}

#[test]
fn slow_path() {
    check!().for_each(|bytes: &[u8]| {
        let mut path = SlowPath::default();
        let records = records(bytes);
        let refused = records
            .iter()
            .filter(|record| path.event(record).is_err())
            .count();
        assert!(path.connections() <= records.len() - refused);
        path.expire(u64::MAX);
        assert_eq!(path.connections(), 0);
    });
}

/// Events with heads that are right, so that what they carry is looked at: direction, sequence number, bytes.
#[test]
fn slow_path_segments() {
    check!()
        .with_type::<Vec<(bool, u32, Vec<u8>)>>()
        .for_each(|segments: &Vec<(bool, u32, Vec<u8>)>| {
            let mut path = SlowPath::default();
            for (direction, sequence, data) in segments {
                let event = http_event {
                    kind: HTTP_EVENT_SEGMENT as u8,
                    direction: u8::from(*direction),
                    sequence: *sequence,
                    data_bytes: data.len() as u32,
                    ..http_event::zeroed()
                };
                let mut record = bytemuck::bytes_of(&event).to_vec();
                record.extend_from_slice(data);
                path.event(&record).unwrap();
            }
            path.expire(u64::MAX);
            assert_eq!(path.connections(), 0);
        });
}

#[test]
fn parser() {
    check!().for_each(|bytes: &[u8]| {
        for direction in [Direction::Request, Direction::Response] {
            let mut parser = Parser::new(direction);
            let mut rest = bytes;
            while !rest.is_empty() {
                let (taken, _) = parser.feed(rest);
                // What is not taken would be asked about for ever.
                assert!((1..=rest.len()).contains(&taken), "{taken} of {}", rest.len());
                rest = &rest[taken..];
            }
        }
    });
}
