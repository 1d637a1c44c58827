//! Which entry of a symbol table a name means.

use super::elf::{Kind, Symbol};

/// What a table has to say to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pick {
    Function { address: u64 },
    Missing,
    Undefined,
    Indirect,
    NotAFunction,
    Ambiguous { addresses: Vec<u64> },
}

/// Looks a name up, which may end in a version (`f@V1`, `f@@V2`).
pub(super) fn pick(table: &[Symbol<'_>], wanted: &str) -> Pick {
    let (name, version) = match wanted.split_once('@') {
        Some((name, version)) => (name, Some(version.trim_start_matches('@'))),
        None => (wanted, None),
    };
    let matching = |symbol: &&Symbol<'_>| {
        symbol.name == name && version.is_none_or(|version| symbol.version == Some(version))
    };
    let named: Vec<&Symbol<'_>> = table.iter().filter(matching).collect();
    let functions = |pass: fn(&Symbol<'_>) -> bool| {
        let functions = named
            .iter()
            .filter(|symbol| symbol.is_defined && symbol.kind == Kind::Function && pass(symbol));
        let mut addresses: Vec<u64> = functions.map(|symbol| symbol.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    };
    // Several names of one address are aliases. Of several addresses the linker's choice counts.
    let choices = [
        functions(|_| true),
        functions(|symbol| symbol.is_default),
        functions(|symbol| symbol.is_default && !symbol.is_local),
    ];
    if let Some([address]) = choices.iter().map(Vec::as_slice).find(|choice| choice.len() == 1) {
        return Pick::Function { address: *address };
    }
    let any = |kind| {
        named
            .iter()
            .any(|symbol| symbol.is_defined && symbol.kind == kind)
    };
    let [addresses, ..] = choices;
    if !addresses.is_empty() {
        Pick::Ambiguous { addresses }
    } else if any(Kind::Indirect) {
        Pick::Indirect
    } else if any(Kind::Other) {
        Pick::NotAFunction
    } else if named.is_empty() {
        Pick::Missing
    } else {
        Pick::Undefined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &'static str, address: u64) -> Symbol<'static> {
        Symbol {
            name,
            version: None,
            is_default: true,
            kind: Kind::Function,
            is_local: false,
            is_defined: address != 0,
            address,
        }
    }

    fn version(name: &'static str, version: &'static str, is_default: bool, address: u64) -> Symbol<'static> {
        Symbol {
            version: Some(version),
            is_default,
            ..function(name, address)
        }
    }

    #[test]
    fn aliases_are_one_function() {
        let table = [function("f", 16), function("f", 16), function("g", 16)];
        assert_eq!(pick(&table, "f"), Pick::Function { address: 16 });
        assert_eq!(pick(&table, "g"), Pick::Function { address: 16 });
        assert_eq!(pick(&table, "h"), Pick::Missing);
    }

    #[test]
    fn a_name_means_its_default_version_unless_it_says_which() {
        let table = [version("f", "V1", false, 16), version("f", "V2", true, 32)];
        assert_eq!(pick(&table, "f"), Pick::Function { address: 32 });
        assert_eq!(pick(&table, "f@V1"), Pick::Function { address: 16 });
        assert_eq!(pick(&table, "f@@V2"), Pick::Function { address: 32 });
        assert_eq!(pick(&table, "f@V3"), Pick::Missing);
    }

    #[test]
    fn a_global_function_goes_before_local_ones_and_two_local_ones_are_not_told_apart() {
        let local = |address| Symbol {
            is_local: true,
            ..function("f", address)
        };
        let global = [local(16), function("f", 32)];
        assert_eq!(pick(&global, "f"), Pick::Function { address: 32 });
        let addresses = vec![16, 48];
        assert_eq!(pick(&[local(48), local(16)], "f"), Pick::Ambiguous { addresses });
    }

    #[test]
    fn what_cannot_be_counted_has_a_name() {
        let of_kind = |kind| Symbol {
            kind,
            ..function("f", 16)
        };
        assert_eq!(pick(&[of_kind(Kind::Indirect)], "f"), Pick::Indirect);
        assert_eq!(pick(&[of_kind(Kind::Other)], "f"), Pick::NotAFunction);
        assert_eq!(pick(&[function("f", 0)], "f"), Pick::Undefined);
    }
}
