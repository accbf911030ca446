//! Captures in, captures out: the golden cases of `pcaps/`, and what AWS, tshark and captures of
//! other projects say about the output of `replay`.

mod aws_capture;
mod replay;
mod shared_captures;
mod tshark;
