//! What stands in the braces of a query: labels, and since Prometheus 3 perhaps the metric's name in quotes. It is read
//! to the end wherever it stands, so that a mistake in it is found also in a query that only a server can answer.

use super::{
    cursor::{Cursor, Fault},
    literal,
    matcher::{Matcher, Test},
    names::is_of_name,
    pattern::Pattern,
};

/// The label that is the name of the metric.
pub(super) const NAME: &str = "__name__";

/// Makes a test of a value, or says what is wrong with the value.
type Operator = fn(String) -> Result<Test, String>;

/// Longer ones first, since `=` begins `=~`.
const OPERATORS: [(&str, Operator); 4] = [
    ("=~", |pattern| Pattern::new(&pattern).map(Test::Like)),
    ("!~", |pattern| Pattern::new(&pattern).map(Test::Unlike)),
    ("!=", |value| Ok(Test::NotEqual(value))),
    ("=", |value| Ok(Test::Equal(value))),
];

/// The name of a metric, if there is one, and what its labels must be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Vector {
    pub(super) name: Option<String>,
    pub(super) matchers: Vec<Matcher>,
}

/// Reads what follows `{`, with `}`. There may be a comma after the last label.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Vector, Fault> {
    let mut vector = Vector::default();
    while !cursor.eat("}") {
        label(cursor, &mut vector)?;
        if cursor.eat(",") {
            continue;
        }
        if cursor.eat("}") {
            break;
        }
        return Err(cursor.fault("expected `,` or `}`"));
    }
    Ok(vector)
}

fn label(cursor: &mut Cursor<'_>, vector: &mut Vector) -> Result<(), Fault> {
    let at = cursor.next_place();
    let is_quoted = cursor.next_letter().is_some_and(literal::is_quote);
    let label = if is_quoted {
        literal::read(cursor)?
    } else {
        name(cursor)?.to_owned()
    };
    let found = OPERATORS.iter().find(|(operator, _)| cursor.eat(operator));
    let test = match found {
        Some((_, operator)) => value(cursor, *operator)?,
        None if is_quoted => return named(cursor, at, vector, label),
        None => {
            return Err(cursor.fault("expected `=`, `!=`, `=~` or `!~` after the name of a label"));
        }
    };
    match test {
        Test::Equal(value) if label == NAME => named(cursor, at, vector, value),
        test => {
            vector.matchers.push(Matcher::new(&label, test));
            Ok(())
        }
    }
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let begins = cursor.next_letter();
    begins
        .filter(|letter| is_of_name(*letter) && !letter.is_ascii_digit())
        .ok_or_else(|| cursor.fault("expected the name of a label, or `}`"))?;
    Ok(cursor.take_while(is_of_name))
}

fn value(cursor: &mut Cursor<'_>, test: Operator) -> Result<Test, Fault> {
    let at = cursor.next_place();
    let value = literal::read(cursor)?;
    test(value).map_err(|reason| cursor.fault_at(at, &reason))
}

fn named(cursor: &Cursor<'_>, at: usize, vector: &mut Vector, name: String) -> Result<(), Fault> {
    match vector.name.replace(name) {
        Some(_) => Err(cursor.fault_at(at, "expected the metric's name only once")),
        None => Ok(()),
    }
}
