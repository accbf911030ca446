//! Reads and switches off features of a network interface (`SIOCETHTOOL`).

use std::ffi::c_char;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::ifreq;

/// Commands of `linux/ethtool.h`.
const GET_STRINGS: u32 = 0x1b;
const GET_STRING_SET_LEN: u32 = 0x37;
const GET_FEATURES: u32 = 0x3a;
const SET_FEATURES: u32 = 0x3b;

/// The set of strings that are the names of features (`ETH_SS_FEATURES`).
const FEATURE_NAMES: u32 = 4;

/// Length of a name in 32-bit words: 32 bytes (`ETH_GSTRING_LEN`).
const NAME_WORDS: usize = 8;

/// Maximum number of features; kernels have far fewer.
const MAX_FEATURES: usize = 1_024;

/// The names of all features, and whether each is active.
pub(crate) fn features(socket: BorrowedFd<'_>, device: &str) -> io::Result<Vec<(String, bool)>> {
    let mut request = EthtoolRequest { socket, device: interface_request(device)? };
    let count = request.feature_count()?;
    let names = request.feature_names(count)?;
    let active = request.active_words(count)?;
    let is_on =
        (0..count).map(|bit| active.get(bit / 32).is_some_and(|word| word >> (bit % 32) & 1 == 1));
    Ok(names.into_iter().zip(is_on).filter(|(name, _)| !name.is_empty()).collect())
}

/// Switches off the features whose names are selected, and returns those that are still active: the
/// device or its driver cannot do without them.
pub(crate) fn disable_features(
    socket: BorrowedFd<'_>,
    device: &str,
    is_selected: impl Fn(&str) -> bool,
) -> io::Result<Vec<String>> {
    let mut request = EthtoolRequest { socket, device: interface_request(device)? };
    let count = request.feature_count()?;
    let mut selected = vec![0_u32; count.div_ceil(32)];
    for (bit, name) in request.feature_names(count)?.iter().enumerate() {
        if is_selected(name)
            && let Some(word) = selected.get_mut(bit / 32)
        {
            *word |= 1 << (bit % 32);
        }
    }
    request.disable(&selected)?;
    let active = features(socket, device)?.into_iter();
    Ok(active.filter(|(name, is_on)| *is_on && is_selected(name)).map(|(name, _)| name).collect())
}

fn interface_request(device: &str) -> io::Result<ifreq> {
    // SAFETY: `ifreq` consists of numbers and a union of numbers and pointers, for which all-zero
    // bits are valid.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *slot = c_char::from_ne_bytes([byte]);
    }
    Ok(request)
}

struct EthtoolRequest<'a> {
    socket: BorrowedFd<'a>,
    device: ifreq,
}

impl EthtoolRequest<'_> {
    /// The number of features that the kernel knows.
    ///
    /// ```text
    /// | command | reserved | mask of sets, 2 words | length of the first set |
    /// ```
    fn feature_count(&mut self) -> io::Result<usize> {
        let [m0, m1, m2, m3, m4, m5, m6, m7] = (1_u64 << FEATURE_NAMES).to_ne_bytes();
        let mask = [[m0, m1, m2, m3], [m4, m5, m6, m7]].map(u32::from_ne_bytes);
        let [first, second] = mask;
        let mut words = [GET_STRING_SET_LEN, 0, first, second, 0];
        // SAFETY: the kernel writes the command, the mask, and one length for each bit that is set
        // in the mask, that is, one: five words at most.
        unsafe { self.call(&mut words)? };
        let [_, _, _, _, count] = words;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_FEATURES);
        count.ok_or_else(|| {
            io::Error::other("the kernel reports more than 1,024 interface features")
        })
    }

    /// The names of the first `count` features, in the order of their bits.
    ///
    /// ```text
    /// | command | set | count | name, 8 words | name ...
    /// ```
    fn feature_names(&mut self, count: usize) -> io::Result<Vec<String>> {
        let mut words = vec![0; 3 + MAX_FEATURES * NAME_WORDS];
        if let [command, set, ..] = &mut *words {
            (*command, *set) = (GET_STRINGS, FEATURE_NAMES);
        }
        // SAFETY: the kernel writes three words and as many names as it has features, whatever
        // count is requested. `feature_count` checked that these are at most `MAX_FEATURES`, and
        // their number does not change while a kernel runs.
        unsafe { self.call(&mut words)? };
        let names = words.get(3..).unwrap_or_default().chunks_exact(NAME_WORDS);
        Ok(names.take(count).map(text).collect())
    }

    /// The bits of the active features, 32 in each word.
    ///
    /// ```text
    /// | command | count of blocks | available, requested, active, never changed | ...
    /// ```
    fn active_words(&mut self, count: usize) -> io::Result<Vec<u32>> {
        let blocks = count.div_ceil(32);
        let mut words = vec![0; 2 + blocks * 4];
        if let [command, len, ..] = &mut *words {
            (*command, *len) = (GET_FEATURES, u32::try_from(blocks).unwrap_or_default());
        }
        // SAFETY: the kernel writes two words and no more blocks than the second of them says,
        // for which there is room.
        unsafe { self.call(&mut words)? };
        let blocks = words.get(2..).unwrap_or_default().chunks_exact(4);
        Ok(blocks.filter_map(|block| block.get(2).copied()).collect())
    }

    /// Switches off the features whose bits are set, 32 in each word. Features that cannot be changed
    /// keep their state.
    ///
    /// ```text
    /// | command | count of blocks | to be changed, new state | ...
    /// ```
    fn disable(&mut self, selected: &[u32]) -> io::Result<()> {
        let mut words = vec![SET_FEATURES, u32::try_from(selected.len()).unwrap_or_default()];
        words.extend(selected.iter().flat_map(|word| [*word, 0]));
        // SAFETY: the kernel writes nothing, and reads two words and as many blocks as the second
        // of them says, which follow.
        unsafe { self.call(&mut words) }
    }

    /// Sends the command in the first word. The kernel writes its response into `words`.
    ///
    /// # Safety
    /// The response to the command fits into `words`.
    unsafe fn call(&mut self, words: &mut [u32]) -> io::Result<()> {
        self.device.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        let device = &raw mut self.device;
        // SAFETY: `device` is a whole `ifreq` whose name ends within it and whose pointer leads to
        // `words`; both live and are held exclusively across the call, and the caller knows that
        // the answer fits.
        let failed = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, device) };
        if failed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&name).into_owned()
}
