//! Which crate may depend on which, and on what from outside.

use std::fs;

use cargo_metadata::camino::Utf8Path;
use cargo_metadata::{Dependency, DependencyKind};

use super::Findings;
use crate::Result;
use crate::workspace::Workspace;

/// What one crate of the workspace may depend on.
struct Layer {
    name: &'static str,
    /// Crates of the workspace: the arrows.
    below: &'static [&'static str],
    /// The same, of which only the vocabulary is used: without any feature.
    words_of: &'static [&'static str],
    /// Crates of the workspace that only its tests may use.
    below_tests: &'static [&'static str],
    /// Crates from outside. What its tests use is free.
    outside: &'static [&'static str],
    /// Crates from outside for its build script.
    build: &'static [&'static str],
}

impl Layer {
    const fn new(name: &'static str, below: &'static [&'static str], outside: &'static [&'static str]) -> Self {
        Self {
            name,
            below,
            words_of: &[],
            below_tests: &[],
            outside,
            build: &[],
        }
    }

    /// What is wrong with one of the crate's dependencies.
    fn fault_of(&self, dependency: &Dependency, is_member: bool) -> Option<String> {
        let name = dependency.name.as_str();
        let is_for_models = dependency
            .target
            .as_ref()
            .is_some_and(|target| target.to_string() == MODELS);
        let kind = if is_for_models {
            DependencyKind::Development
        } else {
            dependency.kind
        };
        let allowed = match (kind, is_member) {
            (DependencyKind::Development, false) => return None,
            (DependencyKind::Development, true) => [self.below, self.words_of, self.below_tests].concat(),
            (DependencyKind::Build, _) => self.build.to_vec(),
            (_, true) => [self.below, self.words_of].concat(),
            (_, false) => self.outside.to_vec(),
        };
        if !allowed.contains(&name) {
            return Some(match kind {
                DependencyKind::Development => format!("may not depend on `{name}` in its tests"),
                DependencyKind::Build => format!("may not depend on `{name}` in its build script"),
                _ => format!("may not depend on `{name}`"),
            });
        }
        let uses_features = dependency.uses_default_features || !dependency.features.is_empty();
        let is_normal = kind == DependencyKind::Normal;
        (is_normal && uses_features && self.words_of.contains(&name))
            .then(|| format!("may only use the vocabulary of `{name}`, without its features"))
    }
}

/// What a crate is compiled for only when loom checks its models; it counts as tests.
const MODELS: &str = "cfg(loom)";

/// The house. An arrow that is not here does not exist.
const LAYERS: &[Layer] = &[
    Layer {
        build: &["pkg-config"],
        ..Layer::new("ev-sys", &[], &["bitflags", "libc"])
    },
    Layer::new("ev-backend", &["ev-sys"], &["bitflags", "thiserror"]),
    Layer {
        words_of: &["ev-backend"],
        ..Layer::new("ev-map", &[], &["thiserror"])
    },
    Layer::new("ev-timer", &[], &[]),
    Layer::new("ev-thread", &["ev-sys"], &["parking_lot"]),
    Layer::new("ev-signal", &["ev-sys"], &["libc", "thiserror"]),
    Layer {
        below_tests: &["ev-sys"],
        ..Layer::new(
            "ev-core",
            &["ev-backend", "ev-map", "ev-signal", "ev-thread", "ev-timer"],
            &["bitflags", "log", "parking_lot", "thiserror"],
        )
    },
    Layer {
        build: &["cc"],
        ..Layer::new("ev-capi", &["ev-core"], &["libc"])
    },
    Layer::new("xtask", &[], &["cargo_metadata", "lexopt"]),
];

pub(super) fn check(workspace: &Workspace, findings: &mut Findings) -> Result {
    check_against(LAYERS, workspace, findings)
}

fn check_against(layers: &[Layer], workspace: &Workspace, findings: &mut Findings) -> Result {
    let members = workspace.members();
    for package in &members {
        let path = workspace.relative(&package.manifest_path);
        let Some(layer) = layers.iter().find(|layer| layer.name == package.name.as_str()) else {
            findings.error(path, 1, format!("`{}` has no place among the layers", package.name));
            continue;
        };
        let manifest = fs::read_to_string(&package.manifest_path)?;
        for dependency in &package.dependencies {
            let is_member = members.iter().any(|member| member.name.as_str() == dependency.name);
            if let Some(fault) = layer.fault_of(dependency, is_member) {
                findings.error(
                    path,
                    line_of(&manifest, &dependency.name),
                    format!("`{}` {fault}", package.name),
                );
            }
        }
    }
    for layer in layers {
        if members.iter().all(|member| member.name.as_str() != layer.name) {
            findings.error(
                Utf8Path::new("Cargo.toml"),
                1,
                format!("the layer `{}` has no crate", layer.name),
            );
        }
    }
    Ok(())
}

/// The line of a manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        line.strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    /// A house of two floors, and a manifest for the upper one.
    fn found(upper: &str) -> Vec<String> {
        let house = [
            Layer {
                below_tests: &["base"],
                build: &["pkg-config"],
                ..Layer::new("upper", &[], &["libc"])
            },
            Layer::new("base", &["words"], &[]),
            Layer {
                words_of: &["words"],
                ..Layer::new("reader", &[], &[])
            },
            Layer::new("words", &[], &[]),
        ];
        let upper = format!("[package]\nname = 'upper'\nedition = '2024'\n{upper}");
        let fixture = Fixture::new(&[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['upper', 'base', 'reader', 'words']\nresolver = '3'\n",
            ),
            ("upper/Cargo.toml", &upper),
            ("upper/src/lib.rs", ""),
            (
                "base/Cargo.toml",
                "[package]\nname = 'base'\n[dependencies]\nwords = { path = '../words' }\n",
            ),
            ("base/src/lib.rs", ""),
            (
                "reader/Cargo.toml",
                "[package]\nname = 'reader'\n[dependencies]\nwords = { path = '../words', default-features = false }\n",
            ),
            ("reader/src/lib.rs", ""),
            ("words/Cargo.toml", "[package]\nname = 'words'\n[features]\na = []\n"),
            ("words/src/lib.rs", ""),
        ]);
        let mut findings = Findings::default();
        check_against(&house, &fixture.workspace(), &mut findings).unwrap();
        findings.shown()
    }

    #[test]
    fn allowed_arrows_pass() {
        let found = found(
            "[dependencies]\nlibc = '0.2'\n[dev-dependencies]\nbase = { path = '../base' }\nproptest = '1'\n\
             [build-dependencies]\npkg-config = '0.3'\n",
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found() {
        assert_eq!(
            found("[dependencies]\nlibc = '0.2'\nbase = { path = '../base' }\n"),
            ["upper/Cargo.toml:6: `upper` may not depend on `base`"]
        );
        assert_eq!(
            found("[target.'cfg(windows)'.dependencies]\nbase.path = '../base'\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `base`"]
        );
        assert_eq!(
            found("[dev-dependencies]\nwords = { path = '../words' }\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `words` in its tests"]
        );
    }

    #[test]
    fn a_crate_from_outside_has_to_be_allowed() {
        assert_eq!(
            found("[dependencies]\nmio = '1'\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `mio`"]
        );
        assert_eq!(
            found("[build-dependencies]\ncc = '1'\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `cc` in its build script"]
        );
        assert_eq!(
            found("[dependencies]\npkg-config = '0.3'\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `pkg-config`"]
        );
    }

    #[test]
    fn models_count_as_tests() {
        assert!(found("[target.'cfg(loom)'.dependencies]\nloom = '0.7'\n").is_empty());
        assert_eq!(
            found("[target.'cfg(not(loom))'.dependencies]\nloom = '0.7'\n"),
            ["upper/Cargo.toml:5: `upper` may not depend on `loom`"]
        );
    }

    #[test]
    fn words_are_used_without_features() {
        let house = [
            Layer {
                words_of: &["words"],
                ..Layer::new("reader", &[], &[])
            },
            Layer::new("words", &[], &[]),
        ];
        for uses in [
            "{ path = '../words' }",
            "{ path = '../words', default-features = false, features = ['a'] }",
        ] {
            let manifest = format!("[package]\nname = 'reader'\n[dependencies]\nwords = {uses}\n");
            let fixture = Fixture::new(&[
                (
                    "Cargo.toml",
                    "[workspace]\nmembers = ['reader', 'words']\nresolver = '3'\n",
                ),
                ("reader/Cargo.toml", &manifest),
                ("reader/src/lib.rs", ""),
                ("words/Cargo.toml", "[package]\nname = 'words'\n[features]\na = []\n"),
                ("words/src/lib.rs", ""),
            ]);
            let mut findings = Findings::default();
            check_against(&house, &fixture.workspace(), &mut findings).unwrap();
            let message = "`reader` may only use the vocabulary of `words`, without its features";
            assert_eq!(findings.shown(), [format!("reader/Cargo.toml:4: {message}")]);
        }
    }

    #[test]
    fn crates_and_layers_are_the_same() {
        let fixture = Fixture::new(&[
            ("Cargo.toml", "[workspace]\nmembers = ['attic']\nresolver = '3'\n"),
            ("attic/Cargo.toml", "[package]\nname = 'attic'\n"),
            ("attic/src/lib.rs", ""),
        ]);
        let mut findings = Findings::default();
        check_against(&[Layer::new("base", &[], &[])], &fixture.workspace(), &mut findings).unwrap();
        assert_eq!(
            findings.shown(),
            [
                "attic/Cargo.toml:1: `attic` has no place among the layers",
                "Cargo.toml:1: the layer `base` has no crate"
            ]
        );
    }
}
