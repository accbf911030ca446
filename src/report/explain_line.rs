//! One line of `explain`, as text or JSON: the decision about a frame at a network interface.

use std::fmt::Write;

use serde::Serialize;

use super::flow::Flow;
use crate::dataplane::{
    CompiledSession, DropCause, FlowKey, Frame, MirrorOutcome, MirrorTable, NotMirrored,
    SessionIndex, SessionMatch, Verdict,
};
use crate::model::{FilterRule, RuleAction};

/// The format of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Text for people.
    Text,
    /// A JSON object.
    Json,
}

/// The decision about a frame at a network interface.
#[derive(Debug, Serialize)]
pub struct ExplainLine {
    number: u64,
    timestamp_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_interface_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(flatten)]
    flow: Flow,
    length: usize,
    #[serde(flatten)]
    verdict: ExplainedVerdict,
}

#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
enum ExplainedVerdict {
    Mirrored {
        traffic_mirror_session_id: String,
        session_number: u16,
        #[serde(flatten)]
        by: MatchedBy,
        virtual_network_id: u32,
        mirrored_length: usize,
        truncated: bool,
    },
    /// A session accepted the frame, but its target has no address.
    Dropped {
        cause: &'static str,
        traffic_mirror_session_id: String,
        session_number: u16,
        #[serde(flatten)]
        by: MatchedBy,
        traffic_mirror_target_id: String,
    },
    NotMirrored {
        reason: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sessions: Vec<SessionDecision>,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum MatchedBy {
    Rule {
        rule_number: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        traffic_mirror_filter_rule_id: Option<String>,
    },
    Service {
        network_service: &'static str,
    },
}

/// The decision of a session that did not mirror the frame.
#[derive(Debug, Serialize)]
struct SessionDecision {
    traffic_mirror_session_id: String,
    session_number: u16,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_number: Option<u16>,
}

impl ExplainLine {
    /// The decision on frame `number` of a capture, from 1.
    #[must_use]
    pub fn new(table: &MirrorTable, number: u64, frame: &Frame<'_>, verdict: &Verdict) -> Self {
        let interface = verdict.interface.and_then(|index| table.interface(index));
        Self {
            number,
            timestamp_ns: frame.timestamp_ns,
            network_interface_id: interface.map(|one| one.id().to_string()),
            direction: interface.map(|_| verdict.direction.as_str()),
            flow: Flow::from_frame(frame),
            length: frame.captured_len(),
            verdict: explain_verdict(table, frame, verdict),
        }
    }

    /// The line with its end.
    #[must_use]
    pub fn format_line(&self, format: ExplainFormat) -> String {
        match format {
            ExplainFormat::Json => {
                serde_json::to_string(self).map(|line| line + "\n").unwrap_or_default()
            }
            ExplainFormat::Text => self.text(),
        }
    }

    fn text(&self) -> String {
        let (seconds, nanoseconds) =
            (self.timestamp_ns / 1_000_000_000, self.timestamp_ns % 1_000_000_000);
        let mut text =
            format!("{} {seconds}.{nanoseconds:09} {}", self.number, self.flow.description);
        if let (Some(direction), Some(interface)) = (self.direction, &self.network_interface_id) {
            let _ = write!(text, " {direction} {interface}");
        }
        let _ = match &self.verdict {
            ExplainedVerdict::Mirrored {
                traffic_mirror_session_id: id,
                session_number,
                by,
                virtual_network_id,
                mirrored_length,
                truncated,
            } => {
                let by = by.text();
                let of = if *truncated { format!(" of {}", self.length) } else { String::new() };
                writeln!(
                    text,
                    ": mirrored by session {session_number} ({id}), {by}; VNI {virtual_network_id}, {mirrored_length}{of} bytes"
                )
            }
            ExplainedVerdict::Dropped {
                cause,
                traffic_mirror_session_id: id,
                session_number,
                by,
                traffic_mirror_target_id: target,
            } => {
                let by = by.text();
                writeln!(
                    text,
                    ": dropped, {cause}: accepted by session {session_number} ({id}), {by}; target \
                     {target} has no address"
                )
            }
            ExplainedVerdict::NotMirrored { reason, sessions } => {
                let decisions: Vec<String> = sessions.iter().map(SessionDecision::text).collect();
                let decisions = if decisions.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", decisions.join("; "))
                };
                writeln!(text, ": not mirrored, {reason}{decisions}")
            }
        };
        text
    }
}

impl MatchedBy {
    fn text(&self) -> String {
        match self {
            Self::Rule { rule_number, traffic_mirror_filter_rule_id: None } => {
                format!("rule {rule_number}")
            }
            Self::Rule { rule_number, traffic_mirror_filter_rule_id: Some(id) } => {
                format!("rule {rule_number} ({id})")
            }
            Self::Service { network_service } => format!("network service {network_service}"),
        }
    }
}

impl SessionDecision {
    fn text(&self) -> String {
        let number = self.session_number;
        match self.rule_number {
            Some(rule) => format!("session {number}: {} by rule {rule}", self.decision),
            None => format!("session {number}: {}", self.decision.replace('_', " ")),
        }
    }
}

fn explain_verdict(table: &MirrorTable, frame: &Frame<'_>, verdict: &Verdict) -> ExplainedVerdict {
    match verdict.outcome {
        MirrorOutcome::Mirrored(matched) => accepted(table, frame, matched)
            .unwrap_or(ExplainedVerdict::NotMirrored { reason: "", sessions: Vec::new() }),
        MirrorOutcome::NotMirrored(reason) => ExplainedVerdict::NotMirrored {
            reason: reason.label(),
            sessions: match reason {
                NotMirrored::NoSessionMatched => session_decisions(table, frame, verdict),
                _ => Vec::new(),
            },
        },
    }
}

/// The verdict on a frame that a session accepted.
fn accepted(
    table: &MirrorTable,
    frame: &Frame<'_>,
    matched: SessionMatch,
) -> Option<ExplainedVerdict> {
    let session = table.session(matched.session)?;
    let by = match rule(session, matched) {
        Some(rule) => MatchedBy::Rule {
            rule_number: rule.number().value(),
            traffic_mirror_filter_rule_id: rule.id.as_ref().map(ToString::to_string),
        },
        None => MatchedBy::Service { network_service: crate::model::Filter::AMAZON_DNS },
    };
    if !table.has_target_address(matched.session) {
        let target = table.target(session.target);
        return Some(ExplainedVerdict::Dropped {
            cause: DropCause::NoTargetAddress.label(),
            traffic_mirror_session_id: session.id.to_string(),
            session_number: session.number.value(),
            by,
            traffic_mirror_target_id: target.map(|one| one.id.to_string()).unwrap_or_default(),
        });
    }
    let mirrored_length = frame.captured_len().min(table.max_inner_len(matched.session));
    Some(ExplainedVerdict::Mirrored {
        traffic_mirror_session_id: session.id.to_string(),
        session_number: session.number.value(),
        by,
        virtual_network_id: session.virtual_network_id.value(),
        mirrored_length,
        truncated: mirrored_length < frame.captured_len(),
    })
}

/// Why each session of the interface did not mirror the frame.
fn session_decisions(
    table: &MirrorTable,
    frame: &Frame<'_>,
    verdict: &Verdict,
) -> Vec<SessionDecision> {
    let Ok(key) = FlowKey::parse(frame.bytes) else { return Vec::new() };
    let Some(interface) = verdict.interface else { return Vec::new() };
    let decisions = table.session_decisions(interface, verdict.direction, &key);
    let indexed = SessionIndex::enumerate(table.sessions());
    indexed
        .filter(|(_, session)| session.interface == interface)
        .map(|(index, session)| {
            let decision = decisions.iter().find(|decision| decision.matched.session == index);
            let rejecting = decision.filter(|decision| decision.action == RuleAction::Reject);
            let rule = rejecting.and_then(|decision| rule(session, decision.matched));
            SessionDecision {
                traffic_mirror_session_id: session.id.to_string(),
                session_number: session.number.value(),
                decision: if rule.is_some() { "rejected" } else { "no_rule_matched" },
                rule_number: rule.map(|rule| rule.number().value()),
            }
        })
        .collect()
}

fn rule(session: &CompiledSession, matched: SessionMatch) -> Option<&FilterRule> {
    session.filter.all_rules().get(matched.by.rule()?.get())
}
