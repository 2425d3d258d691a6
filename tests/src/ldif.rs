//! Lines of LDIF (RFC 2849) and names of entries (RFC 4514), for values that are chosen to be difficult.

/// One line without its end, in base64 where the text would not survive otherwise.
pub fn line(name: &str, value: &str) -> String {
    let plain = value.bytes().all(|byte| (b' '..0x7f).contains(&byte))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    if plain { format!("{name}: {value}") } else { format!("{name}:: {}", base64(value.as_bytes())) }
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |sum, at| sum << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for place in 0..4_usize {
            let letter = LETTERS.get((number >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            text.push(char::from(if place > chunk.len() { b'=' } else { letter }));
        }
    }
    text
}

/// A value as it stands in the name of an entry (RFC 4514, 2.4).
pub fn escaped(value: &str) -> String {
    let mut text = String::new();
    for (at, letter) in value.char_indices() {
        let is_last = at + letter.len_utf8() == value.len();
        let special = matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=')
            || (letter == '#' && at == 0)
            || (letter == ' ' && (at == 0 || is_last));
        if special {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Undoes [`escaped`].
pub fn unescaped(name: &str) -> String {
    let mut text = String::new();
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_a_line_cannot_hold_as_it_is_is_written_in_base64() {
        assert_eq!(line("cn", "Bob"), "cn: Bob");
        for (value, encoded) in [(" x", "IHg="), ("x\ny", "eAp5"), ("\u{e4}", "w6Q="), ("<x", "PHg=")] {
            assert_eq!(line("cn", value), format!("cn:: {encoded}"));
        }
        assert_eq!(base64(b"any carnal pleasure"), "YW55IGNhcm5hbCBwbGVhc3VyZQ==");
    }

    #[test]
    fn a_name_is_escaped_and_back() {
        for name in ["Doe, John", " both ", "#hash", "quo\"te", "back\\slash", "semi;lt<gt>", "a+b=c"] {
            assert_eq!(unescaped(&escaped(name)), name);
        }
        assert_eq!(escaped(" a,b#"), "\\ a\\,b#");
    }
}
