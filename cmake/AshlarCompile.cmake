# SPDX-License-Identifier: MIT
#
# AshlarCompile.cmake - how every C file of the project is compiled.
#
#   ASHLAR_WARNINGS          for all code, tests and tools included
#   ASHLAR_C_WARNINGS        those among them that C++ does not know
#   ASHLAR_DEFINITIONS       what the library's code needs to be told
#   ASHLAR_CORE_OPTIONS      how the library's code is compiled
#   ASHLAR_OWN_MALLOC        the compiler must not think it knows malloc
#   ASHLAR_SANITIZE_OPTIONS  the sanitizers asked for

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(ASHLAR_C_WARNINGS -Wstrict-prototypes -Wmissing-prototypes)
set(ASHLAR_WARNINGS
    -Wall -Wextra -Wshadow -Wconversion -Wundef -Wvla
    ${ASHLAR_C_WARNINGS})
set(ASHLAR_WERROR_OPTION $<$<BOOL:${ASHLAR_WERROR}>:-Werror>)

# Left to itself, the compiler deletes a malloc whose block is freed unread, and
# turns malloc and memset inside calloc into a call of calloc.
set(ASHLAR_OWN_MALLOC
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc
    -fno-builtin-free -fno-builtin-aligned_alloc
    -fno-builtin-posix_memalign)

# The empty value lets a file that says "#define _GNU_SOURCE" repeat it.
set(ASHLAR_DEFINITIONS
    _GNU_SOURCE=)

# Frame pointers lead stack traces, heap profiles among them, through our slow
# paths; a function that calls nothing, as malloc and free when they hit, needs
# none, and is not a byte longer for it (test/golden).
include(CheckCCompilerFlag)
check_c_compiler_flag(-momit-leaf-frame-pointer ASHLAR_HAS_LEAF_OPTION)
set(ASHLAR_LEAF_OPTION
    $<$<BOOL:${ASHLAR_HAS_LEAF_OPTION}>:-momit-leaf-frame-pointer>)

# initial-exec makes a shelf one instruction away from the thread pointer; the
# price is that the static TLS block has to have room when the library is
# loaded late, which is why ours is kept small.
set(ASHLAR_CORE_OPTIONS
    ${ASHLAR_WARNINGS} ${ASHLAR_WERROR_OPTION} ${ASHLAR_OWN_MALLOC}
    -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt
    -fno-semantic-interposition
    -fno-omit-frame-pointer ${ASHLAR_LEAF_OPTION})

if(ASHLAR_SANITIZE)
    set(ASHLAR_SANITIZE_OPTIONS
        -fsanitize=${ASHLAR_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
endif()
