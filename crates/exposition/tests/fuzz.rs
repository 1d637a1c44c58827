//! No text makes the reader panic, and what it takes it takes twice.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use bolero::check;

/// A text that is right, to be made wrong.
const RIGHT: &str = r#"# HELP h Help with \\ and \n.
# TYPE h histogram
# UNIT h seconds
h_bucket{a="\"x\"",le="0.5"} 1 12.5
h_bucket{a="\"x\"",le="+Inf"} 2 # {id="7"} 0.75
h_sum{a="\"x\""} 1.5
h_count{a="\"x\""} 2
# TYPE c counter
c_total 1e3
c_created 1.5
# EOF
"#;

#[test]
fn any_bytes() {
    check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let _ = exposition::series(&text);
        let _ = exposition::samples(&text);
    });
}

#[test]
fn a_text_with_slips() {
    assert!(exposition::series(RIGHT).is_ok());
    check!()
        .with_type::<Vec<(u16, u8)>>()
        .for_each(|edits: &Vec<(u16, u8)>| {
            let mut bytes = RIGHT.as_bytes().to_vec();
            for (place, byte) in edits {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *byte;
            }
            let text = String::from_utf8_lossy(&bytes);
            let first = exposition::series(&text).map_err(|error| error.to_string());
            let second = exposition::series(&text).map_err(|error| error.to_string());
            assert_eq!(first.is_ok(), second.is_ok());
        });
}
