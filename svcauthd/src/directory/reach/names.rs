//! Names as DNS writes them (RFC 1035, 3.1 and 4.1.4): labels, and pointers to labels that stand before them.
//!
//! Active Directory writes the strings of its answer to a ping in the same way ([MS-ADTS] 6.3.7).

/// Longest name in bytes, with the length of each label (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
/// Longest label in bytes.
pub(super) const LABEL_MAX: usize = 63;

/// The labels of the name at `at`, and the place behind it; none if the bytes are no name.
///
/// A pointer must point before the labels that it ends, so that no name comes back to itself.
pub(super) fn read(message: &[u8], at: usize) -> Option<(Vec<&[u8]>, usize)> {
    let (mut labels, mut length) = (Vec::new(), 0);
    let (mut here, mut start, mut behind) = (at, at, None);
    loop {
        let first = *message.get(here)?;
        match first & 0xc0 {
            0x00 if first == 0 => return Some((labels, behind.unwrap_or(here + 1))),
            0x00 => {
                let end = here + 1 + usize::from(first);
                let label = message.get(here + 1..end)?;
                length += label.len() + 1;
                if length >= NAME_MAX {
                    return None;
                }
                labels.push(label);
                here = end;
            }
            0xc0 => {
                let to = usize::from(first & 0x3f) << 8 | usize::from(*message.get(here + 1)?);
                behind.get_or_insert(here + 2);
                if to >= start {
                    return None;
                }
                (here, start) = (to, to);
            }
            _ => return None,
        }
    }
}

/// The host name of these labels in lower case, without a dot at its end; none for what no host is called.
///
/// An underscore is let pass: there are controllers that have one.
pub(super) fn host(labels: &[&[u8]]) -> Option<String> {
    let texts: Option<Vec<String>> = labels.iter().map(|label| plain_label(label)).collect();
    let name = texts?.join(".");
    // A last label of digits alone would be taken for an address.
    let last = labels.last()?;
    (labels.len() >= 2 && !last.iter().all(u8::is_ascii_digit)).then_some(name)
}

/// A label of letters, digits, hyphens and underscores in lower case, without a hyphen at either end.
pub(super) fn plain_label(label: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let good = (1..=LABEL_MAX).contains(&label.len())
        && label.iter().all(plain)
        && label.first() != Some(&b'-')
        && label.last() != Some(&b'-');
    good.then(|| String::from_utf8_lossy(label).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{host, read};

    /// `dc1.example.com` at 2, and `a` before the domain of it at 19.
    const MESSAGE: &[u8] = b"xx\x03dc1\x07example\x03com\0\x01a\xc0\x06\x00";

    fn text(labels: &[&[u8]]) -> String {
        String::from_utf8(labels.join(&b'.')).unwrap()
    }

    #[test]
    fn a_name_is_read_with_the_labels_that_it_points_to() {
        let (labels, behind) = read(MESSAGE, 2).unwrap();
        assert_eq!((text(&labels).as_str(), behind), ("dc1.example.com", 19));
        let (labels, behind) = read(MESSAGE, 19).unwrap();
        assert_eq!((text(&labels).as_str(), behind), ("a.example.com", 23));
        assert_eq!(read(MESSAGE, 23), Some((vec![], 24)));
    }

    #[test]
    fn a_name_that_points_forward_or_at_itself_or_outside_is_none() {
        let loops: [&[u8]; 5] =
            [b"\xc0\x00", b"\x01a\xc0\x00", b"\xc0\x02\xc0\x00", b"\xc0\x02\x01a\0", b"\x01a\xff\xff"];
        for message in loops {
            assert_eq!(read(message, 0), None, "{message:x?}");
        }
        // The second pointer would come back to where the first one stands.
        assert_eq!(read(b"\x01a\xc0\x04\x01b\xc0\x00", 4), None);
        for cut in 2..MESSAGE.len() - 5 {
            assert_eq!(read(&MESSAGE[..cut], 2), None, "{cut}");
        }
        assert_eq!(read(b"\x41a", 0), None);
        assert_eq!(read(b"\x80a", 0), None);
        assert_eq!(read(b"", 0), None);
        assert_eq!(read(b"\0", usize::MAX), None);
    }

    #[test]
    fn a_name_is_no_longer_than_dns_allows_even_when_it_is_put_together() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let long = [&label.repeat(3)[..], &[61], &[b'a'; 61], &[0]].concat();
        assert_eq!(read(&long, 0).unwrap().1, long.len());
        let longer = [&label.repeat(3)[..], &[62], &[b'a'; 62], &[0]].concat();
        assert_eq!(read(&longer, 0), None);
        let joined = [&label.repeat(3)[..], &[0], &label[..], &[0xc0, 0]].concat();
        assert_eq!(read(&joined, 193), None);
    }

    #[test]
    fn a_host_is_called_by_letters_digits_and_hyphens() {
        let good: [(&[&[u8]], &str); 2] =
            [(&[b"DC1", b"Example", b"com"], "dc1.example.com"), (&[b"dc_1", b"c0m"], "dc_1.c0m")];
        for (labels, name) in good {
            assert_eq!(host(labels).as_deref(), Some(name));
        }
        let bad: [&[&[u8]]; 9] = [
            &[],
            &[b"com"],
            &[b"a.evil", b"example", b"com"],
            &[b"a\nb", b"com"],
            &[b"*", b"com"],
            &[b"-a", b"com"],
            &[b"a-", b"com"],
            &[b"10", b"0", b"0", b"1"],
            &[b"d\xc3\xa9", b"com"],
        ];
        for labels in bad {
            assert_eq!(host(labels), None, "{labels:?}");
        }
    }
}
