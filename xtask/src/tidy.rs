//! `cargo xtask tidy`: the rules that neither the compiler nor clippy knows.
//!
//! | module | checks |
//! |---|---|
//! | [`layers`] | which crate may depend on which, and on what from outside |
//! | [`manifests`] | what a published crate says of itself, and how its `lib.rs` begins |
//! | [`code`] | Rust files: size, unsafe code, lint exceptions, leftovers |
//! | [`text`] | all files: blanks at line ends, paths of one machine, words from outside the project, lost documents |
//! | [`semantics`] | the table of libevent's behaviours: every one has a test that exists, or a reason |
//!
//! Every finding is printed as `file:line: message`. A note does not fail the check.

mod code;
mod files;
mod layers;
mod manifests;
mod rust;
mod semantics;
mod text;

use std::fmt;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use lexopt::Parser;

use crate::workspace::Workspace;
use crate::{Error, Result};

pub(crate) fn command(parser: Parser) -> Result {
    crate::no_arguments(parser)?;
    run(&Workspace::load()?)
}

pub(crate) fn run(workspace: &Workspace) -> Result {
    let findings = check(workspace)?;
    for finding in &findings.all {
        println!("{finding}");
    }
    match findings.errors().count() {
        0 => Ok(()),
        1 => Err(Error::Failed("tidy found an error".to_owned())),
        count => Err(Error::Failed(format!("tidy found {count} errors"))),
    }
}

fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    layers::check(workspace, &mut findings)?;
    manifests::check(workspace, &mut findings)?;
    let files = files::read(workspace.root())?;
    for file in &files {
        text::check(file, &files, &mut findings);
        if file.path.extension() == Some("rs") {
            code::check(file, &mut findings);
        }
    }
    semantics::check(&files, &mut findings);
    Ok(findings)
}

/// Something that breaks a rule.
#[derive(Debug)]
struct Finding {
    /// From the root of the workspace.
    path: Utf8PathBuf,
    /// From 1.
    line: usize,
    message: String,
    weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Error,
    Note,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "",
            Weight::Note => "note: ",
        };
        write!(f, "{}:{}: {weight}{}", self.path, self.line, self.message)
    }
}

#[derive(Debug, Default)]
struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    fn error(&mut self, path: &Utf8Path, line: usize, message: impl Into<String>) {
        self.push(Weight::Error, path, line, message.into());
    }

    fn note(&mut self, path: &Utf8Path, line: usize, message: impl Into<String>) {
        self.push(Weight::Note, path, line, message.into());
    }

    fn push(&mut self, weight: Weight, path: &Utf8Path, line: usize, message: String) {
        self.all.push(Finding {
            path: path.to_owned(),
            line,
            message,
            weight,
        });
    }

    fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter().filter(|finding| finding.weight == Weight::Error)
    }

    /// For tests: every finding as it is printed.
    #[cfg(test)]
    fn shown(&self) -> Vec<String> {
        self.all.iter().map(Finding::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_shown_as_file_line_message() {
        let mut findings = Findings::default();
        findings.error(Utf8Path::new("ev-map/src/lib.rs"), 7, "no");
        findings.note(Utf8Path::new("ev-map/src/lib.rs"), 8, "hm");
        assert_eq!(
            findings.shown(),
            ["ev-map/src/lib.rs:7: no", "ev-map/src/lib.rs:8: note: hm"]
        );
        assert_eq!(findings.errors().count(), 1);
    }
}
