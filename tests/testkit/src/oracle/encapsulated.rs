//! Makes frames in copies, tunnels and ICMP errors from a string of bytes.

use super::Input;
use super::generate::{Entropy, frame};

/// A frame with up to nine layers around it, usually one to three. Some layers are truncated, as by
/// PacketLength.
pub fn encapsulated_frame(entropy: &mut Entropy<'_>) -> Input {
    let mut input = frame(entropy);
    // The jumbo frames of the generator would not fit into the layers.
    input.bytes.truncate(1_400);
    for _ in 0..[0, 1, 1, 2, 2, 2, 3, 9][entropy.below(8)] {
        if entropy.one_in(3) {
            let len = entropy.below(90);
            input.bytes.truncate(len);
        }
        input.bytes = add_layer(entropy, &input.bytes);
    }
    input
}

fn add_layer(entropy: &mut Entropy<'_>, inner: &[u8]) -> Vec<u8> {
    let packet = inner.get(14..).unwrap_or_default();
    let vxlan = [&[8, 0, 0, 0, 1, 2, 3, 0], inner].concat();
    let port = entropy.of(&[4789, 4790, 8472, 6081, 7_000]);
    let source = entropy.of(&[65_408, 65_535, 65_500, 65_500, 65_407, 40_000]);
    let ether_type = inner.get(12..14).unwrap_or(&[8, 0]).to_vec();
    match entropy.below(10) {
        0 => {
            let options = entropy.below(3);
            let head = [&[options as u8, 0], &ether_type[..], &[0; 4], &vec![1; 4 * options]];
            ip(entropy, 17, &udp(source, port, &[&head.concat(), packet].concat()))
        }
        1 => {
            let head = [&[8, 0], &ether_type[..], &[0; 4], &[1; 32]].concat();
            ip(entropy, 17, &udp(source, port, &[&head, packet].concat()))
        }
        2 => {
            let flags = entropy.of(&[0_u8, 0x80, 0x20, 0xb0, 0x40]);
            let fields = vec![3; 4 * (flags & 0xb0).count_ones() as usize];
            ip(entropy, 47, &[&[flags, 0], &ether_type[..], &fields, packet].concat())
        }
        3 => ip(entropy, 47, &[&[0, 0, 0x65, 0x58], inner].concat()),
        4 => ip(entropy, 4, packet),
        5 => ip(entropy, 41, packet),
        6 => {
            let (protocol, kind) = entropy.of(&[(1, 3), (1, 11), (58, 1), (58, 2), (1, 8)]);
            ip(entropy, protocol, &[&[kind, 0, 0, 0, 0, 0, 0, 0], packet].concat())
        }
        _ => ip(entropy, 17, &udp(source, port, &vxlan)),
    }
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    [&[from, to, len, 0].map(u16::to_be_bytes).concat(), payload].concat()
}

/// A frame of either family, possibly with a tag, to a target or to another address.
fn ip(entropy: &mut Entropy<'_>, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![2; 12];
    if entropy.one_in(5) {
        out.extend([0x81, 0, 0, 7]);
    }
    let last = entropy.of(&[1_u8, 2, 99]);
    if entropy.one_in(3) {
        out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        out.extend((body.len() as u16).to_be_bytes());
        out.extend([protocol, 64]);
        out.extend([0xfd; 16]);
        out.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // The address of a target ends in 0x99.
        out.push(if last == 99 { 0x99 } else { last });
    } else {
        let options = 4 * entropy.of(&[0_usize, 0, 0, 2]);
        out.extend([8, 0, 0x45 + (options / 4) as u8, 0]);
        out.extend(((20 + options + body.len()) as u16).to_be_bytes());
        out.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, last]);
        out.resize(out.len() + options, 1);
    }
    [&out, body].concat()
}
