//! Colour, for those who asked for it: plain text in, text with ANSI colours out.

/// The words that get a colour, and its ANSI code. They are whole words of the tables and headings.
pub(crate) const COLOURS: [(&str, u8); 8] = [
    ("passed", 32),
    ("FAILED", 31),
    ("INFRA", 35),
    ("skipped", 33),
    ("allowed", 33),
    ("unsupported", 33),
    ("caught", 32),
    ("SURVIVED", 31),
];

/// Colours these words wherever they stand alone. Widths are settled before, so no table moves.
pub(crate) fn paint(text: &str) -> String {
    COLOURS.iter().fold(text.to_owned(), |text, (word, code)| {
        paint_word(&text, word, *code)
    })
}

fn paint_word(text: &str, word: &str, code: u8) -> String {
    let mut painted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        let (before, after) = (&rest[..start], &rest[start + word.len()..]);
        painted.push_str(before);
        let is_alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        match is_alone {
            true => painted.push_str(&format!("\u{1b}[{code}m{word}\u{1b}[0m")),
            false => painted.push_str(word),
        }
        rest = after;
    }
    painted + rest
}
