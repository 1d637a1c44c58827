//! Regular expressions of label values. They mean what they mean to Prometheus as far as two libraries agree: all of
//! the value must match, `.` is also the end of a line, and braces that repeat nothing are braces. What only Go knows,
//! such as `\Q…\E`, is refused; `\d`, `\w` and `\s` include letters beyond ASCII.

use regex::Regex;

/// A regular expression with the text it was made of.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Says what is wrong with a text that is no pattern.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let pattern = with_plain_braces(text);
        let is_whole = Regex::new(&pattern);
        // On its own first, so that no bracket closes the group around it.
        let regex = is_whole.and_then(|_| Regex::new(&format!("^(?s:{pattern})$")));
        match regex {
            Ok(regex) => Ok(Self {
                text: text.to_owned(),
                regex,
            }),
            Err(error) => Err(format!("`{text}` is no regular expression: {}", short(&error))),
        }
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// The pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The library draws the place on lines of its own; the last one has the reason.
fn short(error: &regex::Error) -> String {
    let drawn = error.to_string();
    let reason = drawn.lines().next_back().unwrap_or_default();
    reason.trim_start_matches("error: ").to_owned()
}

/// To Go a brace that begins no count, as in `/users/{id}`, is a brace; Rust's library wants it escaped.
fn with_plain_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let taken = match letter {
            '\\' => Some(escape_length(rest)),
            '{' => count_length(rest),
            _ => Some(letter.len_utf8()),
        };
        if taken.is_none() {
            out.push('\\');
        }
        let (part, after) = rest.split_at(taken.unwrap_or(1));
        out.push_str(part);
        rest = after;
    }
    out
}

/// The length of `\.`, or of what has braces of its own, such as `\p{Greek}`.
fn escape_length(text: &str) -> usize {
    let mut letters = text.chars().skip(1);
    let kind = letters.next();
    let has_braces = kind.is_some_and(|kind| "pPx".contains(kind)) && letters.next() == Some('{');
    match text.find('}') {
        Some(end) if has_braces => end + 1,
        _ => 1 + kind.map_or(0, char::len_utf8),
    }
}

/// The length of `{2}`, `{2,}` or `{2,3}`.
fn count_length(text: &str) -> Option<usize> {
    let (count, _) = text[1..].split_once('}')?;
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let is_number = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    (!least.is_empty() && is_number(least) && is_number(most)).then_some(count.len() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_value_must_match() {
        for (pattern, yes, no) in [
            ("2..|3..", "204", "2041"),
            ("a.c", "a\nc", "xa\nc"),
            ("", "", "a"),
            ("a|b", "b", "ab"),
            ("(?i)get", "GET", "GETS"),
            ("/users/{id}", "/users/{id}", "/users/1"),
            ("a{2}b{1,}c{0,1}", "aab", "ab"),
            ("a{,2}", "a{,2}", "aa"),
            ("a{x", "a{x", "a"),
            (r"\{\p{Greek}\x{41}[{}]{2}", "{αA{}", "{αA{"),
            (r"\\{a}", r"\{a}", "{a}"),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert!(read.matches(yes), "{pattern} {yes}");
            assert!(!read.matches(no), "{pattern} {no}");
            assert_eq!(read.as_str(), pattern);
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line() {
        for (pattern, reason) in [
            ("(", "unclosed group"),
            ("a)|(b", "unopened group"),
            ("[z-a]", "invalid character class range"),
            ("*", "repetition operator missing"),
            ("\\", "incomplete escape"),
            (r"\Qa\E", "unrecognized escape"),
            ("a{99999}{99999}", "size limit"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(
                error.contains(reason) && !error.contains('\n'),
                "{pattern}: {error}"
            );
        }
    }
}
