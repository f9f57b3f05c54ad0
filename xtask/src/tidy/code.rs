//! Checks of one Rust file.

use cargo_metadata::camino::Utf8Path;

use super::Findings;
use super::files::File;
use super::rust::{Source, find_word};

/// Lines of code that a file should not go over, and that it must not.
const SIZE: (usize, usize) = (400, 600);

/// Where unsafe code may stand: these directories and files. Some tests fork, and those of signals install handlers of
/// their own.
pub(super) const UNSAFE: &[&str] = &[
    "ev-sys",
    "ev-signal/src/handler.rs",
    "ev-signal/tests",
    "ev-backend/tests/alone.rs",
    "ev-core/tests/suite/scenarios/fork.rs",
    "ev-capi",
    "bench/peers",
    "bench/scenarios/src/heap.rs",
];

/// Words of unfinished work, in comments as well. They are put together here so that this file passes.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Macros of unfinished work.
const UNFINISHED_MACROS: &[&str] = &["dbg", "todo", "unimplemented"];

pub(super) fn check(file: &File, findings: &mut Findings) {
    let source = Source::new(&file.text);
    size(file, &source, findings);
    unsafe_code(file, &source, findings);
    lint_exceptions(file, &source, findings);
    unfinished(file, &source, findings);
}

fn size(file: &File, source: &Source, findings: &mut Findings) {
    let (good, most) = SIZE;
    let lines = source.code_lines();
    if lines <= good || is_test(&file.path) {
        return;
    }
    let message = format!("{lines} lines of code; {good} are a good limit, {most} the hard one");
    if lines > most {
        findings.error(&file.path, 1, message);
    } else {
        findings.note(&file.path, 1, message);
    }
}

/// Whether a whole file is tests.
fn is_test(path: &Utf8Path) -> bool {
    path.file_name() == Some("tests.rs")
        || path
            .components()
            .any(|part| matches!(part.as_str(), "tests" | "benches"))
}

fn unsafe_code(file: &File, source: &Source, findings: &mut Findings) {
    if UNSAFE.iter().any(|place| file.path.starts_with(place)) {
        return;
    }
    for offset in source.find_word("unsafe") {
        findings.error(
            &file.path,
            source.line(offset),
            format!("unsafe code outside {}", UNSAFE.join(", ")),
        );
    }
}

fn lint_exceptions(file: &File, source: &Source, findings: &mut Findings) {
    for attribute in source.attributes() {
        let code = source.code(attribute.clone());
        for lint in ["allow", "expect"] {
            let with_argument = |start: &usize| code[start + lint.len()..].trim_start().starts_with('(');
            if find_word(code, lint).iter().any(with_argument) && find_word(code, "reason").is_empty() {
                findings.error(
                    &file.path,
                    source.line(attribute.start),
                    format!("`{lint}` without a reason"),
                );
            }
        }
    }
}

fn unfinished(file: &File, source: &Source, findings: &mut Findings) {
    for word in UNFINISHED {
        for offset in find_word(&file.text, word) {
            findings.error(&file.path, source.line(offset), format!("unfinished work: {word}"));
        }
    }
    for name in UNFINISHED_MACROS {
        for offset in source.find_word(name) {
            if source.code(offset..offset + name.len() + 1).ends_with('!') {
                findings.error(&file.path, source.line(offset), format!("unfinished work: {name}!"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(
            &File {
                path: path.into(),
                text: text.to_owned(),
            },
            &mut findings,
        );
        findings.shown()
    }

    #[test]
    fn size_is_noted_and_then_refused() {
        let lines = |count| "f();\n".repeat(count);
        assert!(found("a/src/b.rs", &lines(400)).is_empty());
        assert_eq!(
            found("a/src/b.rs", &lines(401)),
            ["a/src/b.rs:1: note: 401 lines of code; 400 are a good limit, 600 the hard one"]
        );
        assert_eq!(
            found("a/src/b.rs", &lines(601)),
            ["a/src/b.rs:1: 601 lines of code; 400 are a good limit, 600 the hard one"]
        );
        for tests in [
            "a/tests/b.rs",
            "a/tests/suite/b.rs",
            "a/benches/b.rs",
            "a/src/heap/tests.rs",
        ] {
            assert!(found(tests, &lines(601)).is_empty());
        }
    }

    #[test]
    fn unsafe_code_is_kept_in_its_places() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        let message = format!("unsafe code outside {}", UNSAFE.join(", "));
        for path in [
            "ev-core/src/lib.rs",
            "ev-signal/src/lib.rs",
            "ev-sys-two/src/lib.rs",
            "ev-core/examples/a.rs",
        ] {
            assert_eq!(found(path, text), [format!("{path}:2: {message}")]);
        }
        for path in [
            "ev-sys/src/epoll.rs",
            "ev-sys/src/epoll/wait.rs",
            "ev-signal/src/handler.rs",
        ] {
            assert!(found(path, text).is_empty(), "{path}");
        }
        assert!(found("ev-core/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\n").is_empty());
    }

    #[test]
    fn lint_exceptions_need_a_reason() {
        for (text, line) in [
            ("#[allow(dead_code)]", 1),
            ("\n#![allow(dead_code)]", 2),
            ("#[cfg_attr(unix, expect(a))]", 1),
            ("#[expect(\n  a,\n  b\n)] // reason = none", 1),
        ] {
            assert_eq!(found("a/src/b.rs", text).len(), 1, "{text}");
            assert!(
                found("a/src/b.rs", text)[0].starts_with(&format!("a/src/b.rs:{line}: ")),
                "{text}"
            );
        }
        for text in [
            "#[expect(a, reason = \"b\")]",
            "let c = d.expect(\"e\");",
            "// #[allow(a)]",
            "#[allowed(a)]",
        ] {
            assert!(found("a/src/b.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn unfinished_work_is_found_in_comments_and_code() {
        for word in UNFINISHED {
            let text = format!("fn f() {{}}\n// {word}: more\n");
            assert_eq!(
                found("a/src/b.rs", &text),
                [format!("a/src/b.rs:2: unfinished work: {word}")]
            );
        }
        for name in UNFINISHED_MACROS {
            let text = format!("fn f() {{\n    {name}!(x)\n}}");
            assert_eq!(
                found("a/src/b.rs", &text),
                [format!("a/src/b.rs:2: unfinished work: {name}!")]
            );
        }
        assert!(
            found(
                "a/src/b.rs",
                "// what todo!() does\nlet todo = dbg;\nlet s = \"todo!\"; mktempXXXXXX"
            )
            .is_empty()
        );
    }
}
