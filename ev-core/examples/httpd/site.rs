//! From a request to the bytes that answer it.
//!
//! All that may block happens here, and nothing here knows of connections: a [`Job`] goes in and a [`Done`] comes out,
//! in the loop's own thread or in another.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::date::Dates;
use crate::files::{Body, Found, find};
use crate::path::UrlPath;
use crate::reply::{Answer, Manner, Reply};
use crate::request::{Method, Request, Version};
use crate::status::Status;

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Job {
    /// Make the answer to a request.
    Answer(Request),
    /// Make the answer to what is no request.
    Refuse(Status),
    /// Read the next chunk of a file that is being sent.
    Fill(Body),
}

/// What came of a [`Job`], apart from the bytes to send.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// What remains to be read of the file.
    pub(crate) rest: Option<Body>,
    /// The file could not be read to the end that was announced, so the connection has to end early.
    pub(crate) broken: bool,
    /// For the log. [`Job::Fill`] adds nothing to it.
    pub(crate) entry: Option<Entry>,
}

/// A request and its answer, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Method, target and version, if they could be read.
    pub(crate) request: Option<(Method, Box<str>, Version)>,
    pub(crate) status: Status,
    /// The length of the body to be sent.
    pub(crate) length: u64,
}

/// The files below a directory, as answers to requests.
#[derive(Debug)]
pub(crate) struct Site {
    root: Arc<Path>,
    dates: Dates,
}

impl Site {
    /// The site of the files below `root`, which is canonical.
    pub(crate) fn new(root: Arc<Path>) -> Self {
        Self {
            root,
            dates: Dates::default(),
        }
    }

    /// Does one job and appends the bytes to send to `out`.
    pub(crate) fn run(&mut self, job: Job, out: &mut Vec<u8>) -> Done {
        let date = self.dates.text(SystemTime::now());
        match job {
            Job::Answer(request) => {
                let Answer { status, length, body } = answer(&self.root, &request, Reply::new(date, &request, out));
                let Request {
                    method,
                    target,
                    version,
                    ..
                } = request;
                let entry = Some(Entry {
                    request: Some((method, target, version)),
                    status,
                    length,
                });
                Done {
                    entry,
                    ..body.map_or_else(Done::default, |body| read(body, out))
                }
            }
            Job::Refuse(status) => {
                let Answer { length, .. } = Reply {
                    date,
                    manner: Manner::REFUSAL,
                    out,
                }
                .status(status);
                Done {
                    entry: Some(Entry {
                        request: None,
                        status,
                        length,
                    }),
                    ..Done::default()
                }
            }
            Job::Fill(body) => read(body, out),
        }
    }
}

fn answer(root: &Path, request: &Request, reply: Reply<'_>) -> Answer {
    if let Method::Other(_) = request.method {
        return reply.status(Status::MethodNotAllowed);
    }
    let (path, query) = request
        .target
        .split_at(request.target.find('?').unwrap_or(request.target.len()));
    let Some(url) = UrlPath::parse(path) else {
        return reply.status(Status::NotFound);
    };
    match find(root, &url) {
        Ok(Found::File(opened)) => reply.file(opened, &request.conditions),
        Ok(Found::Listing(html)) => reply.page(&html),
        Ok(Found::Moved) => reply.moved(&format!("{url}{query}")),
        Err(status) => reply.status(status),
    }
}

/// Reads the next chunk of a body.
fn read(mut body: Body, out: &mut Vec<u8>) -> Done {
    let broken = !body.is_empty() && body.read(out).is_err();
    let rest = (!broken && !body.is_empty()).then_some(body);
    Done {
        rest,
        broken,
        entry: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::files::CHUNK;
    use crate::request::{Parsed, parse};
    use crate::scratch::Scratch;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    /// A site with `file` of ten bytes, `large` of a chunk and one byte, `empty`, `page.html` and `sub`.
    fn site() -> (Scratch, Site) {
        let scratch = Scratch::new();
        let large = vec![b'x'; CHUNK + 1];
        for (name, content) in [
            ("file", &b"0123456789"[..]),
            ("empty", b""),
            ("page.html", b"page"),
            ("large", &large),
        ] {
            let path = scratch.path().join(name);
            fs::write(&path, content).unwrap();
            let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
            fs::File::options()
                .append(true)
                .open(path)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
        fs::create_dir(scratch.path().join("sub")).unwrap();
        let site = Site::new(scratch.path().into());
        (scratch, site)
    }

    struct Response {
        head: String,
        body: Vec<u8>,
        done: Done,
    }

    impl Response {
        fn field(&self, name: &str) -> Option<&str> {
            self.head
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        }

        fn status(&self) -> &str {
            &self.head["HTTP/1.1 ".len()..][..3]
        }
    }

    fn run(site: &mut Site, job: Job) -> Response {
        let mut out = b"before".to_vec();
        let done = site.run(job, &mut out);
        let out = out.strip_prefix(b"before").unwrap();
        let end = out.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        Response {
            head: String::from_utf8(out[..end].to_vec()).unwrap(),
            body: out[end..].to_vec(),
            done,
        }
    }

    /// Sends `line` with these further header lines.
    fn ask(site: &mut Site, line: &str, fields: &str) -> Response {
        let input = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Complete { request, .. } = parse(input.as_bytes()) else {
            panic!("{input}")
        };
        let response = run(site, Job::Answer(request));
        assert!(response.field("Date").is_some(), "{}", response.head);
        response
    }

    #[test]
    fn a_small_file_comes_at_once() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET /file?query", "");
        assert_eq!((response.status(), &*response.body), ("200", &b"0123456789"[..]));
        assert_eq!(response.field("Content-Length"), Some("10"));
        assert_eq!(response.field("Content-Type"), Some("application/octet-stream"));
        assert_eq!(response.field("Last-Modified"), Some(MODIFIED));
        assert_eq!(response.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(response.field("Connection"), None);
        assert!(response.done.rest.is_none() && !response.done.broken);
        let entry = response.done.entry.unwrap();
        assert_eq!(
            entry.request,
            Some((Method::Get, "/file?query".into(), Version::Http11))
        );
        assert_eq!((entry.status, entry.length), (Status::Ok, 10));
    }

    #[test]
    fn a_large_file_comes_in_chunks() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET /large", "");
        assert_eq!(response.field("Content-Length"), Some("65537"));
        assert_eq!(response.body.len(), CHUNK);
        let mut out = Vec::new();
        let done = site.run(Job::Fill(response.done.rest.unwrap()), &mut out);
        assert_eq!(out, b"x");
        assert!(done.rest.is_none() && !done.broken && done.entry.is_none());
    }

    #[test]
    fn a_file_that_shrinks_breaks_the_answer_off() {
        let (scratch, mut site) = site();
        let rest = ask(&mut site, "GET /large", "").done.rest.unwrap();
        fs::write(scratch.path().join("large"), "short now").unwrap();
        let mut out = Vec::new();
        let done = site.run(Job::Fill(rest), &mut out);
        assert!(done.broken && done.rest.is_none() && out.is_empty());
    }

    #[test]
    fn an_empty_file() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET /empty", "");
        assert_eq!(
            (response.status(), response.field("Content-Length")),
            ("200", Some("0"))
        );
        assert!(response.body.is_empty() && response.done.rest.is_none() && !response.done.broken);
        assert_eq!(
            ask(&mut site, "GET /empty", "Range: bytes=0-\r\n").field("Content-Range"),
            Some("bytes */0")
        );
    }

    #[test]
    fn head_says_what_get_would() {
        let (_scratch, mut site) = site();
        for target in ["/file", "/large", "/page.html", "/", "/sub", "/missing"] {
            let get = ask(&mut site, &format!("GET {target}"), "");
            let head = ask(&mut site, &format!("HEAD {target}"), "Range: bytes=0-1\r\n");
            let lines = |head: &str| {
                head.lines()
                    .filter(|line| !line.starts_with("Date"))
                    .map(str::to_owned)
                    .collect()
            };
            let (get, expected): (Vec<_>, Vec<_>) = (lines(&head.head), lines(&get.head));
            assert_eq!(get, expected, "{target}");
            assert!(head.body.is_empty() && head.done.rest.is_none(), "{target}");
            assert_eq!(head.done.entry.unwrap().length, 0);
        }
    }

    #[test]
    fn ranges() {
        let (_scratch, mut site) = site();
        for (range, status, body, content_range) in [
            ("bytes=2-4", "206", "234", Some("bytes 2-4/10")),
            ("bytes=-2", "206", "89", Some("bytes 8-9/10")),
            ("bytes=0-1,3-4", "200", "0123456789", None),
        ] {
            let response = ask(&mut site, "GET /file", &format!("Range: {range}\r\n"));
            assert_eq!(
                (response.status(), &*response.body),
                (status, body.as_bytes()),
                "{range}"
            );
            assert_eq!(response.field("Content-Range"), content_range, "{range}");
            assert_eq!(
                response.field("Content-Length"),
                Some(&*body.len().to_string()),
                "{range}"
            );
        }
        let response = ask(&mut site, "GET /file", "Range: bytes=10-\r\n");
        assert_eq!(
            (response.status(), response.field("Content-Range")),
            ("416", Some("bytes */10"))
        );
        let response = ask(&mut site, "GET /large", "Range: bytes=1-\r\n");
        assert_eq!((response.body.len(), response.done.rest.is_none()), (CHUNK, true));
        let response = ask(&mut site, "GET /file", "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n");
        assert_eq!(response.status(), "200");
    }

    #[test]
    fn conditions() {
        let (_scratch, mut site) = site();
        let tag = ask(&mut site, "GET /file", "").field("ETag").unwrap().to_owned();
        for (fields, status) in [
            (format!("If-None-Match: {tag}\r\n"), "304"),
            (format!("If-Modified-Since: {MODIFIED}\r\n"), "304"),
            (format!("If-Range: {tag}\r\nRange: bytes=0-1\r\n"), "206"),
            (format!("If-None-Match: {tag}\r\nRange: bytes=99-\r\n"), "304"),
            ("If-None-Match: \"x\"\r\n".to_owned(), "200"),
            ("If-Match: \"x\"\r\n".to_owned(), "412"),
        ] {
            let response = ask(&mut site, "GET /file", &fields);
            assert_eq!(response.status(), status, "{fields}");
            if status == "304" {
                assert_eq!(response.field("ETag"), Some(&*tag));
                assert_eq!(response.field("Last-Modified"), Some(MODIFIED));
                assert!(response.body.is_empty() && response.field("Content-Length").is_none());
            }
        }
    }

    #[test]
    fn directories() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET //sub?a=b", "");
        assert_eq!(
            (response.status(), response.field("Location")),
            ("301", Some("/sub/?a=b"))
        );
        let response = ask(&mut site, "GET /", "");
        assert_eq!(response.status(), "200");
        assert!(String::from_utf8(response.body).unwrap().contains("href=\"sub/\""));
    }

    #[test]
    fn types_of_text_come_with_their_encoding() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET /page.html", "");
        assert_eq!(response.field("Content-Type"), Some("text/html; charset=utf-8"));
    }

    #[test]
    fn what_cannot_be_served() {
        let (_scratch, mut site) = site();
        for (line, status) in [
            ("GET /missing", "404"),
            ("GET /../file", "404"),
            ("GET /%2e%2e/file", "404"),
            ("GET /file%00", "404"),
            ("POST /file", "405"),
        ] {
            let response = ask(&mut site, line, "");
            assert_eq!(response.status(), status, "{line}");
            assert_eq!(response.field("Allow").is_some(), status == "405", "{line}");
            assert_eq!(
                response.field("Content-Length"),
                Some(&*response.body.len().to_string()),
                "{line}"
            );
        }
    }

    #[test]
    fn the_connection_is_mentioned_where_it_is_not_the_rule() {
        let (_scratch, mut site) = site();
        let response = ask(&mut site, "GET /file", "Connection: close\r\n");
        assert_eq!(response.field("Connection"), Some("close"));
        let input = b"GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let Parsed::Complete { request, .. } = parse(input) else {
            panic!()
        };
        assert_eq!(
            run(&mut site, Job::Answer(request)).field("Connection"),
            Some("keep-alive")
        );
        let response = run(&mut site, Job::Refuse(Status::BadRequest));
        assert_eq!(
            (response.status(), response.field("Connection")),
            ("400", Some("close"))
        );
        let entry = response.done.entry.unwrap();
        assert_eq!(
            (entry.request, entry.status, entry.length),
            (None, Status::BadRequest, response.body.len() as u64)
        );
    }
}
