//! The scenarios on calloop.
#![forbid(unsafe_code)]

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_scenarios::{Abilities, Course, Options, Peer, idle_timeout};
use calloop::generic::Generic;
use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Dispatcher, EventLoop, Interest, LoopHandle, Mode, PostAction, RegistrationToken};

/// What callbacks are lent.
struct State {
    course: Course,
    stop: bool,
}

/// A source that is added.
struct Added {
    source: RegistrationToken,
    /// Of its idle timeout.
    alarm: Option<RegistrationToken>,
}

/// A timer and its registration, by which it is set anew.
#[derive(Clone)]
struct Alarm {
    dispatcher: Dispatcher<'static, Timer, State>,
    token: RegistrationToken,
}

impl Alarm {
    fn new(handle: &LoopHandle<'static, State>, deadline: Instant) -> Self {
        let dispatcher = Dispatcher::new(Timer::from_deadline(deadline), |_, (), state: &mut State| {
            state.course.timer_fired();
            TimeoutAction::Drop
        });
        let token = handle
            .register_dispatcher(dispatcher.clone())
            .expect("a timer can be registered");
        Self { dispatcher, token }
    }

    /// Sets it anew, unless it has fired and is registered no longer.
    fn set(&self, handle: &LoopHandle<'static, State>, deadline: Instant) -> calloop::Result<()> {
        self.dispatcher.as_source_mut().set_deadline(deadline);
        handle.update(&self.token)
    }
}

struct Calloop {
    events: EventLoop<'static, State>,
    handle: LoopHandle<'static, State>,
    state: State,
    options: Options,
    sources: Vec<Arc<File>>,
    added: Vec<Option<Added>>,
    timers: Vec<Option<Alarm>>,
    /// What timers count from.
    now: Instant,
}

impl Calloop {
    fn turn(&mut self, wait: Option<Duration>) {
        self.events.dispatch(wait, &mut self.state).expect("the kernel answers");
    }
}

impl Peer for Calloop {
    const NAME: &'static str = "calloop";
    const VERSION: &'static str = env!("CALLOOP_VERSION");
    const ABILITIES: Abilities = Abilities::ONE_THREAD;
    type Notifier = Ping;

    fn open(options: &Options, course: Course) -> Self {
        let events = EventLoop::try_new().expect("there are descriptors");
        Self {
            handle: events.handle(),
            events,
            state: State { course, stop: false },
            options: options.clone(),
            sources: vec![],
            added: vec![],
            timers: vec![],
            now: Instant::now(),
        }
    }

    fn course(&self) -> &Course {
        &self.state.course
    }

    fn prepare(&mut self, sources: Vec<File>) {
        self.added.resize_with(sources.len(), || None);
        self.sources = sources.into_iter().map(Arc::new).collect();
    }

    fn add(&mut self, i: usize) {
        let (mode, after) = if self.options.one_shot {
            (Mode::OneShot, PostAction::Reregister)
        } else {
            (Mode::Level, PostAction::Continue)
        };
        let source = Generic::new(Arc::clone(&self.sources[i]), Interest::READ, mode);
        let (registered, alarm) = if self.options.timeout {
            let (handle, alarm) = (
                self.handle.clone(),
                Alarm::new(&self.handle, Instant::now() + idle_timeout(i)),
            );
            let token = alarm.token;
            let registered = self.handle.insert_source(source, move |_, source, state| {
                state.stop |= state.course.pass_on(i, source);
                let deadline = Instant::now() + idle_timeout(i);
                alarm.set(&handle, deadline).expect("it is not due yet");
                Ok(after)
            });
            (registered, Some(token))
        } else {
            let registered = self.handle.insert_source(source, move |_, source, state| {
                state.stop |= state.course.pass_on(i, source);
                Ok(after)
            });
            (registered, None)
        };
        self.added[i] = Some(Added {
            source: registered.expect("the descriptor is open"),
            alarm,
        });
    }

    fn delete(&mut self, i: usize) {
        if let Some(added) = self.added[i].take() {
            self.handle.remove(added.source);
            if let Some(alarm) = added.alarm {
                self.handle.remove(alarm);
            }
        }
    }

    fn poll(&mut self) {
        self.turn(Some(Duration::ZERO));
    }

    fn run(&mut self) {
        self.state.stop = false;
        while !self.state.stop {
            self.turn(None);
        }
    }

    fn notifier(&mut self) -> Ping {
        let (ping, source) = make_ping().expect("there are descriptors");
        self.handle
            .insert_source(source, |(), (), state| state.stop |= state.course.answer())
            .expect("the source can be registered");
        ping
    }

    fn notify(ping: &Ping) {
        ping.ping();
    }

    fn prepare_timers(&mut self, count: usize) {
        self.timers.resize(count, None);
    }

    fn read_clock(&mut self) {
        self.now = Instant::now();
    }

    fn set_timer(&mut self, i: usize, after: Duration) {
        let deadline = self.now + after;
        match &self.timers[i] {
            Some(alarm) if alarm.set(&self.handle, deadline).is_ok() => {}
            _ => self.timers[i] = Some(Alarm::new(&self.handle, deadline)),
        }
    }

    fn cancel_timer(&mut self, i: usize) {
        if let Some(alarm) = self.timers[i].take() {
            self.handle.remove(alarm.token);
        }
    }
}

fn main() -> ExitCode {
    bench_scenarios::main::<Calloop>()
}
