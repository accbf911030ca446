//! Tests when a path resolves its route and what it keeps of it.

use super::*;
use crate::dataplane::TargetIndex;
use crate::io::udp::options::UdpOptions;

const NOW_NS: u64 = 7_000;

fn path() -> (Path, Arc<Egress>, Warnings) {
    let egress = Arc::new(Egress::new(UdpOptions::default()));
    let path_key = PathKey {
        target: TargetIndex::FIRST,
        destination: "127.0.0.1:4789".parse().unwrap(),
        source: "127.0.0.1".parse().unwrap(),
        is_in_geneve: false,
    };
    let mut warnings = Warnings::default();
    let path = Path::new(path_key, Arc::clone(&egress), 0, &mut warnings);
    (path, egress, warnings)
}

fn is_known(egress: &Egress, path: &Path) -> bool {
    egress.known_route(path.path_key.route_id()).is_some()
}

/// Removes all routes, as when the last session of a target has ended.
fn forget_routes(egress: &Egress) {
    egress.prepare([].into_iter());
}

#[test]
fn only_used_paths_resolve_their_route_again() {
    let (mut path, egress, mut warnings) = path();
    forget_routes(&egress);
    path.follow_route(NOW_NS, &mut warnings);
    assert!(!is_known(&egress, &path));
    path.renew_route(NOW_NS, &mut warnings);
    assert!(is_known(&egress, &path));
}

#[test]
fn refusals_of_one_burst_resolve_the_route_once() {
    let (mut path, egress, mut warnings) = path();
    let mut resolves = |path: &mut Path, now_ns| {
        forget_routes(&egress);
        path.resolve_again(now_ns, &mut warnings);
        is_known(&egress, path)
    };
    assert!(resolves(&mut path, NOW_NS));
    assert!(!resolves(&mut path, NOW_NS));
    assert!(resolves(&mut path, NOW_NS + 1));
}

/// Loopback devices have no neighbours, so frames will never be possible.
#[test]
fn a_path_without_ethernet_needs_no_next_hop() {
    let (path, ..) = path();
    assert!(path.frame.is_none() && !path.awaits_next_hop());
}

#[test]
fn segmentation_stays_off_after_a_route_change() {
    let (mut path, _, mut warnings) = path();
    let segmenting = EgressRoute { segments: true, ..EgressRoute::clone(&path.route) };
    path.take_route(Arc::new(segmenting.clone()), NOW_NS, &mut warnings);
    assert!(path.segments);
    for _ in 0..2 {
        path.stop_segmentation(&io::Error::from_raw_os_error(libc::EIO), &mut warnings);
        path.take_route(Arc::new(segmenting.clone()), NOW_NS, &mut warnings);
        assert!(!path.segments);
    }
    assert_eq!(warnings.take().len(), 1);
}
