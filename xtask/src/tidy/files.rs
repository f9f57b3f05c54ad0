//! The text files of the workspace.

use std::fs;
use std::io;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

/// A file with its text.
#[derive(Debug)]
pub(super) struct File {
    /// From the root of the workspace.
    pub(super) path: Utf8PathBuf,
    pub(super) text: String,
}

/// Directories that hold nothing written by hand, from the root: git's own, and those that `.gitignore` names.
const SKIPPED: &[&str] = &[".git", "target", "bench/target", "capi"];
/// Written by cargo.
const GENERATED: &str = "Cargo.lock";

/// Reads every file below `root`, in the order of their paths. A file that is not UTF-8 is no text and is left out.
pub(super) fn read(root: &Utf8Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir_utf8()? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| path == *skipped) {
                directories.push(entry.path().to_owned());
            } else if kind.is_file()
                && entry.file_name() != GENERATED
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                files.push(File {
                    path: path.to_owned(),
                    text,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn what_is_built_is_not_read() {
        let paths = [
            "a/target/b.rs",
            "bench/target/b",
            "capi/pkgconfig/b.pc",
            "target/b",
            "x/capi/b.rs",
        ];
        let fixture = Fixture::new(&paths.map(|path| (path, "")));
        let read: Vec<_> = read(fixture.root())
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(read, ["a/target/b.rs", "x/capi/b.rs"]);
    }
}
