//! The module, loaded as glibc loads it, behind safe functions.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::mem::{MaybeUninit, transmute_copy};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use libc::{gid_t, group, passwd, size_t, uid_t};

use super::artifact;

pub const SUCCESS: c_int = 1;
pub const NOT_FOUND: c_int = 0;
pub const UNAVAILABLE: c_int = -1;
pub const TRY_AGAIN: c_int = -2;
/// What `*errnop` holds before each call unless [`Module::with_errno`] says otherwise: nothing that the module could mean.
pub const STALE: c_int = 4242;

type ByName<T> = unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, size_t, *mut c_int) -> c_int;
type ById<T> = unsafe extern "C" fn(u32, *mut T, *mut c_char, size_t, *mut c_int) -> c_int;
type Next<T> = unsafe extern "C" fn(*mut T, *mut c_char, size_t, *mut c_int) -> c_int;
type InitGroups = unsafe extern "C" fn(
    *const c_char,
    gid_t,
    *mut c_long,
    *mut c_long,
    *mut *mut gid_t,
    c_long,
    *mut c_int,
) -> c_int;

/// The exported functions.
#[derive(Clone, Copy)]
pub struct Module {
    errno_before: c_int,
    getpwnam: ByName<passwd>,
    getpwuid: ById<passwd>,
    setpwent: unsafe extern "C" fn(c_int) -> c_int,
    getpwent: Next<passwd>,
    endpwent: unsafe extern "C" fn() -> c_int,
    getgrnam: ByName<group>,
    getgrgid: ById<group>,
    setgrent: unsafe extern "C" fn(c_int) -> c_int,
    getgrent: Next<group>,
    endgrent: unsafe extern "C" fn() -> c_int,
    initgroups: InitGroups,
}

/// What a call said: status, error number, and the entry if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub status: c_int,
    pub errno: c_int,
    pub entry: Option<T>,
}

/// A string of an answer: where it lies, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub address: usize,
    pub value: String,
}

/// A passwd entry: name, password, gecos, home, shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdAnswer {
    pub uid: uid_t,
    pub gid: gid_t,
    pub texts: [Text; 5],
}

/// A group entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupAnswer {
    pub gid: gid_t,
    pub name: Text,
    pub password: Text,
    pub array: usize,
    pub members: Vec<Text>,
}

/// A gid array as glibc keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gids {
    pub filled: c_long,
    pub size: c_long,
    /// The first `filled` elements.
    pub gids: Vec<gid_t>,
}

/// The module of this process.
pub fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(load)
}

fn load() -> Module {
    let path = CString::new(artifact::module().as_os_str().as_bytes()).unwrap();
    // SAFETY: dlopen(3) of a shared object whose initialisers do nothing.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "{path:?} does not load");
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: the type of the field is the one in which `abi.rs` exports the name.
            unsafe { symbol(handle, $name) }
        };
    }
    Module {
        errno_before: STALE,
        getpwnam: function!(c"_nss_svcauth_getpwnam_r"),
        getpwuid: function!(c"_nss_svcauth_getpwuid_r"),
        setpwent: function!(c"_nss_svcauth_setpwent"),
        getpwent: function!(c"_nss_svcauth_getpwent_r"),
        endpwent: function!(c"_nss_svcauth_endpwent"),
        getgrnam: function!(c"_nss_svcauth_getgrnam_r"),
        getgrgid: function!(c"_nss_svcauth_getgrgid_r"),
        setgrent: function!(c"_nss_svcauth_setgrent"),
        getgrent: function!(c"_nss_svcauth_getgrent_r"),
        endgrent: function!(c"_nss_svcauth_endgrent"),
        initgroups: function!(c"_nss_svcauth_initgroups_dyn"),
    }
}

/// # Safety
/// `F` is the type of the function of that name.
unsafe fn symbol<F: Copy>(handle: *mut c_void, name: &CStr) -> F {
    // SAFETY: dlsym(3) with an open handle and a NUL-terminated name.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    assert!(!address.is_null(), "{name:?} is not exported");
    // SAFETY: POSIX lets a pointer from dlsym be a function pointer; the type is the caller's promise.
    unsafe { transmute_copy(&address) }
}

impl Module {
    /// The same module, called with another value in `*errnop`.
    pub fn with_errno(&self, errno_before: c_int) -> Self {
        Self { errno_before, ..*self }
    }

    pub fn passwd_by_name(&self, name: &CStr, buffer: &mut [u8]) -> Answer<PasswdAnswer> {
        self.call(buffer, passwd_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getpwnam)(name.as_ptr(), result, start, len, errno) }
        })
    }

    pub fn passwd_by_id(&self, uid: uid_t, buffer: &mut [u8]) -> Answer<PasswdAnswer> {
        self.call(buffer, passwd_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getpwuid)(uid, result, start, len, errno) }
        })
    }

    pub fn next_passwd(&self, buffer: &mut [u8]) -> Answer<PasswdAnswer> {
        self.call(buffer, passwd_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getpwent)(result, start, len, errno) }
        })
    }

    pub fn group_by_name(&self, name: &CStr, buffer: &mut [u8]) -> Answer<GroupAnswer> {
        self.call(buffer, group_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getgrnam)(name.as_ptr(), result, start, len, errno) }
        })
    }

    pub fn group_by_id(&self, gid: gid_t, buffer: &mut [u8]) -> Answer<GroupAnswer> {
        self.call(buffer, group_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getgrgid)(gid, result, start, len, errno) }
        })
    }

    pub fn next_group(&self, buffer: &mut [u8]) -> Answer<GroupAnswer> {
        self.call(buffer, group_answer, |result, start, len, errno| {
            // SAFETY: valid arguments, see `call`.
            unsafe { (self.getgrent)(result, start, len, errno) }
        })
    }

    /// The four functions that rewind: setpwent, endpwent, setgrent, endgrent.
    pub fn rewinds(&self) -> [Box<dyn Fn() -> c_int>; 4] {
        let Self { setpwent, endpwent, setgrent, endgrent, .. } = *self;
        [
            // SAFETY: no preconditions.
            Box::new(move || unsafe { setpwent(0) }),
            // SAFETY: no preconditions.
            Box::new(move || unsafe { endpwent() }),
            // SAFETY: no preconditions.
            Box::new(move || unsafe { setgrent(1) }),
            // SAFETY: no preconditions.
            Box::new(move || unsafe { endgrent() }),
        ]
    }

    /// All four: the status of each.
    pub fn rewind(&self) -> [c_int; 4] {
        self.rewinds().map(|rewind| rewind())
    }

    /// Only the status of getpwnam, with a null pointer for a buffer.
    pub fn passwd_without_buffer(&self, name: &CStr) -> (c_int, c_int) {
        let (mut result, mut errno) = (MaybeUninit::uninit(), STALE);
        // SAFETY: valid arguments; a buffer of length 0 may be null.
        let status = unsafe {
            (self.getpwnam)(name.as_ptr(), result.as_mut_ptr(), std::ptr::null_mut(), 0, &raw mut errno)
        };
        (status, errno)
    }

    /// Status and error number of a getpwnam in which every pointer is null.
    pub fn passwd_with_null_pointers(&self) -> c_int {
        let null = std::ptr::null_mut::<c_char>();
        // SAFETY: the module promises to refuse null pointers.
        unsafe { (self.getpwnam)(null, std::ptr::null_mut(), null, 0, std::ptr::null_mut()) }
    }

    /// Only status and error number, and nothing read back: for benches and for traced children.
    pub fn passwd_status(&self, name: &CStr, buffer: &mut [u8]) -> c_int {
        let (mut result, mut errno) = (MaybeUninit::uninit(), STALE);
        let (start, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: valid arguments.
        unsafe { (self.getpwnam)(name.as_ptr(), result.as_mut_ptr(), start, len, &raw mut errno) }
    }

    /// As [`Self::passwd_status`], by id.
    pub fn passwd_id_status(&self, uid: uid_t, buffer: &mut [u8]) -> c_int {
        let (mut result, mut errno) = (MaybeUninit::uninit(), STALE);
        let (start, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: valid arguments.
        unsafe { (self.getpwuid)(uid, result.as_mut_ptr(), start, len, &raw mut errno) }
    }

    /// As [`Self::passwd_status`], for a group.
    pub fn group_status(&self, name: &CStr, buffer: &mut [u8]) -> c_int {
        let (mut result, mut errno) = (MaybeUninit::uninit(), STALE);
        let (start, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: valid arguments.
        unsafe { (self.getgrnam)(name.as_ptr(), result.as_mut_ptr(), start, len, &raw mut errno) }
    }

    /// initgroups on a malloc'ed array that begins with `before` and has room for `size` gids.
    pub fn initgroups(
        &self,
        user: &CStr,
        primary: gid_t,
        before: &[gid_t],
        [size, limit]: [c_long; 2],
    ) -> (c_int, c_int, Gids) {
        let bytes = usize::try_from(size).unwrap() * size_of::<gid_t>();
        // SAFETY: malloc(3) has no preconditions.
        let mut groups: *mut gid_t = unsafe { libc::malloc(bytes) }.cast();
        assert!(before.len() <= usize::try_from(size).unwrap() && !groups.is_null());
        // SAFETY: the array has room for `size` gids, which are no fewer than `before` has.
        unsafe { groups.copy_from_nonoverlapping(before.as_ptr(), before.len()) };
        // Now, because a test may leave no memory for it behind the call.
        let mut gids = Vec::with_capacity(bytes / size_of::<gid_t>());
        let (mut filled, mut size) = (c_long::try_from(before.len()).unwrap(), size);
        let mut errno = STALE;
        // SAFETY: valid arguments: the array is malloc'ed and as long as `size` says.
        let status = unsafe {
            (self.initgroups)(
                user.as_ptr(),
                primary,
                &raw mut filled,
                &raw mut size,
                &raw mut groups,
                limit,
                &raw mut errno,
            )
        };
        assert!(filled <= size);
        // SAFETY: the first `filled` elements are in use.
        gids.extend_from_slice(unsafe {
            std::slice::from_raw_parts(groups, usize::try_from(filled).unwrap())
        });
        // SAFETY: free(3) of the array, wherever it is now.
        unsafe { libc::free(groups.cast()) };
        (status, errno, Gids { filled, size, gids })
    }

    /// Calls a function that fills a struct: with room for it, with the buffer, and with a stale error number.
    fn call<C, T>(
        &self,
        buffer: &mut [u8],
        view: unsafe fn(&C) -> T,
        function: impl FnOnce(*mut C, *mut c_char, size_t, *mut c_int) -> c_int,
    ) -> Answer<T> {
        let mut result = MaybeUninit::<C>::uninit();
        let mut errno = self.errno_before;
        let status = function(result.as_mut_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), &raw mut errno);
        let entry = (status == SUCCESS).then(|| {
            // SAFETY: the module fills the struct when it succeeds.
            let result = unsafe { result.assume_init_ref() };
            // SAFETY: and points it at strings that live as long as the buffer.
            unsafe { view(result) }
        });
        Answer { status, errno, entry }
    }
}

/// # Safety
/// The struct points at NUL-terminated strings.
unsafe fn passwd_answer(entry: &passwd) -> PasswdAnswer {
    let fields = [entry.pw_name, entry.pw_passwd, entry.pw_gecos, entry.pw_dir, entry.pw_shell];
    PasswdAnswer {
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        // SAFETY: by the contract of this function.
        texts: fields.map(|field| unsafe { text(field) }),
    }
}

/// # Safety
/// The struct points at NUL-terminated strings and at an aligned, null-terminated array of them.
unsafe fn group_answer(entry: &group) -> GroupAnswer {
    assert_eq!(entry.gr_mem.addr() % align_of::<*mut c_char>(), 0, "the array is not aligned");
    let mut members = Vec::new();
    loop {
        // SAFETY: the null pointer that ends the array has not been met.
        let place = unsafe { entry.gr_mem.add(members.len()) };
        // SAFETY: as above.
        let member = unsafe { place.read() };
        if member.is_null() {
            break;
        }
        // SAFETY: by the contract of this function.
        members.push(unsafe { text(member) });
    }
    GroupAnswer {
        gid: entry.gr_gid,
        // SAFETY: by the contract of this function.
        name: unsafe { text(entry.gr_name) },
        // SAFETY: by the contract of this function.
        password: unsafe { text(entry.gr_passwd) },
        array: entry.gr_mem.addr(),
        members,
    }
}

/// # Safety
/// `start` is a NUL-terminated string.
unsafe fn text(start: *const c_char) -> Text {
    // SAFETY: by the contract of this function.
    let value = unsafe { CStr::from_ptr(start) };
    Text { address: start.addr(), value: value.to_str().unwrap().to_owned() }
}
