//! An allocator that counts, for each thread, what is held and what was ever asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static HELD_MAX: Cell<i64> = const { Cell::new(0) };
    static ASKED: Cell<i64> = const { Cell::new(0) };
}

/// What a piece of work took, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// The most that it held at one time.
    pub(crate) held_bytes_max: i64,
    /// All that it ever asked for, given back or not.
    pub(crate) asked_bytes: i64,
}

/// Does the work and counts what it took on this thread.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, Memory) {
    let (held, asked) = (HELD.get(), ASKED.get());
    HELD_MAX.set(held);
    let result = work();
    (result, Memory { held_bytes_max: HELD_MAX.get() - held, asked_bytes: ASKED.get() - asked })
}

fn note(more: usize, less: usize) {
    let (more, less) = (i64::try_from(more).unwrap_or(i64::MAX), i64::try_from(less).unwrap_or(i64::MAX));
    // A thread that ends has no counters any more, and nobody asks for them.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + more - less);
        let _ = HELD_MAX.try_with(|most| most.set(most.get().max(held.get())));
    });
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + (more - less).max(0)));
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; each call goes on to the system's unchanged")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, layout.size());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        unsafe { System.realloc(at, layout, size) }
    }
}
