//! Directories for tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::workspace::Workspace;

/// A directory of files that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Fixture {
    root: Utf8PathBuf,
}

impl Fixture {
    /// Writes files, given as path and text; later ones replace earlier ones.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = Utf8PathBuf::from_path_buf(env::temp_dir()).unwrap();
        let fixture = Self {
            root: temporary.join(format!("xtask-fixture-{}-{number}", process::id())),
        };
        fs::create_dir_all(&fixture.root).unwrap();
        for (path, text) in files {
            let path = fixture.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fixture
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The workspace that the files make.
    pub(crate) fn workspace(&self) -> Workspace {
        Workspace::around(&self.root).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).unwrap();
    }
}
