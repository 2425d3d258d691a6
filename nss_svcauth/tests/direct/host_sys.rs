//! What a test does to its own process that safe Rust has no word for.

use std::ffi::{c_int, c_long, c_void};
use std::io::Write;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{ptr, slice};

use crate::room::fork_sys::wait_for;

const PAGE: usize = 4096;
const CANARY: u8 = 0xa5;

/// A thread that may end by unwinding: that is how glibc carries out a cancellation.
type CancellableThread = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

unsafe extern "C" {
    // The first argument is an enum in glibc's header and an integer elsewhere; ITIMER_REAL is 0.
    fn setitimer(which: c_int, new: *const libc::itimerval, old: *mut libc::itimerval) -> c_int;
    fn pthread_cancel(thread: libc::pthread_t) -> c_int;
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const c_void,
        start: CancellableThread,
        argument: *mut c_void,
    ) -> c_int;
}

unsafe extern "C-unwind" {
    // The thread ends here by unwinding when it has been cancelled.
    safe fn pthread_testcancel();
}

/// Two pages of memory, and behind them one that may not be touched.
pub(crate) struct Guarded(*mut u8);

impl Guarded {
    pub(crate) fn new() -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: mmap(2) of new anonymous pages anywhere.
        let start = unsafe { libc::mmap(ptr::null_mut(), 3 * PAGE, protection, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the third page lies inside the mapping.
        let guard = unsafe { start.byte_add(2 * PAGE) };
        // SAFETY: mprotect(2) of a page of our own.
        let protected = unsafe { libc::mprotect(guard, PAGE, libc::PROT_NONE) };
        assert_eq!(protected, 0);
        Self(start.cast())
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the first two pages are readable and writable and belong to this value.
        unsafe { slice::from_raw_parts_mut(self.0, 2 * PAGE) }
    }

    /// The last `len` bytes in front of the guard page, behind fresh canaries.
    pub(crate) fn last_bytes(&mut self, len: usize) -> &mut [u8] {
        let bytes = self.bytes();
        bytes.fill(CANARY);
        &mut bytes[2 * PAGE - len..]
    }

    /// Whether nothing was written in front of the last `len` bytes.
    pub(crate) fn is_untouched_before(&mut self, len: usize) -> bool {
        self.bytes()[..2 * PAGE - len].iter().all(|byte| *byte == CANARY)
    }
}

/// Runs `work` while the process may not map more than `spare` bytes beyond what it has.
pub(crate) fn with_address_space_full<T>(spare: u64, work: impl FnOnce() -> T) -> T {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    with_limit(libc::RLIMIT_AS, kib * 1024 + spare, work)
}

/// Runs `work` while no descriptor from `limit` on may be opened.
pub(crate) fn with_descriptor_limit<T>(limit: u64, work: impl FnOnce() -> T) -> T {
    with_limit(libc::RLIMIT_NOFILE, limit, work)
}

fn with_limit<T>(resource: libc::__rlimit_resource_t, soft: u64, work: impl FnOnce() -> T) -> T {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) fills the struct.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut before) }, 0);
    let lower = libc::rlimit { rlim_cur: soft, ..before };
    // SAFETY: setrlimit(2) reads the struct.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const lower) }, 0);
    let outcome = work();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const before) }, 0);
    outcome
}

/// Sets errno, runs `work` and returns errno.
pub(crate) fn errno_after(before: c_int, work: impl FnOnce()) -> c_int {
    // SAFETY: every thread has an errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno(3): the address is valid for as long as the thread runs.
    unsafe { errno.write(before) };
    work();
    // SAFETY: as above.
    unsafe { errno.read() }
}

/// Runs `work` in a thread that has been cancelled just before: the first cancellation point in it would end the thread.
/// Returns the result of `work` if it came to its end and the thread was cancelled only after it.
pub(crate) fn cancelled_during<F: Fn() -> c_int>(work: F) -> Option<c_int> {
    let mut scene = (work, None);
    let mut thread = MaybeUninit::uninit();
    let argument = (&raw mut scene).cast();
    // SAFETY: pthread_create(3); `scene` lives until the thread has been joined below.
    let started =
        unsafe { pthread_create(thread.as_mut_ptr(), ptr::null(), cancelled_thread::<F>, argument) };
    assert_eq!(started, 0);
    let mut outcome = ptr::null_mut();
    // SAFETY: pthread_create filled `thread`.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: pthread_join(3) of a thread of our own, once.
    assert_eq!(unsafe { libc::pthread_join(thread, &raw mut outcome) }, 0);
    // PTHREAD_CANCELED of glibc's pthread.h.
    assert_eq!(outcome.addr(), usize::MAX, "the thread was not cancelled at all");
    scene.1
}

/// No destructor may be pending in this frame when the thread is cancelled.
extern "C-unwind" fn cancelled_thread<F: Fn() -> c_int>(scene: *mut c_void) -> *mut c_void {
    // SAFETY: pthread_self(3) has no preconditions.
    let myself = unsafe { libc::pthread_self() };
    // SAFETY: pthread_cancel(3) of a thread that runs; cancellation is deferred by default.
    unsafe { pthread_cancel(myself) };
    // SAFETY: the argument of pthread_create, which outlives this thread and which nobody else uses meanwhile.
    let scene = unsafe { &mut *scene.cast::<(F, Option<c_int>)>() };
    scene.1 = Some((scene.0)());
    pthread_testcancel();
    ptr::null_mut()
}

static HANDLER: OnceLock<fn()> = OnceLock::new();
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_alarm(_: c_int) {
    if let Some(handler) = HANDLER.get() {
        handler();
    }
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Runs `work` while SIGALRM comes every millisecond, without SA_RESTART, and calls `handler`. How often it came.
pub(crate) fn in_a_storm_of_signals(handler: fn(), work: impl FnOnce()) -> usize {
    HANDLER.get_or_init(|| handler);
    // SAFETY: all fields are numbers, sets or function pointers that may be null.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let on_alarm: extern "C" fn(c_int) = on_alarm;
    action.sa_sigaction = on_alarm as libc::sighandler_t;
    // SAFETY: sigaction(2): the handler does what is being tested, and counts.
    let installed = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
    assert_eq!(installed, 0);
    set_timer(1000);
    work();
    set_timer(0);
    HANDLED.load(Ordering::SeqCst)
}

fn set_timer(microseconds: libc::suseconds_t) {
    let interval = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: setitimer(2) reads the struct.
    let set = unsafe { setitimer(0, &raw const timer, ptr::null_mut()) };
    assert_eq!(set, 0);
}

/// The system calls that `work` makes, traced in a child between two calls of getppid(2). `None`, and a message, where
/// nothing can be traced.
pub(crate) fn system_calls_of<T>(work: impl FnOnce() -> T) -> Option<Vec<&'static str>> {
    // SAFETY: fork(2); the child calls nothing but `work` and the functions below.
    let child = unsafe { libc::fork() };
    if child == 0 {
        traced_child(work);
    }
    let status = wait_for(child);
    if !libc::WIFSTOPPED(status) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a child cannot be traced here");
        return None;
    }
    let sysgood: *mut c_void = ptr::without_provenance_mut(libc::PTRACE_O_TRACESYSGOOD as usize);
    trace(libc::PTRACE_SETOPTIONS, child, sysgood);
    let mut numbers = Vec::new();
    loop {
        trace(libc::PTRACE_SYSCALL, child, ptr::null_mut());
        let status = wait_for(child);
        if libc::WIFEXITED(status) {
            break;
        }
        numbers.extend(entered(child));
    }
    let mut parts = numbers.split(|number| *number == libc::SYS_getppid);
    Some(parts.nth(1)?.iter().map(|number| name_of(*number)).collect())
}

fn traced_child<T>(work: impl FnOnce() -> T) -> ! {
    let null = ptr::null_mut::<c_void>();
    // SAFETY: ptrace(2): PTRACE_TRACEME ignores its arguments.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, null, null) } == 0 {
        // SAFETY: raise(3) has no preconditions.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
    // SAFETY: getppid(2) has no preconditions.
    unsafe { libc::getppid() };
    work();
    // SAFETY: as above.
    unsafe { libc::getppid() };
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(0) }
}

fn trace(request: libc::c_uint, child: libc::pid_t, data: *mut c_void) {
    // SAFETY: ptrace(2) on a stopped child of our own; these requests read `data` as a number.
    let done = unsafe { libc::ptrace(request, child, ptr::null_mut::<c_void>(), data) };
    assert_eq!(done, 0);
}

/// The number of the system call that the child is entering, if it is not leaving one.
fn entered(child: libc::pid_t) -> Option<c_long> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size: *mut c_void = ptr::without_provenance_mut(size_of::<libc::ptrace_syscall_info>());
    // SAFETY: ptrace(2): PTRACE_GET_SYSCALL_INFO writes at most `size` bytes to its last argument.
    let filled = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, child, size, info.as_mut_ptr()) };
    assert!(filled > 0);
    // SAFETY: all fields are numbers, and were zeroed.
    let info = unsafe { info.assume_init() };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: at an entry stop this is the field of the union that is set.
    let entry = unsafe { info.u.entry };
    c_long::try_from(entry.nr).ok()
}

/// glibc's way of asking for the same thing differs between versions and machines.
fn name_of(number: c_long) -> &'static str {
    match number {
        libc::SYS_openat => "open",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => "open",
        libc::SYS_fstat | libc::SYS_newfstatat | libc::SYS_statx => "stat",
        libc::SYS_pread64 => "read",
        libc::SYS_close => "close",
        _ => "another",
    }
}
