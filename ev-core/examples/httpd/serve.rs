//! Serving connections on one loop.
//!
//! Each connection is an event, whose callback owns all that belongs to the connection alone. What the connections share
//! is the loop's state, a [`Server`].

use std::collections::HashMap;

use ev_core::{Causes, Context, Error, EventKey, EventLoop, Fired, Interest, Io, Time, User};

use crate::accept::{Guest, Host};
use crate::args::{Options, Timeouts};
use crate::connection::{Connection, Step};
use crate::jobs::{Finished, Jobs};
use crate::log::Log;
use crate::pump::{Pause, READ_SIZE, pump};
use crate::site::Done;

/// The state of a loop that serves.
#[derive(Debug)]
pub(crate) struct Server {
    timeouts: Timeouts,
    jobs: Jobs,
    /// The access log, and the event that writes it out.
    log: Option<(Log, EventKey)>,
    /// For what is read, until the connection has taken it over.
    buffer: Box<[u8; READ_SIZE]>,
    /// The open connections, each with the job that was finished for it in another thread.
    open: HashMap<EventKey, Option<Finished>>,
    stopping: bool,
}

impl Server {
    /// The state for `lp`.
    ///
    /// # Errors
    ///
    /// The loop's, if it cannot hold one more event.
    pub(crate) fn new(lp: &mut EventLoop<Self>, options: &Options, jobs: Jobs) -> Result<Self, Error> {
        let log = if options.log {
            let key = lp.insert(User::new(), |cx, (), _| {
                if let Some((log, _)) = &mut cx.state.log {
                    log.flush();
                }
            })?;
            Some((Log::default(), key))
        } else {
            None
        };
        Ok(Self {
            timeouts: options.timeouts,
            jobs,
            log,
            buffer: Box::new([0; READ_SIZE]),
            open: HashMap::new(),
            stopping: false,
        })
    }

    /// Takes the job that was finished for a connection.
    fn take_finished(&mut self, key: EventKey) -> Option<Finished> {
        self.open.get_mut(&key)?.take()
    }

    /// Takes all steps that are possible now.
    fn pump(&mut self, key: EventKey, guest: &Guest, connection: &mut Connection, now: Time, first: Step) -> Pause {
        let Self { jobs, log, buffer, .. } = self;
        pump(connection, &guest.stream, buffer, now, first, |connection, job| {
            if let Some(done) = jobs.run(key, job, connection.output()) {
                note(log, guest, &done);
                connection.done(done);
            }
        })
    }
}

fn note(log: &mut Option<(Log, EventKey)>, guest: &Guest, done: &Done) {
    if let (Some((log, _)), Some(entry)) = (log, &done.entry) {
        log.add(guest.peer, entry);
    }
}

impl Host for Server {
    fn admit(cx: &mut Context<'_, Self>, guest: Guest) {
        let Timeouts { header, idle } = cx.state.timeouts;
        let mut connection = Connection::new(header);
        let event = Io::new(guest, Interest::READ).timeout(idle);
        let inserted = cx.insert(event, move |cx, guest, fired| {
            if go_on(cx, guest, &mut connection, fired).is_err() {
                close(cx, fired.key());
            }
        });
        // If there is no memory for it, it is closed.
        if let Ok(key) = inserted {
            cx.state.open.insert(key, None);
        }
    }

    fn stop(cx: &mut Context<'_, Self>) {
        cx.state.stopping = true;
        for &key in cx.state.open.keys() {
            let _ = cx.reactor.activate(key, Causes::empty());
        }
    }
}

/// Takes over what came of a job in another thread.
pub(crate) fn finish(cx: &mut Context<'_, Server>, key: EventKey, finished: Finished) {
    // The connection may have been closed meanwhile.
    if let Some(place) = cx.state.open.get_mut(&key) {
        *place = Some(finished);
        let _ = cx.activate(key, Causes::empty());
    }
}

/// Does for a connection what can be done now, and sees to it that the rest will be.
fn go_on(cx: &mut Context<'_, Server>, guest: &Guest, connection: &mut Connection, fired: Fired) -> Result<(), Error> {
    let (key, now) = (fired.key(), cx.now());
    if fired.is_error() {
        close(cx, key);
        return Ok(());
    }
    if cx.state.stopping {
        connection.stop();
    }
    let first = if connection.is_busy() {
        let Some(Finished { bytes, done }) = cx.state.take_finished(key) else {
            // Whatever came has to wait. The kernel is told only now, as most jobs are faster.
            return cx.delete(key);
        };
        note(&mut cx.state.log, guest, &done);
        connection.append(bytes);
        connection.done(done);
        cx.add(key)?;
        connection.next(now)
    } else if fired.causes() == Causes::TIMEOUT {
        connection.expired()
    } else {
        connection.next(now)
    };
    let pause = cx.state.pump(key, guest, connection, now, first);
    flush_later(cx)?;
    match pause {
        Pause::Readable => cx.set_interest(key, Interest::READ)?,
        Pause::Writable => cx.set_interest(key, Interest::WRITE)?,
        Pause::Job => {}
        Pause::Closed => {
            close(cx, key);
            return Ok(());
        }
    }
    match connection.deadline() {
        Some(deadline) => cx.add_at(key, deadline),
        // The idle timeout began anew when the event became active.
        None => Ok(()),
    }
}

/// Has the log written out in the next turn, so that the lines of all connections of this one go together.
fn flush_later(cx: &mut Context<'_, Server>) -> Result<(), Error> {
    match &cx.state.log {
        Some((log, event)) if !log.is_empty() => cx.reactor.activate_later(*event, Causes::empty()),
        _ => Ok(()),
    }
}

fn close(cx: &mut Context<'_, Server>, key: EventKey) {
    cx.state.open.remove(&key);
    // That drops the guest when the callback returns.
    let _ = cx.remove(key);
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;
    use std::{fs, thread};

    use ev_core::RunMode;

    use super::*;
    use crate::accept::{self, Entrance};
    use crate::args::Shape;
    use crate::gate::Gate;
    use crate::jobs::{Pool, Task};
    use crate::scratch::Scratch;
    use crate::site::Site;

    const LARGE: usize = 4 << 20;
    const GET: &str = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A peer of the server, and the one who may stop it.
    struct Client {
        stream: BufReader<TcpStream>,
        stop: Box<dyn Fn() + Send>,
    }

    impl Client {
        fn send(&mut self, text: &str) {
            self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        }

        /// Reads until the text ends so.
        fn expect(&mut self, end: &str) -> String {
            let mut text = String::new();
            while !text.ends_with(end) {
                let mut byte = [0];
                self.stream.read_exact(&mut byte).unwrap();
                text.push(byte[0].into());
            }
            text
        }

        /// Reads to the end of the stream.
        fn expect_end(&mut self) -> Vec<u8> {
            let mut bytes = Vec::new();
            self.stream.read_to_end(&mut bytes).unwrap();
            bytes
        }
    }

    /// Serves a client, with the jobs done in both ways, until it has stopped the server.
    fn serve(timeouts: Timeouts, client: fn(&mut Client)) {
        let scratch = Scratch::new();
        fs::write(scratch.path().join("small"), "content").unwrap();
        fs::write(scratch.path().join("large"), vec![b'x'; LARGE]).unwrap();
        for shape in [Shape::Single, Shape::Pool] {
            let options = Options {
                shape,
                timeouts,
                ..Options::default()
            };
            serve_once(&options, scratch.path().into(), client).unwrap();
        }
    }

    fn serve_once(options: &Options, root: Arc<Path>, client: fn(&mut Client)) -> io::Result<()> {
        let mut lp = EventLoop::new()?;
        let remote = lp.remote()?;
        let (pool, jobs) = match options.shape {
            Shape::Pool => Pool::start(2, &root, &remote).map(|(pool, jobs)| (Some(pool), jobs))?,
            _ => (None, Jobs::Here(Site::new(root))),
        };
        let mut server = Server::new(&mut lp, options, jobs)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = BufReader::new(TcpStream::connect(listener.local_addr()?)?);
        let entrance = Entrance {
            listener,
            connections: 1,
            descriptors: u64::MAX,
        };
        let gate = Arc::new(Gate::default());
        let door = accept::open(&mut lp, entrance, &gate)?;
        let stop = Box::new(move || {
            gate.close();
            // Stale when it is not the first time.
            let _ = remote.post(move |cx| drop(cx.activate(door, Causes::empty())));
        });
        let thread = thread::spawn(move || {
            let mut peer = Client { stream, stop };
            client(&mut peer);
            (peer.stop)();
        });
        lp.run_with(RunMode::FOREVER, &mut server)?;
        thread.join().expect("the client is content");
        assert!(server.open.is_empty());
        drop(server);
        if let Some(pool) = pool {
            pool.join();
        }
        Ok(())
    }

    fn patient() -> Timeouts {
        Options::default().timeouts
    }

    #[test]
    fn requests_are_answered_on_one_connection() {
        serve(patient(), |client| {
            client.send(GET);
            client.expect("\r\n\r\ncontent");
            client.send(&GET.repeat(3));
            for _ in 0..3 {
                client.expect("\r\n\r\ncontent");
            }
        });
    }

    #[test]
    fn a_connection_sleeps_while_its_job_is_out() {
        let scratch = Scratch::new();
        let mut lp = EventLoop::new().unwrap();
        let (sender, tasks) = mpsc::channel();
        let mut server = Server::new(&mut lp, &Options::default(), Jobs::Pool(sender)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let entrance = Entrance {
            listener,
            connections: 1,
            descriptors: u64::MAX,
        };
        accept::open(&mut lp, entrance, &Arc::default()).unwrap();
        let remote = lp.remote().unwrap();
        let mut turn = |lp: &mut EventLoop<_>| {
            lp.run_with(RunMode::ONCE, &mut server).unwrap();
        };

        peer.write_all(GET.as_bytes()).unwrap();
        let Task { key, job } = loop {
            match tasks.try_recv() {
                Ok(task) => break task,
                Err(_) => turn(&mut lp),
            }
        };
        lp.activate(key, Causes::READ).unwrap();
        while lp.is_pending(key).unwrap() {
            turn(&mut lp);
        }
        let mut bytes = Vec::new();
        let done = Site::new(scratch.path().into()).run(job, &mut bytes);
        let finished = Finished { bytes, done };
        remote.post(move |cx| finish(cx, key, finished)).unwrap();
        while !lp.is_pending(key).unwrap() {
            turn(&mut lp);
        }
        peer.write_all(GET.as_bytes()).unwrap();
        while tasks.try_recv().is_err() {
            turn(&mut lp);
        }
    }

    #[test]
    fn a_request_may_come_while_another_is_answered() {
        serve(patient(), |client| {
            client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
            client.expect("\r\n\r\nx");
            client.send(GET);
            assert!(client.expect("\r\n\r\ncontent").starts_with(&"x".repeat(LARGE - 1)));
        });
    }

    #[test]
    fn stopping_loses_nothing_of_an_answer() {
        serve(patient(), |client| {
            client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
            client.expect("\r\n\r\nx");
            (client.stop)();
            assert_eq!(client.expect_end().len(), LARGE - 1);
        });
    }

    #[test]
    fn stopping_ends_an_idle_connection() {
        serve(patient(), |client| {
            client.send(GET);
            client.expect("\r\n\r\ncontent");
            (client.stop)();
            assert!(client.expect_end().is_empty());
        });
    }

    #[test]
    fn a_request_that_does_not_come_to_its_end_is_refused() {
        let timeouts = Timeouts {
            header: Duration::from_millis(1),
            ..patient()
        };
        serve(timeouts, |client| {
            client.send("GET / HTTP");
            assert!(client.expect_end().starts_with(b"HTTP/1.1 408 "));
        });
    }

    #[test]
    fn a_connection_that_nobody_uses_is_closed() {
        let timeouts = Timeouts {
            idle: Duration::from_millis(1),
            ..patient()
        };
        serve(timeouts, |client| assert!(client.expect_end().is_empty()));
    }
}
