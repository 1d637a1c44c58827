//! Binary search over something that is expensive to look at.

use miette::Result;

/// The first index at which `is_different` says yes, where it says no at 0 and yes at `last`, which are not asked
/// again. Where it changes more than once, one of the changes is found.
pub async fn first_different(
    last: usize,
    mut is_different: impl AsyncFnMut(usize) -> Result<bool>,
) -> Result<usize> {
    let (mut same, mut different) = (0, last);
    while different - same > 1 {
        let middle = same + (different - same) / 2;
        if is_different(middle).await? {
            different = middle;
        } else {
            same = middle;
        }
    }
    Ok(different)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_change_is_found_with_few_looks() {
        for last in 1..40 {
            for change in 1..=last {
                let mut looks = 0;
                let found = first_different(last, async |index| {
                    looks += 1;
                    assert!(index > 0 && index < last, "the ends are known");
                    Ok(index >= change)
                })
                .await
                .unwrap();
                assert_eq!(found, change);
                assert!(looks <= last.ilog2() + 1, "{looks} looks at {last}");
            }
        }
    }
}
