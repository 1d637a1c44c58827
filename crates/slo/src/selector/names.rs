//! Which names need no quotes.

/// Whether a letter may stand in the name of a label.
pub(super) fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether a letter may stand in the name of a metric.
pub(super) fn is_of_metric(letter: char) -> bool {
    is_of_name(letter) || letter == ':'
}

/// Whether a label can be written without quotes.
pub(super) fn is_label(name: &str) -> bool {
    is_name(name, is_of_name)
}

/// Whether a metric can be written without quotes.
pub(super) fn is_metric(name: &str) -> bool {
    is_name(name, is_of_metric) && !is_number(name)
}

fn is_name(name: &str, belongs: fn(char) -> bool) -> bool {
    name.chars().all(belongs) && name.starts_with(|first: char| !first.is_ascii_digit())
}

/// Two numbers are written with letters.
pub(super) fn is_number(name: &str) -> bool {
    name.eq_ignore_ascii_case("inf") || name.eq_ignore_ascii_case("nan")
}
