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

/// Directories that hold nothing written by hand.
const SKIPPED: &[&str] = &[".git", "target"];
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
            if kind.is_dir() && !SKIPPED.contains(&entry.file_name()) {
                directories.push(entry.path().to_owned());
            } else if kind.is_file() && entry.file_name() != GENERATED {
                let path = entry.path();
                if let Ok(text) = String::from_utf8(fs::read(path)?) {
                    files.push(File {
                        path: path.strip_prefix(root).unwrap_or(path).to_owned(),
                        text,
                    });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
