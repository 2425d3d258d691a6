//! What an initiator needs of GSSAPI (RFC 2744), from MIT's library, which is loaded when it is needed.
//!
//! Not linked: hosts that bind with a password need no Kerberos, neither to run nor to build, and the monitor, which is
//! root, never has that library in its address space. The library is never unloaded.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// The library's interface of version 2, the same since 2004.
const LIBRARY: &CStr = c"libgssapi_krb5.so.2";

/// `gss_OID_desc` (RFC 2744, 3.4). On the two platforms that pack it this crate does not run.
#[repr(C)]
struct Oid {
    length: u32,
    elements: *const u8,
}

/// `gss_buffer_desc` (RFC 2744, 3.2).
#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

/// `gss_channel_bindings_struct` (RFC 2744, 3.11).
#[repr(C)]
struct Bindings {
    initiator_addrtype: u32,
    initiator_address: Buffer,
    acceptor_addrtype: u32,
    acceptor_address: Buffer,
    application_data: Buffer,
}

/// `gss_key_value_element_desc` (gssapi_ext.h of MIT krb5 since 1.11).
#[repr(C)]
struct StoreElement {
    key: *const c_char,
    value: *const c_char,
}

/// `gss_key_value_set_desc` (same place).
#[repr(C)]
struct Store {
    count: u32,
    elements: *const StoreElement,
}

/// `gss_name_t`, `gss_cred_id_t`, `gss_ctx_id_t`: pointers that only the library looks behind.
type Handle = *mut c_void;

/// 1.2.840.113554.1.2.2, Kerberos 5 (RFC 4121).
const KERBEROS: Oid = Oid { length: 9, elements: b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02".as_ptr() };
/// 1.2.840.113554.1.2.2.1, a Kerberos principal as text (RFC 1964, 2.1.1).
const PRINCIPAL: Oid = Oid { length: 10, elements: b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01".as_ptr() };

/// `GSS_C_INITIATE`.
const INITIATE: c_int = 1;
/// `GSS_C_MUTUAL_FLAG`: the server proves itself too.
const MUTUAL: u32 = 2;
/// `GSS_S_CONTINUE_NEEDED`; the only one of the supplementary bits that matters here.
const CONTINUE_NEEDED: u32 = 1;
/// Where a major status has its errors.
const ERRORS: u32 = 0xffff_0000;

type ReleaseHandle = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const Oid, *mut Handle) -> u32;
type AcquireFrom = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    *const c_void,
    c_int,
    *const Store,
    *mut Handle,
    *mut *mut c_void,
    *mut u32,
) -> u32;
type InitContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const Oid,
    u32,
    u32,
    *const Bindings,
    *const Buffer,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type DeleteContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;
type Wrap = unsafe extern "C" fn(*mut u32, Handle, c_int, u32, *const Buffer, *mut c_int, *mut Buffer) -> u32;
type Unwrap = unsafe extern "C" fn(*mut u32, Handle, *const Buffer, *mut Buffer, *mut c_int, *mut u32) -> u32;
type DisplayStatus = unsafe extern "C" fn(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32;

/// The functions of the loaded library.
pub(super) struct Gss {
    release_name: ReleaseHandle,
    release_credential: ReleaseHandle,
    release_buffer: ReleaseBuffer,
    import_name: ImportName,
    acquire_from: AcquireFrom,
    init_context: InitContext,
    delete_context: DeleteContext,
    wrap: Wrap,
    unwrap: Unwrap,
    display_status: DisplayStatus,
}

impl Gss {
    /// Loads the library.
    pub(super) fn load() -> Result<Self, String> {
        // SAFETY: dlopen(3) runs the initialisers of a library of the system; the process has one thread.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(format!(
                "bind = \"gssapi\" needs {}; install libgssapi-krb5-2 (Debian, Ubuntu) or krb5-libs (RHEL, Fedora)",
                LIBRARY.to_string_lossy()
            ));
        }
        macro_rules! find {
            ($name:literal, $sort:ty) => {{
                let found = address(library, $name)?;
                // SAFETY: the field has the type of this function in gssapi.h and gssapi_ext.h of MIT krb5, which the
                // library's version 2 keeps; it stays loaded for ever.
                unsafe { std::mem::transmute::<*mut c_void, $sort>(found) }
            }};
        }
        Ok(Self {
            release_name: find!(c"gss_release_name", ReleaseHandle),
            release_credential: find!(c"gss_release_cred", ReleaseHandle),
            release_buffer: find!(c"gss_release_buffer", ReleaseBuffer),
            import_name: find!(c"gss_import_name", ImportName),
            acquire_from: find!(c"gss_acquire_cred_from", AcquireFrom),
            init_context: find!(c"gss_init_sec_context", InitContext),
            delete_context: find!(c"gss_delete_sec_context", DeleteContext),
            wrap: find!(c"gss_wrap", Wrap),
            unwrap: find!(c"gss_unwrap", Unwrap),
            display_status: find!(c"gss_display_status", DisplayStatus),
        })
    }

    /// The name of a principal, as `kinit` takes it.
    pub(super) fn name(&self, principal: &str) -> Result<Name<'_>, String> {
        let (mut minor, mut handle) = (0, null_mut());
        // SAFETY: input and type live through the call, which copies them; `handle` takes a name that is ours.
        let major =
            unsafe { (self.import_name)(&mut minor, &input(principal.as_bytes()), &PRINCIPAL, &mut handle) };
        let name = Name { gss: self, handle };
        self.check(major, minor).map(|_| name)
    }

    /// A credential that gets its tickets with the name's key of this keytab, and keeps them in this cache. No ticket is
    /// asked for yet.
    pub(super) fn credential(
        &self,
        name: &Name<'_>,
        keytab: &CStr,
        cache: &CStr,
    ) -> Result<Credential<'_>, String> {
        let elements = [
            StoreElement { key: c"client_keytab".as_ptr(), value: keytab.as_ptr() },
            StoreElement { key: c"ccache".as_ptr(), value: cache.as_ptr() },
        ];
        let store = Store { count: 2, elements: elements.as_ptr() };
        let (mut minor, mut handle) = (0, null_mut());
        // SAFETY: `store` and what it points to live through the call, which copies them; the time 0 asks for the
        // default, a null set of mechanisms too (Kerberos), and the two last results may be null (RFC 2744, 5.2).
        let major = unsafe {
            (self.acquire_from)(
                &mut minor,
                name.handle,
                0,
                null(),
                INITIATE,
                &store,
                &mut handle,
                null_mut(),
                null_mut(),
            )
        };
        let credential = Credential { gss: self, handle };
        self.check(major, minor).map(|_| credential)
    }

    /// What the library has put into a buffer, which is given back to it.
    fn taken(&self, mut buffer: Buffer) -> Vec<u8> {
        let bytes = if buffer.value.is_null() {
            Vec::new()
        } else {
            // SAFETY: a buffer that the library has filled has `length` bytes at `value` (RFC 2744, 3.2).
            unsafe { std::slice::from_raw_parts(buffer.value.cast::<u8>(), buffer.length) }.to_vec()
        };
        let mut minor = 0;
        // SAFETY: the buffer is the library's own or empty, and nobody looks at it afterwards.
        unsafe { (self.release_buffer)(&mut minor, &mut buffer) };
        bytes
    }

    /// Whether more is to come, or what went wrong.
    fn check(&self, major: u32, minor: u32) -> Result<bool, String> {
        if major & ERRORS == 0 {
            return Ok(major & CONTINUE_NEEDED != 0);
        }
        // The mechanism says what happened to Kerberos; the major status has only its class.
        let (class, detail) = (self.text(major, 1), self.text(minor, 2));
        Err(if minor == 0 || detail.is_empty() { class } else { detail })
    }

    /// The sentence of a status: of the interface (1) or of the mechanism (2).
    fn text(&self, status: u32, sort: c_int) -> String {
        let (mut minor, mut more, mut buffer) = (0, 0, EMPTY);
        // SAFETY: all of the pointers are to variables of this function; the mechanism's oid is never changed.
        let major =
            unsafe { (self.display_status)(&mut minor, status, sort, &KERBEROS, &mut more, &mut buffer) };
        let text = self.taken(buffer);
        if major & ERRORS == 0 { String::from_utf8_lossy(&text).into_owned() } else { String::new() }
    }
}

/// The address of a function.
fn address(library: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
    // SAFETY: the library is open, and the name ends with a NUL.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() {
        let (library, name) = (LIBRARY.to_string_lossy(), name.to_string_lossy());
        return Err(format!("{library} of this host has no {name}; MIT krb5 1.11 or later is needed"));
    }
    Ok(found)
}

const EMPTY: Buffer = Buffer { length: 0, value: null_mut() };

/// Bytes for the library to read; it changes nothing in a buffer that it is given.
const fn input(bytes: &[u8]) -> Buffer {
    Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
}

/// An imported name.
pub(super) struct Name<'g> {
    gss: &'g Gss,
    handle: Handle,
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is null or our own, and is not used again.
        unsafe { (self.gss.release_name)(&mut 0, &mut self.handle) };
    }
}

/// Whose tickets are used.
pub(super) struct Credential<'g> {
    gss: &'g Gss,
    handle: Handle,
}

impl Drop for Credential<'_> {
    fn drop(&mut self) {
        // SAFETY: as for a name; the tickets stay in their cache.
        unsafe { (self.gss.release_credential)(&mut 0, &mut self.handle) };
    }
}

/// One negotiation with one server.
pub(super) struct Context<'g> {
    gss: &'g Gss,
    credential: Credential<'g>,
    server: Name<'g>,
    /// Ties the negotiation to the TLS connection (RFC 5929); nothing where there is none.
    binding: Option<Vec<u8>>,
    handle: Handle,
    flags: u32,
}

impl<'g> Context<'g> {
    pub(super) const fn new(
        gss: &'g Gss,
        credential: Credential<'g>,
        server: Name<'g>,
        binding: Option<Vec<u8>>,
    ) -> Self {
        Self { gss, credential, server, binding, handle: null_mut(), flags: 0 }
    }

    /// The next token for the server, which may be empty, and whether an answer to it is awaited. Asks the KDC for tickets
    /// first, for as long as the library's own patience lasts.
    pub(super) fn step(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), String> {
        let bindings = self.binding.as_deref().map(|binding| Bindings {
            initiator_addrtype: 0,
            initiator_address: EMPTY,
            acceptor_addrtype: 0,
            acceptor_address: EMPTY,
            application_data: input(binding),
        });
        let (mut minor, mut output) = (0, EMPTY);
        // SAFETY: credential, name, bindings and token live through the call; `handle` is null at first and then what the
        // library has put there; the mechanism that it reports is of no interest (RFC 2744, 5.19).
        let major = unsafe {
            (self.gss.init_context)(
                &mut minor,
                self.credential.handle,
                &mut self.handle,
                self.server.handle,
                &KERBEROS,
                MUTUAL,
                0,
                bindings.as_ref().map_or(null(), std::ptr::from_ref),
                &input(token),
                null_mut(),
                &mut output,
                &mut self.flags,
                null_mut(),
            )
        };
        let output = self.gss.taken(output);
        self.gss.check(major, minor).map(|more| (output, more))
    }

    /// Whether the server has proven itself; of a finished negotiation.
    pub(super) const fn is_mutual(&self) -> bool {
        self.flags & MUTUAL != 0
    }

    /// What is in a signed message of the server.
    pub(super) fn unwrap(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let (mut minor, mut output) = (0, EMPTY);
        // SAFETY: the context is established, the input lives through the call, the two last results may be null
        // (RFC 2744, 5.31).
        let major = unsafe {
            (self.gss.unwrap)(&mut minor, self.handle, &input(message), &mut output, null_mut(), null_mut())
        };
        let output = self.gss.taken(output);
        self.gss.check(major, minor).map(|_| output)
    }

    /// A signed message for the server; it is not encrypted.
    pub(super) fn wrap(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let (mut minor, mut output) = (0, EMPTY);
        // SAFETY: as for `unwrap`; the protection 0 is the default one (RFC 2744, 5.33).
        let major = unsafe {
            (self.gss.wrap)(&mut minor, self.handle, 0, 0, &input(message), null_mut(), &mut output)
        };
        let output = self.gss.taken(output);
        self.gss.check(major, minor).map(|_| output)
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is null or our own; no closing token is wanted (RFC 2744, 5.9).
        unsafe { (self.gss.delete_context)(&mut 0, &mut self.handle, null_mut()) };
    }
}
