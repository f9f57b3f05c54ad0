//! The bindings of poll and select against the kernel.

use std::io::{Write, pipe};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use ev_sys::poll::{self, Events, PollFd};
use ev_sys::select::{FdSet, select};
use ev_sys::{errno, process, socket};

const NOTHING: RawFd = 1_000_000_000;

fn set(members: &[RawFd]) -> FdSet {
    let mut set = FdSet::new();
    for &fd in members {
        set.insert(fd);
    }
    set
}

#[test]
fn poll_returns_conditions_by_target() {
    let (reader, mut writer) = pipe().unwrap();
    let (ended, end) = pipe().unwrap();
    let (gone, broken) = pipe().unwrap();
    drop((end, gone));
    writer.write_all(b"a").unwrap();
    let mut fds = [
        PollFd::new(reader.as_raw_fd(), Events::IN),
        PollFd::new(writer.as_raw_fd(), Events::IN | Events::OUT),
        PollFd::new(ended.as_raw_fd(), Events::empty()),
        PollFd::new(broken.as_raw_fd(), Events::empty()),
        PollFd::new(NOTHING, Events::IN),
        PollFd::new(-1, Events::IN),
    ];
    assert_eq!(poll::poll(&mut fds, None).unwrap(), 5);
    let returned: Vec<_> = fds.iter().map(PollFd::returned).collect();
    assert_eq!(
        returned,
        [
            Events::IN,
            Events::OUT,
            Events::HUP,
            Events::ERR,
            Events::NVAL,
            Events::empty()
        ]
    );
    assert_eq!(
        (fds[1].target(), fds[1].asked()),
        (writer.as_raw_fd(), Events::IN | Events::OUT)
    );
}

#[test]
fn no_wait_is_short() {
    let (reader, _writer) = pipe().unwrap();
    for nanoseconds in [0, 1, 1_000_000, 1_200_001] {
        let timeout = Duration::from_nanos(nanoseconds);
        let start = Instant::now();
        assert_eq!(
            poll::poll(&mut [PollFd::new(reader.as_raw_fd(), Events::IN)], Some(timeout)).unwrap(),
            0
        );
        assert!(start.elapsed() >= timeout);
        let start = Instant::now();
        let mut read = set(&[reader.as_raw_fd()]);
        assert_eq!(
            select(&mut read, &mut FdSet::new(), &mut FdSet::new(), Some(timeout)).unwrap(),
            0
        );
        assert!(start.elapsed() >= timeout);
        assert!(!read.contains(reader.as_raw_fd()));
    }
}

#[test]
fn select_leaves_what_is_ready() {
    let (idle, _writer) = pipe().unwrap();
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    let mut read = set(&[idle.as_raw_fd(), reader.as_raw_fd()]);
    let mut write = set(&[writer.as_raw_fd()]);
    assert_eq!(select(&mut read, &mut write, &mut FdSet::new(), None).unwrap(), 2);
    assert!(read.contains(reader.as_raw_fd()) && !read.contains(idle.as_raw_fd()));
    assert!(write.contains(writer.as_raw_fd()));
}

/// Where C's `FD_SET` writes out of bounds.
#[test]
fn select_goes_beyond_the_fd_set_of_c() {
    let limit = process::raise_descriptor_limit().unwrap();
    assert!(
        limit > 1200,
        "the hard limit of {limit} descriptors is too low for this test"
    );
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    let duplicates: Vec<_> = (0..1100).map(|_| reader.try_clone().unwrap()).collect();
    let highest = duplicates.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    assert!(highest >= 1024);
    let mut read = set(&[highest, reader.as_raw_fd()]);
    let mut except = set(&[reader.as_raw_fd()]);
    assert_eq!(select(&mut read, &mut FdSet::new(), &mut except, None).unwrap(), 2);
    assert!(read.contains(highest) && read.contains(reader.as_raw_fd()));
    assert!(!except.contains(reader.as_raw_fd()));

    // Nobody gets a number as high as this when it is closed.
    assert!(process::is_open(highest));
    drop(duplicates);
    assert!(!process::is_open(highest) && !process::is_open(-1));
    let refused = select(&mut set(&[highest]), &mut FdSet::new(), &mut FdSet::new(), None);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(errno::EBADF));
}

#[test]
fn out_of_band_data_is_exceptional() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    socket::send_out_of_band(client.as_fd(), b'!').unwrap();
    let mut fds = [PollFd::new(server.as_raw_fd(), Events::PRI)];
    assert_eq!(poll::poll(&mut fds, None).unwrap(), 1);
    assert_eq!(fds[0].returned(), Events::PRI);
    let mut except = set(&[server.as_raw_fd()]);
    assert_eq!(
        select(&mut FdSet::new(), &mut FdSet::new(), &mut except, None).unwrap(),
        1
    );
    assert!(except.contains(server.as_raw_fd()));
    let (_reader, writer) = pipe().unwrap();
    socket::send_out_of_band(writer.as_fd(), b'!').expect_err("a pipe has no such thing");
}
