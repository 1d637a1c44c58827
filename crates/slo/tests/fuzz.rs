//! No file of objectives, selector or duration makes a reader panic.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use bolero::check;
use slo::{ClientErrors, Selector, parse, parse_duration};

const RIGHT: &str = include_str!("fixtures/openslo.yaml");

#[test]
fn any_bytes() {
    check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let _ = parse(&text, ClientErrors::Bad);
        let _ = Selector::parse(&text);
        let _ = parse_duration(&text);
    });
}

#[test]
fn a_file_with_slips() {
    assert!(parse(RIGHT, ClientErrors::Bad).is_ok());
    check!()
        .with_type::<Vec<(u16, u8)>>()
        .for_each(|edits: &Vec<(u16, u8)>| {
            let mut bytes = RIGHT.as_bytes().to_vec();
            for (place, byte) in edits {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *byte;
            }
            let _ = parse(&String::from_utf8_lossy(&bytes), ClientErrors::Bad);
        });
}
