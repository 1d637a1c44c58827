//! The ranges of values that manifests of several probes give. Errors name the key and say what would be right.

/// The smallest ring buffer there is: one page.
pub const MIN_RING_BUFFER_BYTES: u32 = 4096;

/// Whether there is anything of what a key counts.
///
/// # Errors
/// When it is 0.
pub fn at_least_1(key: &str, value: impl Into<u64>) -> Result<(), String> {
    match value.into() {
        0 => Err(format!("`{key}` must be at least 1")),
        _ => Ok(()),
    }
}

/// Whether the kernel takes it as the size of a ring buffer.
///
/// # Errors
/// When it is no power of two, or less than a page.
pub fn ring_buffer_bytes(key: &str, bytes: u32) -> Result<(), String> {
    if bytes.is_power_of_two() && bytes >= MIN_RING_BUFFER_BYTES {
        Ok(())
    } else {
        Err(format!(
            "`{key}` must be a power of two of at least {MIN_RING_BUFFER_BYTES}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_say_what_would_be_right() {
        assert_eq!(at_least_1("maxEntries", 1_u32), Ok(()));
        assert_eq!(
            at_least_1("maxEntries", 0_u32).unwrap_err(),
            "`maxEntries` must be at least 1"
        );
        assert_eq!(ring_buffer_bytes("bytes", 4096), Ok(()));
        for bytes in [0, 2048, 5000] {
            assert_eq!(
                ring_buffer_bytes("bytes", bytes).unwrap_err(),
                "`bytes` must be a power of two of at least 4096"
            );
        }
    }
}
