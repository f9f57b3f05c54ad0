//! Finding, opening and reading files. All of it may block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::listing;
use crate::path::{Opened, UrlPath, open_below};
use crate::status::Status;

/// How much of a file is in memory at once, for each connection.
pub(crate) const CHUNK: usize = 64 * 1024;

const INDEX: &str = "index.html";

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A regular file.
    File(Opened),
    /// A directory without an index, as a page.
    Listing(String),
    /// A directory, but the path lacks the slash on which the relative links in it depend.
    Moved,
}

/// Finds what to answer for `url` below `root`, which is canonical.
///
/// # Errors
///
/// The status to answer with instead.
pub(crate) fn find(root: &Path, url: &UrlPath) -> Result<Found, Status> {
    lookup(root, url).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => Status::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => Status::Forbidden,
        // Out of descriptors or of memory, or the disk fails: the request is good, the server is not.
        _ => Status::Unavailable,
    })
}

fn lookup(root: &Path, url: &UrlPath) -> io::Result<Found> {
    if url.slash {
        return directory(root, url);
    }
    match open_below(root, url.relative()) {
        Ok(opened) if opened.metadata.is_dir() => Ok(Found::Moved),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(Found::Moved),
        opened => regular(opened?),
    }
}

/// The index first: a directory that may not be read can have one.
fn directory(root: &Path, url: &UrlPath) -> io::Result<Found> {
    match open_below(root, &url.relative().join(INDEX)) {
        Ok(index) if !index.metadata.is_dir() => regular(index),
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => Err(error),
        _ => {
            let opened = open_below(root, url.relative())?;
            listing::html(&opened.path, url).map(Found::Listing)
        }
    }
}

fn regular(opened: Opened) -> io::Result<Found> {
    if opened.metadata.is_file() {
        Ok(Found::File(opened))
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// The part of a file that has not been read yet.
#[derive(Debug)]
pub(crate) struct Body {
    file: File,
    offset: u64,
    left: u64,
}

impl Body {
    /// `length` bytes of `file`, from `offset`.
    pub(crate) fn new(file: File, offset: u64, length: u64) -> Self {
        Self {
            file,
            offset,
            left: length,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The length of the next chunk.
    pub(crate) fn chunk(&self) -> usize {
        usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK))
    }

    /// Reads the next chunk and appends it to `out`.
    ///
    /// # Errors
    ///
    /// The kernel's, or `UnexpectedEof` for a file that has become shorter. `out` is as before.
    pub(crate) fn read(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        let chunk = self.chunk();
        out.resize(start + chunk, 0);
        self.file
            .read_exact_at(&mut out[start..], self.offset)
            .inspect_err(|_| out.truncate(start))?;
        self.offset += chunk as u64;
        self.left -= chunk as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;

    /// The kind of what is found, in words.
    fn at(root: &Path, path: &str) -> String {
        match find(root, &UrlPath::parse(path).unwrap()) {
            Ok(Found::File(opened)) => io::read_to_string(opened.file).unwrap(),
            Ok(Found::Listing(_)) => "listing".to_owned(),
            Ok(Found::Moved) => "moved".to_owned(),
            Err(status) => status.code().to_owned(),
        }
    }

    #[test]
    fn paths_lead_to_files_pages_and_nowhere() {
        let scratch = Scratch::new();
        let root = scratch.path();
        fs::create_dir_all(root.join("with/index.html.d")).unwrap();
        fs::create_dir_all(root.join("without/index.html")).unwrap();
        fs::write(root.join("with/index.html"), "index").unwrap();
        fs::write(root.join("file"), "file").unwrap();
        symlink("/etc/hostname", root.join("with/index.html.d/index.html")).unwrap();
        let _listener = UnixListener::bind(root.join("socket")).unwrap();
        symlink("socket", root.join("link")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(root.join("pipe"))
                .status()
                .unwrap()
                .success()
        );
        for (path, expected) in [
            ("/file", "file"),
            ("/file/", "404"),
            ("/file/x", "404"),
            ("/", "listing"),
            ("/with", "moved"),
            ("/with/", "index"),
            ("/with/index.html", "index"),
            ("/without/", "listing"),
            ("/with/index.html.d/", "listing"),
            ("/with/index.html.d/index.html", "404"),
            ("/missing", "404"),
            ("/socket", "403"),
            ("/link", "403"),
            ("/pipe", "403"),
        ] {
            assert_eq!(at(root, path), expected, "{path}");
        }
        assert_eq!(at(root, &format!("/{}", "x".repeat(300))), "404");
        assert_eq!(at(root, &"/x".repeat(4000)), "404");
    }

    #[test]
    fn files_may_be_forbidden() {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        fs::write(&path, "file").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read it all the same.
        let expected = if File::open(&path).is_ok() { "file" } else { "403" };
        assert_eq!(at(scratch.path(), "/file"), expected);
    }

    #[test]
    fn a_directory_that_may_not_be_read_may_have_an_index() {
        let scratch = Scratch::new();
        let dir = scratch.path().join("dir");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("index.html"), "index").unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(at(scratch.path(), "/dir/"), "index");
        assert_eq!(at(scratch.path(), "/dir"), "moved");
    }

    #[test]
    fn bodies_are_read_in_chunks() {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        let content: Vec<u8> = (0..CHUNK + 10).map(|index| index as u8).collect();
        fs::write(&path, &content).unwrap();
        let mut body = Body::new(File::open(&path).unwrap(), 3, CHUNK as u64 + 2);
        let mut out = b"head".to_vec();
        body.read(&mut out).unwrap();
        assert_eq!((out.len(), body.is_empty(), body.chunk()), (4 + CHUNK, false, 2));
        body.read(&mut out).unwrap();
        assert!(body.is_empty());
        assert_eq!(out, [b"head", &content[3..CHUNK + 5]].concat());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        fs::write(&path, "short").unwrap();
        let mut body = Body::new(File::open(&path).unwrap(), 0, 6);
        let mut out = b"head".to_vec();
        assert_eq!(body.read(&mut out).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(out, b"head");
    }
}
