//! The words of a query, by Prometheus' lexical rules. What it refuses is no query; it does not know which word may
//! follow which, but that every bracket is closed.

use super::{
    cursor::{Cursor, Fault},
    labels::{self, Vector},
    literal,
    names::{is_number, is_of_metric, is_of_name},
};
use crate::duration;

/// A word, and where it begins.
pub(super) type Token<'a> = (usize, Word<'a>);

/// What a query is made of.
#[derive(Debug)]
pub(super) enum Word<'a> {
    /// Of a metric or function, or a keyword.
    Name(&'a str),
    /// All between braces.
    Labels(Vector),
    /// A number; a duration is one of seconds.
    Number(f64),
    /// Text in quotes.
    Text,
    /// An operator, bracket, comma or colon.
    Sign(&'static str),
}

/// Longer ones first, since `<` begins `<=`.
const SIGNS: [&str; 18] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "^", "@", ",", "(", ")", "[", "]",
];

/// Takes a query apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut cursor = Cursor::new(text);
    let mut tokens = Vec::new();
    // How the brackets will be closed that are open.
    let mut closings = Vec::new();
    while let Some(first) = cursor.next_letter() {
        let at = cursor.next_place();
        let is_in_range = closings.last() == Some(&"]");
        let word = word(&mut cursor, first, is_in_range)?;
        match word {
            Word::Sign("(") => closings.push(")"),
            Word::Sign("[") => closings.push("]"),
            Word::Sign(closing @ (")" | "]")) => match closings.pop() {
                Some(expected) if expected == closing => {}
                Some(expected) => {
                    return Err(cursor.fault_at(at, &format!("expected `{expected}`, not `{closing}`")));
                }
                None => {
                    return Err(cursor.fault_at(at, &format!("expected a bracket that `{closing}` closes")));
                }
            },
            _ => {}
        }
        tokens.push((at, word));
    }
    match closings.pop() {
        Some(closing) => Err(cursor.fault(&format!("expected `{closing}`"))),
        None => Ok(tokens),
    }
}

/// In a range a colon stands alone; elsewhere it may begin a name.
fn word<'a>(cursor: &mut Cursor<'a>, first: char, is_in_range: bool) -> Result<Word<'a>, Fault> {
    if first.is_ascii_digit() || first == '.' {
        return number(cursor);
    }
    if literal::is_quote(first) {
        return literal::read(cursor).map(|_| Word::Text);
    }
    if cursor.eat("{") {
        return labels::read(cursor).map(Word::Labels);
    }
    if is_in_range && cursor.eat(":") {
        return Ok(Word::Sign(":"));
    }
    if is_of_metric(first) {
        let name = cursor.take_while(|letter| is_of_metric(letter) && !(is_in_range && letter == ':'));
        return Ok(if is_number(name) {
            Word::Number(f64::INFINITY)
        } else {
            Word::Name(name)
        });
    }
    let sign = SIGNS.iter().find(|sign| cursor.eat(sign));
    sign.map(|sign| Word::Sign(sign)).ok_or_else(|| {
        cursor.fault(&format!(
            "expected a metric, a number, a bracket or an operator, not {first:?}"
        ))
    })
}

fn number<'a>(cursor: &mut Cursor<'a>) -> Result<Word<'a>, Fault> {
    let at = cursor.next_place();
    let mut written = cursor
        .take_while(|letter| is_of_name(letter) || letter == '.')
        .to_owned();
    let has_exponent = written.ends_with(['e', 'E']) && !is_hexadecimal(&written);
    if has_exponent && cursor.followed_by(['+', '-']) {
        written.extend(cursor.take());
        written.push_str(cursor.take_while(|letter| letter.is_ascii_digit()));
    }
    let number = value(&written);
    number
        .map(Word::Number)
        .ok_or_else(|| cursor.fault_at(at, &format!("expected a number or a duration, not `{written}`")))
}

fn value(written: &str) -> Option<f64> {
    if let Some(milliseconds) = duration::read(written) {
        return Some(milliseconds as f64 / 1e3);
    }
    let digits = written.replace('_', "").to_ascii_lowercase();
    match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
        None => digits.parse().ok(),
    }
}

fn is_hexadecimal(number: &str) -> bool {
    number.starts_with("0x") || number.starts_with("0X")
}
