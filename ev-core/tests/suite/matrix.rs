//! The interest matrix: what each backend does with every interest in every mode, found out by trying.
//!
//! [`measure`] asks a loop for an interest, brings about each condition that it names, and sees it reported in the way of
//! the mode; or sees the interest refused. The scenarios compare that with [`rule`], what the backend's features promise;
//! `--matrix` prints it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use ev_core::backend::UpdateError;
use ev_core::{Causes, Error, EventKey, Features, Fired, Interest, Io, Mode, Outcome, RawIo, Readiness};
use ev_sys::{errno, fdio, poll, socket};

use crate::cell::{BACKENDS, BackendCell, Cell, Driver};
use crate::events::Loop;
use crate::support::{Log, fill, pair, tcp_pair};

pub const MODES: [Mode; 4] = [Mode::Level, Mode::Edge, Mode::OneShot, Mode::Exclusive];

pub const SINGLE: [Interest; 5] = [
    Interest::READ,
    Interest::WRITE,
    Interest::CLOSED,
    Interest::PRIORITY,
    Interest::ERROR,
];

/// All interests of one condition, and the unions that programs ask for.
pub const INTERESTS: [Interest; 11] = [
    Interest::READ,
    Interest::WRITE,
    Interest::CLOSED,
    Interest::PRIORITY,
    Interest::ERROR,
    Interest::READ.union(Interest::WRITE),
    Interest::READ.union(Interest::CLOSED),
    Interest::READ.union(Interest::PRIORITY),
    Interest::WRITE.union(Interest::ERROR),
    Interest::CLOSED.union(Interest::ERROR),
    Interest::all(),
];

/// kqueue's features, for where it cannot be tried; `scenarios::matrix` compares them where it can.
pub const KQUEUE: Features = Features::EDGE
    .union(Features::CONSTANT_TIME)
    .union(Features::ANY_FILE)
    .union(Features::CONCURRENT);

/// What became of an interest in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was accepted, and these causes have come.
    Reported(Causes),
    /// It was refused for want of these abilities.
    Refused(Features),
}

/// How an interest gets to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A raw descriptor's event is inserted.
    Insert,
    /// An event that owns its descriptor is inserted.
    Own,
    /// An event is inserted without being added, and added.
    Add,
    /// An event that waits for something else changes its interest.
    Change,
}

pub const WAYS: [Way; 4] = [Way::Insert, Way::Own, Way::Add, Way::Change];

/// What a backend of these features does with an interest in a mode: does it, or refuses it. There is nothing between.
pub fn rule(features: Features, interest: Interest, mode: Mode) -> Answer {
    let mut missing = Features::empty();
    let mut need = |needed: bool, ability| missing.set(ability, needed && !features.contains(ability));
    need(mode == Mode::Edge, Features::EDGE);
    need(mode == Mode::Exclusive, Features::EXCLUSIVE);
    need(interest.contains(Interest::CLOSED), Features::CLOSED);
    need(interest.contains(Interest::PRIORITY), Features::PRIORITY);
    need(interest == Interest::ERROR, Features::ERROR_ONLY);
    if mode == Mode::Exclusive {
        // The kernel takes neither with EPOLLEXCLUSIVE.
        missing.set(Features::CLOSED, interest.contains(Interest::CLOSED));
        missing.set(Features::PRIORITY, interest.contains(Interest::PRIORITY));
    }
    if !missing.is_empty() {
        return Answer::Refused(missing);
    }
    let mut causes = wanted(interest);
    if !tells_errors(features) {
        causes.remove(Causes::ERROR);
    }
    Answer::Reported(causes)
}

/// Whether errors are told apart; elsewhere they come as the directions that run into them. kqueue tells them with a
/// direction that is watched, so that it does not take them alone.
fn tells_errors(features: Features) -> bool {
    features.contains(Features::ERROR_ONLY) || features == KQUEUE
}

/// The causes of an interest's name.
pub fn wanted(interest: Interest) -> Causes {
    Causes::from_bits_retain(u16::from(interest.bits()))
}

/// Something that happens to a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    SocketData,
    SocketRoom,
    SocketHalfClosed,
    SocketHungUp,
    UrgentData,
    PipeData,
    PipeRoom,
    WriterGone,
    ReaderGone,
}

pub const CONDITIONS: [Condition; 9] = [
    Condition::SocketData,
    Condition::SocketRoom,
    Condition::SocketHalfClosed,
    Condition::SocketHungUp,
    Condition::UrgentData,
    Condition::PipeData,
    Condition::PipeRoom,
    Condition::WriterGone,
    Condition::ReaderGone,
];

/// A descriptor, and what makes the condition come about on it. That answers what has to stay open.
pub struct Stage {
    pub watched: OwnedFd,
    pub trigger: Box<dyn FnOnce() -> Option<OwnedFd>>,
}

impl Condition {
    /// The condition by which an interest in one thing is tried.
    fn of(interest: Interest) -> Self {
        match interest {
            Interest::READ => Self::SocketData,
            Interest::WRITE => Self::SocketRoom,
            Interest::CLOSED => Self::SocketHalfClosed,
            Interest::PRIORITY => Self::UrgentData,
            _ => Self::ReaderGone,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::SocketData => "socket: data has come",
            Self::SocketRoom => "socket: there is room again",
            Self::SocketHalfClosed => "socket: the peer has shut down writing",
            Self::SocketHungUp => "socket: the peer has closed with data unread",
            Self::UrgentData => "TCP: urgent data has come",
            Self::PipeData => "pipe: data has come",
            Self::PipeRoom => "pipe: there is room again",
            Self::WriterGone => "pipe: the writer has gone",
            Self::ReaderGone => "pipe: the reader has gone",
        }
    }

    /// What the descriptor is ready for before.
    pub const fn before(self) -> Readiness {
        match self {
            Self::UrgentData => Readiness::WRITE,
            _ => Readiness::empty(),
        }
    }

    /// What it is ready for afterwards, to a backend of these features.
    pub fn after(self, features: Features) -> Readiness {
        let all = match self {
            Self::SocketData | Self::PipeData => Readiness::READ,
            Self::SocketRoom | Self::PipeRoom => Readiness::WRITE,
            Self::SocketHalfClosed => Readiness::READ | Readiness::CLOSED,
            Self::SocketHungUp => Readiness::READ | Readiness::WRITE | Readiness::CLOSED | Readiness::ERROR,
            Self::UrgentData => Readiness::WRITE | Readiness::PRIORITY,
            // Elsewhere this is the end of what can be read and nothing else.
            Self::WriterGone if !features.contains(Features::ERROR_ONLY) => Readiness::READ,
            Self::WriterGone | Self::ReaderGone => Readiness::READ | Readiness::WRITE | Readiness::ERROR,
        };
        if tells_errors(features) {
            all
        } else {
            all - Readiness::ERROR
        }
    }

    /// A descriptor on which it has not come about yet. Those that can be filled are full.
    pub fn stage(self) -> Stage {
        match self {
            Self::SocketData => stage_socket(|mut far| {
                far.write_all(b"x").unwrap();
                Some(far.into())
            }),
            Self::SocketRoom => stage_socket(|far| {
                drain(&far);
                Some(far.into())
            }),
            Self::SocketHalfClosed => stage_socket(|far| {
                far.shutdown(std::net::Shutdown::Write).unwrap();
                Some(far.into())
            }),
            Self::SocketHungUp => stage_socket(|far| {
                drop(far);
                None
            }),
            Self::UrgentData => stage_urgent(),
            Self::PipeData | Self::WriterGone => {
                let (reader, mut writer) = io::pipe().unwrap();
                stage(reader, move || {
                    (self == Self::PipeData).then(|| {
                        writer.write_all(b"x").unwrap();
                        writer.into()
                    })
                })
            }
            Self::PipeRoom | Self::ReaderGone => {
                let (reader, writer) = io::pipe().unwrap();
                fdio::set_nonblocking(reader.as_fd()).unwrap();
                fdio::set_nonblocking(writer.as_fd()).unwrap();
                fill(&writer);
                stage(writer, move || {
                    (self == Self::PipeRoom).then(|| {
                        drain(&reader);
                        reader.into()
                    })
                })
            }
        }
    }
}

fn stage(watched: impl Into<OwnedFd>, trigger: impl FnOnce() -> Option<OwnedFd> + 'static) -> Stage {
    Stage {
        watched: watched.into(),
        trigger: Box::new(trigger),
    }
}

fn stage_socket(trigger: impl FnOnce(std::os::unix::net::UnixStream) -> Option<OwnedFd> + 'static) -> Stage {
    let (near, far) = pair();
    fill(&near);
    stage(near, move || trigger(far))
}

fn stage_urgent() -> Stage {
    let (near, far) = tcp_pair();
    let watched = near.try_clone().unwrap();
    stage(watched, move || {
        socket::send_out_of_band(far.as_fd(), b'!').unwrap();
        let mut asked = [poll::PollFd::new(near.as_raw_fd(), poll::Events::PRI)];
        assert_eq!(poll::poll(&mut asked, None).unwrap(), 1, "it has come");
        Some(far.into())
    })
}

/// Reads until there is nothing.
fn drain(mut reader: impl Read) {
    while reader.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

/// The calls that an event gets of a readiness: one with what it asked for; an error reaches also those that did not ask.
pub fn calls(readiness: Readiness, interest: Interest) -> Vec<Causes> {
    let hit = Causes::from(readiness.of(interest));
    if !hit.is_empty() {
        vec![hit]
    } else if readiness.contains(Readiness::ERROR) {
        vec![Causes::ERROR]
    } else {
        vec![]
    }
}

/// An event whose calls are logged, and its descriptor if it does not own it.
struct Watched {
    key: EventKey,
    log: Log<Causes>,
    raw: Option<OwnedFd>,
}

/// Gets an interest to the loop.
fn enter(lp: &mut Loop, watched: OwnedFd, interest: Interest, mode: Mode, way: Way) -> Result<Watched, Error> {
    let log = Log::new();
    let seen = log.clone();
    let note = move |fired: Fired| seen.push(fired.causes());
    let raw = RawIo::new(watched.as_raw_fd(), interest).mode(mode);
    let key = match way {
        Way::Own => {
            let event = Io::new(watched, interest).mode(mode);
            let key = lp.events().try_insert(event, move |_, _, fired| note(fired))?;
            return Ok(Watched { key, log, raw: None });
        }
        Way::Insert => lp.events().try_insert(raw, move |_, (), fired| note(fired))?,
        Way::Add => {
            let key = lp.events().insert(raw.disarmed(), move |_, (), fired| note(fired));
            lp.events().add(key)?;
            key
        }
        Way::Change => {
            let other = if interest == Interest::READ {
                Interest::WRITE
            } else {
                Interest::READ
            };
            let other = RawIo::new(watched.as_raw_fd(), other).mode(mode);
            let key = lp.events().insert(other, move |_, (), fired| note(fired));
            lp.pass();
            assert_eq!(log.take(), [], "the other condition has not come about");
            lp.events().set_interest(key, interest)?;
            key
        }
    };
    let raw = Some(watched);
    Ok(Watched { key, log, raw })
}

/// What a cell does with an interest in a mode. Panics if it accepts it and then does not report as it should.
pub fn measure(cell: &Cell, interest: Interest, mode: Mode, way: Way) -> Answer {
    let mut came = Causes::empty();
    for single in SINGLE.into_iter().filter(|&single| interest.contains(single)) {
        match perform(cell, Condition::of(single), interest, mode, way) {
            Answer::Reported(causes) => came |= causes,
            refused @ Answer::Refused(_) => return refused,
        }
    }
    Answer::Reported(came)
}

/// Brings a condition about on a descriptor that is watched in this way, and sees it reported as often as the mode says.
pub fn perform(cell: &Cell, condition: Condition, interest: Interest, mode: Mode, way: Way) -> Answer {
    let what = format!("{condition:?}, {interest:?}, {mode:?}, {way:?}");
    let mut lp = cell.open();
    let Stage { watched, trigger } = condition.stage();
    let expected = calls(condition.after(lp.events().features()), interest);
    // What is there before would use up an edge or a one-shot: then the condition comes about first.
    let comes_later = calls(condition.before(), interest).is_empty();
    let mut trigger = Some(trigger);
    let mut kept = None;
    if !comes_later {
        kept = trigger.take().and_then(|trigger| trigger());
    }
    let Watched { key, log, raw } = match enter(&mut lp, watched, interest, mode, way) {
        Ok(watched) => watched,
        Err(Error::Update(UpdateError::Unsupported(missing))) => return Answer::Refused(missing),
        Err(error) => panic!("{what}: {error:?}"),
    };
    if comes_later {
        lp.pass();
        assert_eq!(log.take(), [], "{what}: before");
        kept = trigger.take().and_then(|trigger| trigger());
    }
    lp.pass();
    let came = log.take();
    assert_eq!(came, expected, "{what}: after");
    lp.pass();
    let again = match mode {
        Mode::Level | Mode::Exclusive => &expected[..],
        Mode::Edge | Mode::OneShot => &[],
    };
    assert_eq!(log.take(), again, "{what}: in the next turn");
    assert!(lp.events().is_pending(key).unwrap(), "{what}: it stays added");
    let once_more = match mode {
        Mode::Level | Mode::Exclusive | Mode::OneShot => &expected[..],
        Mode::Edge => &[],
    };
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), once_more, "{what}: added once more");
    lp.events().set_interest(key, interest).unwrap();
    lp.pass();
    assert_eq!(log.take(), once_more, "{what}: given its interest once more");
    lp.events().delete(key).unwrap();
    lp.events().add(key).unwrap();
    lp.pass();
    assert_eq!(log.take(), expected, "{what}: added again");
    lp.events().delete(key).unwrap();
    assert_eq!((lp.pass(), log.take()), (Outcome::Empty, vec![]), "{what}: deleted");
    drop((raw, kept));
    Answer::Reported(came.into_iter().collect())
}

/// What became of a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAnswer {
    /// It was accepted; it is ready for this, always.
    Ready(Causes),
    /// It was refused for want of these abilities, as any file is.
    Refused(Features),
    /// The kernel refused it because it is a regular file (`EPERM`), when the event was added.
    NotPermitted,
    /// The same, told by a call with `ERROR`, as the change was deferred.
    ToldLater,
}

/// What a cell does with a regular file.
pub fn measure_file(cell: &Cell, interest: Interest, mode: Mode, way: Way) -> FileAnswer {
    let what = format!("a regular file, {interest:?}, {mode:?}, {way:?}");
    let mut lp = cell.open();
    let file = File::open("/proc/self/exe").unwrap();
    let Watched { key, log, raw } = match enter(&mut lp, file.into(), interest, mode, way) {
        Ok(watched) => watched,
        Err(Error::Update(UpdateError::Unsupported(missing))) => return FileAnswer::Refused(missing),
        Err(Error::Update(UpdateError::Io(error))) if error.raw_os_error() == Some(errno::EPERM) => {
            assert_eq!(lp.pass(), Outcome::Empty, "{what}: nothing is left");
            return FileAnswer::NotPermitted;
        }
        Err(error) => panic!("{what}: {error:?}"),
    };
    lp.pass();
    let came = log.take();
    if came == [Causes::ERROR] && !lp.events().is_pending(key).unwrap() {
        assert_eq!((lp.pass(), log.take()), (Outcome::Empty, vec![]), "{what}: told once");
        return FileAnswer::ToldLater;
    }
    lp.pass();
    let again = if mode == Mode::Level { &came[..] } else { &[] };
    assert_eq!(log.take(), again, "{what}: in the next turn");
    assert!(came.len() <= 1, "{what}: {came:?}");
    drop(raw);
    FileAnswer::Ready(came.into_iter().collect())
}

/// What a condition brings to events that wait for one thing each, level-triggered.
fn brought(cell: &Cell, condition: Condition) -> Causes {
    let came =
        SINGLE.into_iter().filter_map(
            |interest| match perform(cell, condition, interest, Mode::Level, Way::Insert) {
                Answer::Reported(causes) => Some(causes),
                Answer::Refused(_) => None,
            },
        );
    let before = Causes::from(condition.before());
    came.fold(Causes::empty(), Causes::union) - before
}

fn names(flags: impl Iterator<Item = &'static str>) -> String {
    flags.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

fn write_answer(row: &mut String, interest: Interest, answer: Answer) {
    let text = match answer {
        Answer::Reported(causes) if causes == wanted(interest) => "yes".to_string(),
        Answer::Reported(causes) => format!("as {}", names(causes.iter_names().map(|(name, _)| name))),
        Answer::Refused(missing) => format!("no {}", names(missing.iter_names().map(|(name, _)| name))),
    };
    write!(row, " {text} |").expect("a string takes text");
}

/// The rows of a backend in the first table: one for each mode.
pub fn rows(name: &str, answer: impl Fn(Interest, Mode) -> Answer) -> Vec<String> {
    let row = |mode| {
        let mut row = format!("| {name} | {mode:?} |");
        for interest in INTERESTS {
            write_answer(&mut row, interest, answer(interest, mode));
        }
        row
    };
    MODES.into_iter().map(row).collect()
}

/// The rows of the first table as they are measured in a cell.
pub fn measured_rows(cell: &Cell) -> Vec<String> {
    rows(cell.backend.name, |interest, mode| {
        measure(cell, interest, mode, Way::Insert)
    })
}

/// What a condition brings in the second table.
pub fn condition_entry(cell: &Cell, condition: Condition) -> String {
    names(brought(cell, condition).iter_names().map(|(name, _)| name))
}

fn file_entry(cell: &Cell) -> String {
    let mut ready = Causes::empty();
    for interest in SINGLE {
        match measure_file(cell, interest, Mode::Level, Way::Insert) {
            FileAnswer::Ready(causes) => ready |= causes,
            FileAnswer::Refused(_) => {}
            FileAnswer::NotPermitted | FileAnswer::ToldLater => return "refused: `EPERM`".to_string(),
        }
    }
    format!("always {}", names(ready.iter_names().map(|(name, _)| name)))
}

/// The rows of the second table: what each condition brings in each of the cells.
pub fn condition_rows(cells: &[Cell]) -> Vec<String> {
    let row = |name: &str, entry: &dyn Fn(&Cell) -> String| {
        let entries: Vec<String> = cells.iter().map(entry).collect();
        format!("| {name} | {} |", entries.join(" | "))
    };
    let mut rows: Vec<String> = CONDITIONS
        .into_iter()
        .map(|condition| row(condition.name(), &|cell| condition_entry(cell, condition)))
        .collect();
    rows.push(row("a regular file", &file_entry));
    rows
}

/// The mechanisms of the system: those whose answers the tables show.
pub fn is_shown(backend: BackendCell) -> bool {
    ["epoll", "poll", "select", "kqueue"].contains(&backend.name)
}

/// Prints both tables.
pub fn print() -> ExitCode {
    match panic::catch_unwind(AssertUnwindSafe(print_tables)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn print_tables() {
    let driver = Driver::Local;
    let shown = BACKENDS.into_iter().filter(|&backend| is_shown(backend));
    let (cells, absent): (Vec<Cell>, Vec<Cell>) = shown
        .map(|backend| Cell { backend, driver })
        .partition(|cell| cell.check().is_ok());
    let header = INTERESTS.map(|interest| names(interest.iter_names().map(|(name, _)| name)));
    println!("| backend | mode | {} |", header.join(" | "));
    println!("|---|---|{}", "---|".repeat(INTERESTS.len()));
    for cell in &cells {
        print_rows(&measured_rows(cell));
    }
    for cell in &absent {
        let name = format!("{} (not measured here)", cell.backend.name);
        let derived = match cell.backend.name {
            "kqueue" => rows(&name, |interest, mode| rule(KQUEUE, interest, mode)),
            _ => vec![format!("| {name} |")],
        };
        print_rows(&derived);
    }
    let names: Vec<&str> = cells.iter().map(|cell| cell.backend.name).collect();
    println!("\n| | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(cells.len()));
    print_rows(&condition_rows(&cells));
}

fn print_rows(rows: &[String]) {
    for row in rows {
        println!("{row}");
    }
}
