//! The scenarios on mio: readiness alone, edge-triggered, without timers. The callbacks are a `match`.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::time::Duration;

use bench_scenarios::{Abilities, Course, Options, Peer};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

const NOTIFIED: Token = Token(usize::MAX);

struct Mio {
    poll: Poll,
    events: Events,
    course: Course,
    sources: Vec<File>,
}

impl Mio {
    /// One turn; whether a callback wants the loop to stop.
    #[inline]
    fn turn(&mut self, wait: Option<Duration>) -> bool {
        self.poll.poll(&mut self.events, wait).expect("the kernel answers");
        let mut stop = false;
        for event in &self.events {
            stop |= match event.token() {
                NOTIFIED => self.course.answer(),
                Token(i) => self.course.pass_on(i, &self.sources[i]),
            };
        }
        stop
    }
}

impl Peer for Mio {
    const NAME: &'static str = "mio";
    const VERSION: &'static str = env!("MIO_VERSION");
    const ABILITIES: Abilities = Abilities {
        timers: false,
        one_shot: false,
        level: false,
        locks: false,
    };
    type Notifier = Waker;

    fn open(_options: &Options, course: Course) -> Self {
        Self {
            poll: Poll::new().expect("there are descriptors"),
            events: Events::with_capacity(1024),
            course,
            sources: vec![],
        }
    }

    fn course(&self) -> &Course {
        &self.course
    }

    fn prepare(&mut self, sources: Vec<File>) {
        self.sources = sources;
    }

    fn add(&mut self, i: usize) {
        let fd = self.sources[i].as_raw_fd();
        let registry = self.poll.registry();
        registry
            .register(&mut SourceFd(&fd), Token(i), Interest::READABLE)
            .expect("the descriptor is open");
    }

    fn delete(&mut self, i: usize) {
        let fd = self.sources[i].as_raw_fd();
        let registry = self.poll.registry();
        registry.deregister(&mut SourceFd(&fd)).expect("it is registered");
    }

    fn poll(&mut self) {
        self.turn(Some(Duration::ZERO));
    }

    fn run(&mut self) {
        while !self.turn(None) {}
    }

    fn notifier(&mut self) -> Waker {
        Waker::new(self.poll.registry(), NOTIFIED).expect("there are descriptors")
    }

    fn notify(waker: &Waker) {
        waker.wake().expect("the loop exists");
    }
}

fn main() -> ExitCode {
    bench_scenarios::main::<Mio>()
}
