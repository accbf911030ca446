//! The results of mirroring as values and JSON: the report of a run, and the decision on a frame.
//!
//! What belongs here: results that the command line prints and that the laboratory returns over
//! HTTP. What does not belong here: tables and colours (`cli`), metrics (`runtime`).

mod explain_line;
mod flow;
mod mirror_report;

pub use explain_line::{ExplainFormat, ExplainLine};
pub use mirror_report::{DeliveryErrors, MirrorReport, SessionSummary, TargetSummary};
