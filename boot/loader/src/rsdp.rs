//! Finds the ACPI root pointer (RSDP) in memory that firmware filled.
//!
//! Used when the start information does not name it. The specification puts it on a 16-byte boundary
//! in the first KiB of the extended BIOS data area or between 0xE0000 and 0xFFFFF.

const SIGNATURE: &[u8; 8] = b"RSD PTR ";
/// Length of the structure's first version, over which its first checksum goes.
const SHORT_LENGTH: usize = 20;
const REVISION: usize = 15;
const LENGTH_FIELD: usize = 20;

/// Offset in `memory`, which starts on a 16-byte boundary, of the first valid RSDP.
pub fn find(memory: &[u8]) -> Option<usize> {
    (0..memory.len()).step_by(16).find(|offset| is_valid(&memory[*offset..]))
}

/// Whether an RSDP with sound checksums is at the start of `memory`.
pub fn is_valid(memory: &[u8]) -> bool {
    let Some(short) = memory.get(..SHORT_LENGTH) else { return false };
    if !short.starts_with(SIGNATURE) || !sums_to_zero(short) {
        return false;
    }
    if short[REVISION] < 2 {
        return true;
    }
    let Some(length) = memory.get(LENGTH_FIELD..LENGTH_FIELD + 4) else { return false };
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    length > SHORT_LENGTH && memory.get(..length).is_some_and(sums_to_zero)
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsdp(revision: u8) -> [u8; 36] {
        let mut bytes = [0; 36];
        bytes[..8].copy_from_slice(SIGNATURE);
        bytes[REVISION] = revision;
        bytes[8] = 0_u8.wrapping_sub(bytes[..20].iter().fold(0, |sum, b| sum.wrapping_add(*b)));
        bytes[LENGTH_FIELD] = 36;
        bytes[32] = 0_u8.wrapping_sub(bytes.iter().fold(0, |sum, b| sum.wrapping_add(*b)));
        bytes
    }

    #[test]
    fn both_versions_are_found_on_their_boundary_only() {
        for revision in [0, 2] {
            let mut memory = [0xaa; 256];
            memory[40..76].copy_from_slice(&rsdp(revision));
            assert_eq!(find(&memory), None);
            memory[96..132].copy_from_slice(&rsdp(revision));
            assert_eq!(find(&memory), Some(96));
        }
    }

    #[test]
    fn a_wrong_sum_or_a_cut_structure_does_not_count() {
        let good = rsdp(2);
        for position in 0..36 {
            let mut bad = good;
            bad[position] ^= 1;
            assert!(!is_valid(&bad), "byte {position}");
            assert!(!is_valid(&good[..position]));
        }
    }
}
