//! A reader of KTAP version 1, written from the kernel's description of the format and not from our writer. It is
//! strict: what the description does not allow is an error.

/// A test of a KTAP text.
#[derive(Debug, PartialEq)]
pub struct Test {
    pub is_ok: bool,
    pub number: usize,
    pub name: String,
    pub directive: Option<(String, String)>,
    pub subtests: Vec<Test>,
}

/// Reads a whole text.
pub fn read(text: &str) -> Result<Vec<Test>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let tests = level(&lines, &mut at, 0)?;
    match lines.get(at) {
        None => Ok(tests),
        Some(line) => Err(format!("line {}: `{line}` after the last test", at + 1)),
    }
}

/// Reads a version line, a plan and as many tests as it announces, each perhaps after its subtests.
fn level(lines: &[&str], at: &mut usize, depth: usize) -> Result<Vec<Test>, String> {
    let mut subtests = Vec::new();
    let mut tests = Vec::new();
    let mut plan = None;
    if own(lines, *at, depth) != Some("KTAP version 1") {
        return Err(format!("line {}: no version line", *at + 1));
    }
    *at += 1;
    while plan.is_none_or(|plan| tests.len() < plan) {
        let here = *at + 1;
        let Some(line) = lines.get(*at) else {
            return Err(format!("{} of {plan:?} tests, then the text ends", tests.len()));
        };
        let Some(line) = own(lines, *at, depth) else {
            if own(lines, *at, depth + 1) != Some("KTAP version 1") || !subtests.is_empty() {
                return Err(format!("line {here}: `{line}` is of no test"));
            }
            subtests = level(lines, at, depth + 1)?;
            continue;
        };
        *at += 1;
        if let Some(count) = line.strip_prefix("1..") {
            let count = count
                .parse()
                .map_err(|_| format!("line {here}: `{line}` is no plan"))?;
            if plan.replace(count).is_some() {
                return Err(format!("line {here}: a second plan"));
            }
        } else if !line.starts_with('#') {
            let test = result(line, std::mem::take(&mut subtests)).ok_or(format!("line {here}: `{line}`"))?;
            if plan.is_none() || test.number != tests.len() + 1 {
                return Err(format!("line {here}: `{line}` is out of order"));
            }
            tests.push(test);
        }
    }
    Ok(tests)
}

/// A line of exactly this depth, two spaces each, without its indentation.
fn own<'a>(lines: &[&'a str], at: usize, depth: usize) -> Option<&'a str> {
    let line = lines.get(at)?.strip_prefix("  ".repeat(depth).as_str())?;
    (!line.starts_with(' ')).then_some(line)
}

/// `ok|not ok NUMBER [- ]NAME [# DIRECTIVE REASON]`
fn result(line: &str, subtests: Vec<Test>) -> Option<Test> {
    let (is_ok, rest) = match line.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ')?;
    let (name, directive) = match rest.split_once(" # ") {
        Some((name, directive)) => {
            let (word, reason) = directive.split_once(' ').unwrap_or((directive, ""));
            let known = ["SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"].contains(&word);
            (name, known.then(|| (word.to_owned(), reason.to_owned())))
        }
        None => (rest, None),
    };
    Some(Test {
        is_ok,
        number: number.parse().ok()?,
        name: name.trim_start_matches("- ").to_owned(),
        directive,
        subtests,
    })
}
