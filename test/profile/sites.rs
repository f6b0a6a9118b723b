// SPDX-License-Identifier: MIT
//! sites - what sites.c does, in Rust, whose allocator is the C library's.
//!
//! Usage: sites FILE...

use std::collections::LinkedList;
use std::ffi::{c_char, c_int, c_void, CString};
use std::rc::Rc;

extern "C" {
    fn malloc_usable_size(object: *const c_void) -> usize;
    fn dlsym(handle: *const c_void, name: *const c_char) -> *const c_void;
}

type Control = extern "C" fn(
    *const c_char,
    *const c_void,
    *const c_void,
    *const c_void,
    usize,
) -> c_int;

fn say(name: &str, bytes: usize, objects: usize) {
    let one: Vec<u8> = Vec::with_capacity(bytes);
    let usable = unsafe { malloc_usable_size(one.as_ptr().cast()) };
    println!("{name} {bytes} {usable} {objects}");
}

#[inline(never)]
fn boxes() -> Vec<Box<[u64; 32]>> {
    let held = (0..40000).map(|i| Box::new([i; 32])).collect();
    say("boxes", 256, 40000);
    say("boxes", 320000, 1);
    held
}

#[inline(never)]
fn buffers() -> Vec<Vec<u8>> {
    let held = (0..2500).map(|_| Vec::with_capacity(4096)).collect();
    say("buffers", 4096, 2500);
    say("buffers", 60000, 1);
    held
}

#[inline(never)]
fn words() -> Vec<String> {
    let held = (0..60000).map(|_| "x".repeat(96)).collect();
    say("words", 96, 60000);
    say("words", 1440000, 1);
    held
}

#[inline(never)]
fn counted() -> Vec<Rc<[u64; 6]>> {
    let held = (0..100000).map(|i| Rc::new([i; 6])).collect();
    say("counted", 64, 100000);
    say("counted", 800000, 1);
    held
}

#[inline(never)]
fn links() -> LinkedList<[u64; 2]> {
    let held = (0..200000).map(|i| [i, i]).collect();
    say("links", 32, 200000);
    held
}

#[inline(never)]
fn zeros() -> Vec<Vec<u64>> {
    let held = (0..100).map(|_| vec![0u64; 16384]).collect();
    say("zeros", 131072, 100);
    say("zeros", 2400, 1);
    held
}

/// By a thread that ends before anybody asks.
#[inline(never)]
fn thrown() -> Vec<Vec<u8>> {
    let thread = std::thread::spawn(|| throw());
    thread.join().unwrap()
}

#[inline(never)]
fn throw() -> Vec<Vec<u8>> {
    let held = (0..10000).map(|_| Vec::with_capacity(768)).collect();
    say("throw", 768, 10000);
    say("throw", 240000, 1);
    held
}

/// Writes a profile, if the allocator writes any.
fn dump(path: String) {
    let name = CString::new("mallctl").unwrap();
    let found = unsafe { dlsym(std::ptr::null(), name.as_ptr()) };
    if found.is_null() {
        return;
    }
    let control: Control = unsafe { std::mem::transmute(found) };
    let leaf = CString::new("prof.dump").unwrap();
    let path = CString::new(path).unwrap();
    let text = path.as_ptr();
    let none = std::ptr::null();
    let error = control(
        leaf.as_ptr(),
        none,
        none,
        std::ptr::addr_of!(text).cast(),
        std::mem::size_of_val(&text),
    );
    assert_eq!(error, 0);
}

fn main() {
    let held = (
        boxes(),
        buffers(),
        words(),
        counted(),
        links(),
        zeros(),
        thrown(),
    );
    for path in std::env::args().skip(1) {
        dump(path);
    }
    // What is held is not taken apart.
    std::mem::forget(held);
}
