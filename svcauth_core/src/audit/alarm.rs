//! What an alarm is about.

macro_rules! alarms {
    ($($variant:ident $code:literal $sentence:literal)*) => {
        /// What an alarm is about: the key `reason` of its record. The codes are an interface: never change one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AlarmKind {
            $(#[doc = $sentence] $variant,)*
        }

        impl AlarmKind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The value of the key `reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
            /// The sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

alarms! {
    RefusedEntry "refused_entry" "an entry of the directory is not used"
    RefusedEntries "refused_entries" "more entries of the directory are not used than are told one by one"
    RefreshFailed "refresh_failed" "the directory could not be read, or what it said is not believed; the old generation stays"
    ContinuityLost "continuity_lost" "the directory no longer knows what it has told this host; everything was read again"
    AuditUnwritable "audit_unwritable" "the audit file cannot be written; records wait in the spool"
    AuditFileMissing "audit_file_missing" "the audit file was removed; a new one goes on"
    AuditFileReplaced "audit_file_replaced" "what stood in place of the audit file was not the daemon's; a new one goes on"
    AuditFileCut "audit_file_cut" "records are missing at the end of the audit file; a new one goes on"
    AuditFileDamaged "audit_file_damaged" "a line of the audit file is not what the daemon wrote; a new one goes on"
    AuditFileRewritten "audit_file_rewritten" "the audit file was written by somebody else; a new one goes on"
    AuditFileUnfinished "audit_file_unfinished" "the last line of the audit file was not complete; a new one goes on"
    AuditHeadMissing "audit_head_missing" "audit.head was removed: an end of the audit file that was cut off before would not be noticed"
    AuditHeadDamaged "audit_head_damaged" "audit.head cannot be understood: an end of the audit file that was cut off before would not be noticed"
    AuditSpoolFull "audit_spool_full" "the spool was full; refusals may be missing"
    AuditSpoolDamaged "audit_spool_damaged" "lines of the spool were no records"
    AuditSpoolReplaced "audit_spool_replaced" "what stood in place of the spool was not what only root can write, and is removed"
    RecorderStateDamaged "recorder_state_damaged" "the daemon no longer knows how far it has emptied the spool; records may be in the audit file twice"
    RevokedSessionGoesOn "revoked_session_goes_on" "a session would not be opened again, and goes on because on_revoke is log"
    RevokedSessionUnclear "revoked_session_unclear" "a session would not be opened again, and nothing that runs is certainly its own"
    RevokedSessionSurvives "revoked_session_survives" "processes of a session that was ended have outlived SIGKILL"
    RecordingUnwritable "recording_unwritable" "what a recorded shell shows cannot be written"
}
