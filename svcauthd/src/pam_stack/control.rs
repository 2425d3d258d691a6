//! The control field of a line: which return code of the module does what.

use std::fmt;

/// The words of pam.d(5) for the return codes, at the number that libpam gives each (`_pam_types.h`).
const WORDS: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// A return code of a module or a stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u8);

impl Code {
    /// `PAM_SUCCESS`
    pub const SUCCESS: Self = Self(0);
    /// `PAM_PERM_DENIED`
    pub const PERM_DENIED: Self = Self(6);
    /// `PAM_AUTH_ERR`
    pub const AUTH_ERR: Self = Self(7);
    /// `PAM_NEW_AUTHTOK_REQD`
    pub const NEW_AUTHTOK_REQD: Self = Self(12);
    /// `PAM_SESSION_ERR`
    pub const SESSION_ERR: Self = Self(14);
    /// `PAM_IGNORE`
    pub const IGNORE: Self = Self(25);
    /// `PAM_MODULE_UNKNOWN`: the module's file is missing or no module.
    pub const MODULE_UNKNOWN: Self = Self(28);

    /// Every code that a module can return, but `PAM_INCOMPLETE`, which ends nothing.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..31).map(Self)
    }

    /// The code that pam.d(5) calls so.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::all().find(|code| WORDS.get(code.index()) == Some(&word))
    }

    /// The number that libpam gives it.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.get(self.index()).unwrap_or(&"?"))
    }
}

/// What libpam does after a return code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// As if the line were not there.
    Ignore,
    /// Good, if nothing was bad so far.
    Ok,
    /// Good, and the rest of the stack is not walked, if nothing was bad so far.
    Done,
    /// Bad, and the rest is walked.
    Bad,
    /// Bad, and the rest is not walked.
    Die,
    /// Forgets all that was.
    Reset,
    /// Skips so many lines.
    Jump(u32),
}

/// What each return code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control([Action; 32]);

impl Control {
    /// `required`
    #[must_use]
    pub fn required() -> Self {
        Self::simple(Action::Ok, Action::Ignore, Action::Bad)
    }

    /// What a line does that cannot be understood: it fails (`_pam_set_default_control` in libpam).
    #[must_use]
    pub const fn broken() -> Self {
        Self([Action::Bad; 32])
    }

    /// Reads a control field: one of the four words, or pairs in brackets.
    ///
    /// # Errors
    /// The part that libpam does not understand.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pairs = match text.to_ascii_lowercase().as_str() {
            "required" => return Ok(Self::required()),
            "requisite" => return Ok(Self::simple(Action::Ok, Action::Ignore, Action::Die)),
            "optional" => return Ok(Self::simple(Action::Ok, Action::Ignore, Action::Ignore)),
            "sufficient" => return Ok(Self::simple(Action::Done, Action::Ignore, Action::Ignore)),
            other => other.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned),
        };
        Self::pairs(&pairs.ok_or_else(|| text.to_owned())?)
    }

    fn simple(good: Action, ignore: Action, rest: Action) -> Self {
        let mut actions = [rest; 32];
        for (code, action) in [(Code::SUCCESS, good), (Code::NEW_AUTHTOK_REQD, good), (Code::IGNORE, ignore)]
        {
            set(&mut actions, code, action);
        }
        Self(actions)
    }

    fn pairs(text: &str) -> Result<Self, String> {
        let (mut named, mut default) = ([None; 32], None);
        for pair in text.split_whitespace() {
            let (word, action) = pair.split_once('=').ok_or_else(|| pair.to_owned())?;
            let action = action_of(action).ok_or_else(|| pair.to_owned())?;
            if word == "default" {
                default = Some(action);
                continue;
            }
            let index = WORDS.iter().position(|known| *known == word).ok_or_else(|| pair.to_owned())?;
            if let Some(place) = named.get_mut(index) {
                *place = Some(action);
            }
        }
        // What nobody names is bad (pam_misc.c).
        let rest = default.unwrap_or(Action::Bad);
        Ok(Self(named.map(|action| action.unwrap_or(rest))))
    }

    /// What a return code does.
    #[must_use]
    pub fn action(&self, code: Code) -> Action {
        self.0.get(code.index()).copied().unwrap_or(Action::Bad)
    }
}

fn set(actions: &mut [Action; 32], code: Code, action: Action) {
    if let Some(place) = actions.get_mut(code.index()) {
        *place = action;
    }
}

fn action_of(word: &str) -> Option<Action> {
    Some(match word {
        "ignore" => Action::Ignore,
        "ok" => Action::Ok,
        "done" => Action::Done,
        "bad" => Action::Bad,
        "die" => Action::Die,
        "reset" => Action::Reset,
        // "0" is the number of the action `ignore` (pam_private.h).
        number => match number.parse().ok()? {
            0 => Action::Ignore,
            lines => Action::Jump(lines),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{Action, Code, Control};

    #[test]
    fn the_four_words_and_the_brackets_mean_what_the_manual_says() {
        let at = |text: &str, code| Control::parse(text).unwrap().action(code);
        for (text, success, ignore, denied) in [
            ("required", Action::Ok, Action::Ignore, Action::Bad),
            ("REQUISITE", Action::Ok, Action::Ignore, Action::Die),
            ("optional", Action::Ok, Action::Ignore, Action::Ignore),
            ("sufficient", Action::Done, Action::Ignore, Action::Ignore),
            (
                "[success=2 ignore=2 module_unknown=ignore default=die]",
                Action::Jump(2),
                Action::Jump(2),
                Action::Die,
            ),
            ("[success=ok]", Action::Ok, Action::Bad, Action::Bad),
            ("[ default=0 ]", Action::Ignore, Action::Ignore, Action::Ignore),
        ] {
            assert_eq!(at(text, Code::SUCCESS), success, "{text}");
            assert_eq!(at(text, Code::IGNORE), ignore, "{text}");
            assert_eq!(at(text, Code::PERM_DENIED), denied, "{text}");
        }
        assert_eq!(at("[module_unknown=reset default=ok]", Code::MODULE_UNKNOWN), Action::Reset);
        assert_eq!(format!("{:?}", Code::NEW_AUTHTOK_REQD), "new_authtok_reqd");
        assert_eq!(format!("{:?}", Code::SESSION_ERR), "session_err");
    }

    #[test]
    fn what_libpam_does_not_understand_is_named() {
        for (text, part) in [
            ("requird", "requird"),
            ("[success=2 nonsense=ok]", "nonsense=ok"),
            ("[success]", "success"),
            ("[success=-1]", "success=-1"),
            ("[success=ok", "[success=ok"),
        ] {
            assert_eq!(Control::parse(text).unwrap_err(), part);
        }
    }
}
