//! Frames for the comparison: those of unit tests, mutations of them, and captures.

/// A generator of random numbers with a fixed seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    pub(super) fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_be_bytes();
        byte
    }
}

/// A frame with a few bytes changed, most of them in the headers, and possibly truncated.
pub(super) fn mutated(frame: &[u8], random: &mut Random) -> Vec<u8> {
    const TYPICAL: [u8; 16] = [0, 1, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 0x45, 0x46, 0x60, 0xff];
    let mut frame = frame.to_vec();
    for _ in 0..random.below(5) {
        let reach = if random.below(2) == 0 { 60 } else { frame.len() };
        let at = random.below(reach.min(frame.len()));
        let byte =
            if random.below(2) == 0 { random.byte() } else { TYPICAL[random.below(TYPICAL.len())] };
        if let Some(place) = frame.get_mut(at) {
            *place = byte;
        }
    }
    if random.below(3) == 0 {
        frame.truncate(random.below(frame.len() + 1));
    }
    frame
}

pub(super) fn ethernet(ether_type: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), packet].concat()
}

fn ipv4(first: u8, total_len: u16, fragment: u16, (protocol, rest): (u8, &[u8])) -> Vec<u8> {
    let mut packet = vec![first, 0];
    packet.extend(total_len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(rest);
    ethernet(0x0800, &packet)
}

fn ipv6(payload_len: u16, next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(payload_len.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20; 16]);
    packet.extend([0x21; 16]);
    packet.extend(rest);
    ethernet(0x86dd, &packet)
}

const PORTS: [u8; 8] = [0x10, 0x00, 0x00, 0x50, 0, 8, 0, 0];

/// A frame with `count` VLAN tags.
pub(super) fn tagged(count: usize) -> Vec<u8> {
    let inner = ipv4(0x45, 28, 0, (17, &PORTS));
    let mut tagged = inner[..12].to_vec();
    for at in 0..count {
        tagged.extend([[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]][at % 3]);
        tagged.extend([0, 5]);
    }
    tagged.extend(&inner[12..]);
    tagged
}

/// A packet of IPv6 with `count` extension headers before UDP.
pub(super) fn extended(count: usize) -> Vec<u8> {
    let kinds = [0, 43, 60, 51];
    let mut rest = Vec::new();
    for at in 0..count {
        let next = if at + 1 == count { 17 } else { kinds[(at + 1) % 4] };
        let len = u8::try_from(at % 3).unwrap();
        let bytes = if at % 4 == 3 { (len + 2) * 4 } else { (len + 1) * 8 };
        rest.extend([next, len]);
        rest.extend(vec![3; usize::from(bytes) - 2]);
    }
    rest.extend(PORTS);
    ipv6(u16::try_from(rest.len()).unwrap(), if count == 0 { 17 } else { 0 }, &rest)
}

/// The frames of the unit tests of `dataplane::headers`, and similar ones.
pub(super) fn headers() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let with_options = [&[1; 4], &PORTS[..]].concat();
    for total_len in [0, 19, 20, 23, 24, 28, 29, 32, 33, 36, 9_999] {
        for first in [0x44, 0x45, 0x46, 0x4f, 0x65] {
            for fragment in [0, 0x2000, 0x2001, 0x1fff, 0x4000] {
                for protocol in [1, 6, 17, 132] {
                    frames.push(ipv4(first, total_len, fragment, (protocol, &with_options)));
                }
            }
        }
    }
    let chain = [
        &[60, 0, 0, 0, 0, 0, 0, 0][..],
        &[51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[6, 0, 0, 1, 0, 0, 0, 9],
        &PORTS,
    ]
    .concat();
    let len = u16::try_from(chain.len()).unwrap();
    for stated in [0, len - 5, len - 1, len, len + 1] {
        frames.push(ipv6(stated, 0, &chain));
        frames.push(ipv6(stated, 17, &PORTS));
    }
    for next in [17, 60, 6, 255] {
        for offset in [0, 1, 8, 0xff] {
            let fragment = [&[next, 0, 0, offset, 0, 0, 0, 9], &PORTS[..]].concat();
            frames.push(ipv6(16, 44, &fragment));
        }
    }
    frames.extend((0..=16).map(tagged));
    frames.extend((0..=16).map(extended));
    frames.extend([0x0806, 0x88cc, 0x0026, 0x8864].map(|other| ethernet(other, &[0; 50])));
    frames
}
