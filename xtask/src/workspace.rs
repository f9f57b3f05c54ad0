//! What cargo knows of this workspace.

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::process;
use crate::{Error, Result};

/// The feature that links against a C library which not every machine has.
pub(crate) const LIBKQUEUE: &str = "libkqueue";

#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
}

/// The features beyond the default ones that a crate's tests and examples are about.
const FOR_TESTS: &[(&str, &str)] = &[("ev-backend", "sim"), ("ev-core", "log,sim")];

/// What tells cargo to build a package with the further features that its tests and examples need.
pub(crate) fn features_for_tests(package: &str) -> Vec<&'static str> {
    let further = FOR_TESTS.iter().filter(|(name, _)| *name == package);
    further.flat_map(|(_, features)| ["--features", features]).collect()
}

impl Workspace {
    /// Asks cargo about the workspace around the current directory.
    pub(crate) fn load() -> Result<Self> {
        Self::around(Utf8Path::new("."))
    }

    /// Asks cargo about the workspace around `directory`.
    pub(crate) fn around(directory: &Utf8Path) -> Result<Self> {
        match MetadataCommand::new().current_dir(directory).no_deps().exec() {
            Ok(metadata) => Ok(Self { metadata }),
            Err(error) => Err(Error::Failed(error.to_string())),
        }
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.metadata.workspace_root
    }

    /// A path below the root, seen from there.
    pub(crate) fn relative<'a>(&self, path: &'a Utf8Path) -> &'a Utf8Path {
        path.strip_prefix(self.root()).unwrap_or(path)
    }

    pub(crate) fn target_directory(&self) -> &Utf8Path {
        &self.metadata.target_directory
    }

    /// Where the logs of `command` go.
    pub(crate) fn log_directory(&self, command: &str) -> Utf8PathBuf {
        self.target_directory().join("xtask").join(command)
    }

    /// Every member, this crate included.
    pub(crate) fn members(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// The members that are published: all but this one.
    pub(crate) fn libraries(&self) -> Vec<&Package> {
        self.members()
            .into_iter()
            .filter(|package| package.name.as_str() != env!("CARGO_PKG_NAME"))
            .collect()
    }

    pub(crate) fn library(&self, name: &str) -> Result<&Package> {
        let found = self
            .libraries()
            .into_iter()
            .find(|package| package.name.as_str() == name);
        found.ok_or_else(|| Error::Failed(format!("the workspace has no crate `{name}`")))
    }

    /// Every feature of every library that builds on this machine, as the value of `--features`.
    ///
    /// `--all-features` would ask for libkqueue on machines without it.
    pub(crate) fn all_features(&self) -> String {
        let builds = |feature: &str| feature != LIBKQUEUE || process::pkg_config(LIBKQUEUE).is_ok();
        let mut all = Vec::new();
        for package in self.libraries() {
            let features = package.features.keys().filter(|feature| builds(feature));
            all.extend(features.map(|feature| format!("{}/{feature}", package.name)));
        }
        all.join(",")
    }
}
