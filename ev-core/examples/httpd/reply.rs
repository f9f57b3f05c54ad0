//! The answer to one request, as bytes.

use std::fmt::Display;
use std::io::Write;

use crate::conditions::{Validators, Verdict};
use crate::files::Body;
use crate::path::Opened;
use crate::range::{self, Selection};
use crate::request::{Conditions, Method, Request, Version};
use crate::status::Status;

/// Memory for a head, so that the buffer need not grow while one is written.
const HEAD_ROOM: usize = 512;

/// What the answer has to know of the request, apart from what it asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Whether a body follows the head. After HEAD it does not, though the head says how long it would be.
    body: bool,
    /// The `Connection` field, where what becomes of the connection is not the rule.
    connection: Option<&'static str>,
}

impl Manner {
    /// The manner of an answer to what is no request.
    pub(crate) const REFUSAL: Self = Self {
        body: true,
        connection: Some("close"),
    };

    fn of(request: &Request) -> Self {
        let connection = match (request.keep_alive, request.version) {
            (false, _) => Some("close"),
            (true, Version::Http10) => Some("keep-alive"),
            (true, Version::Http11) => None,
        };
        Self {
            body: request.method != Method::Head,
            connection,
        }
    }
}

/// An answer whose head is written, and whose page too if it has one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// The length of all that follows the head.
    pub(crate) length: u64,
    /// What is still to be read of it.
    pub(crate) body: Option<Body>,
}

/// A place for one answer. Each of its ways to answer uses it up.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) date: &'a str,
    pub(crate) manner: Manner,
    /// Where the answer is appended.
    pub(crate) out: &'a mut Vec<u8>,
}

impl<'a> Reply<'a> {
    /// A place for the answer to `request`.
    pub(crate) fn new(date: &'a str, request: &Request, out: &'a mut Vec<u8>) -> Self {
        Self {
            date,
            manner: Manner::of(request),
            out,
        }
    }

    /// Answers with a file or a part of it, or that the conditions keep it from being sent.
    pub(crate) fn file(self, opened: Opened, conditions: &Conditions) -> Answer {
        let Opened { file, path, metadata } = opened;
        let total = metadata.len();
        let validators = Validators::of(&metadata);
        match validators.judge(conditions) {
            Verdict::Proceed => {}
            Verdict::NotModified => return self.not_modified(validators),
            Verdict::Failed => return self.status(Status::PreconditionFailed),
        }
        let selection = match &conditions.range {
            // Only GET knows ranges (RFC 9110, 14.2).
            Some(range) if self.manner.body && validators.allow_range(conditions.if_range.as_deref()) => {
                range::select(range, total)
            }
            _ => Selection::Whole,
        };
        let (status, start, length) = match selection {
            Selection::Whole => (Status::Ok, 0, total),
            Selection::Part { start, length } => (Status::PartialContent, start, length),
            Selection::Unsatisfiable => {
                let size = format!("bytes */{total}");
                return self.status_with(Status::RangeNotSatisfiable, Some(("Content-Range", &size)));
            }
        };
        let body = self.manner.body.then(|| Body::new(file, start, length));
        self.out.reserve(HEAD_ROOM + body.as_ref().map_or(0, Body::chunk));
        let mut head = self.begin(status);
        if status == Status::PartialContent {
            head = head.display(
                "Content-Range",
                format_args!("bytes {start}-{}/{total}", start + length - 1),
            );
        }
        let kind = mime_guess::from_path(&path)
            .first_raw()
            .unwrap_or("application/octet-stream");
        let charset = if kind.starts_with("text/") {
            "; charset=utf-8"
        } else {
            ""
        };
        head.display("Content-Type", format_args!("{kind}{charset}"))
            .display("Content-Length", length)
            .validators(validators)
            .field("Accept-Ranges", "bytes")
            .end();
        Answer {
            status,
            length: if body.is_some() { length } else { 0 },
            body,
        }
    }

    /// Answers that what was asked for is elsewhere.
    pub(crate) fn moved(self, location: &str) -> Answer {
        self.status_with(Status::MovedPermanently, Some(("Location", location)))
    }

    /// Answers with a status and no more.
    pub(crate) fn status(self, status: Status) -> Answer {
        let field = match status {
            Status::MethodNotAllowed => Some(("Allow", "GET, HEAD")),
            Status::Unavailable => Some(("Retry-After", "1")),
            _ => None,
        };
        self.status_with(status, field)
    }

    fn status_with(self, status: Status, field: Option<(&str, &str)>) -> Answer {
        let text = status.text();
        self.html(
            status,
            field,
            &format!("<!DOCTYPE html>\n<title>{text}</title>\n<h1>{text}</h1>\n"),
        )
    }

    /// Answers with a page.
    pub(crate) fn page(self, html: &str) -> Answer {
        self.html(Status::Ok, None, html)
    }

    fn html(self, status: Status, field: Option<(&str, &str)>, html: &str) -> Answer {
        let body = if self.manner.body { html } else { "" };
        let mut head = self.begin(status);
        if let Some((name, value)) = field {
            head = head.field(name, value);
        }
        head.field("Content-Type", "text/html; charset=utf-8")
            .display("Content-Length", html.len())
            .end()
            .extend_from_slice(body.as_bytes());
        Answer {
            status,
            length: body.len() as u64,
            body: None,
        }
    }

    fn not_modified(self, validators: Validators) -> Answer {
        let status = Status::NotModified;
        self.begin(status).validators(validators).end();
        Answer {
            status,
            length: 0,
            body: None,
        }
    }

    fn begin(self, status: Status) -> Head<'a> {
        for part in ["HTTP/1.1 ", status.text(), "\r\n"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        let head = Head { out: self.out }.field("Date", self.date);
        match self.manner.connection {
            Some(connection) => head.field("Connection", connection),
            None => head,
        }
    }
}

/// A response head, written field by field.
#[must_use = "a head needs its end"]
struct Head<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Head<'a> {
    fn field(self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// A field whose value has to be formatted.
    fn display(self, name: &str, value: impl Display) -> Self {
        write!(self.out, "{name}: {value}\r\n").expect("writing to memory cannot fail");
        self
    }

    /// The fields by which the peer tells one state of a file from another.
    fn validators(self, validators: Validators) -> Self {
        let head = self.display("ETag", validators.tag());
        match validators.date() {
            Some(date) => head.display("Last-Modified", date),
            None => head,
        }
    }

    /// Ends the head. What is appended now is the body.
    fn end(self) -> &'a mut Vec<u8> {
        self.out.extend_from_slice(b"\r\n");
        self.out
    }
}
