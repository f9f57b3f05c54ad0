//! Where the work that may block is done.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use ev_core::{EventKey, Remote};

use crate::serve::{Server, finish};
use crate::site::{Done, Job, Site};

/// What came of a job in another thread.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) bytes: Vec<u8>,
    pub(crate) done: Done,
}

/// Who runs the jobs of a loop.
#[derive(Debug)]
pub(crate) enum Jobs {
    /// The loop's thread.
    Here(Site),
    /// The threads of a pool. Each connection has one job at most, which bounds the queue.
    Pool(Sender<Task>),
}

/// A job and the connection that waits for it.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) key: EventKey,
    pub(crate) job: Job,
}

impl Jobs {
    /// Runs a job and appends the bytes to send to `out`, or sends it away and returns `None`.
    pub(crate) fn run(&mut self, key: EventKey, job: Job, out: &mut Vec<u8>) -> Option<Done> {
        match self {
            Self::Here(site) => Some(site.run(job, out)),
            Self::Pool(tasks) => {
                tasks
                    .send(Task { key, job })
                    .expect("the pool's threads run until this is dropped");
                None
            }
        }
    }
}

/// Threads that run jobs for one loop, until all senders of tasks are dropped.
#[derive(Debug)]
pub(crate) struct Pool(Vec<JoinHandle<()>>);

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The kernel's. The threads started by then end with the sender's drop, here.
    pub(crate) fn start(count: usize, root: &Arc<Path>, remote: &Remote<Server>) -> io::Result<(Self, Jobs)> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..count)
            .map(|number| {
                let (tasks, site, remote) = (Arc::clone(&receiver), Site::new(Arc::clone(root)), remote.clone());
                thread::Builder::new()
                    .name(format!("pool-{number}"))
                    .spawn(move || work(&tasks, site, &remote))
            })
            .collect::<io::Result<_>>()?;
        Ok((Self(threads), Jobs::Pool(sender)))
    }

    /// Waits for the threads to end.
    pub(crate) fn join(self) {
        for thread in self.0 {
            thread.join().expect("a job does not panic");
        }
    }
}

fn work(tasks: &Mutex<Receiver<Task>>, mut site: Site, remote: &Remote<Server>) {
    let next = || tasks.lock().expect("nothing panics while it is locked").recv();
    while let Ok(Task { key, job }) = next() {
        let mut bytes = Vec::new();
        let done = site.run(job, &mut bytes);
        let finished = Finished { bytes, done };
        // Refused only when the loop is gone, and the connection with it.
        let _ = remote.post(move |cx| finish(cx, key, finished));
    }
}
