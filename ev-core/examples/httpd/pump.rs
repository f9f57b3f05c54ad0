//! Moves bytes between a socket and its [`Connection`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use ev_core::Time;

use crate::connection::{Connection, Step};
use crate::site::Job;

/// How much is read at once.
pub(crate) const READ_SIZE: usize = 16 * 1024;

/// After so many writes it is another connection's turn.
const MAX_WRITES: usize = 8;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The peer, to send.
    Readable,
    /// The peer, to take what is sent; or only its next turn.
    Writable,
    /// A job that is out.
    Job,
    /// Nothing any more.
    Closed,
}

/// Takes all steps that do not block, from `first` on.
///
/// `stream` is in non-blocking mode, `buffer` is for what is read, and `run` does a job or sends it away. There is one
/// read at most: whoever waits for readiness learns of further bytes at less cost than by a read that finds none.
pub(crate) fn pump(
    connection: &mut Connection,
    mut stream: &TcpStream,
    buffer: &mut [u8; READ_SIZE],
    now: Time,
    first: Step,
    mut run: impl FnMut(&mut Connection, Job),
) -> Pause {
    let mut step = first;
    let (mut reads, mut writes) = (0, 0);
    loop {
        match step {
            Step::Run(job) => run(connection, job),
            Step::Read if reads == 1 => return Pause::Readable,
            Step::Read => match retry(|| stream.read(buffer)) {
                Ok(0) => connection.ended(),
                Ok(count) => {
                    connection.received(&buffer[..count]);
                    reads += 1;
                }
                Err(error) => return pause(&error, Pause::Readable),
            },
            Step::Write if writes == MAX_WRITES => return Pause::Writable,
            Step::Write => match retry(|| stream.write(connection.pending())) {
                Ok(count) if count < connection.pending().len() => {
                    connection.sent(count);
                    return Pause::Writable;
                }
                Ok(count) => {
                    connection.sent(count);
                    writes += 1;
                }
                Err(error) => return pause(&error, Pause::Writable),
            },
            Step::Shutdown => {
                if stream.shutdown(Shutdown::Write).is_err() {
                    return Pause::Closed;
                }
            }
            Step::Wait => return Pause::Job,
            Step::Close => return Pause::Closed,
        }
        step = connection.next(now);
    }
}

/// Makes a call again that a signal has interrupted.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A call that would block waits; any other error is the end: the peer is gone.
fn pause(error: &io::Error, blocked: Pause) -> Pause {
    if error.kind() == ErrorKind::WouldBlock {
        blocked
    } else {
        Pause::Closed
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::{fs, mem};

    use super::*;
    use crate::args::Options;
    use crate::scratch::Scratch;
    use crate::site::Site;

    const LARGE: usize = 8 << 20;

    /// The server's end of one connection, and the peer's.
    struct Served {
        connection: Connection,
        stream: TcpStream,
        peer: TcpStream,
        site: Site,
        _scratch: Scratch,
    }

    impl Served {
        fn new() -> Self {
            let scratch = Scratch::new();
            fs::write(scratch.path().join("small"), "content").unwrap();
            fs::File::create(scratch.path().join("large"))
                .unwrap()
                .set_len(LARGE as u64)
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let connection = Connection::new(Options::default().timeouts.header);
            Self {
                connection,
                stream,
                peer,
                site: Site::new(scratch.path().into()),
                _scratch: scratch,
            }
        }

        fn pump(&mut self) -> Pause {
            let now = Time::ZERO;
            let first = self.connection.next(now);
            let mut buffer = [0; READ_SIZE];
            let mut jobs = 0;
            let pause = pump(
                &mut self.connection,
                &self.stream,
                &mut buffer,
                now,
                first,
                |connection, job| {
                    let done = self.site.run(job, connection.output());
                    connection.done(done);
                    jobs += 1;
                },
            );
            assert!(jobs <= MAX_WRITES + 1, "{jobs} jobs in one turn");
            pause
        }

        /// Pumps until something other than `pause` is waited for.
        fn pump_while(&mut self, pause: Pause) -> Pause {
            std::iter::repeat_with(|| self.pump())
                .find(|&next| next != pause)
                .unwrap()
        }
    }

    #[test]
    fn an_answer_takes_one_turn() {
        let mut served = Served::new();
        assert_eq!(served.pump(), Pause::Readable);
        served.peer.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(served.pump_while(Pause::Readable), Pause::Closed);
        drop(served.stream);
        let text = io::read_to_string(served.peer).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\ncontent"),
            "{text}"
        );
    }

    #[test]
    fn a_turn_reads_once() {
        const BODY: usize = READ_SIZE + 1;
        let mut served = Served::new();
        let head = "GET /small HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
        served
            .peer
            .write_all((head.to_owned() + &"x".repeat(BODY)).as_bytes())
            .unwrap();
        let mut seen = vec![0; BODY];
        while served.stream.peek(&mut seen).unwrap_or(0) < BODY {}
        assert_eq!(served.pump(), Pause::Readable);
        assert!(served.stream.peek(&mut seen).unwrap() > 0);
    }

    #[test]
    fn a_large_file_takes_turns_and_waits_for_its_reader() {
        let mut served = Served::new();
        served
            .peer
            .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(served.pump_while(Pause::Readable), Pause::Writable);
        let mut peer = served.peer.try_clone().unwrap();
        let reader = std::thread::spawn(move || io::copy(&mut peer, &mut io::sink()).unwrap());
        assert_eq!(served.pump_while(Pause::Writable), Pause::Closed);
        drop(served.stream);
        assert!(reader.join().unwrap() > LARGE as u64);
    }

    #[test]
    fn a_peer_that_goes_away_is_the_end() {
        let mut served = Served::new();
        served
            .peer
            .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        assert_eq!(served.pump_while(Pause::Readable), Pause::Writable);
        // What it leaves unread makes the kernel reset the connection.
        drop(mem::replace(&mut served.peer, served.stream.try_clone().unwrap()));
        assert_eq!(served.pump_while(Pause::Writable), Pause::Closed);
    }

    #[test]
    fn a_job_elsewhere_is_waited_for() {
        let mut served = Served::new();
        served.connection.received(b"GET /small HTTP/1.0\r\n\r\n");
        let now = Time::ZERO;
        let first = served.connection.next(now);
        let mut sent = None;
        let pause = pump(
            &mut served.connection,
            &served.stream,
            &mut [0; READ_SIZE],
            now,
            first,
            |_, job| sent = Some(job),
        );
        assert_eq!(pause, Pause::Job);
        let mut bytes = Vec::new();
        let done = served.site.run(sent.unwrap(), &mut bytes);
        served.connection.append(bytes);
        served.connection.done(done);
        assert_eq!(served.pump(), Pause::Closed);
    }
}
