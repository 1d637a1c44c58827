//! From a C header to Rust types whose bytes may be read from maps, and to the names of verdicts.

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _, path::Path, rc::Rc};

use bindgen::callbacks::{DeriveInfo, EnumVariantValue, ParseCallbacks, TypeKind};

use crate::compile::{folder, multiarch_include, variable};

/// Classes of verdicts, as an enumerator's name holds them.
const CLASSES: [&str; 3] = ["recorded", "filtered", "lost"];

/// What is said once for all types, so that those who include them need not.
const ALLOWED: &str = r#"#[allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::allow_attributes_without_reason,
    reason = "generated from C headers, which hold the documentation"
)]"#;

/// What was met on the way.
#[derive(Debug, Default)]
struct Seen {
    structures: Vec<String>,
    /// Class and reason of each verdict, by its number.
    verdicts: BTreeMap<i64, (String, String)>,
}

#[derive(Debug)]
struct Callbacks {
    prefix: String,
    seen: Rc<RefCell<Seen>>,
}

impl ParseCallbacks for Callbacks {
    /// Has every shared structure proven free of padding by the compiler, so that bytes can become values.
    fn add_derives(&self, info: &DeriveInfo<'_>) -> Vec<String> {
        if info.kind != TypeKind::Struct {
            return Vec::new();
        }
        self.seen.borrow_mut().structures.push(info.name.to_owned());
        vec!["bytemuck::Pod".to_owned(), "bytemuck::Zeroable".to_owned()]
    }

    fn enum_variant_name(
        &self,
        enumeration: Option<&str>,
        variant: &str,
        value: EnumVariantValue,
    ) -> Option<String> {
        let verdicts = format!("enum {}_verdict", self.prefix);
        let number = match value {
            EnumVariantValue::Signed(number) => number,
            EnumVariantValue::Unsigned(number) => i64::try_from(number).ok()?,
            EnumVariantValue::Boolean(_) => return None,
        };
        if enumeration == Some(verdicts.as_str()) {
            let name = variant.to_lowercase();
            let rest = name.strip_prefix(&format!("{}_", self.prefix))?;
            let (class, reason) = rest.split_once('_')?;
            if CLASSES.contains(&class) {
                let verdict = (class.to_owned(), reason.to_owned());
                self.seen.borrow_mut().verdicts.insert(number, verdict);
            }
        }
        None
    }
}

/// Writes `OUT_DIR/FILE`: everything in these headers of `bpf/` that starts with `prefix_` or `PREFIX_`, as plain data.
/// `enum PREFIX_verdict` also becomes `VERDICT_NAMES`, from enumerators such as `PREFIX_LOST_MAP_FULL`.
///
/// # Panics
/// When a header cannot be read.
pub fn bindings_in(file: &str, headers: &[&str], prefix: &str) {
    let bpf = folder();
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut builder = bindgen::Builder::default();
    for header in headers {
        builder = builder.header(bpf.join(header).display().to_string());
    }
    if let Some(directory) = multiarch_include() {
        builder = builder.clang_arg(format!("-idirafter{}", directory.display()));
    }
    let upper = prefix.to_uppercase();
    let types = builder
        .clang_arg(format!("-I{}", bpf.display()))
        .allowlist_item(format!("({prefix}|{upper})_.*"))
        .blocklist_function(".*")
        .blocklist_item("http_parser_t|HTTP_T.|HTTP_VERSION_.*|http_segment_event")
        .prepend_enum_name(false)
        .derive_default(true)
        .derive_eq(true)
        .derive_ord(true)
        .layout_tests(true)
        .parse_callbacks(Box::new(Callbacks {
            prefix: prefix.to_owned(),
            seen: Rc::clone(&seen),
        }))
        .generate()
        .unwrap_or_else(|error| panic!("cannot read {headers:?}: {error}; is libclang installed?"));
    let text = format!(
        "{ALLOWED}\nmod generated {{\n{types}\n{}}}\npub use generated::*;\n",
        additions(&seen.borrow())
    );
    let path = Path::new(&variable("OUT_DIR")).join(file);
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

fn additions(seen: &Seen) -> String {
    let mut text = String::new();
    let mut structures = seen.structures.clone();
    structures.sort();
    structures.dedup();
    for name in structures {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "// SAFETY: bytemuck's derive has proven the type plain data without padding.\n\
             unsafe impl probe::maps::Pod for {name} {{}}"
        );
    }
    if !seen.verdicts.is_empty() {
        let _ = writeln!(
            text,
            "pub const VERDICT_NAMES: [probe::accounting::VerdictName; {}] = [",
            seen.verdicts.len()
        );
        for (class, reason) in seen.verdicts.values() {
            let _ = writeln!(text, "    ({class:?}, {reason:?}),");
        }
        text.push_str("];\n");
    }
    text
}
