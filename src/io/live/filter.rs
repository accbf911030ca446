//! The kernel's filter in front of a ring: classic BPF that keeps our own copies out.

use std::io;

use socket2::{SockFilter, Socket};

/// `SKF_AD_OFF` and `SKF_AD_MARK` of `linux/filter.h`.
const MARK: u32 = 0xffff_f000 + 20;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// More than any frame has.
pub(super) const WHOLE: u32 = 0x0004_0000;

/// Lets through what does not bear our mark, cut to `snap_len` bytes.
pub(super) fn without_own(mark: Option<u32>, snap_len: u32) -> Vec<SockFilter> {
    let Some(mark) = mark else { return vec![SockFilter::new(RETURN, 0, 0, snap_len)] };
    vec![
        SockFilter::new(LOAD_WORD, 0, 0, MARK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, mark),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, snap_len),
    ]
}

/// Lets nothing through.
pub(super) fn nothing() -> Vec<SockFilter> {
    vec![SockFilter::new(RETURN, 0, 0, 0)]
}

/// Puts a filter in the place of the one before.
pub(super) fn attach(socket: &Socket, filter: &[SockFilter]) -> io::Result<()> {
    socket.attach_filter(filter)
}
