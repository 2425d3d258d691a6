//! The only network of a new namespace, `lo`, is down when it begins.

use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::fault::{Doing as _, Done, Fault};

/// The index of `lo` in every network namespace.
const LOOPBACK: i32 = 1;

/// Brings it up: 127.0.0.0/8 and ::1 are its addresses from then on (rtnetlink(7), RTM_NEWLINK).
pub(super) fn up() -> Done {
    let route =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .doing("open a netlink socket")?;
    sendto(route.as_raw_fd(), &request(), &NetlinkAddr::new(0, 0), MsgFlags::empty())
        .doing("bring the loopback up")?;
    let mut answer = [0; 64];
    let length = recv(route.as_raw_fd(), &mut answer, MsgFlags::empty()).doing("bring the loopback up")?;
    match error_of(answer.get(..length).unwrap_or_default()) {
        Some(0) => Ok(()),
        other => Err(Fault::new(format!("cannot bring the loopback up: the kernel answered {other:?}"))),
    }
}

/// `struct nlmsghdr` and `struct ifinfomsg`, in the byte order of the host.
fn request() -> Vec<u8> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK).unwrap_or_default().to_ne_bytes();
    let (kind, up) = (libc::RTM_NEWLINK.to_ne_bytes(), libc::IFF_UP.to_ne_bytes());
    let header = [&32_u32.to_ne_bytes()[..], &kind, &flags, &1_u32.to_ne_bytes(), &0_u32.to_ne_bytes()];
    let message = [&[0_u8; 4][..], &LOOPBACK.to_ne_bytes(), &up, &up];
    [header.concat(), message.concat()].concat()
}

/// The error of an NLMSG_ERROR, 0 for none; nothing when it is another message.
fn error_of(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (i32::from(kind) == libc::NLMSG_ERROR).then_some(error)
}
