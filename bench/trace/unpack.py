#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unpack - a trace from the tree, as replay reads it.

    unpack.py NAME.trace.xz NAME.trace
"""

import lzma
import os
import shutil
import sys


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: unpack.py NAME.trace.xz NAME.trace")
    packed, path = sys.argv[1:]
    part = f"{path}.part"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with lzma.open(packed) as source, open(part, "wb") as target:
            shutil.copyfileobj(source, target)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise SystemExit(f"unpack.py: {packed}: {error}") from error
    os.rename(part, path)       # half of it must not pass for the whole


main()
