//! The access log.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::SystemTime;

use crate::date::Dates;
use crate::request::{Method, Version};
use crate::site::Entry;

/// Lines for the standard output, which several loops may share.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Vec<u8>,
    dates: Dates,
}

impl Log {
    /// Adds a line, to be written by [`flush`](Self::flush).
    pub(crate) fn add(&mut self, peer: IpAddr, entry: &Entry) {
        let date = self.dates.text(SystemTime::now());
        write(&mut self.lines, peer, date, entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Writes the lines out. If nobody reads them, they are lost.
    pub(crate) fn flush(&mut self) {
        let _ = io::stdout().write_all(&self.lines);
        self.lines.clear();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Appends the line for one answer to `out`:
///
/// ```text
/// 127.0.0.1 [Sun, 06 Nov 1994 08:49:37 GMT] "GET /index.html HTTP/1.1" 200 4096
/// ```
fn write(out: &mut Vec<u8>, peer: IpAddr, date: &str, entry: &Entry) {
    let infallible = "writing to memory cannot fail";
    write!(out, "{peer} [{date}] \"").expect(infallible);
    match &entry.request {
        None => out.push(b'-'),
        Some((method, target, version)) => {
            let method = match method {
                Method::Get => "GET",
                Method::Head => "HEAD",
                Method::Other(other) => other,
            };
            let version = match version {
                Version::Http10 => "1.0",
                Version::Http11 => "1.1",
            };
            // A peer cannot put a quote or a line of its own into the log.
            write!(
                out,
                "{} {} HTTP/{version}",
                method.escape_default(),
                target.escape_default()
            )
            .expect(infallible);
        }
    }
    writeln!(out, "\" {} {}", entry.status.code(), entry.length).expect(infallible);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    fn line(request: Option<(Method, Box<str>, Version)>) -> String {
        let mut out = Vec::new();
        let entry = Entry {
            request,
            status: Status::NotFound,
            length: 7,
        };
        write(&mut out, "::1".parse().unwrap(), "today", &entry);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines() {
        assert_eq!(line(None), "::1 [today] \"-\" 404 7\n");
        let request = (Method::Get, "/a?b".into(), Version::Http11);
        assert_eq!(line(Some(request)), "::1 [today] \"GET /a?b HTTP/1.1\" 404 7\n");
        let request = (Method::Other("PUT".into()), "/\"\\é".into(), Version::Http10);
        assert_eq!(
            line(Some(request)),
            "::1 [today] \"PUT /\\\"\\\\\\u{e9} HTTP/1.0\" 404 7\n"
        );
    }
}
