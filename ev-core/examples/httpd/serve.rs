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
    fn take_finished(&mut self, key: EventKey, connection: &Connection) -> Option<Finished> {
        if !connection.is_busy() {
            return None;
        }
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
    let first = match cx.state.take_finished(key, connection) {
        Some(Finished { bytes, done }) => {
            note(&mut cx.state.log, guest, &done);
            connection.append(bytes);
            connection.done(done);
            // It may have been deleted while it waited for the job.
            cx.add(key)?;
            connection.next(now)
        }
        None if fired.causes() == Causes::TIMEOUT => connection.expired(),
        None => connection.next(now),
    };
    let was_busy = connection.is_busy();
    let pause = cx.state.pump(key, guest, connection, now, first);
    if let Some((log, flush)) = &cx.state.log
        && !log.is_empty()
    {
        // In the next turn, so that the lines of a turn are written together.
        cx.reactor.activate_later(*flush, Causes::empty())?;
    }
    match pause {
        Pause::Readable => cx.set_interest(key, Interest::READ)?,
        Pause::Writable => cx.set_interest(key, Interest::WRITE)?,
        // Something came that has to wait for the job. Told the kernel only now: most jobs are faster.
        Pause::Job if was_busy => cx.delete(key)?,
        Pause::Job => {}
        Pause::Closed => close(cx, key),
    }
    if let Some(deadline) = connection.deadline()
        && pause != Pause::Closed
    {
        cx.add_at(key, deadline)?;
    }
    Ok(())
}

fn close(cx: &mut Context<'_, Server>, key: EventKey) {
    cx.state.open.remove(&key);
    // That drops the guest when the callback returns.
    let _ = cx.remove(key);
}
