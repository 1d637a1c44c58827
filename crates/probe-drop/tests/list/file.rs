//! The list of the file beside that of the manifest.

use probe::loader::Loader;
use probe_drop::blocklist::{Blocklist, entry::Action, list_file::ListFile};

use crate::{
    action,
    common::{DROP, PASS},
    entry, kernel, list,
};

#[test]
fn the_file_and_the_manifest_must_not_speak_of_the_same_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    std::fs::write(&path, "10.0.0.0/8 pass\n11.0.0.0/8\n").unwrap();
    let own = list(&[entry("10.0.0.0/8", Action::Drop, None)]);
    let Some(loaded) = kernel(Loader::Aya, 8) else {
        return;
    };
    let error = Blocklist::new(loaded, own.clone(), false, Some(ListFile::new(&path))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("10.0.0.0/8 is in the manifest already"),
        "{error}"
    );

    std::fs::write(&path, "11.0.0.0/8\n").unwrap();
    let loaded = kernel(Loader::Aya, 8).unwrap();
    let mut blocklist = Blocklist::new(loaded, own, false, Some(ListFile::new(&path))).unwrap();
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), DROP);
    std::fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        blocklist.refresh(0).unwrap();
    }
    let reading = blocklist.read().unwrap();
    assert_eq!((reading.lists_refused, reading.list_in_force), (1, false));
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), DROP);
    std::fs::write(&path, "12.0.0.0/8\n").unwrap();
    blocklist.refresh(0).unwrap();
    let reading = blocklist.read().unwrap();
    assert_eq!((reading.lists_applied, reading.list_in_force), (1, true));
    assert_eq!(action(blocklist.kernel(), [11, 0, 0, 1]), PASS);
}
