//! The page that lists a directory.

use std::ffi::OsString;
use std::fmt::{self, Write};
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use crate::path::{UrlPath, encode};

/// More entries than this are not listed: the page is made and kept in memory.
const MAX_ENTRIES: usize = 5_000;

/// Makes the page for `directory`, which is known as `url`.
///
/// Directories come first, then in the order of their names' bytes.
///
/// # Errors
///
/// The kernel's, from opening the directory. An entry that vanishes meanwhile is left out.
pub(crate) fn html(directory: &Path, url: &UrlPath) -> io::Result<String> {
    let (entries, complete) = entries(directory, MAX_ENTRIES)?;
    Ok(page(url, &entries, complete))
}

/// Up to `limit` entries in the order of the page, each with whether it is a file; and whether these are all.
fn entries(directory: &Path, limit: usize) -> io::Result<(Vec<(bool, OsString)>, bool)> {
    let mut rest = fs::read_dir(directory)?.flatten();
    let entry = |entry: DirEntry| (!entry.file_type().is_ok_and(|kind| kind.is_dir()), entry.file_name());
    let mut entries: Vec<_> = rest.by_ref().take(limit).map(entry).collect();
    entries.sort_unstable();
    Ok((entries, rest.next().is_none()))
}

fn page(url: &UrlPath, entries: &[(bool, OsString)], complete: bool) -> String {
    let name = url.relative().to_string_lossy();
    let title = escape(&name);
    let mut page = format!("<!DOCTYPE html>\n<title>/{title}</title>\n<h1>/{title}</h1>\n<ul>\n");
    if !name.is_empty() {
        page.push_str("<li><a href=\"../\">../</a>\n");
    }
    for (is_file, name) in entries {
        let slash = if *is_file { "" } else { "/" };
        let text = name.to_string_lossy();
        writeln!(
            page,
            "<li><a href=\"{}{slash}\">{}{slash}</a>",
            encode(name),
            escape(&text)
        )
        .expect("writing to memory cannot fail");
    }
    page.push_str("</ul>\n");
    if !complete {
        page.push_str("<p>There are more.\n");
    }
    page
}

/// `text` between the tags of a page, or between the quotes of an attribute.
fn escape(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        for char in text.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn links(page: &str) -> Vec<&str> {
        page.lines()
            .filter_map(|line| line.strip_prefix("<li><a href=\"")?.split('"').next())
            .collect()
    }

    #[test]
    fn entries_are_sorted_and_directories_first() {
        let scratch = Scratch::new();
        for name in ["b", "B", "é", "a:b", "10%", "#"] {
            fs::write(scratch.path().join(name), "").unwrap();
        }
        for name in ["z", "a b"] {
            fs::create_dir(scratch.path().join(name)).unwrap();
        }
        let page = html(scratch.path(), &UrlPath::parse("/x/").unwrap()).unwrap();
        assert_eq!(
            links(&page),
            ["../", "a%20b/", "z/", "%23", "10%25", "B", "a%3Ab", "b", "%C3%A9"]
        );
        assert!(!page.contains("more"));
        let page = html(scratch.path(), &UrlPath::parse("/").unwrap()).unwrap();
        assert_eq!(links(&page)[0], "a%20b/");
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_page() {
        let name = "\"><script>alert('&')</script>";
        let page = page(&UrlPath::parse("/<i>&/").unwrap(), &[(true, name.into())], true);
        assert!(!page.contains("<script") && !page.contains("<i>"), "{page}");
        assert!(
            page.contains(">&quot;&gt;&lt;script&gt;alert('&amp;')&lt;/script&gt;<"),
            "{page}"
        );
        assert!(page.contains("<title>/&lt;i&gt;&amp;</title>"), "{page}");
    }

    #[test]
    fn long_lists_are_cut() {
        let scratch = Scratch::new();
        for name in ["a", "b", "c"] {
            fs::write(scratch.path().join(name), "").unwrap();
        }
        let (some, complete) = entries(scratch.path(), 2).unwrap();
        assert_eq!((some.len(), complete), (2, false));
        assert!(page(&UrlPath::parse("/").unwrap(), &some, complete).contains("There are more"));
        let (all, complete) = entries(scratch.path(), 3).unwrap();
        assert_eq!((all.len(), complete), (3, true));
    }

    #[test]
    fn only_directories_can_be_listed() {
        let scratch = Scratch::new();
        html(&scratch.path().join("missing"), &UrlPath::parse("/").unwrap()).unwrap_err();
    }
}
