//! One line: what it says about a family, or which sample it is. It sees no other line.

use crate::{
    Form,
    kind::Kind,
    lexer::{Labels, Lexer, is_blank, unescaped},
};

/// What a line is.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// Empty, or a comment.
    Nothing,
    About(About<'a>),
    Reading(Reading<'a>),
}

/// A line about a family.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) family: &'a str,
    /// `HELP`, `TYPE` or `UNIT`.
    pub(crate) keyword: &'a str,
    /// What a `TYPE` says.
    pub(crate) kind: Option<Kind>,
}

/// A sample as it stands in its line.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    pub(crate) timestamp_seconds: Option<f64>,
    pub(crate) exemplar: Option<f64>,
}

/// Reads a line that is not the end mark.
pub(crate) fn read(line: &str, form: Form) -> Result<Line<'_>, String> {
    let mut lexer = Lexer::new(line, form);
    if lexer.rest().trim().is_empty() {
        return Ok(Line::Nothing);
    }
    if lexer.eat('#') {
        return about(lexer, form);
    }
    reading(lexer, form).map(Line::Reading)
}

fn about(mut lexer: Lexer<'_>, form: Form) -> Result<Line<'_>, String> {
    let is_apart = lexer.gap();
    let keyword = lexer.word();
    let is_keyword = match form {
        Form::OpenMetrics => is_apart && ["HELP", "TYPE", "UNIT"].contains(&keyword),
        Form::Prometheus => ["HELP", "TYPE"].contains(&keyword),
    };
    if !is_keyword {
        return match form {
            Form::OpenMetrics => {
                Err("OpenMetrics has no comments but `# HELP`, `# TYPE` and `# UNIT`".to_owned())
            }
            Form::Prometheus => Ok(Line::Nothing),
        };
    }
    if !lexer.gap() {
        return Err(format!("expected a blank after `{keyword}`"));
    }
    let family = lexer.metric_name()?;
    let has_more = lexer.gap();
    if !has_more && !lexer.is_empty() {
        return Err(format!("expected a blank after the name `{family}`"));
    }
    let kind = match keyword {
        "HELP" => {
            unescaped(lexer.rest())?;
            None
        }
        "TYPE" => {
            let word = lexer.rest();
            Some(Kind::of(word, form).ok_or_else(|| format!("`{word}` is no type of a metric"))?)
        }
        _ if lexer.rest().contains(is_blank) => return Err("a unit is one word".to_owned()),
        _ => None,
    };
    Ok(Line::About(About {
        family,
        keyword,
        kind,
    }))
}

fn reading<'a>(mut lexer: Lexer<'a>, form: Form) -> Result<Reading<'a>, String> {
    let name = lexer.metric_name()?;
    let labels = lexer.labels()?;
    if !lexer.gap() {
        return Err(match labels {
            None => format!("expected labels or a value after the name `{name}`"),
            Some(_) => "expected a value after the labels".to_owned(),
        });
    }
    let mut reading = Reading {
        name,
        labels: labels.unwrap_or_default(),
        value: lexer.number()?,
        timestamp_seconds: None,
        exemplar: None,
    };
    while !lexer.is_empty() {
        if !lexer.gap() || lexer.is_empty() {
            return Err("a blank ends the line".to_owned());
        }
        if form == Form::OpenMetrics && lexer.eat('#') {
            reading.exemplar = Some(exemplar(&mut lexer)?);
            break;
        }
        if reading.timestamp_seconds.is_some() {
            return Err(format!("`{}` comes after the time", lexer.rest()));
        }
        reading.timestamp_seconds = Some(lexer.timestamp_seconds()?);
    }
    Ok(reading)
}

/// The rest of an exemplar, behind its `#`: its value. The rest is read for its form only.
fn exemplar(lexer: &mut Lexer<'_>) -> Result<f64, String> {
    /// In letters of names and values.
    const LONGEST: usize = 128;
    let labels = if lexer.gap() { lexer.labels()? } else { None };
    let Some(labels) = labels else {
        return Err("expected the labels of an exemplar after `# `".to_owned());
    };
    let length = |text: &String| text.chars().count();
    let length: usize = labels
        .iter()
        .map(|(name, value)| length(name) + length(value))
        .sum();
    if length > LONGEST {
        return Err(format!(
            "the labels of the exemplar have {length} letters, more than {LONGEST}"
        ));
    }
    if !lexer.gap() {
        return Err("expected a value after the labels of the exemplar".to_owned());
    }
    let value = lexer.number()?;
    if lexer.gap() {
        lexer.timestamp_seconds()?;
    }
    if lexer.is_empty() {
        return Ok(value);
    }
    Err(format!("`{}` comes after the exemplar", lexer.rest()))
}
