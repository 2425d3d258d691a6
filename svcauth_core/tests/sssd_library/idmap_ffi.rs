//! libsss_idmap as sssd's LDAP provider uses it (`sss_idmap.h`), loaded when it is asked for.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// `RTLD_NOW`.
const NOW: c_int = 2;

/// `struct sss_idmap_range`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Range {
    min: u32,
    max: u32,
}

type Context = *mut c_void;
type Init = unsafe extern "C" fn(*const c_void, *const c_void, *const c_void, *mut Context) -> u32;
type Free = unsafe extern "C" fn(Context) -> u32;
type Set = unsafe extern "C" fn(Context, u32) -> u32;
type Calculate = unsafe extern "C" fn(Context, *const c_char, *mut u32, *mut Range) -> u32;
type Add = unsafe extern "C" fn(
    Context,
    *const c_char,
    *const c_char,
    *mut Range,
    *const c_char,
    u32,
    bool,
    *const c_void,
    *mut c_void,
) -> u32;
type ToUnix = unsafe extern "C" fn(Context, *const c_char, *mut u32) -> u32;

/// The functions that are called here.
pub(crate) struct Sssd {
    init: Init,
    free: Free,
    lower: Set,
    upper: Set,
    size: Set,
    calculate: Calculate,
    add: Add,
    to_unix: ToUnix,
}

/// What sssd on one host knows.
pub(crate) struct Host<'a> {
    sssd: &'a Sssd,
    context: Context,
}

/// The address of a function, as a pointer of its type.
macro_rules! function {
    ($library:expr, $type:ty, $name:literal) => {{
        // SAFETY: dlsym(3): a handle that dlopen gave and never closed, and a name that ends in NUL.
        let address = unsafe { dlsym($library, $name.as_ptr()) };
        assert!(!address.is_null(), "libsss_idmap has no {:?}", $name);
        // SAFETY: the function has the type that sss_idmap.h declares (an enum and id_t are 32 bits).
        unsafe { std::mem::transmute::<*mut c_void, $type>(address) }
    }};
}

impl Sssd {
    /// Loads the library, or ends the test.
    pub(crate) fn load() -> Self {
        let name: &CStr = c"libsss_idmap.so.0";
        // SAFETY: dlopen(3): a name that ends in NUL. The library's constructors have no demands.
        let library = unsafe { dlopen(name.as_ptr(), NOW) };
        assert!(!library.is_null(), "cannot load libsss_idmap.so.0; Debian: apt-get install libsss-idmap0");
        Self {
            init: function!(library, Init, c"sss_idmap_init"),
            free: function!(library, Free, c"sss_idmap_free"),
            lower: function!(library, Set, c"sss_idmap_ctx_set_lower"),
            upper: function!(library, Set, c"sss_idmap_ctx_set_upper"),
            size: function!(library, Set, c"sss_idmap_ctx_set_rangesize"),
            calculate: function!(library, Calculate, c"sss_idmap_calculate_range"),
            add: function!(library, Add, c"sss_idmap_add_auto_domain_ex"),
            to_unix: function!(library, ToUnix, c"sss_idmap_sid_to_unix"),
        }
    }

    /// A host that has met this domain and none of its entries.
    pub(crate) fn host(&self, (min, max, size): (u32, u32, u32), domain: &str) -> Host<'_> {
        let mut context = ptr::null_mut();
        // SAFETY: no allocator of our own, and room for the context.
        let code = unsafe { (self.init)(ptr::null(), ptr::null(), ptr::null(), &raw mut context) };
        assert_eq!(code, 0);
        for (set, value) in [(self.lower, min), (self.upper, max), (self.size, size)] {
            // SAFETY: a context of sss_idmap_init.
            assert_eq!(unsafe { set(context, value) }, 0);
        }
        let (name, mut slice, mut range) = (CString::new(domain).unwrap(), u32::MAX, Range::default());
        // SAFETY: a context, a text that ends in NUL, and room for both results; -1 asks for the slice.
        let code = unsafe { (self.calculate)(context, name.as_ptr(), &raw mut slice, &raw mut range) };
        assert_eq!(code, 0);
        let text = name.as_ptr();
        // SAFETY: as above; the library copies name, SID and range. No callback.
        let code = unsafe {
            (self.add)(
                context,
                text,
                text,
                &raw mut range,
                ptr::null(),
                0,
                false,
                ptr::null(),
                ptr::null_mut(),
            )
        };
        assert_eq!(code, 0);
        Host { sssd: self, context }
    }
}

impl Host<'_> {
    /// The id of a SID, or the library's error code.
    pub(crate) fn id_of(&self, sid: &str) -> Result<u32, u32> {
        let (sid, mut id) = (CString::new(sid).unwrap(), 0);
        // SAFETY: a context, a text that ends in NUL, and room for the id.
        match unsafe { (self.sssd.to_unix)(self.context, sid.as_ptr(), &raw mut id) } {
            0 => Ok(id),
            code => Err(code),
        }
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is not used again.
        unsafe { (self.sssd.free)(self.context) };
    }
}
