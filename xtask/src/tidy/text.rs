//! Checks of any text file.

use cargo_metadata::camino::Utf8Path;

use super::Findings;
use super::files::File;
use super::rust::find_word;

/// Directories that exist on one machine only. Put together here so that this file passes, as are the words below.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];

/// The project speaks of itself alone: not of who asked for a change, nor of where it was made.
const FOREIGN_WORDS: &[&str] = &[
    concat!("assis", "tant"),
    concat!("work", "place"),
    concat!("the br", "ief"),
    concat!("the le", "ad"),
];

pub(super) fn check(file: &File, all: &[File], findings: &mut Findings) {
    for (line, number) in file.text.lines().zip(1..) {
        check_line(line, |message| findings.error(&file.path, number, message));
        if matches!(file.path.extension(), Some("rs" | "md")) {
            for document in documents(line) {
                if !all.iter().any(|file| file.path.ends_with(document)) {
                    findings.error(
                        &file.path,
                        number,
                        format!("no document `{document}` in the repository"),
                    );
                }
            }
        }
    }
    if file.text.ends_with("\n\n") {
        findings.error(
            &file.path,
            file.text.lines().count(),
            "blank line at the end of the file",
        );
    }
}

fn check_line(line: &str, mut report: impl FnMut(String)) {
    if line.ends_with(char::is_whitespace) {
        report("blanks at the end of the line".to_owned());
    }
    for path in MACHINE_PATHS {
        let goes_on = |start| line[..start].ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
        if line.match_indices(path).any(|(start, _)| !goes_on(start)) {
            report(format!("a path of one machine: {path}"));
        }
    }
    let lower = line.to_lowercase();
    for word in FOREIGN_WORDS {
        if !find_word(&lower, word).is_empty() {
            report(format!("a word from outside the project: {word}"));
        }
    }
    if lower
        .split("issue")
        .skip(1)
        .any(|rest| rest.trim_start().strip_prefix('#').is_some_and(starts_with_digit))
    {
        report("an issue by number: say what it is about".to_owned());
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The Markdown files that a line mentions; none where it holds an address on the web.
fn documents(line: &str) -> impl Iterator<Item = &Utf8Path> {
    let line = if line.contains("://") { "" } else { line };
    line.split(|c: char| !(c.is_ascii_alphanumeric() || "._-/".contains(c)))
        .map(|word| Utf8Path::new(word.trim_start_matches(['.', '/'])))
        .filter(|path| path.extension() == Some("md"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    fn found(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let all = [file("README.md", ""), file("ev-map/README.md", "")];
        check(&file("ev-map/src/a.rs", text), &all, &mut findings);
        findings.shown()
    }

    #[test]
    fn blanks_at_line_ends_are_found() {
        for text in ["a\nb ", "a\nb\t\nc", "a\nb\u{a0}"] {
            assert_eq!(found(text), ["ev-map/src/a.rs:2: blanks at the end of the line"]);
        }
        assert_eq!(found("a\n\n"), ["ev-map/src/a.rs:2: blank line at the end of the file"]);
        assert!(found("a\n\nb\n").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINE_PATHS {
            let message = format!("ev-map/src/a.rs:2: a path of one machine: {path}");
            assert_eq!(found(&format!("\n// see {path}a.c")), [message.as_str()]);
            assert_eq!(found(&format!("\nopen(\"{path}a.c\")")), [message.as_str()]);
            assert!(found(&format!("src{path}a.rs")).is_empty());
        }
    }

    #[test]
    fn words_from_outside_are_found_whole() {
        for word in FOREIGN_WORDS {
            let message = format!("ev-map/src/a.rs:1: a word from outside the project: {word}");
            assert_eq!(found(&format!("// So said {}.", word.to_uppercase())), [message]);
            assert!(found(&format!("// {word}ing")).is_empty());
        }
    }

    #[test]
    fn issue_numbers_are_found() {
        for number in ["#12", " #3"] {
            assert_eq!(
                found(&format!("// Fixes issue{number}.")),
                ["ev-map/src/a.rs:1: an issue by number: say what it is about"]
            );
        }
        assert!(found("// An issue of #[cfg]. The issue is 12.").is_empty());
    }

    #[test]
    fn lost_documents_are_found() {
        let lost = format!("LOST.{}", "md");
        assert_eq!(
            found(&format!("//! See [there](../{lost}).")),
            [format!("ev-map/src/a.rs:1: no document `{lost}` in the repository")]
        );
        assert!(found(&format!("//! See <https://example.org/{lost}>.")).is_empty());
        assert!(found("//! See [here](../README.md), ev-map/README.md and `*.md`.").is_empty());
    }
}
