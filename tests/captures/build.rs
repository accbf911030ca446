//! Builds captures byte by byte; a test can set every field.

/// The byte order of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) const BOTH: [Self; 2] = [Self::Little, Self::Big];

    pub(crate) fn u16_bytes(self, number: u16) -> [u8; 2] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(crate) fn u32_bytes(self, number: u32) -> [u8; 4] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(crate) fn i64_bytes(self, number: i64) -> [u8; 8] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32s_bytes(self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| self.u32_bytes(*number)).collect()
    }
}

pub(crate) const MICRO: u32 = 0xa1b2_c3d4;
pub(crate) const NANO: u32 = 0xa1b2_3c4d;
pub(crate) const MODIFIED: u32 = 0xa1b2_cd34;

/// A pcap file.
#[derive(Debug, Clone)]
pub(crate) struct Pcap {
    pub(crate) order: Order,
    pub(crate) magic: u32,
    pub(crate) version: (u16, u16),
    pub(crate) snaplen: u32,
    pub(crate) network: u32,
    pub(crate) records: Vec<u8>,
}

impl Pcap {
    pub(crate) fn new(order: Order, magic: u32) -> Self {
        let version = (2, 4);
        Self { order, magic, version, snaplen: 65_535, network: 1, records: Vec::new() }
    }

    /// An ordinary capture with another link type.
    pub(crate) fn of_link(network: u32) -> Self {
        Self { network, ..Self::new(Order::Little, MICRO) }
    }

    pub(crate) fn versioned(mut self, major: u16, minor: u16) -> Self {
        self.version = (major, minor);
        self
    }

    /// Adds a record at 1,000 s that is not truncated.
    pub(crate) fn whole(self, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).unwrap();
        self.record([1_000, 0, len, len], bytes)
    }

    /// Adds a record with these seconds, fraction and lengths.
    pub(crate) fn record(mut self, header: [u32; 4], bytes: &[u8]) -> Self {
        self.records.extend(self.order.u32s_bytes(&header));
        if self.magic == MODIFIED {
            self.records.extend([0xee; 8]);
        }
        self.records.extend(bytes);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = self.order.u32_bytes(self.magic).to_vec();
        file.extend(self.order.u16_bytes(self.version.0));
        file.extend(self.order.u16_bytes(self.version.1));
        file.extend([0; 8]);
        file.extend(self.order.u32s_bytes(&[self.snaplen, self.network]));
        file.extend(&self.records);
        file
    }
}

pub(crate) const SECTION: u32 = 0x0a0d_0d0a;

/// A pcapng file.
#[derive(Debug, Clone)]
pub(crate) struct Pcapng {
    order: Order,
    bytes: Vec<u8>,
}

impl Pcapng {
    /// One section without interfaces.
    pub(crate) fn new(order: Order) -> Self {
        Self { order, bytes: Vec::new() }.section(order)
    }

    /// One section with one Ethernet interface.
    pub(crate) fn ethernet(order: Order) -> Self {
        Self::new(order).interface(1, 0, &[])
    }

    /// Another section, which may be of another byte order.
    pub(crate) fn section(self, order: Order) -> Self {
        let mut body = order.u32_bytes(0x1a2b_3c4d).to_vec();
        body.extend(order.u16_bytes(1));
        body.extend(order.u16_bytes(0));
        body.extend([0xff; 8]);
        Self { order, ..self }.block(SECTION, &body)
    }

    pub(crate) fn interface(self, link_type: u16, snaplen: u32, options: &[u8]) -> Self {
        let mut body = self.order.u16_bytes(link_type).to_vec();
        body.extend([0; 2]);
        body.extend(self.order.u32_bytes(snaplen));
        body.extend(options);
        self.block(1, &body)
    }

    /// Adds an enhanced packet block that is not truncated.
    pub(crate) fn packet(self, interface: u32, ticks: u64, bytes: &[u8]) -> Self {
        self.packet_with(interface, ticks, bytes, &[])
    }

    pub(crate) fn packet_with(
        self,
        interface: u32,
        ticks: u64,
        bytes: &[u8],
        options: &[u8],
    ) -> Self {
        let len = u32::try_from(bytes.len()).unwrap();
        self.packet_of(6, [interface, len, len], ticks, &[&padded(bytes), options].concat())
    }

    /// Adds a packet block of either kind with these interface, captured and wire lengths.
    pub(crate) fn packet_of(self, kind: u32, header: [u32; 3], ticks: u64, rest: &[u8]) -> Self {
        let [interface, captured_len, wire_len] = header;
        let mut body = if kind == 2 {
            // The old block: 16 bits of interface, 16 bits of drops.
            let interface = u16::try_from(interface).unwrap();
            [self.order.u16_bytes(interface), self.order.u16_bytes(0xeeee)].concat()
        } else {
            self.order.u32_bytes(interface).to_vec()
        };
        let (high, low) = (u32::try_from(ticks >> 32).unwrap(), ticks & 0xffff_ffff);
        let low = u32::try_from(low).unwrap();
        body.extend(self.order.u32s_bytes(&[high, low, captured_len, wire_len]));
        body.extend(rest);
        self.block(kind, &body)
    }

    pub(crate) fn simple(self, wire_len: u32, bytes: &[u8]) -> Self {
        let body = [&self.order.u32_bytes(wire_len)[..], &padded(bytes)].concat();
        self.block(3, &body)
    }

    pub(crate) fn block(self, kind: u32, body: &[u8]) -> Self {
        let len = u32::try_from(body.len() + 12).unwrap();
        self.block_of(kind, [len, len], body)
    }

    /// Adds a block with these lengths at its head and tail.
    pub(crate) fn block_of(mut self, kind: u32, [head, tail]: [u32; 2], body: &[u8]) -> Self {
        self.bytes.extend(self.order.u32s_bytes(&[kind, head]));
        self.bytes.extend(body);
        self.bytes.extend(self.order.u32_bytes(tail));
        self
    }

    pub(crate) fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        [&self.order.u16_bytes(code)[..], &self.order.u16_bytes(len), &padded(value)].concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}

/// `bytes` and up to three zeros.
pub(crate) fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    padded
}
