//! Checks whether the kernel tier can mirror the sessions of an interface.

use super::does_not_fit::DoesNotFit;
use super::known_targets::check_targets;
use super::tables::MAX_RULES;
use crate::dataplane::rules::rules_of;
use crate::dataplane::table::MirrorTable;
use crate::dataplane::table_parts::CompiledSession;
use crate::model::Direction;

/// The shortest PacketLength: the kernel does not truncate a frame inside its headers
/// (`__bpf_skb_min_len` of net/core/filter.c). This is Ethernet with two tags and the longest IPv4
/// header.
pub(super) const MIN_PACKET_LENGTH: usize = 14 + 2 * 4 + 60;

/// Checks the sessions of an interface.
///
/// # Errors
/// [`DoesNotFit`] for the first session that the programs cannot express. The routes to the targets
/// and the limits of the verifier may exclude further tables.
pub fn check_fit(sessions: &[CompiledSession]) -> Result<(), DoesNotFit> {
    for session in sessions {
        if let Some(reason) = obstacle(session) {
            let (session, number) = (session.id.clone(), session.number.value());
            return Err(DoesNotFit::Session { session, number, reason });
        }
    }
    check_rules(sessions)
}

/// Checks all that is known of a table before it is translated.
///
/// # Errors
/// [`DoesNotFit`] for sessions that the programs cannot express, or too many target addresses.
pub fn check_table(table: &MirrorTable) -> Result<(), DoesNotFit> {
    check_fit(table.sessions())?;
    check_targets(table.loop_guard().known())
}

/// Whether the rules of each direction and address family fit into the tables of a program.
fn check_rules(sessions: &[CompiledSession]) -> Result<(), DoesNotFit> {
    for direction in [Direction::Ingress, Direction::Egress] {
        for is_ipv4 in [true, false] {
            let filters = sessions.iter().map(|session| &session.filter);
            let rules =
                filters.map(|filter| rules_of(filter, direction, is_ipv4).count()).sum::<usize>();
            if rules > MAX_RULES {
                return Err(DoesNotFit::Rules { rules, limit: MAX_RULES });
            }
        }
    }
    Ok(())
}

/// Why a session does not fit.
fn obstacle(session: &CompiledSession) -> Option<String> {
    let packet_length = session.packet_length.map(|length| usize::from(length.value()));
    let short = packet_length.filter(|length| *length < MIN_PACKET_LENGTH)?;
    Some(format!(
        "packet_length {short}: the kernel truncates to {MIN_PACKET_LENGTH} bytes or more"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dataplane::{InterfaceIndex, TargetIndex};
    use crate::model::{
        Filter, FilterId, PacketLength, SessionId, SessionNumber, VirtualNetworkId,
    };

    fn session(number: i64, packet_length: Option<i64>) -> CompiledSession {
        CompiledSession {
            id: SessionId::new(&format!("tms-{number}")).unwrap(),
            number: SessionNumber::new(number).unwrap(),
            interface: InterfaceIndex::FIRST,
            target: TargetIndex::new(0),
            filter: Arc::new(Filter::new(FilterId::new("tmf-1").unwrap())),
            packet_length: packet_length.map(|length| PacketLength::new(length).unwrap()),
            virtual_network_id: VirtualNetworkId::new(7).unwrap(),
            source_address: [192, 0, 2, 1].into(),
            rate_limit: None,
        }
    }

    #[test]
    fn the_first_session_that_does_not_fit_is_named() {
        let fits = [session(1, None), session(2, Some(82))];
        assert_eq!(check_fit(&fits), Ok(()));
        let short = [session(1, None), session(2, Some(81)), session(3, Some(1))];
        let refusal = check_fit(&short).unwrap_err().to_string();
        assert!(refusal.starts_with("session `tms-2` (session_number 2): packet_length 81"));
    }
}
