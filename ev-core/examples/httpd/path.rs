//! From the path of a URL to a file below the root, and back.
//!
//! 1. A [`UrlPath`] is relative, and has no component that is empty, `.` or `..`, or holds a slash, a backslash or NUL.
//! 2. What [`open_below`] returns lies below the root, whatever symbolic links there are.
//!
//! The second holds at the time of the call. Whoever may put links into the served directory while a request is
//! answered can win a race against the check.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What is escaped in a path: all but the unreserved characters (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The decoded path of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlPath {
    relative: PathBuf,
    /// Whether it ended in a slash, as the path of a directory should.
    pub(crate) slash: bool,
}

impl UrlPath {
    /// Decodes a path that starts with a slash, or returns `None` if no file can have it.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut relative = PathBuf::with_capacity(path.len());
        for component in path.split('/') {
            let component: Cow<'_, [u8]> = percent_decode_str(component).into();
            match &*component {
                b"" | b"." => {}
                b".." => return None,
                bytes if bytes.iter().any(|byte| b"/\\\0".contains(byte)) => return None,
                bytes => relative.push(OsStr::from_bytes(bytes)),
            }
        }
        let slash = path.ends_with('/') || path.ends_with("/.");
        Some(Self { relative, slash })
    }

    /// The path below the root.
    pub(crate) fn relative(&self) -> &Path {
        &self.relative
    }
}

/// The path in canonical form as a directory: encoded, and with a slash at both ends.
///
/// That is never two slashes, which a browser would take for the start of a host name.
impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for component in &self.relative {
            write!(f, "/{}", encode(component))?;
        }
        f.write_str("/")
    }
}

/// One component of a path as it is written in a URL.
pub(crate) fn encode(component: &OsStr) -> percent_encoding::PercentEncode<'_> {
    percent_encode(component.as_bytes(), ESCAPED)
}

/// What was opened below the root: a regular file, a directory, or whatever else can be opened without waiting.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
}

/// Opens what is at `relative` below `root`, which is canonical.
///
/// As long as no component is a symbolic link, the path cannot lead out of the root. So the usual request costs an
/// `lstat` for each directory on the way, and no `realpath`; a link at the end is refused by the kernel.
///
/// # Errors
///
/// The kernel's. `NotFound` also for what lies outside the root, `PermissionDenied` also for what cannot be opened like a
/// file, such as a socket; `IsADirectory` for a directory that may not be read, which may have an index all the same.
pub(crate) fn open_below(root: &Path, relative: &Path) -> io::Result<Opened> {
    let mut path = PathBuf::with_capacity(root.as_os_str().len() + relative.as_os_str().len() + 1);
    path.push(root);
    let mut components = relative.iter().peekable();
    while let Some(component) = components.next() {
        path.push(component);
        if components.peek().is_some() && path.symlink_metadata()?.is_symlink() {
            return follow(root, relative);
        }
    }
    match open(&path) {
        Ok(file) => examine(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) if path.symlink_metadata()?.is_symlink() => follow(root, relative),
        Err(error) => Err(refusal(&path, error)),
    }
}

/// What to say of something that is there and cannot be opened.
fn refusal(path: &Path, error: io::Error) -> io::Error {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() && error.kind() == io::ErrorKind::PermissionDenied => {
            io::ErrorKind::IsADirectory.into()
        }
        Ok(there) if !there.is_dir() && !there.is_file() => io::ErrorKind::PermissionDenied.into(),
        _ => error,
    }
}

/// Opens what is there unless it is a symbolic link. To open a pipe does not wait for its other end, which notices it
/// nevertheless, as does a device: a directory with such things in it is not one to serve.
fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

fn examine(file: File, path: PathBuf) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    Ok(Opened { file, path, metadata })
}

fn follow(root: &Path, relative: &Path) -> io::Result<Opened> {
    let path = root.join(relative).canonicalize()?;
    if !path.starts_with(root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = open(&path).map_err(|error| refusal(&path, error))?;
    examine(file, path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::scratch::Scratch;

    fn relative(path: &str) -> Option<String> {
        UrlPath::parse(path).map(|path| path.relative().to_str().unwrap().to_owned())
    }

    #[test]
    fn paths_are_decoded_and_cleaned() {
        for (path, expected) in [
            ("/", ""),
            ("//", ""),
            ("/a", "a"),
            ("/a/b.html", "a/b.html"),
            ("//a///b/", "a/b"),
            ("/./a/./b/.", "a/b"),
            ("/a%20b/%C3%A9", "a b/é"),
            ("/%61", "a"),
            ("/%2561", "%61"),
            ("/100%", "100%"),
            ("/%zz", "%zz"),
            ("/...", "..."),
            ("/..a", "..a"),
            ("/a+b", "a+b"),
        ] {
            assert_eq!(relative(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/%2e%2e/a",
            "/.%2E/a",
            "/a%2fb",
            "/%2Fetc/passwd",
            "/a\\b",
            "/a%5cb",
            "/%00",
            "/a%00.html",
            "/..%2f..",
        ] {
            assert_eq!(relative(path), None, "{path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_is_noted() {
        for (path, slash) in [
            ("/", true),
            ("/a", false),
            ("/a/", true),
            ("/a/.", true),
            ("/a.", false),
        ] {
            assert_eq!(UrlPath::parse(path).unwrap().slash, slash, "{path}");
        }
    }

    #[test]
    fn directories_are_written_in_canonical_form() {
        for (path, expected) in [
            ("/", "/"),
            ("//evil.example", "/evil.example/"),
            ("/a b/%3f%0a", "/a%20b/%3F%0A/"),
            ("/é", "/%C3%A9/"),
        ] {
            assert_eq!(UrlPath::parse(path).unwrap().to_string(), expected, "{path}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        let path = UrlPath::parse("/%FFa").unwrap();
        assert_eq!(path.relative().as_os_str().as_bytes(), b"\xFFa");
        assert_eq!(path.to_string(), "/%FFa/");
    }

    #[test]
    fn files_below_the_root_are_found() {
        let scratch = Scratch::new();
        let root = scratch.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/c"), "12").unwrap();
        let opened = open_below(root, Path::new("a/b/c")).unwrap();
        assert_eq!((opened.path, opened.metadata.len()), (root.join("a/b/c"), 2));
        assert!(open_below(root, Path::new("")).unwrap().metadata.is_dir());
        assert_eq!(
            open_below(root, Path::new("a/x")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(
            open_below(root, Path::new("a/b/c/d")).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
    }

    #[test]
    fn links_are_followed_within_the_root_only() {
        let scratch = Scratch::new();
        let root = scratch.path().join("root");
        let outside = scratch.path().join("root-not");
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(root.join("dir/file"), "in").unwrap();
        fs::write(outside.join("file"), "out").unwrap();
        for (link, target) in [
            ("in", Path::new("dir/file")),
            ("dir-in", Path::new("dir")),
            ("out", &outside.join("file")),
            ("dir-out", Path::new("../root-not")),
            ("dir/up", Path::new("..")),
            ("loop", Path::new("loop")),
            ("nowhere", Path::new("missing")),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        for found in ["in", "dir-in/file", "dir/up/dir/up/in"] {
            assert_eq!(
                open_below(&root, Path::new(found)).unwrap().metadata.len(),
                2,
                "{found}"
            );
        }
        for lost in ["out", "dir-out/file", "dir-out", "nowhere"] {
            assert_eq!(
                open_below(&root, Path::new(lost)).unwrap_err().kind(),
                io::ErrorKind::NotFound,
                "{lost}"
            );
        }
        open_below(&root, Path::new("loop")).unwrap_err();
    }
}
