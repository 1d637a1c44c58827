//! Names that may have been meant, and parts of functions that are functions of their own.

use super::elf::{Kind, Symbol};

/// How many names a hint has.
const SHOWN: usize = 5;
/// How alike two names must be, from 0 to 1.
const LIKENESS: f64 = 0.8;

/// Names of the functions of a table.
pub(super) fn functions<'a>(table: &'a [Symbol<'_>]) -> impl Iterator<Item = String> + 'a {
    table
        .iter()
        .filter(|symbol| symbol.is_defined && symbol.kind == Kind::Function)
        .map(|symbol| symbol.name.to_owned())
}

/// Parts that a compiler made of a function.
pub(super) fn clones(table: &[Symbol<'_>], symbol: &str) -> Vec<String> {
    clones_of(&functions(table).collect::<Vec<_>>(), symbol)
}

/// The same, of names.
pub(super) fn clones_of(names: &[String], symbol: &str) -> Vec<String> {
    let mut clones: Vec<String> = names
        .iter()
        .filter(|name| {
            let rest = name.strip_prefix(symbol).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| !rest.is_empty())
        })
        .cloned()
        .collect();
    clones.sort();
    clones.dedup();
    clones
}

/// What to say about a name that is not there.
pub(crate) fn hint(names: &[String], symbol: &str) -> String {
    let clones = clones_of(names, symbol);
    if !clones.is_empty() {
        return format!(
            "; only parts of it are there: {}. The compiler changed or inlined it, and a part's calls are not its calls",
            clones.join(", ")
        );
    }
    if names.is_empty() {
        return String::from(
            "; the file is stripped, and no file with its symbols was found: name one as `debugFile`",
        );
    }
    let mut near: Vec<(f64, &String)> = names
        .iter()
        .map(|name| (likeness(name, symbol), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    near.dedup_by(|one, other| one.1 == other.1);
    if near.is_empty() {
        return String::from("; it may be inlined at every call, or not be in this file at all");
    }
    let near: Vec<&str> = near.iter().take(SHOWN).map(|(_, name)| name.as_str()).collect();
    format!("; near names: {}", near.join(", "))
}

/// A name within the other counts as alike: Fortran adds `_` and `__module_MOD_`, C++ and Rust their manglings.
fn likeness(name: &str, symbol: &str) -> f64 {
    let (name, symbol) = (name.to_lowercase(), symbol.to_lowercase());
    let alike = strsim::jaro_winkler(&name, &symbol);
    if symbol.len() >= 3 && name.contains(&symbol) {
        alike.max(LIKENESS) + 1.0
    } else {
        alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fortran_names_are_near_what_the_source_says() {
        let names = names(&["main", "area_", "__shapes_MOD_area", "_start", "_init"]);
        assert_eq!(hint(&names, "area"), "; near names: area_, __shapes_MOD_area");
        assert_eq!(hint(&names, "AREA"), "; near names: area_, __shapes_MOD_area");
        assert!(hint(&names, "volume").contains("inlined"));
    }

    #[test]
    fn a_function_that_is_only_there_in_parts_is_said_to_be() {
        let names = names(&[
            "area.part.0",
            "area.cold",
            "area_",
            "area2.cold",
            "area.constprop.1",
        ]);
        assert_eq!(
            clones_of(&names, "area"),
            ["area.cold", "area.constprop.1", "area.part.0"]
        );
        assert!(hint(&names, "area").contains("only parts of it"));
    }

    #[test]
    fn a_stripped_file_is_said_to_be_one() {
        assert!(hint(&[], "area").contains("debugFile"));
    }
}
