# SPDX-License-Identifier: MIT
"""sites - what sites.c does, in Python, whose objects are the C library's with
PYTHONMALLOC=malloc. A line names the function of the interpreter's interface
that takes what is counted.

Usage: sites.py FILE...
"""
import ctypes
import sys

SOURCE = b"x" * 3071

def say(name, size, objects):
    print(name, size, size, objects)


def packets(held):
    source = b"x" * 480
    for i in range(len(held)):
        held[i] = source[1:]
    say("PyBytes_FromStringAndSize", sys.getsizeof(held[0]), len(held))


def buffers(held):
    for buffer in held:
        buffer.extend(SOURCE)
    say("PyByteArray_Resize", held[0].__alloc__(), len(held))


def main():
    lists = [[None] * 30000, [bytearray() for _ in range(4000)]]
    control = getattr(ctypes.CDLL(None), "mallctl", None)
    # What has been taken so far counts nowhere.
    if control is not None:
        control(b"prof.reset", None, None, None, ctypes.c_size_t(0))
    packets(lists[0])
    buffers(lists[1])
    for path in sys.argv[1:]:
        text = ctypes.c_char_p(path.encode())
        if control is None or control(b"prof.dump", None, None,
                                      ctypes.byref(text),
                                      ctypes.c_size_t(8)) != 0:
            return 1
    return 0


sys.exit(main())
