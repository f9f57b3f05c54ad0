//! What a published crate says of itself.

use std::fs;

use cargo_metadata::Package;
use cargo_metadata::camino::Utf8Path;

use super::rust::Source;
use super::{Findings, code};
use crate::Result;
use crate::workspace::Workspace;

const LICENSES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

pub(super) fn check(workspace: &Workspace, findings: &mut Findings) -> Result {
    for license in LICENSES {
        if !workspace.root().join(license).is_file() {
            findings.error(Utf8Path::new(license), 1, "the license is missing");
        }
    }
    for package in workspace.libraries() {
        manifest(workspace.relative(&package.manifest_path), package, findings)?;
        if let Some(library) = package.targets.iter().find(|target| target.is_lib()) {
            let text = fs::read_to_string(&library.src_path)?;
            crate_root(workspace.relative(&library.src_path), &text, findings);
        }
    }
    Ok(())
}

fn manifest(path: &Utf8Path, package: &Package, findings: &mut Findings) -> Result {
    let text = fs::read_to_string(&package.manifest_path)?;
    let says = [
        ("description", package.description.is_some()),
        ("keywords", !package.keywords.is_empty()),
        ("categories", !package.categories.is_empty()),
        ("license", package.license.is_some()),
        (
            "version of its own",
            text.lines().any(|line| line.starts_with("version = ")),
        ),
        (
            "README.md",
            package
                .readme()
                .is_some_and(|readme| readme.ends_with("README.md") && readme.is_file()),
        ),
    ];
    for (what, _) in says.iter().filter(|(_, said)| !said) {
        findings.error(path, 1, format!("`{}` has no {what}", package.name));
    }
    Ok(())
}

fn crate_root(path: &Utf8Path, text: &str, findings: &mut Findings) {
    if !text.starts_with("//! ") {
        findings.error(path, 1, "does not begin with the crate's documentation");
    }
    let sources = path.parent().unwrap_or(path);
    let mut places = code::UNSAFE.iter().map(Utf8Path::new);
    let may_be_unsafe = places.any(|place| place.starts_with(sources) || sources.starts_with(place));
    let source = Source::new(text);
    let forbids = source
        .attributes()
        .into_iter()
        .any(|attribute| source.code(attribute) == "#![forbid(unsafe_code)]");
    if !may_be_unsafe && !forbids {
        findings.error(path, 1, "does not say `#![forbid(unsafe_code)]`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const MANIFEST: &str = "[package]\nname = 'ev-map'\nversion = '0.1.0'\ndescription = 'a'\n\
        keywords = ['b']\ncategories = ['c']\nlicense = 'MIT'\n";

    fn found(manifest: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![("Cargo.toml", "[workspace]\nmembers = ['ev-map']\nresolver = '3'\n")];
        all.push(("ev-map/Cargo.toml", manifest));
        all.extend_from_slice(files);
        let mut findings = Findings::default();
        check(&Fixture::new(&all).workspace(), &mut findings).unwrap();
        findings.shown()
    }

    const GOOD_ROOT: (&str, &str) = ("ev-map/src/lib.rs", "//! Maps.\n#![forbid(unsafe_code)]\n");
    const OTHER_FILES: [(&str, &str); 3] = [("LICENSE-APACHE", ""), ("LICENSE-MIT", ""), ("ev-map/README.md", "")];

    #[test]
    fn a_complete_crate_passes() {
        let [apache, mit, readme] = OTHER_FILES;
        assert!(found(MANIFEST, &[GOOD_ROOT, apache, mit, readme]).is_empty());
    }

    #[test]
    fn what_a_manifest_leaves_out_is_named() {
        let [apache, mit, _] = OTHER_FILES;
        let manifest = "[package]\nname = 'ev-map'\n";
        let parts = [
            "description",
            "keywords",
            "categories",
            "license",
            "version of its own",
            "README.md",
        ];
        let expected = parts.map(|part| format!("ev-map/Cargo.toml:1: `ev-map` has no {part}"));
        assert_eq!(found(manifest, &[GOOD_ROOT, apache, mit]), expected);
    }

    #[test]
    fn an_inherited_version_is_not_its_own() {
        let [apache, mit, readme] = OTHER_FILES;
        let manifest = MANIFEST.replace("version = '0.1.0'", "version.workspace = true");
        let workspace = "[workspace]\nmembers = ['ev-map']\nresolver = '3'\n[workspace.package]\nversion = '0.1.0'\n";
        let files = [("Cargo.toml", workspace), GOOD_ROOT, apache, mit, readme];
        assert_eq!(
            found(&manifest, &files),
            ["ev-map/Cargo.toml:1: `ev-map` has no version of its own"]
        );
    }

    #[test]
    fn missing_licenses_are_found() {
        let [_, mit, readme] = OTHER_FILES;
        assert_eq!(
            found(MANIFEST, &[GOOD_ROOT, mit, readme]),
            ["LICENSE-APACHE:1: the license is missing"]
        );
    }

    #[test]
    fn a_crate_root_begins_with_docs_and_forbids_unsafe_code() {
        let [apache, mit, readme] = OTHER_FILES;
        let found = |root| found(MANIFEST, &[("ev-map/src/lib.rs", root), apache, mit, readme]);
        let docs = "ev-map/src/lib.rs:1: does not begin with the crate's documentation";
        let unsafe_code = "ev-map/src/lib.rs:1: does not say `#![forbid(unsafe_code)]`";
        assert_eq!(found("#![forbid(unsafe_code)]\n"), [docs]);
        assert_eq!(found("//! Maps.\n// #![forbid(unsafe_code)]\n"), [unsafe_code]);
        assert_eq!(found("//! Maps.\n#![deny(unsafe_code)]\n"), [unsafe_code]);
    }

    #[test]
    fn unsafe_code_in_a_crate_frees_its_root_but_in_its_tests_does_not() {
        let found = |path: &str| {
            let mut findings = Findings::default();
            crate_root(Utf8Path::new(path), "//! Docs.\n", &mut findings);
            findings.all.len()
        };
        assert_eq!(
            ["ev-sys/src/lib.rs", "ev-signal/src/lib.rs", "ev-core/src/lib.rs"].map(found),
            [0, 0, 1]
        );
    }
}
