//! The words of a line: names, label sets, numbers. It knows no families, and not which word may follow which.

use std::collections::BTreeMap;

use crate::Form;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// Takes words off the beginning of a line.
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    form: Form,
}

impl<'a> Lexer<'a> {
    /// Prometheus text may be indented and padded.
    pub(crate) fn new(line: &'a str, form: Form) -> Self {
        let rest = match form {
            Form::OpenMetrics => line,
            Form::Prometheus => line.trim_matches(is_blank),
        };
        Self { rest, form }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Takes a sign, in Prometheus text with blanks before it.
    pub(crate) fn eat(&mut self, sign: char) -> bool {
        let from = match self.form {
            Form::OpenMetrics => self.rest,
            Form::Prometheus => self.rest.trim_start_matches(is_blank),
        };
        let after = from.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// What separates two words: a blank, in Prometheus text any number of blanks and tabs.
    pub(crate) fn gap(&mut self) -> bool {
        let after = match self.form {
            Form::OpenMetrics => self.rest.strip_prefix(' '),
            Form::Prometheus => self
                .rest
                .strip_prefix(is_blank)
                .map(|rest| rest.trim_start_matches(is_blank)),
        };
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// All up to the next blank.
    pub(crate) fn word(&mut self) -> &'a str {
        let end = self.rest.find(is_blank).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// The name of a family or series.
    pub(crate) fn metric_name(&mut self) -> Result<&'a str, String> {
        self.name(|letter| letter == ':')
            .ok_or_else(|| "expected the name of a metric".to_owned())
    }

    fn name(&mut self, is_also_letter: impl Fn(char) -> bool) -> Option<&'a str> {
        let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || is_also_letter(letter);
        let end = self
            .rest
            .find(|letter: char| !is_first(letter) && !letter.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let starts = self.rest.starts_with(is_first);
        starts.then(|| self.take(end))
    }

    fn take(&mut self, end: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A label set in braces, if one begins here. Prometheus text may have a comma after the last label.
    pub(crate) fn labels(&mut self) -> Result<Option<Labels>, String> {
        if !self.eat('{') {
            return Ok(None);
        }
        let mut labels = Labels::new();
        let mut is_first = true;
        while !self.eat('}') {
            if !is_first && !self.eat(',') {
                return Err("expected `,` or `}` after a label".to_owned());
            }
            if !is_first && self.form == Form::Prometheus && self.eat('}') {
                break;
            }
            is_first = false;
            let (name, value) = self.label()?;
            if labels.insert(name.to_owned(), value).is_some() {
                return Err(format!("the label `{name}` is there twice"));
            }
        }
        Ok(Some(labels))
    }

    fn label(&mut self) -> Result<(&'a str, String), String> {
        if self.form == Form::Prometheus {
            self.rest = self.rest.trim_start_matches(is_blank);
        }
        let name = self
            .name(|_| false)
            .ok_or_else(|| "expected the name of a label".to_owned())?;
        if !self.eat('=') || !self.eat('"') {
            return Err(format!("expected `=\"` after the label `{name}`"));
        }
        let end =
            closing_quote(self.rest).ok_or_else(|| format!("the value of the label `{name}` has no end"))?;
        let value = unescaped(&self.rest[..end])?;
        self.rest = &self.rest[end + 1..];
        Ok((name, value))
    }

    /// Any number, also `NaN` and the infinite ones.
    pub(crate) fn number(&mut self) -> Result<f64, String> {
        number(self.word())
    }

    /// When something was measured, in seconds since 1970.
    pub(crate) fn timestamp_seconds(&mut self) -> Result<f64, String> {
        let word = self.word();
        match self.form {
            Form::OpenMetrics => number(word)
                .ok()
                .filter(|seconds| seconds.is_finite())
                .ok_or_else(|| format!("`{word}` is no time in seconds")),
            Form::Prometheus => word
                .parse::<i64>()
                .map(|milliseconds| milliseconds as f64 / 1e3)
                .map_err(|_| format!("`{word}` is no time in whole milliseconds")),
        }
    }
}

/// Any number, also `NaN` and the infinite ones.
pub(crate) fn number(word: &str) -> Result<f64, String> {
    let magnitude = word.strip_prefix(['+', '-']).unwrap_or(word);
    let is_signed_nan = magnitude.len() < word.len() && magnitude.eq_ignore_ascii_case("nan");
    let has_digits = magnitude.contains(|letter: char| letter.is_ascii_digit());
    let number: Option<f64> = word.parse().ok();
    number
        // Digits that mean more than the largest number are a mistake, not infinity.
        .filter(|number| !(is_signed_nan || has_digits && number.is_infinite()))
        .ok_or_else(|| match word {
            "" => "expected a number".to_owned(),
            word => format!("`{word}` is no number"),
        })
}

/// Text without its escapes. There are three: of the backslash, the quote and the end of a line.
pub(crate) fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some(escaped @ ('\\' | '"')) => out.push(escaped),
            Some('n') => out.push('\n'),
            Some(other) => return Err(format!("`\\{other}` is no escape")),
            None => return Err("nothing follows the last backslash".to_owned()),
        }
    }
    Ok(out)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes
    })
}

pub(crate) fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_formats() {
        let read = |word| number(word).ok().map(|number| number.to_string());
        let good = [
            ("1", "1"),
            ("+.5", "0.5"),
            ("-5.", "-5"),
            ("1e3", "1000"),
            ("+Inf", "inf"),
            ("-infinity", "-inf"),
            ("nan", "NaN"),
        ];
        for (word, expected) in good {
            assert_eq!(read(word).as_deref(), Some(expected), "{word}");
        }
        for word in ["", ".", "e1", "0x10", "1_000", "1e999", "-nan", "++1", "1,5", "١"] {
            assert_eq!(read(word), None, "{word}");
        }
    }

    #[test]
    fn a_quote_that_is_escaped_ends_nothing() {
        let mut lexer = Lexer::new(r#"{a="\"\\",b="} \n"} 1"#, Form::OpenMetrics);
        let labels = lexer.labels().unwrap().unwrap();
        assert_eq!((&*labels["a"], &*labels["b"]), ("\"\\", "} \n"));
        assert_eq!(lexer.rest(), " 1");
    }

    #[test]
    fn only_prometheus_text_is_padded() {
        let labels = |form| Lexer::new(" { a = \"1\" , }", form).labels();
        assert_eq!(labels(Form::Prometheus).unwrap().unwrap().len(), 1);
        assert_eq!(labels(Form::OpenMetrics), Ok(None));
    }
}
