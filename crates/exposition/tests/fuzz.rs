//! No text makes the reader panic, and what it takes is in order and has each series once.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use bolero::check;

/// What is read of a text, if it is one.
fn read(text: &str) {
    let Ok(series) = exposition::series(text) else {
        return;
    };
    assert!(!text.trim().is_empty());
    for pair in series.windows(2) {
        let (one, next) = (&pair[0], &pair[1]);
        assert!((&one.name, &one.labels) < (&next.name, &next.labels), "{text}");
    }
}

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
        read(&String::from_utf8_lossy(bytes));
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
            read(&String::from_utf8_lossy(&bytes));
        });
}
