//! Seeing that a hook fires: something is done that its program must see, and the program's count of it must rise.

use crate::maps::MapError;

/// Reads `count` before and after `stimulus`.
///
/// # Errors
/// That `count` cannot be read, what `stimulus` says, or `silent` when nothing was counted.
pub fn prove(
    count: impl Fn() -> Result<u64, MapError>,
    stimulus: impl FnOnce() -> Result<(), String>,
    silent: impl FnOnce() -> String,
) -> Result<(), String> {
    let count = || count().map_err(|error| error.to_string());
    let before = count()?;
    stimulus()?;
    if count()? > before { Ok(()) } else { Err(silent()) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn only_a_count_that_rises_is_a_proof() {
        let count = Cell::new(7);
        let proven = |stimulus: &dyn Fn() -> Result<(), String>| {
            prove(|| Ok(count.get()), stimulus, || "silent".to_owned())
        };
        assert_eq!(
            proven(&|| {
                count.set(8);
                Ok(())
            }),
            Ok(())
        );
        assert_eq!(proven(&|| Ok(())), Err("silent".to_owned()));
        assert_eq!(proven(&|| Err("refused".to_owned())), Err("refused".to_owned()));
        assert!(prove(|| Err(MapError::KeyNotFound), || Ok(()), String::new).is_err());
    }
}
