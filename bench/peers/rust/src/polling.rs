//! The scenarios on polling: readiness alone, level-triggered or one-shot, without timers.

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bench_scenarios::{Abilities, Course, Options, Peer};
use polling::{Event, Events, PollMode, Poller};

struct Polling {
    poller: Arc<Poller>,
    events: Events,
    course: Course,
    sources: Vec<File>,
    one_shot: bool,
    /// A notify is a wait that ends without events; nothing else tells of it.
    may_be_notified: bool,
}

impl Polling {
    /// One turn; whether a callback wants the loop to stop.
    #[inline]
    fn turn(&mut self, wait: Option<Duration>) -> bool {
        self.events.clear();
        self.poller.wait(&mut self.events, wait).expect("the kernel answers");
        let mut stop = false;
        for event in self.events.iter() {
            let source = &self.sources[event.key];
            stop |= self.course.pass_on(event.key, source);
            if self.one_shot {
                self.poller
                    .modify(source, Event::readable(event.key))
                    .expect("it is registered");
            }
        }
        if self.may_be_notified {
            stop |= self.course.answer();
        }
        stop
    }
}

impl Peer for Polling {
    const NAME: &'static str = "polling";
    const VERSION: &'static str = env!("POLLING_VERSION");
    const ABILITIES: Abilities = Abilities {
        timers: false,
        one_shot: true,
        level: true,
        locks: false,
    };
    type Notifier = Arc<Poller>;

    fn open(options: &Options, course: Course) -> Self {
        Self {
            poller: Arc::new(Poller::new().expect("there are descriptors")),
            events: Events::new(),
            course,
            sources: vec![],
            one_shot: options.one_shot,
            may_be_notified: false,
        }
    }

    fn course(&self) -> &Course {
        &self.course
    }

    fn prepare(&mut self, sources: Vec<File>) {
        self.sources = sources;
    }

    fn add(&mut self, i: usize) {
        let mode = if self.one_shot {
            PollMode::Oneshot
        } else {
            PollMode::Level
        };
        // SAFETY: the source is a field beside the poller and never replaced once it is added: it is closed after the
        // last use of the poller.
        let added = unsafe { self.poller.add_with_mode(&self.sources[i], Event::readable(i), mode) };
        added.expect("the descriptor is open");
    }

    fn delete(&mut self, i: usize) {
        self.poller.delete(&self.sources[i]).expect("it is registered");
    }

    fn poll(&mut self) {
        self.turn(Some(Duration::ZERO));
    }

    fn run(&mut self) {
        while !self.turn(None) {}
    }

    fn notifier(&mut self) -> Arc<Poller> {
        self.may_be_notified = true;
        Arc::clone(&self.poller)
    }

    fn notify(poller: &Arc<Poller>) {
        poller.notify().expect("the loop exists");
    }
}

fn main() -> ExitCode {
    bench_scenarios::main::<Polling>()
}
