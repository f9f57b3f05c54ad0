//! A request's head, from bytes to meaning.
//!
//! A request is complete when its head *and* its body are here: a file server has no use for a body, so it only has to
//! be skipped, and one that is too long to wait for ends the connection.

use std::mem::MaybeUninit;

use crate::status::Status;

/// The longest request line and header fields together.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// The longest body that is skipped to reach the next request.
pub(crate) const MAX_BODY: usize = 64 * 1024;

const MAX_FIELDS: usize = 100;

/// What the bytes received so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// A request in the first `consumed` bytes. The next one starts there.
    Complete { request: Request, consumed: usize },
    /// No request, and no way to tell where the next one starts: answer this and close.
    Bad(Status),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
}

/// One request, without the fields that mean nothing to a file server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query. For a method other than GET and HEAD whatever was sent.
    pub(crate) target: Box<str>,
    pub(crate) version: Version,
    /// Whether the peer wants to send another request on this connection.
    pub(crate) keep_alive: bool,
    /// A body was announced and waits to be asked for (`Expect: 100-continue`), which never happens.
    pub(crate) unsent_body: bool,
    pub(crate) conditions: Conditions,
}

/// The fields that decide whether, and which part of, a file is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Box<str>>,
    pub(crate) if_none_match: Option<Box<str>>,
    pub(crate) if_modified_since: Option<Box<str>>,
    pub(crate) if_unmodified_since: Option<Box<str>>,
    pub(crate) range: Option<Box<str>>,
    pub(crate) if_range: Option<Box<str>>,
}

/// Parses the request that `input` starts with.
pub(crate) fn parse(input: &[u8]) -> Parsed {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    match head.parse_with_uninit_headers(input, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => {
            complete(&head, length, input.len()).unwrap_or_else(Parsed::Bad)
        }
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => Parsed::Incomplete,
        Ok(_) => Parsed::Bad(too_long(input)),
        Err(httparse::Error::TooManyHeaders) => Parsed::Bad(Status::FieldsTooLarge),
        Err(httparse::Error::Version) => Parsed::Bad(bad_version(input)),
        Err(_) => Parsed::Bad(Status::BadRequest),
    }
}

/// Turns a well-formed head of `length` bytes, of `received` in all, into a request.
fn complete(head: &httparse::Request<'_, '_>, length: usize, received: usize) -> Result<Parsed, Status> {
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        other => Method::Other(other.unwrap_or_default().into()),
    };
    let version = if head.version == Some(0) {
        Version::Http10
    } else {
        Version::Http11
    };
    let fields = Fields::read(head.headers)?;
    let body = fields.body(version).map_err(|status| match method {
        Method::Other(_) if status != Status::BadRequest => Status::MethodNotAllowed,
        _ => status,
    })?;
    match (version, fields.hosts) {
        (_, 1) | (Version::Http10, 0) => {}
        _ => return Err(Status::BadRequest),
    }
    let unsent_body = match fields.expect {
        Expect::Nothing => false,
        _ if version == Version::Http10 => false,
        Expect::Continue => body > 0,
        Expect::Unknown => return Err(Status::ExpectationFailed),
    };
    let consumed = if unsent_body { length } else { length + body };
    if received < consumed {
        return Ok(Parsed::Incomplete);
    }
    let target = head.path.unwrap_or_default();
    let target = match method {
        Method::Other(_) => target.into(),
        Method::Get | Method::Head => origin_form(target).ok_or(Status::BadRequest)?,
    };
    let keep_alive = !fields.close && !unsent_body && (fields.keep_alive || version == Version::Http11);
    let request = Request {
        method,
        target,
        version,
        keep_alive,
        unsent_body,
        conditions: fields.conditions,
    };
    Ok(Parsed::Complete { request, consumed })
}

/// Path and query of a target, which may come with scheme and authority (RFC 9112, 3.2.2).
fn origin_form(target: &str) -> Option<Box<str>> {
    if target.starts_with('/') {
        return Some(target.into());
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    match rest.find(['/', '?']) {
        None => Some("/".into()),
        Some(0) => None,
        Some(end) if rest[end..].starts_with('?') => Some(format!("/{}", &rest[end..]).into()),
        Some(end) => Some(rest[end..].into()),
    }
}

/// Which part of a head over the limit is to blame: the request line or what follows it.
fn too_long(input: &[u8]) -> Status {
    if input[..MAX_HEAD].trim_ascii_start().contains(&b'\n') {
        Status::FieldsTooLarge
    } else {
        Status::UriTooLong
    }
}

/// Tells a version that is not served from what is no version at all.
fn bad_version(input: &[u8]) -> Status {
    let line = input
        .trim_ascii_start()
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let word = line
        .trim_ascii_end()
        .rsplit(|&byte| byte == b' ')
        .next()
        .unwrap_or_default();
    match word.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => Status::VersionNotSupported,
        _ => Status::BadRequest,
    }
}

#[derive(Default)]
enum Expect {
    #[default]
    Nothing,
    Continue,
    Unknown,
}

/// The header fields of a request, each understood on its own.
#[derive(Default)]
struct Fields {
    hosts: usize,
    close: bool,
    keep_alive: bool,
    length: Option<u64>,
    /// The transfer codings; only whether they are `chunked` alone matters.
    chunked: Option<bool>,
    expect: Expect,
    conditions: Conditions,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Status> {
        let mut fields = Self::default();
        for header in headers {
            fields.add(header.name, header.value)?;
        }
        Ok(fields)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Status> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let conditions = &mut self.conditions;
        if is("host") {
            self.hosts += 1;
            if !is_host(value) {
                return Err(Status::BadRequest);
            }
        } else if is("connection") {
            for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-length") {
            // A second one, even an equal one, is how requests are smuggled past a proxy.
            if self.length.replace(number(value).ok_or(Status::BadRequest)?).is_some() {
                return Err(Status::BadRequest);
            }
        } else if is("transfer-encoding") {
            self.chunked = Some(self.chunked.is_none() && value.eq_ignore_ascii_case(b"chunked"));
        } else if is("expect") {
            let known = value.eq_ignore_ascii_case(b"100-continue");
            self.expect = if known { Expect::Continue } else { Expect::Unknown };
        } else if is("range") {
            keep(&mut conditions.range, value);
        } else if is("if-range") {
            keep(&mut conditions.if_range, value);
        } else if is("if-match") {
            keep(&mut conditions.if_match, value);
        } else if is("if-none-match") {
            keep(&mut conditions.if_none_match, value);
        } else if is("if-modified-since") {
            keep(&mut conditions.if_modified_since, value);
        } else if is("if-unmodified-since") {
            keep(&mut conditions.if_unmodified_since, value);
        }
        Ok(())
    }

    /// The length of the body (RFC 9112, 6.3).
    fn body(&self, version: Version) -> Result<usize, Status> {
        match (self.chunked, self.length) {
            (Some(_), Some(_)) => Err(Status::BadRequest),
            (Some(_), None) if version == Version::Http10 => Err(Status::BadRequest),
            (Some(true), None) => Err(Status::LengthRequired),
            (Some(false), None) => Err(Status::NotImplemented),
            (None, length) => usize::try_from(length.unwrap_or(0))
                .ok()
                .filter(|&length| length <= MAX_BODY)
                .ok_or(Status::ContentTooLarge),
        }
    }
}

/// Stores a field's value; of a repeated field the values as one list.
fn keep(place: &mut Option<Box<str>>, value: &[u8]) {
    let Ok(value) = str::from_utf8(value) else { return };
    *place = Some(match place.take() {
        None => value.into(),
        Some(before) => format!("{before}, {value}").into(),
    });
}

/// A number of ASCII digits and nothing else: no sign, no list. What overflows is only too large.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// Whether `value` can be host and port. Empty is valid (RFC 9112, 3.2).
fn is_host(value: &[u8]) -> bool {
    let cannot_be_in_a_host = |byte: &u8| {
        matches!(
            byte,
            b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b','
        )
    };
    value
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !cannot_be_in_a_host(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(input: &str) -> Status {
        match parse(input.as_bytes()) {
            Parsed::Bad(status) => status,
            other => panic!("{input:?}: {other:?}"),
        }
    }

    fn good(input: &str) -> Request {
        match parse(input.as_bytes()) {
            Parsed::Complete { request, consumed } => {
                assert_eq!(consumed, input.len(), "{input:?}");
                request
            }
            other => panic!("{input:?}: {other:?}"),
        }
    }

    /// A request for `/` over HTTP/1.1 with these further header lines.
    fn with(fields: &str) -> String {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let input = "GET /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nxyz";
        for end in 0..input.len() {
            assert_eq!(parse(&input.as_bytes()[..end]), Parsed::Incomplete, "{end}");
        }
        assert_eq!(&*good(input).target, "/a?b");
    }

    #[test]
    fn pipelined_requests_are_told_apart() {
        let first = "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /";
        let second = "HEAD /2 HTTP/1.0\r\n\r\n";
        let both = format!("{first}{second}");
        let Parsed::Complete { request, consumed } = parse(both.as_bytes()) else {
            panic!()
        };
        assert_eq!((&*request.target, consumed), ("/1", first.len()));
        let request = good(&both[consumed..]);
        assert_eq!((&*request.target, request.method), ("/2", Method::Head));
    }

    #[test]
    fn connections_persist_as_the_version_has_it() {
        let old = |fields: &str| good(&format!("GET / HTTP/1.0\r\n{fields}\r\n")).keep_alive;
        assert!(!old(""));
        assert!(old("Connection: Keep-Alive\r\n"));
        assert!(!old("Connection: keep-alive, close\r\n"));
        assert!(good(&with("")).keep_alive);
        assert!(!good(&with("Connection: upgrade , Close\r\n")).keep_alive);
        assert!(!good(&with("Connection: x\r\nConnection: close\r\n")).keep_alive);
        assert!(good(&with("Connection: closed\r\n")).keep_alive);
    }

    #[test]
    fn targets_are_brought_to_origin_form() {
        let target = |target: &str| good(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).target;
        assert_eq!(&*target("/a//b?c?d"), "/a//b?c?d");
        assert_eq!(&*target("http://a"), "/");
        assert_eq!(&*target("HTTP://a:80/b"), "/b");
        assert_eq!(&*target("http://a?b"), "/?b");
        for target in ["*", "a/b", "ftp://a/", "http:///", "?a", "http://?a"] {
            assert_eq!(
                bad(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
                Status::BadRequest,
                "{target}"
            );
        }
    }

    #[test]
    fn unknown_methods_are_requests_all_the_same() {
        assert_eq!(
            good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").method,
            Method::Other("OPTIONS".into())
        );
        assert_eq!(good("get / HTTP/1.0\r\n\r\n").method, Method::Other("get".into()));
        let post = good("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert!(post.keep_alive);
        assert_eq!(
            bad("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Status::MethodNotAllowed
        );
    }

    #[test]
    fn malformed_heads() {
        for input in [
            "\0",
            "GET\r\n",
            "GET /\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1\rHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTX\r\n\r\n",
            "GET / HTTP/1.10\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}",
        ] {
            assert_eq!(bad(input), Status::BadRequest, "{input:?}");
        }
    }

    #[test]
    fn versions() {
        for input in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/3.0\r\n\r\n",
            "\r\nGET / HTTP/0.9\r\n\r\n",
        ] {
            assert_eq!(bad(input), Status::VersionNotSupported, "{input:?}");
        }
    }

    #[test]
    fn host_is_needed_once() {
        assert_eq!(bad("GET / HTTP/1.1\r\n\r\n"), Status::BadRequest);
        assert_eq!(bad(&with("Host: a\r\n")), Status::BadRequest);
        assert_eq!(bad("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Status::BadRequest);
        assert_eq!(bad("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), Status::BadRequest);
        assert_eq!(bad("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), Status::BadRequest);
        good("GET / HTTP/1.1\r\nHost:\r\n\r\n");
        good("GET / HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n");
    }

    #[test]
    fn bodies() {
        for length in ["x", "-1", "+1", "1, 1", "0x1", "", "1 1"] {
            assert_eq!(
                bad(&with(&format!("Content-Length: {length}\r\n"))),
                Status::BadRequest,
                "{length:?}"
            );
        }
        assert_eq!(
            bad(&with("Content-Length: 0\r\nContent-Length: 0\r\n")),
            Status::BadRequest
        );
        assert_eq!(bad(&with("Content-Length: 65537\r\n")), Status::ContentTooLarge);
        assert_eq!(
            bad(&with("Content-Length: 99999999999999999999\r\n")),
            Status::ContentTooLarge
        );
        assert_eq!(bad(&with("Transfer-Encoding: Chunked\r\n")), Status::LengthRequired);
        assert_eq!(
            bad(&with("Transfer-Encoding: gzip, chunked\r\n")),
            Status::NotImplemented
        );
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(bad(&with(twice)), Status::NotImplemented);
        assert_eq!(
            bad(&with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n")),
            Status::BadRequest
        );
        assert_eq!(
            bad("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Status::BadRequest
        );
        let longest = with("Content-Length: 65536\r\n");
        assert_eq!(parse(longest.as_bytes()), Parsed::Incomplete);
        good(&(longest + &"x".repeat(MAX_BODY)));
    }

    #[test]
    fn expectations() {
        let waiting = good(&with("Expect: 100-Continue\r\nContent-Length: 9\r\n"));
        assert!(waiting.unsent_body && !waiting.keep_alive);
        let nothing = good(&with("Expect: 100-continue\r\n"));
        assert!(!nothing.unsent_body && nothing.keep_alive);
        assert_eq!(bad(&with("Expect: tea\r\n")), Status::ExpectationFailed);
        good("GET / HTTP/1.0\r\nExpect: tea\r\n\r\n");
    }

    #[test]
    fn heads_are_limited() {
        let fill = |head: &str, length: usize| format!("{head}{}", "a".repeat(length - head.len()));
        let field = with("").strip_suffix("\r\n").unwrap().to_owned() + "X: ";
        assert_eq!(parse(fill(&field, MAX_HEAD - 1).as_bytes()), Parsed::Incomplete);
        assert_eq!(bad(&fill(&field, MAX_HEAD)), Status::FieldsTooLarge);
        assert_eq!(bad(&(fill(&field, MAX_HEAD) + "\r\n\r\n")), Status::FieldsTooLarge);
        good(&(fill(&field, MAX_HEAD - 4) + "\r\n\r\n"));
        assert_eq!(bad(&fill("GET /", MAX_HEAD)), Status::UriTooLong);
        assert_eq!(
            bad(&(fill("\r\nGET /", MAX_HEAD) + " HTTP/1.1\r\n\r\n")),
            Status::UriTooLong
        );
        assert_eq!(bad(&with(&"X: a\r\n".repeat(MAX_FIELDS))), Status::FieldsTooLarge);
        good(&with(&"X: a\r\n".repeat(MAX_FIELDS - 1)));
    }

    #[test]
    fn conditions_are_kept() {
        let conditions = good(&with(
            "RANGE: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\
             If-Match: *\r\nIf-Modified-Since: then\r\nIf-Unmodified-Since: now\r\n",
        ))
        .conditions;
        let expected = Conditions {
            if_match: Some("*".into()),
            if_none_match: Some("\"a\", \"b\"".into()),
            if_modified_since: Some("then".into()),
            if_unmodified_since: Some("now".into()),
            range: Some("bytes=0-1".into()),
            if_range: Some("\"x\"".into()),
        };
        assert_eq!(conditions, expected);
    }
}
