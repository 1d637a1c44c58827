//! Text in quotes, as PromQL has it: Go's escapes in `"…"` and `'…'`, none in back ticks. It knows no labels.

use super::cursor::{Cursor, Fault};

/// Escapes of one letter, with what they stand for. Quotes are not among them: only the one around the text has an
/// escape.
const ESCAPES: [(char, char); 8] = [
    ('a', '\x07'),
    ('b', '\x08'),
    ('f', '\x0c'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
    ('v', '\x0b'),
    ('\\', '\\'),
];

/// Whether text in quotes begins with this letter.
pub(super) fn is_quote(letter: char) -> bool {
    "\"'`".contains(letter)
}

/// Reads text in quotes. The cursor must be at the first of them.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    let start = cursor.next_place();
    let unterminated = |cursor: &Cursor<'_>, quote| {
        cursor.fault_at(start, &format!("expected a text that ends with `{quote}`"))
    };
    let quote = cursor
        .take()
        .filter(|letter| is_quote(*letter))
        .ok_or_else(|| cursor.fault_at(start, "expected a text in quotes"))?;
    // Escapes may name single bytes, so only the whole is text.
    let mut bytes = Vec::new();
    loop {
        let at = cursor.place();
        match cursor.take() {
            Some(letter) if letter == quote => break,
            Some('\\') if quote != '`' => match escape(cursor, quote) {
                Some(Escape::Letter(letter)) => push(&mut bytes, letter),
                Some(Escape::Byte(byte)) => bytes.push(byte),
                None => {
                    return Err(cursor.fault_at(at, "expected one of Go's escapes, such as `\\\\` or `\\n`"));
                }
            },
            None => return Err(unterminated(cursor, quote)),
            Some('\n') if quote != '`' => return Err(unterminated(cursor, quote)),
            Some(letter) => push(&mut bytes, letter),
        }
    }
    String::from_utf8(bytes).map_err(|_| cursor.fault_at(start, "expected escapes that make up UTF-8"))
}

fn push(bytes: &mut Vec<u8>, letter: char) {
    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

enum Escape {
    Letter(char),
    Byte(u8),
}

/// Reads what follows a backslash.
fn escape(cursor: &mut Cursor<'_>, quote: char) -> Option<Escape> {
    let kind = cursor.take()?;
    let known = ESCAPES.iter().find(|(name, _)| *name == kind);
    if let Some((_, letter)) = known {
        return Some(Escape::Letter(*letter));
    }
    match kind {
        'x' => digits(cursor, 0, 2, 16).and_then(byte),
        '0'..='7' => digits(cursor, kind.to_digit(8)?, 2, 8).and_then(byte),
        'u' => digits(cursor, 0, 4, 16).and_then(letter),
        'U' => digits(cursor, 0, 8, 16).and_then(letter),
        _ => (kind == quote).then_some(Escape::Letter(kind)),
    }
}

fn byte(number: u32) -> Option<Escape> {
    u8::try_from(number).ok().map(Escape::Byte)
}

fn letter(number: u32) -> Option<Escape> {
    char::from_u32(number).map(Escape::Letter)
}

/// Reads so many digits that go on with a number. Eight hexadecimal ones are the most, and just fit.
fn digits(cursor: &mut Cursor<'_>, begun: u32, count: usize, base: u32) -> Option<u32> {
    (0..count).try_fold(begun, |number, _| {
        Some(number * base + cursor.take()?.to_digit(base)?)
    })
}

/// Puts text in double quotes so that Prometheus, and [`read`], find the same in it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        let escape = ESCAPES.iter().find(|(_, meant)| *meant == letter);
        match (escape, letter) {
            (Some((name, _)), _) => out.extend(['\\', *name]),
            (None, '"') => out.push_str("\\\""),
            // Prometheus takes U+FFFD for broken UTF-8 unless it is escaped, and YAML lacks the two after it.
            (None, '\u{fffd}'..='\u{ffff}') => out.push_str(&unicode(letter)),
            (None, _) if letter.is_control() => out.push_str(&unicode(letter)),
            (None, _) => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The escape of a letter that needs at most four digits, as all control characters do.
fn unicode(letter: char) -> String {
    format!("\\u{:04x}", u32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(literal: &str) -> Result<String, Fault> {
        read(&mut Cursor::new(literal))
    }

    #[test]
    fn escapes_are_those_of_go() {
        for (literal, meant) in [
            (r#""\a\b\f\n\r\t\v\\\"'""#, "\x07\x08\x0c\n\r\t\x0b\\\"'"),
            (r#"'\'"'"#, "'\""),
            (r#""\x41\101\u0041\U00000041""#, "AAAA"),
            (r#""\xe2\x82\xac\342\202\254\u20ac""#, "€€€"),
            (r#""\U0001f600😀""#, "😀😀"),
            ("`\\n\"'\n`", "\\n\"'\n"),
        ] {
            assert_eq!(text(literal).as_deref(), Ok(meant), "{literal}");
        }
    }

    #[test]
    fn others_are_refused_where_they_are() {
        let (end, escape, bytes) = ("that ends with", "Go's escapes", "UTF-8");
        for (literal, column, reason) in [
            ("a", 1, "in quotes"),
            ("", 1, "in quotes"),
            ("\"a", 1, end),
            ("'a\"", 1, end),
            ("`a", 1, end),
            ("\"a\nb\"", 1, end),
            (r#""ab\"#, 4, escape),
            (r#""\q""#, 2, escape),
            (r#""\'""#, 2, escape),
            (r#"'\"'"#, 2, escape),
            (r#""\x4""#, 2, escape),
            (r#""\18""#, 2, escape),
            (r#""\400""#, 2, escape),
            (r#""\ud800""#, 2, escape),
            (r#""\U00110000""#, 2, escape),
            (r#""\Uffffffff""#, 2, escape),
            (r#""\u{41}""#, 2, escape),
            (r#""\xff""#, 1, bytes),
        ] {
            let Fault(told) = text(literal).unwrap_err();
            assert!(
                told.starts_with(&format!("column {column}: expected")),
                "{literal}: {told}"
            );
            assert!(told.contains(reason), "{literal}: {told}");
        }
    }

    #[test]
    fn letters_that_cannot_be_seen_are_escaped_as_go_does() {
        let written = quoted("a\"\\'\n\0\x1b\x7f\u{85}\u{fffd}é😀");
        assert_eq!(written, r#""a\"\\'\n\u0000\u001b\u007f\u0085\ufffdé😀""#);
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(letters: String) {
            prop_assert_eq!(text(&quoted(&letters)), Ok(letters));
        }

        #[test]
        fn back_ticks_change_nothing(letters in "[^`]*") {
            prop_assert_eq!(text(&format!("`{letters}`")), Ok(letters));
        }
    }
}
