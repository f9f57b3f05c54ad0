//! Checks of the table that says, for each behaviour of libevent, which test shows it here.
//!
//! A row is `| 1.5-3 | behaviour | shown by |`. The last cell names tests in backticks: `subject::function` for a
//! scenario of the suite, `crate/path.rs::function` for any other test; or it begins with `not here:` and says why.

use cargo_metadata::camino::Utf8Path;

use super::Findings;
use super::files::File;
use super::rust::{Source, find_word, top_level};

const TABLE: &str = "docs/semantics.md";
const SCENARIOS: &str = "ev-core/tests/suite/scenarios";
const HEADS: &[&str] = &["| # | behaviour | shown by |", "|---|---|---|"];
const NOT_HERE: &str = "not here:";
const MISSING: &str = "MISSING";

/// What makes tests of the functions it is given, or of those whose names it is given.
const MACROS: &[&str] = &["for_every_backend!", "tests_in_own_processes!"];

pub(super) fn check(files: &[File], findings: &mut Findings) {
    let path = Utf8Path::new(TABLE);
    let Some(table) = files.iter().find(|file| file.path == path) else {
        findings.error(path, 1, "the table of behaviours is missing");
        return;
    };
    let subjects: Vec<_> = files.iter().filter_map(Subject::new).collect();
    let mut last = (vec![], 0);
    for (line, number) in table.text.lines().zip(1..) {
        if !line.starts_with('|') || HEADS.contains(&line) {
            continue;
        }
        match row(line) {
            Ok((place, shown)) => {
                if !follows(&last, &place) {
                    findings.error(path, number, "the row's number does not follow the one before");
                }
                last = place;
                check_shown(shown, files, &subjects, |message| findings.error(path, number, message));
            }
            Err(message) => findings.error(path, number, message),
        }
    }
    for subject in subjects {
        let named = format!("`{}::", subject.name);
        if !table
            .text
            .lines()
            .any(|line| line.starts_with('|') && line.contains(&named))
        {
            let message = format!("{TABLE} names no scenario of `{}`", subject.name);
            findings.error(&subject.file.path, subject.line, message);
        }
    }
}

/// A section, and a row's number in it.
type Place = (Vec<u32>, u32);

/// A row's place and its last cell.
fn row(line: &str) -> Result<(Place, &str), &'static str> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let ["", number, behaviour, shown, ""] = cells[..] else {
        return Err("a row has three cells");
    };
    if behaviour.is_empty() {
        return Err("a row without a behaviour");
    }
    place(number)
        .map(|place| (place, shown))
        .ok_or("a row's number is its section's, a hyphen and its own: 1.5-3")
}

fn place(number: &str) -> Option<Place> {
    let (section, number) = number.split_once('-')?;
    let section = section.split('.').map(|part| part.parse().ok());
    Some((section.collect::<Option<_>>()?, number.parse().ok()?))
}

/// Whether a row comes next: in its section the next number, in a later section the first.
fn follows((section, number): &Place, next: &Place) -> bool {
    if next.0 == *section {
        next.1 == number + 1
    } else {
        next.0 > *section && next.1 == 1
    }
}

fn check_shown(shown: &str, files: &[File], subjects: &[Subject], mut report: impl FnMut(String)) {
    if shown.contains(MISSING) {
        report("no test shows this".to_owned());
        return;
    }
    let reason = shown.strip_prefix(NOT_HERE);
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        report(format!("`{NOT_HERE}` without a reason"));
    }
    if shown.matches('`').count() % 2 == 1 {
        report("a backtick without its partner".to_owned());
    }
    let mut named = shown.split('`').skip(1).step_by(2).peekable();
    if reason.is_none() && named.peek().is_none() {
        report(format!("names no test, and does not begin with `{NOT_HERE}`"));
    }
    for name in named {
        let (place, function) = name.rsplit_once("::").unwrap_or((name, ""));
        // A reason may also name types.
        let is_test = is_lower_case(function) && (is_lower_case(place) || place.contains(".rs"));
        if is_test {
            if !exists(place, function, files, subjects) {
                report(format!("no test `{name}`"));
            }
        } else if reason.is_none() {
            report(format!("`{name}` is not the name of a test"));
        }
    }
}

fn is_lower_case(name: &str) -> bool {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(part)
}

fn exists(place: &str, function: &str, files: &[File], subjects: &[Subject]) -> bool {
    if let Some(subject) = subjects.iter().find(|subject| subject.name == place) {
        return subject.scenarios.contains(&function) && subject.file.text.contains(&format!("fn {function}("));
    }
    let file = files.iter().find(|file| file.path == place);
    file.is_some_and(|file| is_run(&Source::new(&file.text), function))
}

/// Whether a function is a test and not one that tests call.
fn is_run(source: &Source, function: &str) -> bool {
    let has = |code: &str| !find_word(code, function).is_empty();
    source.is_test(function)
        || MACROS
            .iter()
            .any(|name| source.blocks(name).any(|given| has(&top_level(given))))
        // A test without a harness.
        || source.blocks("fn main()").any(has)
}

/// A file of scenarios.
struct Subject<'a> {
    file: &'a File,
    /// The line of its list.
    line: usize,
    name: &'a str,
    scenarios: Vec<&'a str>,
}

impl<'a> Subject<'a> {
    fn new(file: &'a File) -> Option<Self> {
        if !file.path.starts_with(SCENARIOS) {
            return None;
        }
        // scenarios!("subject": one, two);
        let (before, list) = file.text.split_once("scenarios!(\"")?;
        let (name, list) = list.split_once("\":")?;
        let (list, _) = list.split_once(')')?;
        Some(Self {
            file,
            line: 1 + before.matches('\n').count(),
            name,
            scenarios: list.split(',').map(str::trim).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IO: &str =
        "\nscenarios!(\"io\":\n    reading,\n    lost,\n);\nfn reading(cell: &Cell) {}\nfn unlisted(cell: &Cell) {}\n";

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    const FD_MAP: &str = "\
        #[test]\nfn one_test() { helper() }\nfn helper() {}\n\
        rig::tests_in_own_processes! { fn in_a_macro() { called() } }\nfn called() {}\n\
        for_every_backend! { listed }\nfn listed() {}\n\
        fn main() { a::by_main(); }\nfn by_main() {}\n";

    /// What is found in a table with these rows, without the table's path.
    fn found(rows: &str) -> Vec<String> {
        let table = format!("For example `io::reading`.\n{}\n{}\n{rows}\n", HEADS[0], HEADS[1]);
        let files = [
            file(TABLE, &table),
            file("ev-core/tests/suite/scenarios/io.rs", IO),
            file("ev-map/tests/fd_map.rs", FD_MAP),
            file("ev-core/tests/suite/scenarios/mod.rs", "macro_rules! scenarios {}"),
        ];
        let mut findings = Findings::default();
        check(&files, &mut findings);
        let shown = findings.shown().into_iter();
        shown.map(|finding| finding.replace(&format!("{TABLE}:"), "")).collect()
    }

    #[test]
    fn tests_that_exist_may_be_named() {
        let rows =
            "| 0.1-1 | a | `io::reading` |\n| 1.2-1 | b | `io::reading`, and `ev-map/tests/fd_map.rs::one_test` |";
        assert!(found(rows).is_empty());
        for function in ["in_a_macro", "listed", "by_main"] {
            let row = format!("| 1.2-1 | b | `io::reading`, `ev-map/tests/fd_map.rs::{function}` |");
            assert!(found(&row).is_empty(), "{function}");
        }
        for name in [
            "io::lost",
            "io::unlisted",
            "none::reading",
            "ev-map/tests/fd_map.rs::one",
            "ev-map/tests/fd_map.rs::helper",
            "ev-map/tests/fd_map.rs::called",
            "ev-map/tests/fd_map.rs::main",
            "ev-map/tests/none.rs::one_test",
        ] {
            let rows = format!("| 0.1-1 | a | `io::reading` |\n| 0.1-2 | b | `{name}` |");
            assert_eq!(found(&rows), [format!("5: no test `{name}`")]);
            let rows = format!("| 0.1-1 | a | `io::reading` |\n| 0.1-2 | b | not here: instead `{name}` |");
            assert_eq!(found(&rows), [format!("5: no test `{name}`")]);
        }
    }

    #[test]
    fn every_row_has_a_test_or_a_reason() {
        let after = |shown: &str| found(&format!("| 1-1 | a | `io::reading` |\n| 1-2 | b | {shown} |"));
        assert!(after("not here: `Duration` is never negative, `io::Error` is").is_empty());
        assert_eq!(after("not here:"), ["5: `not here:` without a reason"]);
        assert_eq!(after("MISSING"), ["5: no test shows this"]);
        assert_eq!(
            after("io::reading"),
            ["5: names no test, and does not begin with `not here:`"]
        );
        assert_eq!(after("`Duration`"), ["5: `Duration` is not the name of a test"]);
        assert_eq!(
            after("`io::reading`, `"),
            ["5: a backtick without its partner", "5: `` is not the name of a test"]
        );
    }

    #[test]
    fn numbers_are_in_order_and_none_is_left_out() {
        let numbered = |numbers: &[&str]| {
            let rows = numbers
                .iter()
                .map(|number| format!("| {number} | a | `io::reading` |\n"));
            found(&rows.collect::<String>())
        };
        assert!(numbered(&["0-1", "0.4-1", "0.4-2", "1.9-1", "1.10-1", "3-1", "3-2"]).is_empty());
        for (first, second) in [
            ("1.5-1", "1.5-1"),
            ("1.5-1", "1.5-3"),
            ("1.5-1", "1.4-1"),
            ("1.5-1", "1.6-2"),
        ] {
            let expected = "5: the row's number does not follow the one before";
            assert_eq!(numbered(&[first, second]), [expected], "{first} {second}");
        }
        for wrong in ["1.5", "1.x-1", "1.5-", "1.5-x", "-1"] {
            let expected = "5: a row's number is its section's, a hyphen and its own: 1.5-3";
            assert_eq!(numbered(&["1.5-1", wrong]), [expected], "{wrong}");
        }
    }

    #[test]
    fn what_looks_like_a_row_is_one() {
        let after = |row: &str| found(&format!("| 1-1 | a | `io::reading` |\n{row}"));
        for row in [
            "| 1-2 | b |",
            "| 1-2 | b | `io::reading` | c |",
            "| 1-2 | b | `io::reading`",
        ] {
            assert_eq!(after(row), ["5: a row has three cells"]);
        }
        assert_eq!(after("| 1-2 | | `io::reading` |"), ["5: a row without a behaviour"]);
    }

    #[test]
    fn every_subject_is_named() {
        assert_eq!(
            found("| 1-1 | a | `ev-map/tests/fd_map.rs::one_test` |"),
            ["ev-core/tests/suite/scenarios/io.rs:2: docs/semantics.md names no scenario of `io`"]
        );
    }

    #[test]
    fn a_lost_table_is_found() {
        let mut findings = Findings::default();
        check(&[], &mut findings);
        assert_eq!(
            findings.shown(),
            ["docs/semantics.md:1: the table of behaviours is missing"]
        );
    }
}
