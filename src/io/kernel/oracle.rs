//! The decision of a table as programs that return it, without a device: what tests compare with
//! [`MirrorTable`].

use std::io;

use super::btf::KernelTypes;
use super::error::KernelTierError;
use super::generation::DIRECTIONS;
use super::programs::load;
use crate::dataplane::kernel::{KernelOutcome, KernelTable};
use crate::dataplane::{MirrorOutcome, MirrorTable};
use crate::io::sys::bpf::{Map, MapKind, Program};
use crate::io::sys::capability;
use crate::model::Direction;

/// The decision of the first interface of a table, in the kernel.
///
/// ```no_run
/// # use traffic_mirror::dataplane::{MirrorTable, TableParts};
/// # use traffic_mirror::io::kernel::KernelOracle;
/// # use traffic_mirror::model::Direction;
/// let table = MirrorTable::new(TableParts::default());
/// let oracle = KernelOracle::load(&table)?;
/// let outcome = oracle.outcome(Direction::Ingress, &[0; 60])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KernelOracle {
    table: KernelTable,
    /// The program of each direction, and its tables.
    programs: Vec<(Program, Map)>,
}

impl KernelOracle {
    /// Translates and loads a table.
    ///
    /// # Errors
    /// The table does not fit, the kernel rejects a program, or a capability is missing.
    pub fn load(table: &MirrorTable) -> Result<Self, KernelTierError> {
        let missing = capability::missing_capabilities();
        if !missing.is_empty() {
            let missing = missing.into_iter().map(str::to_owned).collect();
            return Err(KernelTierError::MissingCapabilities(missing));
        }
        let types = KernelTypes::read()?;
        let table = KernelTable::new(table)?;
        let unused = Map::create(MapKind::Array, 8, 1)?;
        let load_one = |direction| {
            let bytes = table.tables(direction);
            let tables = Map::create(MapKind::Array, bytes.len().max(8), 1)?;
            if !bytes.is_empty() {
                tables.update(0, bytes)?;
            }
            let program = load(&table.oracle(direction)?, &[&unused, &tables], &types)?;
            Ok::<_, KernelTierError>((program, tables))
        };
        let programs = DIRECTIONS.into_iter().map(load_one).collect::<Result<_, _>>()?;
        Ok(Self { table, programs })
    }

    /// The outcome of a frame of 14 bytes or more, without its Ethernet frame check sequence;
    /// `None` if the program returns an unknown number, which is a defect.
    ///
    /// # Errors
    /// The kernel cannot run the program on this frame: it is too short or longer than a page.
    pub fn outcome(&self, direction: Direction, frame: &[u8]) -> io::Result<Option<MirrorOutcome>> {
        let [ingress, egress] = &*self.programs else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (program, _) = match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        let number = program.test_run(frame)?;
        Ok(self.table.outcomes().meaning(KernelOutcome::new(number)))
    }
}
