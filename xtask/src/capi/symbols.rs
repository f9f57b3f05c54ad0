//! Names: the lists of what is exported, and those that `nm` and a preprocessor print.

use std::collections::BTreeSet;
use std::fs;

use cargo_metadata::camino::Utf8Path;

use crate::{Error, Result};

pub(super) type Names = BTreeSet<String>;

/// The lists in the crate's directory `symbols`.
#[derive(Debug)]
pub(super) struct Symbols {
    /// The functions of libevent 2.1.12.
    pub(super) public: Names,
    /// Further ones, of later versions.
    pub(super) later: Names,
    /// What the library to preload has besides, and what it lacks.
    preload: List,
}

impl Symbols {
    pub(super) fn read(directory: &Utf8Path) -> Result<Self> {
        let list = |name: &str| {
            let path = directory.join(name);
            let text = fs::read_to_string(&path).map_err(|error| Error::Failed(format!("{path}: {error}")))?;
            List::parse(&text).map_err(|problem| Error::Failed(format!("{path}:{problem}")))
        };
        Ok(Self {
            public: list("public.txt")?.names,
            later: list("later.txt")?.names,
            preload: list("preload.txt")?,
        })
    }

    /// What the library exports.
    pub(super) fn exported(&self) -> Names {
        self.public.union(&self.later).cloned().collect()
    }

    /// What the library to preload exports.
    pub(super) fn preloaded(&self) -> Names {
        let all = &self.exported() | &self.preload.names;
        &all - &self.preload.left_out
    }
}

/// A list: a name a line; with `-` before it, one that is left out. Comments begin with `#`.
#[derive(Debug, Default, PartialEq, Eq)]
struct List {
    names: Names,
    left_out: Names,
}

impl List {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut list = Self::default();
        for (line, number) in text.lines().zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, names) = match line.strip_prefix('-') {
                Some(name) => (name, &mut list.left_out),
                None => (line, &mut list.names),
            };
            if !is_name(name) {
                return Err(format!("{number}: `{line}` is no name"));
            }
            if !names.insert(name.to_owned()) {
                return Err(format!("{number}: `{name}` is there twice"));
            }
        }
        Ok(list)
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads what `nm -P` printed: the names of what is defined.
pub(super) fn defined(output: &str) -> Names {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        // The name of a file, or of a member of an archive, stands alone; an undefined name has the type U, w or v.
        let kind = words.next()?;
        (kind.len() == 1 && !["U", "w", "v"].contains(&kind)).then(|| name.to_owned())
    };
    output.lines().filter_map(name).collect()
}

/// The names in preprocessed headers that a parenthesis follows: all functions, and some words more.
pub(super) fn called(source: &str) -> Names {
    let mut names = Names::new();
    for (index, _) in source.match_indices('(') {
        let before = source[..index].trim_end();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |last| last + 1);
        if is_name(&before[start..]) {
            names.insert(before[start..].to_owned());
        }
    }
    names
}

/// The names, several a line, each line indented.
pub(super) fn shown<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = String::new();
    let mut width = usize::MAX;
    for name in names {
        if width.saturating_add(name.len()) > 100 {
            text.push_str("\n ");
            width = 1;
        }
        text.push(' ');
        text.push_str(name);
        width += name.len() + 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Names {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_list_has_names_comments_and_what_is_left_out() {
        let list = List::parse("# Functions\nevent_add\n\n# More\nevent_del\n-event_once\n").unwrap();
        assert_eq!(list.names, names(&["event_add", "event_del"]));
        assert_eq!(list.left_out, names(&["event_once"]));
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        assert_eq!(List::parse("a\nb c\n"), Err("2: `b c` is no name".to_owned()));
        assert_eq!(List::parse("a\n#\na\n"), Err("3: `a` is there twice".to_owned()));
        assert_eq!(List::parse("-\n"), Err("1: `-` is no name".to_owned()));
        assert_eq!(List::parse(" a\n"), Err("1: ` a` is no name".to_owned()));
    }

    #[test]
    fn the_preloaded_library_has_more_and_less() {
        let symbols = Symbols {
            public: names(&["event_add", "evutil_getaddrinfo"]),
            later: names(&["evwatch_base"]),
            preload: List {
                names: names(&["event_warn"]),
                left_out: names(&["evutil_getaddrinfo"]),
            },
        };
        assert_eq!(
            symbols.exported(),
            names(&["event_add", "evutil_getaddrinfo", "evwatch_base"])
        );
        assert_eq!(symbols.preloaded(), names(&["event_add", "event_warn", "evwatch_base"]));
    }

    #[test]
    fn what_nm_calls_defined_is_found() {
        let output = "libev_capi.a[a.o]:\nevent_add T 0000000000000000 0000000000000010\nmalloc U         \n\
                      event_global_current_base_ B 0 8\nweak w\nlibev_capi.a[b.o]:\nhook V 0 8\n";
        assert_eq!(
            defined(output),
            names(&["event_add", "event_global_current_base_", "hook"])
        );
    }

    #[test]
    fn functions_are_found_in_headers() {
        let source = "int event_add(struct event *ev, const struct timeval *t);\nvoid (*hook)(int);\nstruct event_base *\n\
                      event_base_new (void) __attribute__((warn));\n";
        let found = called(source);
        for name in ["event_add", "event_base_new"] {
            assert!(found.contains(name), "{name}");
        }
        assert!(!found.contains("event_base"));
    }

    #[test]
    fn names_are_shown_in_lines() {
        assert_eq!(shown(&names(&["a", "b"])), "\n  a b");
        let long = names(&[&"a".repeat(60), &"b".repeat(60)]);
        assert_eq!(shown(&long).lines().count(), 3);
    }
}
