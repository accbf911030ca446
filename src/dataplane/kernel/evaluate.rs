//! Evaluates word tables as the emitted code does, for tests without privileges.

use super::layout::key;
use super::outcome::{KernelOutcome, OutcomeList};
use super::tables::{RowIndex, WordTables};
use super::words::slot;
use crate::dataplane::flow_key::FlowKey;
use crate::dataplane::verdict::NotMirrored;

impl WordTables {
    /// The outcome for a key of the address family of the tables.
    fn evaluate(&self, key: &FlowKey) -> KernelOutcome {
        let mut place = 0;
        while let Some(word) = self.words.get(place) {
            let matches = self.fields.iter().fold(word.all(), |matches, field| {
                let column = field.columns.iter().position(|column| *column == place);
                column.map_or(matches, |column| {
                    let index = self.row(field.index, key) * field.columns.len() + column;
                    matches & u64::from_ne_bytes(self.read(field.rows, index))
                })
            });
            let guarded = (matches | word.guards).wrapping_sub(word.lows);
            let first = if word.has_groups() {
                matches & !guarded
            } else {
                matches & matches.wrapping_neg()
            };
            let accepted = first & word.accepts;
            if accepted != 0 {
                let bit = accepted & accepted.wrapping_neg();
                let number = self.read(Self::outcomes_offset(place), slot(bit));
                return KernelOutcome::new(u32::from_ne_bytes(number));
            }
            place = if matches != 0 { word.group_end } else { place + 1 };
        }
        OutcomeList::not_mirrored(NotMirrored::NoSessionMatched)
    }

    fn row(&self, index: RowIndex, key: &FlowKey) -> usize {
        match index {
            RowIndex::Byte(place) => usize::from(key.addresses[usize::try_from(place).unwrap()]),
            RowIndex::Protocol => usize::from(key.protocol),
            RowIndex::Port(_) if !key.has_ports => 0,
            RowIndex::Port(index) => {
                let is_source = index.port == key::SOURCE_PORT;
                let port = if is_source { key.source_port } else { key.destination_port };
                usize::from(if index.is_wide {
                    u16::from_ne_bytes(self.read(index.classes, usize::from(port)))
                } else {
                    u16::from(u8::from_ne_bytes(self.read(index.classes, usize::from(port))))
                })
            }
        }
    }

    fn read<const N: usize>(&self, offset: u32, index: usize) -> [u8; N] {
        let start = usize::try_from(offset).unwrap() + N * index;
        *self.bytes()[start..].first_chunk().unwrap()
    }
}

mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataplane::InterfaceIndex;
    use crate::dataplane::kernel::DoesNotFit;
    use crate::dataplane::kernel::random_rules::RandomRules;
    use crate::model::Direction;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn word_tables_give_the_outcomes_of_the_mirror_table(seed: u64) {
            let mut random = RandomRules::new(seed);
            let is_ipv4 = seed & 2 != 0;
            let direction = Direction::BOTH[random.below(2)];
            let table = random.any_table(direction, is_ipv4);
            let mut outcomes = OutcomeList::default();
            let words = WordTables::new(&table, direction, is_ipv4, &mut outcomes);
            let words = words.unwrap();
            for _ in 0..500 {
                let key = random.key(is_ipv4);
                let expected = table.decide(InterfaceIndex::FIRST, direction, &key);
                prop_assert_eq!(outcomes.meaning(words.evaluate(&key)), Some(expected), "{:?}", key);
            }
        }
    }

    #[test]
    fn too_many_rules_do_not_fit() {
        let table = |count| {
            let mut random = RandomRules::new(1);
            random.table(&[count], Direction::Ingress, true, false)
        };
        let words = |count| {
            let table = table(count);
            WordTables::new(&table, Direction::Ingress, true, &mut OutcomeList::default())
        };
        assert!(words(1_000).is_ok());
        let refused = words(2_000).unwrap_err();
        let DoesNotFit::Rules { rules, limit } = refused else { panic!("{refused}") };
        assert!(rules > limit, "{refused}");
    }
}
