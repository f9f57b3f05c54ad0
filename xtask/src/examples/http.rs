//! As much of an HTTP client as the exercises of `httpd` need.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::Answer;
use super::running::PATIENCE;

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

/// Whether a response brings the body that its head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Sent,
    /// As in the answer to `HEAD`.
    Announced,
}

#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Answer<Self> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            io::Result::Ok(Self {
                stream: BufReader::new(stream),
            })
        };
        connect().map_err(|error| format!("connect to {address}: {error}").into())
    }

    /// Sends a request without a body.
    pub(super) fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        text.push_str("\r\n");
        self.send(&text)
    }

    pub(super) fn send(&mut self, text: &str) -> Answer {
        self.stream
            .get_mut()
            .write_all(text.as_bytes())
            .map_err(|error| format!("send: {error}").into())
    }

    pub(super) fn response(&mut self, body: Body) -> Answer<Response> {
        self.read_response(body)
            .map_err(|error| format!("no response: {error}").into())
    }

    fn read_response(&mut self, body: Body) -> io::Result<Response> {
        let invalid = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{line:?}"));
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let mut response = Response {
            status: status.ok_or_else(|| invalid(&line))?,
            ..Response::default()
        };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| invalid(&line))?;
            response.headers.push((name.to_lowercase(), value.to_owned()));
        }
        if body == Body::Sent && response.status != 304 {
            let length = response
                .header("content-length")
                .parse()
                .map_err(|_| invalid("no Content-Length"))?;
            response.body = vec![0; length];
            self.stream.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the stream ended after {line:?}"),
            )),
        }
    }

    /// Waits for the server to close the connection, having sent nothing more.
    pub(super) fn expect_close(&mut self) -> Answer {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(format!("more than was asked for: {:?}", String::from_utf8_lossy(&rest)).into()),
            // Closed with some of the request unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(format!("the connection is not closed: {error}").into()),
        }
    }
}

impl Response {
    /// A header's value; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(each, _)| each == name)
            .map_or("", |(_, value)| value)
    }

    /// Compares the status.
    pub(super) fn expect(self, status: u16) -> Answer<Self> {
        if self.status == status {
            Ok(self)
        } else {
            Err(format!("status {}, expected {status}", self.status).into())
        }
    }

    /// Compares the body.
    pub(super) fn expect_body(self, body: &[u8]) -> Answer<Self> {
        if self.body == body {
            Ok(self)
        } else {
            Err(format!("a body of {} bytes, not the {} expected", self.body.len(), body.len()).into())
        }
    }

    /// Compares a header.
    pub(super) fn expect_header(self, name: &str, value: &str) -> Answer<Self> {
        if self.header(name) == value {
            Ok(self)
        } else {
            Err(format!("{name}: `{}`, expected `{value}`", self.header(name)).into())
        }
    }
}
