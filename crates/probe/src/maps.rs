//! Reading and writing maps, by descriptor: the same for every loader.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    slice,
};

use aya::maps::{MapData, PerCpuValues};
pub use aya::{
    Pod,
    maps::{Map, MapError, lpm_trie},
};
use libbpf_rs::libbpf_sys;

/// A hash map.
pub type Hash<K, V> = aya::maps::HashMap<MapData, K, V>;
/// A hash map with one value per possible CPU.
pub type PerCpuHash<K, V> = aya::maps::PerCpuHashMap<MapData, K, V>;
/// An array with one value per possible CPU.
pub type PerCpuArray<V> = aya::maps::PerCpuArray<MapData, V>;
/// An array.
pub type Array<V> = aya::maps::Array<MapData, V>;
/// A queue; what is added first is taken first.
pub type Queue<V> = aya::maps::queue::Queue<MapData, V>;
/// A map of prefixes; a lookup finds the longest that fits.
pub type LpmTrie<K, V> = lpm_trie::LpmTrie<MapData, K, V>;
/// A ring buffer.
pub type RingBuffer = aya::maps::RingBuf<MapData>;

/// Sets the value of every CPU at one place.
///
/// # Errors
/// When the place is not there or the map may not be written.
pub fn fill<V: Pod>(array: &mut PerCpuArray<V>, index: u32, value: V) -> Result<(), MapError> {
    let cpus = array.get(&index, 0)?.len();
    let values = PerCpuValues::try_from(vec![value; cpus])?;
    array.set(index, values, 0)
}

/// What became of taking an entry out: one that was not there is out as well.
///
/// # Errors
/// Every other error.
pub fn removed(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

/// Takes all records out of a ring buffer, and says how many made no sense: they had another size, and are logged.
pub fn take_all<T: bytemuck::AnyBitPattern>(ring: &mut RingBuffer) -> (Vec<T>, u64) {
    let (mut records, mut unreadable) = (Vec::new(), 0);
    while let Some(item) = ring.next() {
        match bytemuck::try_pod_read_unaligned(&item) {
            Ok(record) => records.push(record),
            Err(error) => {
                unreadable += 1;
                tracing::error!("a record of {} bytes makes no sense: {error}", item.len());
            }
        }
    }
    (records, unreadable)
}

/// A value of counters, summed over CPUs. `V` is nothing but `u64`s: each is added to its like.
pub fn sum<V: bytemuck::Pod>(cpus: &[V]) -> V {
    const { assert!(size_of::<V>().is_multiple_of(size_of::<u64>()) && align_of::<V>() == align_of::<u64>()) };
    let mut sums = V::zeroed();
    let words: &mut [u64] = bytemuck::cast_slice_mut(slice::from_mut(&mut sums));
    for cpu in cpus {
        let counts: &[u64] = bytemuck::cast_slice(slice::from_ref(cpu));
        for (sum, count) in words.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    sums
}

/// The map behind a descriptor.
pub(crate) fn open(fd: OwnedFd) -> Result<Map, MapError> {
    Map::from_map_data(MapData::from_fd(fd)?)
}

/// The descriptor of a map of one of the types used here.
pub(crate) fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    let data = match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::PerCpuLruHashMap(data)
        | Map::ProgramArray(data)
        | Map::Queue(data)
        | Map::RingBuf(data) => data,
        _ => return None,
    };
    Some(data.fd().as_fd())
}

/// Writes one entry of a map whose key and value are exactly as long as these.
pub(crate) fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    // SAFETY: both pointers are to live slices; the callers' slices have the sizes that the map was declared with.
    let result = unsafe {
        libbpf_sys::bpf_map_update_elem(map.as_raw_fd(), key.as_ptr().cast(), value.as_ptr().cast(), 0)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_summed_by_itself() {
        assert_eq!(sum(&[[1_u64, 2], [10, 20], [100, 200]]), [111, 222]);
        assert_eq!(sum::<[u64; 2]>(&[]), [0, 0]);
    }
}
