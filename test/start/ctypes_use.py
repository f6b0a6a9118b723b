#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Opens the library in a running Python, and uses it from several threads.

Usage: ctypes_use.py LIBRARY [OTHER_LIBRARY...]; the others are opened first.
Prints "ok". The Python keeps its own malloc: the library must be able to be
the second allocator of a process, opened late.
"""
import ctypes
import queue
import sys
import threading

THREADS = 6
ROUNDS = 300

others = [ctypes.CDLL(path) for path in sys.argv[2:]]
for other in others:
    other.tls_user_kept.restype = ctypes.c_void_p
    assert other.tls_user_kept()

library = ctypes.CDLL(sys.argv[1])
size_t, pointer = ctypes.c_size_t, ctypes.c_void_p
library.malloc.argtypes, library.malloc.restype = [size_t], pointer
library.calloc.argtypes, library.calloc.restype = [size_t, size_t], pointer
library.realloc.argtypes, library.realloc.restype = [pointer, size_t], pointer
library.free.argtypes, library.free.restype = [pointer], None
library.malloc_usable_size.argtypes = [pointer]
library.malloc_usable_size.restype = size_t

# The operators must take and give the memory of this library, not of the
# libc whose malloc is found first.
new, delete = library._Znwm, library._ZdlPvm
new.argtypes, new.restype = [size_t], pointer
delete.argtypes, delete.restype = [pointer, size_t], None

failures = []
handed = queue.Queue()


def check(condition, text):
    if not condition:
        failures.append(text)


def work(seed):
    for round_number in range(ROUNDS):
        size = 1 + (seed * 7919 + round_number * 104729) % 200000
        block = library.malloc(size)
        check(block and block % 8 == 0, f"malloc({size}) gave {block}")
        check(library.malloc_usable_size(block) >= size, "usable size")
        ctypes.memset(block, seed, size)
        block = library.realloc(block, size * 2)
        text = ctypes.string_at(block, size)
        check(text == bytes([seed]) * size, f"realloc of {size} lost bytes")
        zeroed = library.calloc(3, size)
        check(not any(ctypes.string_at(zeroed, 3 * size)), "calloc")
        library.free(zeroed)
        made = new(size)
        check(library.malloc_usable_size(made) >= size, "operator new")
        delete(made, size)
        handed.put((block, seed, size))
        block, owner, size = handed.get()
        text = ctypes.string_at(block, size)
        check(text == bytes([owner]) * size, "a handed block changed")
        library.free(block)


threads = [threading.Thread(target=work, args=(i + 1,))
           for i in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library.free(None)
check(library.malloc_usable_size(None) == 0, "usable size of NULL")
print("\n".join(failures[:10]) if failures else "ok")
sys.exit(1 if failures else 0)
