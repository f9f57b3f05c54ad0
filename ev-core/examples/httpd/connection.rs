//! One connection without its socket: bytes received go in, and it says what to do next.
//!
//! ```text
//!            received()                     next() = Step::Run(job)
//!   socket ─────────────► input ─► parse ──────────────────────────► Site, here or on another thread
//!      ▲                                                                        │
//!      └──────────────── output ◄───────────────────────────────────────────────┘
//!        pending(), sent()      done()
//! ```
//!
//! 1. At most one job is out, so answers are in the order of the requests.
//! 2. No job starts while `BATCH` bytes or more wait to be sent, nor a request's while a file is being sent. Pipelined
//!    small requests are answered together, and a peer that does not read its answers is read no more.
//! 3. Nothing is read while a request waits in `input`, so it holds less than a request of the largest size and what
//!    one read may add.
//! 4. Between two requests the connection holds no memory but itself.

use std::time::Duration;

use ev_core::Time;

use crate::buffer::Buffer;
use crate::files::{Body, CHUNK};
use crate::request::{Parsed, parse};
use crate::site::{Done, Job};
use crate::status::Status;

/// With so many bytes to send, sending comes before further answers.
const BATCH: usize = CHUNK;

/// For how long a peer that was refused may go on sending.
const LINGER: Duration = Duration::from_secs(2);

/// How much a peer that was refused may go on sending.
const LINGER_BOUND: usize = 256 * 1024;

/// For how long a connection without a request stays open when the server stops: one may be on its way.
const GRACE: Duration = Duration::from_millis(200);

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Run this and report with [`Connection::done`].
    Run(Job),
    /// Write [`Connection::pending`] and report with [`Connection::sent`].
    Write,
    /// Read and report with [`Connection::received`] or [`Connection::ended`].
    Read,
    /// Wait until the job is done.
    Wait,
    /// Shut down the direction to the peer, and go on.
    Shutdown,
    /// Close.
    Close,
}

/// What comes after the last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    /// The peer may still be sending. To close now would have the kernel reset the connection, and the peer could lose
    /// the answer. So it is told that this is the end, and for a while what it sends is thrown away.
    Linger,
}

#[derive(Debug)]
enum Phase {
    Serving,
    /// A job is out.
    Busy,
    /// The last answer is sent. So many bytes may be thrown away still.
    Lingering(usize),
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    phase: Phase,
    input: Buffer,
    /// Whether `input` holds bytes that the parser has not seen.
    fresh: bool,
    output: Buffer,
    /// What is to be read of the file that is being sent.
    body: Option<Body>,
    /// Set once no further request will be answered.
    end: Option<End>,
    /// The peer sends no more.
    ended: bool,
    /// The server stops: the last request that has come gets the last answer.
    stopping: bool,
    /// From the first byte of a request to its last.
    header_timeout: Duration,
    deadline: Option<Time>,
}

impl Connection {
    pub(crate) fn new(header_timeout: Duration) -> Self {
        Self {
            phase: Phase::Serving,
            input: Buffer::default(),
            fresh: false,
            output: Buffer::default(),
            body: None,
            end: None,
            ended: false,
            stopping: false,
            header_timeout,
            deadline: None,
        }
    }

    /// What to do next. Asked again after each report, until the socket would block or the answer is
    /// [`Step::Wait`] or [`Step::Close`].
    pub(crate) fn next(&mut self, now: Time) -> Step {
        match self.phase {
            Phase::Busy => return Step::Wait,
            Phase::Lingering(left) => {
                return if self.ended || left == 0 {
                    Step::Close
                } else {
                    Step::Read
                };
            }
            Phase::Serving => {}
        }
        if let Some(job) = self.job() {
            self.phase = Phase::Busy;
            return Step::Run(job);
        }
        if !self.output.is_empty() {
            return Step::Write;
        }
        let idle = self.input.is_empty();
        match self.end {
            Some(End::Linger) => {
                self.phase = Phase::Lingering(LINGER_BOUND);
                self.deadline = Some(now.saturating_add(LINGER));
                self.input = Buffer::default();
                self.output = Buffer::default();
                return Step::Shutdown;
            }
            Some(End::Close) => return Step::Close,
            None if self.ended => return Step::Close,
            None => {}
        }
        self.output.release();
        if idle {
            self.input.release();
            if self.stopping {
                self.deadline.get_or_insert(now.saturating_add(GRACE));
            }
        } else {
            self.deadline.get_or_insert(now.saturating_add(self.header_timeout));
        }
        Step::Read
    }

    /// The next job, if one may start.
    fn job(&mut self) -> Option<Job> {
        if self.output.is_empty()
            && let Some(body) = self.body.take()
        {
            return Some(Job::Fill(body));
        }
        if self.body.is_some() || self.end.is_some() || !self.fresh || self.output.pending().len() >= BATCH {
            return None;
        }
        match parse(self.input.pending()) {
            Parsed::Incomplete => {
                self.fresh = false;
                None
            }
            Parsed::Complete { mut request, consumed } => {
                self.input.consume(consumed);
                self.fresh = !self.input.is_empty();
                self.deadline = None;
                if self.stopping && !self.has_request() {
                    request.keep_alive = false;
                }
                if !request.keep_alive {
                    let sending = request.unsent_body || self.fresh || self.stopping;
                    self.end = Some(if sending { End::Linger } else { End::Close });
                }
                Some(Job::Answer(request))
            }
            Parsed::Bad(status) => Some(self.refuse(status)),
        }
    }

    /// Whether all of a request waits.
    fn has_request(&self) -> bool {
        matches!(parse(self.input.pending()), Parsed::Complete { .. })
    }

    fn refuse(&mut self, status: Status) -> Job {
        self.end = Some(End::Linger);
        self.deadline = None;
        Job::Refuse(status)
    }

    /// Where the job writes its bytes, if it runs here.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        self.output.tail()
    }

    /// Takes over the bytes that the job wrote elsewhere.
    pub(crate) fn append(&mut self, bytes: Vec<u8>) {
        self.output.append(bytes);
    }

    /// The job is done, and its bytes are in the output.
    pub(crate) fn done(&mut self, done: Done) {
        debug_assert!(self.is_busy(), "no job was out");
        self.phase = Phase::Serving;
        self.body = done.rest;
        if done.broken {
            self.end = Some(End::Close);
        }
    }

    /// What to write next.
    pub(crate) fn pending(&self) -> &[u8] {
        self.output.pending()
    }

    /// So many of the [`pending`](Self::pending) bytes are written.
    pub(crate) fn sent(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// These bytes came.
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        if let Phase::Lingering(left) = &mut self.phase {
            *left = left.saturating_sub(bytes.len());
            return;
        }
        if self.input.is_empty() {
            // The first bytes of a request, which has a deadline of its own.
            self.deadline = None;
        }
        self.input.tail().extend_from_slice(bytes);
        self.fresh = true;
    }

    /// The peer sends no more. What it has asked for is still answered.
    pub(crate) fn ended(&mut self) {
        self.ended = true;
    }

    /// The server stops. What has come is still answered, and what comes in a moment: all complete requests or, if there
    /// is none, the one that has begun.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether a job is out.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Busy)
    }

    /// The point that ends the connection's patience, where progress does not put it off: a request that has begun has
    /// to be complete by then, lingering is over, or the server that stops waits no more. `None`: the idle timeout is all
    /// there is. While a job is out there is none.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// What to do after the timeout or the deadline, in place of [`next`](Self::next).
    pub(crate) fn expired(&mut self) -> Step {
        match self.phase {
            // The disk is slow, not the peer.
            Phase::Busy => Step::Wait,
            Phase::Serving if self.deadline.is_some() && !self.input.is_empty() => {
                self.input = Buffer::default();
                self.fresh = false;
                self.phase = Phase::Busy;
                Step::Run(self.refuse(Status::RequestTimeout))
            }
            Phase::Serving | Phase::Lingering(_) => Step::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{MAX_BODY, MAX_HEAD};

    const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
    const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A connection, and the hand of its caller.
    struct Peer {
        connection: Connection,
        now: Time,
    }

    impl Peer {
        fn new() -> Self {
            Self {
                connection: Connection::new(HEADER_TIMEOUT),
                now: Time::ZERO,
            }
        }

        fn send(&mut self, bytes: &str) -> Step {
            self.connection.received(bytes.as_bytes());
            self.next()
        }

        fn next(&mut self) -> Step {
            self.connection.next(self.now)
        }

        /// Answers the job that is out with these bytes.
        fn answer(&mut self, bytes: &[u8]) -> Step {
            self.connection.output().extend_from_slice(bytes);
            self.connection.done(Done::default());
            self.next()
        }

        /// Writes all that is pending.
        fn flush(&mut self) -> Step {
            self.connection.sent(self.connection.pending().len());
            self.next()
        }

        /// The time left until the deadline, so many seconds later.
        fn left(&mut self, seconds: u64) -> Option<u64> {
            self.now = self.now.saturating_add(Duration::from_secs(seconds));
            Some(
                self.connection
                    .deadline()?
                    .saturating_duration_since(self.now)
                    .as_secs(),
            )
        }
    }

    /// The target of the request to answer.
    #[track_caller]
    fn target(step: Step) -> String {
        match step {
            Step::Run(Job::Answer(request)) => request.target.into(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refusal(step: Step) -> Status {
        match step {
            Step::Run(Job::Refuse(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn keeps_alive(step: &Step) -> bool {
        match step {
            Step::Run(Job::Answer(request)) => request.keep_alive,
            other => panic!("{other:?}"),
        }
    }

    fn body(length: usize) -> Body {
        Body::new(std::fs::File::open("/dev/null").unwrap(), 0, length as u64)
    }

    #[test]
    fn one_request_after_another() {
        let mut peer = Peer::new();
        for _ in 0..3 {
            assert!(matches!(peer.next(), Step::Read));
            assert_eq!(target(peer.send(GET)), "/a");
            assert!(matches!(peer.next(), Step::Wait));
            assert!(matches!(peer.answer(b"answer"), Step::Write));
            assert_eq!(peer.connection.pending(), b"answer");
            peer.connection.sent(2);
            assert!(matches!(peer.next(), Step::Write));
            assert_eq!(peer.connection.pending(), b"swer");
            assert!(matches!(peer.flush(), Step::Read));
        }
    }

    #[test]
    fn an_idle_connection_holds_no_memory() {
        let mut peer = Peer::new();
        peer.send(GET);
        peer.answer(b"answer");
        peer.flush();
        assert_eq!(peer.connection.input.capacity() + peer.connection.output.capacity(), 0);
        assert!(size_of::<Connection>() <= 256, "{}", size_of::<Connection>());
    }

    #[test]
    fn a_request_in_pieces() {
        let mut peer = Peer::new();
        for index in 0..GET.len() - 1 {
            assert!(matches!(peer.send(&GET[index..=index]), Step::Read), "{index}");
        }
        assert_eq!(target(peer.send("\n")), "/a");
    }

    #[test]
    fn pipelined_requests_are_answered_together_and_in_order() {
        let mut peer = Peer::new();
        let requests = ["/1", "/2", "/3"].map(|target| GET.replace("/a", target)).concat();
        assert_eq!(target(peer.send(&(requests + "GET /4"))), "/1");
        assert_eq!(target(peer.answer(b"one")), "/2");
        assert_eq!(target(peer.answer(b"two")), "/3");
        assert!(matches!(peer.answer(b"three"), Step::Write));
        assert_eq!(peer.connection.pending(), b"onetwothree");
        assert!(matches!(peer.flush(), Step::Read));
        assert_eq!(target(peer.send(" HTTP/1.1\r\nHost: a\r\n\r\n")), "/4");
    }

    #[test]
    fn pipelined_requests_wait_for_a_slow_reader() {
        let mut peer = Peer::new();
        peer.send(&GET.repeat(3));
        assert!(matches!(peer.answer(&vec![0; BATCH - 1]), Step::Run(_)));
        assert!(matches!(peer.answer(&[0; 100]), Step::Write));
        peer.connection.sent(99);
        assert!(matches!(peer.next(), Step::Write));
        peer.connection.sent(1);
        assert!(matches!(peer.next(), Step::Run(_)));
    }

    #[test]
    fn pipelined_requests_wait_for_the_end_of_a_file() {
        let mut peer = Peer::new();
        peer.send(&GET.repeat(2));
        peer.connection.output().extend_from_slice(b"head");
        peer.connection.done(Done {
            rest: Some(body(10)),
            ..Done::default()
        });
        assert!(matches!(peer.next(), Step::Write));
        assert!(matches!(peer.flush(), Step::Run(Job::Fill(_))));
        assert!(matches!(peer.answer(b"chunk"), Step::Run(Job::Answer(_))));
    }

    #[test]
    fn a_file_that_cannot_be_read_ends_the_connection() {
        let mut peer = Peer::new();
        peer.send(&GET.repeat(2));
        peer.connection.output().extend_from_slice(b"head");
        peer.connection.done(Done {
            broken: true,
            ..Done::default()
        });
        assert!(matches!(peer.next(), Step::Write));
        assert!(matches!(peer.flush(), Step::Close));
    }

    #[test]
    fn the_last_answer_closes() {
        let mut peer = Peer::new();
        peer.send("GET / HTTP/1.0\r\n\r\n");
        assert!(matches!(peer.answer(b"answer"), Step::Write));
        assert!(matches!(peer.flush(), Step::Close));
    }

    #[test]
    fn a_refused_peer_is_listened_to_for_a_while() {
        let mut peer = Peer::new();
        assert_eq!(refusal(peer.send("nonsense\r\n\r\n")), Status::BadRequest);
        assert!(matches!(peer.answer(b"refusal"), Step::Write));
        assert!(matches!(peer.flush(), Step::Shutdown));
        assert!(matches!(peer.next(), Step::Read));
        assert_eq!(peer.left(0), Some(2));
        assert!(matches!(peer.send(GET), Step::Read));
        assert_eq!(peer.left(1), Some(1));
        assert!(matches!(peer.send(&"x".repeat(LINGER_BOUND)), Step::Close));
    }

    #[test]
    fn lingering_ends_with_the_peer_or_the_timeout() {
        for ends in [true, false] {
            let mut peer = Peer::new();
            peer.send("nonsense\r\n\r\n");
            peer.answer(b"refusal");
            peer.flush();
            assert!(matches!(peer.next(), Step::Read));
            if ends {
                peer.connection.ended();
                assert!(matches!(peer.next(), Step::Close));
            } else {
                assert!(matches!(peer.connection.expired(), Step::Close));
            }
        }
    }

    #[test]
    fn a_body_that_was_announced_may_still_come() {
        let mut peer = Peer::new();
        let request = "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(target(peer.send(request)), "/");
        peer.answer(b"answer");
        assert!(matches!(peer.flush(), Step::Shutdown));
    }

    #[test]
    fn a_peer_that_sends_no_more_gets_its_answers() {
        let mut peer = Peer::new();
        peer.connection.received(GET.repeat(2).as_bytes());
        peer.connection.ended();
        assert_eq!(target(peer.next()), "/a");
        assert_eq!(target(peer.answer(b"one")), "/a");
        assert!(matches!(peer.answer(b"two"), Step::Write));
        assert!(matches!(peer.flush(), Step::Close));
        let mut peer = Peer::new();
        peer.connection.received(b"GET /");
        peer.connection.ended();
        assert!(matches!(peer.next(), Step::Close));
    }

    #[test]
    fn a_request_has_to_be_complete_in_time() {
        let mut peer = Peer::new();
        peer.next();
        assert_eq!(peer.left(30), None);
        peer.send("GET");
        assert_eq!(peer.left(4), Some(6));
        peer.send(" /");
        assert_eq!(peer.left(5), Some(1));
        assert_eq!(refusal(peer.connection.expired()), Status::RequestTimeout);
        assert_eq!(peer.left(0), None);
        assert!(matches!(peer.answer(b"refusal"), Step::Write));
        assert!(matches!(peer.connection.expired(), Step::Close));
    }

    #[test]
    fn a_complete_request_has_no_deadline() {
        let mut peer = Peer::new();
        peer.send("GET");
        assert_eq!(peer.left(3), Some(7));
        peer.send(&GET[3..]);
        assert_eq!(peer.left(0), None);
        assert!(matches!(peer.connection.expired(), Step::Wait));
        peer.answer(b"answer");
        peer.flush();
        assert_eq!(peer.left(0), None);
        assert!(matches!(peer.connection.expired(), Step::Close));
    }

    #[test]
    fn stopping_closes_what_is_idle_in_a_moment() {
        let mut peer = Peer::new();
        peer.connection.stop();
        assert!(matches!(peer.next(), Step::Read));
        assert_eq!(peer.left(0), Some(0));
        assert!(matches!(peer.connection.expired(), Step::Close));
    }

    #[test]
    fn stopping_answers_what_comes_in_a_moment() {
        let mut peer = Peer::new();
        peer.connection.stop();
        assert!(matches!(peer.next(), Step::Read));
        assert!(matches!(peer.send("GET"), Step::Read));
        assert_eq!(peer.left(0), Some(HEADER_TIMEOUT.as_secs()));
        assert!(!keeps_alive(&peer.send(&GET[3..])));
    }

    #[test]
    fn stopping_waits_for_the_answer_that_is_being_made() {
        let mut peer = Peer::new();
        peer.send(GET);
        peer.connection.stop();
        assert!(matches!(peer.next(), Step::Wait));
        assert!(matches!(peer.answer(b"answer"), Step::Write));
        assert!(matches!(peer.flush(), Step::Read));
    }

    #[test]
    fn stopping_waits_for_a_request_that_has_begun() {
        let mut peer = Peer::new();
        peer.send("GET");
        peer.connection.stop();
        assert!(matches!(peer.next(), Step::Read));
        assert!(!keeps_alive(&peer.send(&GET[3..])));
        assert!(matches!(peer.answer(b"answer"), Step::Write));
        // What the peer may have sent meanwhile must not reset the connection.
        assert!(matches!(peer.flush(), Step::Shutdown));
    }

    #[test]
    fn stopping_answers_all_that_has_come() {
        let mut peer = Peer::new();
        peer.connection.stop();
        let requests = GET.repeat(3) + "GET /b";
        assert!(keeps_alive(&peer.send(&requests)));
        assert!(keeps_alive(&peer.answer(b"one")));
        assert!(!keeps_alive(&peer.answer(b"two")));
        assert!(matches!(peer.answer(b"three"), Step::Write));
        assert!(matches!(peer.flush(), Step::Shutdown));
    }

    #[test]
    fn input_is_bounded() {
        let mut peer = Peer::new();
        let head = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n";
        let mut step = peer.send(head);
        let mut sent = head.len();
        while matches!(step, Step::Read) {
            step = peer.send(&"x".repeat(1000));
            sent += 1000;
        }
        assert_eq!(target(step), "/");
        assert!(sent < MAX_HEAD + MAX_BODY);
        peer.answer(b"answer");
        assert_eq!(peer.connection.input.pending().len(), sent - head.len() - MAX_BODY);
    }
}
