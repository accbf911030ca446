//! `replay` from capture to capture: the golden cases of `pcaps/`, copies that AWS sent, tshark,
//! and captures of other projects.

mod aws_capture;
mod kernel_tier;
mod replay;
mod shared_captures;
mod tshark;
