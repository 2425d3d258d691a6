//! The plain encoding inside the records of `access.snap`: little-endian integers, strings and lists with their length.

use std::string::String;
use std::vec::Vec;

use super::Invalid;
use super::layout::array_at;

/// Appends fields to a payload.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        // A field beyond 4 GiB would make the record itself too long, which the builder refuses.
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }
    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
    pub(crate) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
        values.iter().for_each(|value| write(self, value));
    }
}

/// Takes fields from a payload; every refusal is [`Invalid::Structure`].
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Invalid> {
        let (front, rest) = self.0.split_at_checked(len).ok_or(Invalid::Structure)?;
        self.0 = rest;
        Ok(front)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, Invalid> {
        let [byte] = array_at(self.take(1)?, 0)?;
        Ok(byte)
    }
    pub(crate) fn flag(&mut self) -> Result<bool, Invalid> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Invalid::Structure),
        }
    }
    pub(crate) fn u32(&mut self) -> Result<u32, Invalid> {
        Ok(u32::from_le_bytes(array_at(self.take(4)?, 0)?))
    }
    pub(crate) fn u64(&mut self) -> Result<u64, Invalid> {
        Ok(u64::from_le_bytes(array_at(self.take(8)?, 0)?))
    }
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Invalid> {
        let len = self.u32()? as usize;
        self.take(len)
    }
    pub(crate) fn text(&mut self) -> Result<String, Invalid> {
        core::str::from_utf8(self.bytes()?).map(String::from).map_err(|_| Invalid::Structure)
    }
    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        let count = self.u32()?;
        // Capacity grows with what is really there: a count alone allocates nothing.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }
    /// All fields have been taken, nothing follows.
    pub(crate) fn end(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid::Structure) }
    }
}
