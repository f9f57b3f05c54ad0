//! Exercises of `httpd`, the web server for files.
//!
//! It is called as `httpd [--shape single|pool|multi] ADDRESS DIRECTORY`, prints its address, and ends with
//! SIGTERM.

use std::fs;
use std::net::TcpListener;

use super::http::{Body, Client, Response};
use super::running::Running;
use super::{Answer, Stage, Use};

pub(super) const USES: &[(&str, Use)] = &[
    ("single", |stage| serve(stage, "single")),
    ("pool", |stage| serve(stage, "pool")),
    ("multi", |stage| serve(stage, "multi")),
    ("port in use", port_in_use),
    ("missing directory", |stage| {
        refuses(stage, &["127.0.0.1:0", "no-such-directory"])
    }),
    ("unknown option", |stage| refuses(stage, &["--no-such-option"])),
    ("unknown shape", |stage| refuses(stage, &["--shape", "round"])),
];

/// What the server serves.
const PAGE: &[u8] = b"<!doctype html><title>Files</title>\n";
const TEXT: &[u8] = b"0123456789abcdef\n";
/// More than any buffer on the way holds.
const LARGE: usize = 8 << 20;

type Check = fn(&mut Client) -> Answer;

/// Each is done on a connection of its own.
const CHECKS: &[(&str, Check)] = &[
    ("GET", get),
    ("an index page", index),
    ("HEAD", head),
    ("a range", range),
    ("a large file", large),
    ("If-None-Match", if_none_match),
    ("404", not_found),
    ("405", wrong_method),
    ("400", malformed),
    ("431", too_large_a_head),
    ("a way out of the directory", way_out),
    ("two requests at once", pipelined),
    ("a request in pieces", in_pieces),
    ("Connection: close", close),
];

fn serve(stage: &Stage, shape: &str) -> Answer {
    let files = stage.directory.join("files");
    fs::create_dir(&files)?;
    fs::write(stage.directory.join("secret.txt"), "not to be served")?;
    fs::write(files.join("index.html"), PAGE)?;
    fs::write(files.join("text.txt"), TEXT)?;
    fs::write(files.join("large.bin"), pattern())?;

    let mut server = Running::start(stage, &["--shape", shape, "127.0.0.1:0", files.as_str()])?;
    let address = server.expect_address()?;
    for (name, check) in CHECKS {
        check(&mut Client::connect(address)?).map_err(|problem| format!("{name}: {problem}"))?;
    }
    let mut many = (0..64)
        .map(|_| Client::connect(address))
        .collect::<Result<Vec<_>, _>>()?;
    for client in &mut many {
        client.request("GET", "/text.txt", &[])?;
    }
    for client in &mut many {
        client.response(Body::Sent)?.expect(200)?.expect_body(TEXT)?;
    }
    server.signal("TERM")?;
    server.expect_end(0).map(drop)
}

fn refuses(stage: &Stage, arguments: &[&str]) -> Answer {
    let printed = Running::start(stage, arguments)?.expect_end(2)?;
    if printed.is_empty() {
        Err("it did not say why".into())
    } else {
        Ok(())
    }
}

fn port_in_use(stage: &Stage) -> Answer {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    refuses(stage, &[&taken.local_addr()?.to_string(), "."])
}

/// Bytes of which no two neighbouring blocks are equal.
fn pattern() -> Vec<u8> {
    (0..LARGE)
        .map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8)
        .collect()
}

fn ask(client: &mut Client, target: &str, headers: &[(&str, &str)]) -> Answer<Response> {
    client.request("GET", target, headers)?;
    client.response(Body::Sent)
}

fn get(client: &mut Client) -> Answer {
    // Twice on one connection: it is kept alive.
    for _ in 0..2 {
        let response = ask(client, "/text.txt", &[])?.expect(200)?.expect_body(TEXT)?;
        for header in ["content-type", "last-modified", "etag", "date"] {
            if response.header(header).is_empty() {
                return Err(format!("no {header}").into());
            }
        }
    }
    Ok(())
}

fn index(client: &mut Client) -> Answer {
    ask(client, "/", &[])?
        .expect(200)?
        .expect_body(PAGE)?
        .expect_header("content-type", "text/html; charset=utf-8")
        .map(drop)
}

fn head(client: &mut Client) -> Answer {
    client.request("HEAD", "/text.txt", &[])?;
    client
        .response(Body::Announced)?
        .expect(200)?
        .expect_header("content-length", &TEXT.len().to_string())?;
    // A body, had there been one, would be taken for this response.
    ask(client, "/text.txt", &[])?.expect(200)?.expect_body(TEXT).map(drop)
}

fn range(client: &mut Client) -> Answer {
    let size = TEXT.len();
    for (asked, first, last) in [
        ("bytes=2-5", 2, 5),
        ("bytes=10-", 10, size - 1),
        ("bytes=-3", size - 3, size - 1),
    ] {
        ask(client, "/text.txt", &[("Range", asked)])?
            .expect(206)?
            .expect_header("content-range", &format!("bytes {first}-{last}/{size}"))?
            .expect_body(&TEXT[first..=last])?;
    }
    let beyond = ask(client, "/text.txt", &[("Range", "bytes=99-")])?;
    beyond
        .expect(416)?
        .expect_header("content-range", &format!("bytes */{size}"))
        .map(drop)
}

fn large(client: &mut Client) -> Answer {
    ask(client, "/large.bin", &[])?
        .expect(200)?
        .expect_body(&pattern())
        .map(drop)
}

fn if_none_match(client: &mut Client) -> Answer {
    let response = ask(client, "/text.txt", &[])?;
    let tag = response.header("etag");
    ask(client, "/text.txt", &[("If-None-Match", tag)])?.expect(304)?;
    ask(client, "/text.txt", &[("If-None-Match", "\"another\"")])?
        .expect(200)?
        .expect_body(TEXT)
        .map(drop)
}

fn not_found(client: &mut Client) -> Answer {
    ask(client, "/no-such-file", &[])?.expect(404).map(drop)
}

fn wrong_method(client: &mut Client) -> Answer {
    client.request("DELETE", "/text.txt", &[])?;
    let response = client.response(Body::Sent)?.expect(405)?;
    if response.header("allow").contains("GET") {
        Ok(())
    } else {
        Err("no Allow".into())
    }
}

fn malformed(client: &mut Client) -> Answer {
    client.send("this is no request\r\n\r\n")?;
    client.response(Body::Sent)?.expect(400)?;
    client.expect_close()
}

fn too_large_a_head(client: &mut Client) -> Answer {
    client.request("GET", "/text.txt", &[("X-Long", &"x".repeat(20 << 10))])?;
    client.response(Body::Sent)?.expect(431)?;
    client.expect_close()
}

fn way_out(client: &mut Client) -> Answer {
    for target in ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"] {
        let response = ask(client, target, &[])?;
        if ![400, 403, 404].contains(&response.status) {
            return Err(format!("{target}: status {}", response.status).into());
        }
    }
    Ok(())
}

fn pipelined(client: &mut Client) -> Answer {
    client.send("GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
    client.response(Body::Sent)?.expect(200)?.expect_body(TEXT)?;
    client.response(Body::Sent)?.expect(200)?.expect_body(PAGE).map(drop)
}

fn in_pieces(client: &mut Client) -> Answer {
    for piece in ["G", "ET /text.t", "xt HTTP/1.1\r", "\nHost: a\r\n\r", "\n"] {
        client.send(piece)?;
    }
    client.response(Body::Sent)?.expect(200)?.expect_body(TEXT).map(drop)
}

fn close(client: &mut Client) -> Answer {
    ask(client, "/text.txt", &[("Connection", "close")])?
        .expect(200)?
        .expect_body(TEXT)?;
    client.expect_close()
}
