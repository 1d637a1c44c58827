//! What libbpf says while it works: its errors have numbers, and its words come only this way.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use libbpf_rs::{PrintLevel, set_print};

static WORDS: Mutex<String> = Mutex::new(String::new());

fn words() -> MutexGuard<'static, String> {
    // A text that a panic interrupted is still a text.
    WORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(_: PrintLevel, text: String) {
    words().push_str(&text);
}

/// Runs one step; what libbpf said meanwhile, and the error itself, when it failed.
pub fn told<T>(what: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T, String> {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        set_print(Some((PrintLevel::Warn, listen)));
    });
    words().clear();
    what().map_err(|error| {
        let said = words();
        format!("{said}{error:#}")
    })
}
