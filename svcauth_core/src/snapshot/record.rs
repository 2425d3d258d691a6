//! The records of `accounts.snap`, read where they lie: every string ends in NUL, so that C can be pointed at it.
//!
//! ```text
//! passwd         uid u32, gid u32, name_len u16, gecos_len u16, home_len u16, shell_len u16,
//!                name NUL gecos NUL home NUL shell NUL              (lengths without the NUL)
//! group          gid u32, members u32, name_len u16, zero u16, name NUL, size u8 for each member, member NUL member NUL ...
//!                (sizes with the NUL: a reader finds the members by adding instead of searching, see the NSS bench)
//! account gids   gids u32, name_len u16, zero u16, name NUL, zero padding to 4, gid u32 gid u32 ...
//! ```

use core::ffi::CStr;

use super::Invalid;
use super::layout::{u16_at, u32_at};
use crate::id::{Gid, Uid};

/// One line of the passwd map. The password is always `*`: no login by password, no shadow line needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswdEntry<'a> {
    /// The account's uid.
    pub uid: Uid,
    /// The account's primary group.
    pub gid: Gid,
    /// The account's name.
    pub name: &'a CStr,
    /// The comment field.
    pub gecos: &'a CStr,
    /// The home directory.
    pub home: &'a CStr,
    /// The login shell.
    pub shell: &'a CStr,
}

impl<'a> PasswdEntry<'a> {
    /// Reads the payload of a [`super::RecordKind::Passwd`] record.
    ///
    /// # Errors
    /// [`Invalid::Structure`], also for an id that no directory may hand out.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Invalid> {
        let mut strings = Strings(payload.get(16..).ok_or(Invalid::Structure)?);
        let entry = Self {
            uid: Uid::new(u32_at(payload, 0)?).ok_or(Invalid::Structure)?,
            gid: Gid::new(u32_at(payload, 4)?).ok_or(Invalid::Structure)?,
            name: strings.take(u16_at(payload, 8)?)?,
            gecos: strings.take(u16_at(payload, 10)?)?,
            home: strings.take(u16_at(payload, 12)?)?,
            shell: strings.take(u16_at(payload, 14)?)?,
        };
        if strings.0.is_empty() { Ok(entry) } else { Err(Invalid::Structure) }
    }
}

/// One line of the group map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEntry<'a> {
    /// The group's gid.
    pub gid: Gid,
    /// The group's name.
    pub name: &'a CStr,
    /// How many members there are.
    pub member_count: u32,
    sizes: &'a [u8],
    members: &'a [u8],
}

impl<'a> GroupEntry<'a> {
    /// Reads the payload of a [`super::RecordKind::Group`] record.
    ///
    /// # Errors
    /// [`Invalid::Structure`], also for an id that no directory may hand out.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Invalid> {
        let mut strings = Strings(payload.get(12..).ok_or(Invalid::Structure)?);
        let name = strings.take(u16_at(payload, 8)?)?;
        let member_count = u32_at(payload, 4)?;
        let (sizes, members) = strings.0.split_at_checked(member_count as usize).ok_or(Invalid::Structure)?;
        let ends_in_nul = matches!(members.last(), None | Some(0));
        // Not `contains`: it stops at the first, which keeps the compiler from looking at sixteen at once.
        let one_is_empty = sizes.iter().fold(false, |found, size| found | (*size == 0));
        if total(sizes) != members.len() || !ends_in_nul || one_is_empty {
            return Err(Invalid::Structure);
        }
        let gid = Gid::new(u32_at(payload, 0)?).ok_or(Invalid::Structure)?;
        Ok(Self { gid, name, member_count, sizes, members })
    }

    /// The members' login names, in order.
    #[must_use]
    pub const fn members(&self) -> Members<'a> {
        Members(self.members)
    }

    /// The members' login names, each with its NUL, one behind the other. Empty or ending in NUL.
    #[must_use]
    pub const fn member_bytes(&self) -> &'a [u8] {
        self.members
    }

    /// The bytes that each member takes in [`Self::member_bytes`]: at least 1, and together all of them.
    #[must_use]
    pub const fn member_sizes(&self) -> &'a [u8] {
        self.sizes
    }
}

/// The sum of the sizes, a hundred at a time in 16 bits: four times as fast as byte by byte in 64.
fn total(sizes: &[u8]) -> usize {
    sizes.chunks(100).map(|sizes| usize::from(sizes.iter().map(|size| u16::from(*size)).sum::<u16>())).sum()
}

/// Iterator over the members of a group; ends early, and never panics, on a damaged list.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a>(&'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let member = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(member.to_bytes_with_nul().len()..)?;
        Some(member)
    }
}

/// The managed groups that an account is in, directly or through other groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountGids<'a> {
    /// The account's name.
    pub name: &'a CStr,
    gids: &'a [u8],
}

impl<'a> AccountGids<'a> {
    /// Reads the payload of a [`super::RecordKind::AccountGids`] record.
    ///
    /// # Errors
    /// [`Invalid::Structure`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Invalid> {
        let mut strings = Strings(payload.get(8..).ok_or(Invalid::Structure)?);
        let name_len = u16_at(payload, 4)?;
        let name = strings.take(name_len)?;
        let gids = strings.0.get(padding(usize::from(name_len))..).ok_or(Invalid::Structure)?;
        let count = u32_at(payload, 0)? as usize;
        if count.checked_mul(4) != Some(gids.len()) {
            return Err(Invalid::Structure);
        }
        Ok(Self { name, gids })
    }

    /// The gids, in order. An id that no directory may hand out is left out.
    pub fn gids(&self) -> impl Iterator<Item = Gid> + 'a {
        self.gids.chunks_exact(4).filter_map(|raw| Gid::new(u32::from_le_bytes(*raw.first_chunk()?)))
    }
}

/// How many zero bytes follow a name and its NUL, up to a multiple of 4.
pub(super) const fn padding(name_len: usize) -> usize {
    (4 - (name_len + 1) % 4) % 4
}

struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    fn take(&mut self, len: u16) -> Result<&'a CStr, Invalid> {
        let (text, rest) = self.0.split_at_checked(usize::from(len) + 1).ok_or(Invalid::Structure)?;
        self.0 = rest;
        CStr::from_bytes_with_nul(text).map_err(|_| Invalid::Structure)
    }
}
