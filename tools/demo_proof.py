# SPDX-License-Identifier: MIT
"""demo_proof - which library serves a running program's malloc.

The proof is taken from the process, not from how it was started: the words
of the program's global offset table that the dynamic linker filled in for
malloc and its family are read from the process' memory, and each address is
looked up among the files mapped there.
"""

import os
import struct

FAMILY = ("malloc", "calloc", "realloc", "free", "malloc_usable_size")

DYNAMIC_SEGMENT = 2
LOAD_SEGMENT = 1
TAG_STRINGS, TAG_SYMBOLS = 5, 6
TAG_RELA, TAG_RELA_BYTES = 7, 8
TAG_PLT, TAG_PLT_BYTES = 23, 2

# Relocations whose word is the bare address of a function: GLOB_DAT and
# JUMP_SLOT, for x86-64 (ELF machine 62) and for AArch64 (183).
ADDRESS_KINDS = {62: (6, 7), 183: (1025, 1026)}


class ProofError(Exception):
    """The process or its program file does not show who serves."""


class Elf:
    """As much of a 64-bit little-endian program file as the proof needs."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ProofError(f"{path} is not a 64-bit little-endian program")
        self.machine = struct.unpack_from("<H", self.data, 18)[0]
        if self.machine not in ADDRESS_KINDS:
            raise ProofError(f"{path}: no proof for machine {self.machine}")
        table = struct.unpack_from("<Q", self.data, 32)[0]
        entry_bytes, count = struct.unpack_from("<HH", self.data, 54)
        # kind, flags, offset, address, physical, file bytes, memory bytes
        self.segments = [
            struct.unpack_from("<IIQQQQQ", self.data, table + i * entry_bytes)
            for i in range(count)]
        self.tags = self._dynamic()

    def _dynamic(self):
        for kind, _, offset, _, _, size, _ in self.segments:
            if kind == DYNAMIC_SEGMENT:
                words = self.data[offset:offset + size]
                return dict(struct.iter_unpack("<QQ", words))
        raise ProofError("the program is linked statically")

    def offset_of(self, address):
        """Where in the file the byte at this link-time address lies."""
        for kind, _, offset, start, _, size, _ in self.segments:
            if kind == LOAD_SEGMENT and start <= address < start + size:
                return address - start + offset
        raise ProofError(f"no segment holds {address:#x}")

    def first_address(self):
        """Link-time address that the mapping of file offset 0 gets."""
        for kind, _, offset, start, *_ in self.segments:
            if kind == LOAD_SEGMENT and offset == 0:
                return start
        raise ProofError("no segment begins at offset 0")

    def name_of(self, symbol):
        symbols = self.offset_of(self.tags[TAG_SYMBOLS])
        strings = self.offset_of(self.tags[TAG_STRINGS])
        start = strings + struct.unpack_from(
            "<I", self.data, symbols + symbol * 24)[0]
        return self.data[start:self.data.index(b"\0", start)].decode()

    def slots(self, names):
        """Yield (name, link-time address) of each table word for names."""
        for tag, bytes_tag in ((TAG_RELA, TAG_RELA_BYTES),
                               (TAG_PLT, TAG_PLT_BYTES)):
            if tag not in self.tags:
                continue
            start = self.offset_of(self.tags[tag])
            rows = self.data[start:start + self.tags[bytes_tag]]
            for address, info, _ in struct.iter_unpack("<QQq", rows):
                if info & 0xffffffff not in ADDRESS_KINDS[self.machine]:
                    continue
                name = self.name_of(info >> 32)
                if name in names:
                    yield name, address


def mapped_files(pid):
    """List (start, end, file offset, path) of every file mapped by pid."""
    files = []
    with open(f"/proc/{pid}/maps", encoding="utf-8",
              errors="surrogateescape") as lines:
        for line in lines:
            fields = line.rstrip("\n").split(None, 5)
            if len(fields) == 6 and fields[5].startswith("/"):
                start, end = (int(x, 16) for x in fields[0].split("-"))
                files.append((start, end, int(fields[2], 16), fields[5]))
    return files


def serving_libraries(pid):
    """Map each name of FAMILY that the program calls to a library's path."""
    program = os.readlink(f"/proc/{pid}/exe")
    elf = Elf(f"/proc/{pid}/exe")
    files = mapped_files(pid)
    bases = [start for start, _, offset, path in files
             if path == program and offset == 0]
    if not bases:
        raise ProofError(f"{program} is not mapped in process {pid}")
    slide = bases[0] - elf.first_address()

    served = {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for name, slot in elf.slots(FAMILY):
            memory.seek(slot + slide)
            target = struct.unpack("<Q", memory.read(8))[0]
            owner = next((path for start, end, _, path in files
                          if start <= target < end), f"{target:#x}")
            if served.setdefault(name, owner) != owner:
                raise ProofError(
                    f"{name} is both {served[name]}'s and {owner}'s")
    return served


def prove(pid, wanted):
    """Return the path of the library that serves pid; it must be wanted."""
    served = serving_libraries(pid)
    for name in ("malloc", "free"):
        if name not in served:
            raise ProofError(f"the program does not call {name}")
    for name, path in served.items():
        if not os.path.exists(path) or not os.path.samefile(path, wanted):
            raise ProofError(
                f"{name} is served by {path}, and should be by {wanted}")
    return served["malloc"]
