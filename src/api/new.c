/* SPDX-License-Identifier: MIT */
/*
 * new - the C++ operators new and delete, without C++.
 *
 * Owns     the twenty replaceable allocation functions of C++17, under the
 *          names that the Itanium ABI gives them.
 * Uses     the C functions of api/; the C++ runtime of the process, which
 *          is looked for only after an allocation has failed.
 * Used by  C++ programs. A build with a prefix leaves them all out.
 *
 * Holds    at every call:
 *   N1  a form that the standard defines by another form calls that other
 *       one when the program has replaced it: who replaces only new(size)
 *       and delete(ptr) gets arrays, sized deletes and nothrow as well
 *   N2  nothing here needs a C++ runtime: references to it are weak
 *   N3  a nothrow form lets no C++ exception of the new handler pass
 *
 * Paths    new_one        -> malloc, or new_slow
 *          new_slow       -> handler and again, until throw_bad_alloc
 *          new_one_quiet  -> malloc, or quiet_slow
 *          quiet_slow     -> handler inside completes() and again, or NULL
 *
 * Locks    none here; looking for a runtime takes the loader's.
 * Never    catches a thread's cancellation: only C++ exceptions.
 * Tests    test/start/cxx.cpp   test/start/cxx_replace.cpp
 */
#include "api/api.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sys.h"
#include "util/compiler.h"

#if !defined(ASHLAR_PREFIX)

/* How size_t is written in a mangled name: unsigned long or unsigned int. */
#if __SIZEOF_SIZE_T__ == 8
#define SIZE "m"
#else
#define SIZE "j"
#endif
#define ALIGN "St11align_val_t"
#define QUIET "RKSt9nothrow_t"

/* Weak, so that a program linked with the archive may replace some. */
#define OPERATOR(mangled) __asm__(mangled) PUBLIC WEAK

/* "one" is the scalar form and "many" the array form; "quiet" is nothrow,
   whose tag is never looked at. */
void *new_one(size_t size) OPERATOR("_Znw" SIZE);
void *new_many(size_t size) OPERATOR("_Zna" SIZE);
void *new_one_quiet(size_t size, const void *tag)
    OPERATOR("_Znw" SIZE QUIET);
void *new_many_quiet(size_t size, const void *tag)
    OPERATOR("_Zna" SIZE QUIET);
void *new_one_aligned(size_t size, size_t alignment)
    OPERATOR("_Znw" SIZE ALIGN);
void *new_many_aligned(size_t size, size_t alignment)
    OPERATOR("_Zna" SIZE ALIGN);
void *new_one_aligned_quiet(size_t size, size_t alignment, const void *tag)
    OPERATOR("_Znw" SIZE ALIGN QUIET);
void *new_many_aligned_quiet(size_t size, size_t alignment, const void *tag)
    OPERATOR("_Zna" SIZE ALIGN QUIET);

void delete_one(void *ptr) OPERATOR("_ZdlPv");
void delete_many(void *ptr) OPERATOR("_ZdaPv");
void delete_one_quiet(void *ptr, const void *tag) OPERATOR("_ZdlPv" QUIET);
void delete_many_quiet(void *ptr, const void *tag) OPERATOR("_ZdaPv" QUIET);
void delete_one_sized(void *ptr, size_t size) OPERATOR("_ZdlPv" SIZE);
void delete_many_sized(void *ptr, size_t size) OPERATOR("_ZdaPv" SIZE);
void delete_one_aligned(void *ptr, size_t alignment)
    OPERATOR("_ZdlPv" ALIGN);
void delete_many_aligned(void *ptr, size_t alignment)
    OPERATOR("_ZdaPv" ALIGN);
void delete_one_aligned_quiet(void *ptr, size_t alignment, const void *tag)
    OPERATOR("_ZdlPv" ALIGN QUIET);
void delete_many_aligned_quiet(void *ptr, size_t alignment, const void *tag)
    OPERATOR("_ZdaPv" ALIGN QUIET);
void delete_one_sized_aligned(void *ptr, size_t size, size_t alignment)
    OPERATOR("_ZdlPv" SIZE ALIGN);
void delete_many_sized_aligned(void *ptr, size_t size, size_t alignment)
    OPERATOR("_ZdaPv" SIZE ALIGN);

/* Second names, which no program can replace, of the forms that others are
   defined by. Where the first name is another address, it was replaced. */
#define OWN(mangled) __attribute__((alias(mangled)))
static void *own_new_one(size_t size) OWN("_Znw" SIZE);
static void *own_new_many(size_t size) OWN("_Zna" SIZE);
static void *own_new_one_aligned(size_t size, size_t alignment)
    OWN("_Znw" SIZE ALIGN);
static void *own_new_many_aligned(size_t size, size_t alignment)
    OWN("_Zna" SIZE ALIGN);
static void own_delete_one(void *ptr) OWN("_ZdlPv");
static void own_delete_many(void *ptr) OWN("_ZdaPv");
static void own_delete_one_aligned(void *ptr, size_t alignment)
    OWN("_ZdlPv" ALIGN);
static void own_delete_many_aligned(void *ptr, size_t alignment)
    OWN("_ZdaPv" ALIGN);

#define REPLACED(form) UNLIKELY((form) != own_##form)

/* -- the C++ runtime -- */

typedef void new_handler(void);

/* What is used of a runtime; libstdc++ and libc++abi have the same names. */
struct runtime {
    new_handler *(*get_new_handler)(void);
    void *(*allocate_exception)(size_t size);
    void (*throw)(void *object, void *type, void (*destroy)(void *));
    void *(*begin_catch)(void *exception);
    void (*end_catch)(void);
    void (*bad_alloc_destroy)(void *object);
    char *bad_alloc_type;
    char *bad_alloc_vtable;
};

new_handler *get_new_handler(void) __asm__("_ZSt15get_new_handlerv") WEAK;
void *allocate_exception(size_t) __asm__("__cxa_allocate_exception") WEAK;
void throw_exception(void *, void *, void (*)(void *))
    __asm__("__cxa_throw") WEAK;
void *begin_catch(void *) __asm__("__cxa_begin_catch") WEAK;
void end_catch(void) __asm__("__cxa_end_catch") WEAK;
void bad_alloc_destroy(void *) __asm__("_ZNSt9bad_allocD1Ev") WEAK;
extern char bad_alloc_type[] __asm__("_ZTISt9bad_alloc") WEAK;
extern char bad_alloc_vtable[] __asm__("_ZTVSt9bad_alloc") WEAK;

/* In libc since glibc 2.34, before that in a library we do not ask for. The
   others are found through it, because a reference to dlopen, even a weak
   one, makes the linker warn about every static program. */
extern __typeof__(dlsym) dlsym WEAK;

struct loader {
    void *(*open)(const char *name, int flags);
    int (*close)(void *handle);
};

/* The runtime the loader bound us to: there in every C++ program. */
static struct runtime runtime_bound(void)
{
    return (struct runtime){
        .get_new_handler = get_new_handler,
        .allocate_exception = allocate_exception,
        .throw = throw_exception,
        .begin_catch = begin_catch,
        .end_catch = end_catch,
        .bad_alloc_destroy = bad_alloc_destroy,
        .bad_alloc_type = bad_alloc_type,
        .bad_alloc_vtable = bad_alloc_vtable,
    };
}

/* The runtime of a plug-in: loaded after us, or where we cannot see it. The
   plug-in keeps it loaded, so the addresses outlive the handle. */
static bool runtime_load(struct runtime *runtime, const char *library,
                         const struct loader *loader)
{
    void *const handle = loader->open(library, RTLD_NOLOAD | RTLD_LAZY);
    if (handle == NULL)
        return false;
    *(void **)&runtime->get_new_handler =
        dlsym(handle, "_ZSt15get_new_handlerv");
    *(void **)&runtime->allocate_exception =
        dlsym(handle, "__cxa_allocate_exception");
    *(void **)&runtime->throw = dlsym(handle, "__cxa_throw");
    *(void **)&runtime->begin_catch = dlsym(handle, "__cxa_begin_catch");
    *(void **)&runtime->end_catch = dlsym(handle, "__cxa_end_catch");
    *(void **)&runtime->bad_alloc_destroy =
        dlsym(handle, "_ZNSt9bad_allocD1Ev");
    runtime->bad_alloc_type = dlsym(handle, "_ZTISt9bad_alloc");
    runtime->bad_alloc_vtable = dlsym(handle, "_ZTVSt9bad_alloc");
    loader->close(handle);
    return true;
}

/* All fields are NULL where the process has no C++ runtime. */
COLD static struct runtime runtime_find(void)
{
    struct runtime runtime = runtime_bound();
    if (runtime.throw != NULL)
        return runtime;
    struct loader loader = { 0 };
    if (dlsym != NULL) {
        *(void **)&loader.open = dlsym(RTLD_DEFAULT, "dlopen");
        *(void **)&loader.close = dlsym(RTLD_DEFAULT, "dlclose");
    }
    if (loader.open == NULL || loader.close == NULL)
        return runtime;
    if (!runtime_load(&runtime, "libstdc++.so.6", &loader))
        runtime_load(&runtime, "libc++abi.so.1", &loader);
    return runtime;
}

COLD static new_handler *handler_find(void)
{
    const struct runtime runtime = runtime_find();
    return runtime.get_new_handler ? runtime.get_new_handler() : NULL;
}

COLD NORETURN static void throw_bad_alloc(void)
{
    const struct runtime runtime = runtime_find();
    if (runtime.allocate_exception && runtime.throw &&
        runtime.bad_alloc_type && runtime.bad_alloc_vtable) {
        /* A bad_alloc is its table pointer alone, which points behind the
           two words at the head of the table. */
        char **const object = runtime.allocate_exception(sizeof *object);
        *object = runtime.bad_alloc_vtable + 2 * sizeof(void *);
        runtime.throw(object, runtime.bad_alloc_type,
                      runtime.bad_alloc_destroy);
    }
    panic("operator new: out of memory, and no C++ runtime to throw");
}

/* -- catching in C -- */

/*
 * completes() runs work and says whether it returned; a C++ exception out
 * of it is caught and dropped. The frame of completes() names a personality
 * routine of its own. That routine accepts any C++ exception and lets the
 * unwinder resume the frame with nothing changed, which is just behind the
 * call of attempt(): the call seems to return, but without its mark. The
 * compiler is told so by returns_twice, as for setjmp.
 *
 * ARM's 32-bit unwinder has other tables; there an exception of the handler
 * passes on, and the program ends as a noexcept function's caller does.
 */
typedef void task(void *argument);

enum { UNWIND_SEARCH = 1, UNWIND_HANDLER = 4 };
enum { UNWIND_FOUND = 6, UNWIND_RESUME = 7, UNWIND_CONTINUE = 8 };

static bool is_cxx(uint64_t exception_class)
{
    /* The last byte tells a primary from a dependent exception. */
    const uint64_t kind = exception_class >> 8;
    return kind == 0x474e5543432b2b      /* GNUCC++ */
        || kind == 0x434c4e47432b2b;     /* CLNGC++ */
}

__attribute__((used)) static int new_personality(int version, int actions,
    uint64_t exception_class, void *exception, void *context)
{
    (void)version;
    (void)context;
    const struct runtime runtime = runtime_find();
    if (!is_cxx(exception_class) || !runtime.begin_catch ||
        !runtime.end_catch)
        return UNWIND_CONTINUE;
    if (actions & UNWIND_SEARCH)
        return UNWIND_FOUND;
    if (!(actions & UNWIND_HANDLER))
        return UNWIND_CONTINUE;
    runtime.begin_catch(exception);
    runtime.end_catch();
    return UNWIND_RESUME;
}

__attribute__((noinline, returns_twice))
static void attempt(task *work, void *argument, volatile bool *returned)
{
    work(argument);
    *returned = true;
}

#if defined(__ARM_EABI__)
#define CATCH_CXX() ((void)0)
#else
/* 0x1b: a signed 32-bit offset from where it stands. */
#define CATCH_CXX() __asm__ volatile(".cfi_personality 0x1b, new_personality")
#endif

COLD static bool completes(task *work, void *argument)
{
    volatile bool returned = false;
    CATCH_CXX();
    attempt(work, argument, &returned);
    return returned;
}

/* -- when memory runs out -- */

enum { NATURAL = 0 };   /* an alignment: malloc's own */

static void *take(size_t size, size_t alignment)
{
    if (alignment == NATURAL)
        return api_malloc(size);
    return api_aligned_alloc(alignment, size);
}

/* Against the rules of the language, and no handler could help. */
static bool is_senseless(size_t alignment)
{
    return (alignment & (alignment - 1)) != 0;
}

/* Option experimental_infallible_new: the process ends rather than learn. true:
 * the program wants to go on nevertheless. */
static bool new_was_infallible(size_t size)
{
    if (!option_now.experimental_infallible_new)
        return false;
    struct text text;
    text_clear(&text);
    text_string(&text, "<jemalloc>: Allocation of size ");
    text_number(&text, size, 0);
    text_string(&text, " failed. "
        "opt.experimental_infallible_new is true. Aborting.\n");
    api_stop(text.bytes);
    return true;
}

COLD static void *new_slow(size_t size, size_t alignment)
{
    if (new_was_infallible(size))
        return NULL;
    for (;;) {
        new_handler *const handler = handler_find();
        if (handler == NULL || is_senseless(alignment))
            throw_bad_alloc();
        handler();
        void *const ptr = take(size, alignment);
        if (ptr != NULL)
            return ptr;
    }
}

static void call_handler(void *handler)
{
    (*(new_handler **)handler)();
}

COLD static void *quiet_slow(size_t size, size_t alignment)
{
    if (new_was_infallible(size))
        return NULL;
    for (;;) {
        new_handler *handler = handler_find();
        if (handler == NULL || is_senseless(alignment))
            return NULL;
        if (!completes(call_handler, &handler))
            return NULL;
        void *const ptr = take(size, alignment);
        if (ptr != NULL)
            return ptr;
    }
}

/* A call of a throwing form that the program has replaced. */
struct foreign_call {
    void *(*form)(size_t);
    void *(*aligned_form)(size_t, size_t);
    size_t size;
    size_t alignment;
    void *ptr;
};

static void call_foreign(void *argument)
{
    struct foreign_call *const call = argument;
    if (call->form != NULL)
        call->ptr = call->form(call->size);
    else
        call->ptr = call->aligned_form(call->size, call->alignment);
}

COLD static void *quiet_foreign(void *(*form)(size_t), size_t size)
{
    struct foreign_call call = { .form = form, .size = size };
    return completes(call_foreign, &call) ? call.ptr : NULL;
}

COLD static void *quiet_foreign_aligned(void *(*form)(size_t, size_t),
                                   size_t size, size_t alignment)
{
    struct foreign_call call = {
        .aligned_form = form, .size = size, .alignment = alignment,
    };
    return completes(call_foreign, &call) ? call.ptr : NULL;
}

/* -- new -- */

void *new_one(size_t size)
{
    void *const ptr = api_malloc(size);
    if (UNLIKELY(ptr == NULL))
        return new_slow(size, NATURAL);
    return ptr;
}

void *new_many(size_t size)
{
    if (REPLACED(new_one))
        return new_one(size);
    void *const ptr = api_malloc(size);
    if (UNLIKELY(ptr == NULL))
        return new_slow(size, NATURAL);
    return ptr;
}

void *new_one_aligned(size_t size, size_t alignment)
{
    void *const ptr = api_aligned_alloc(alignment, size);
    if (UNLIKELY(ptr == NULL))
        return new_slow(size, alignment);
    return ptr;
}

void *new_many_aligned(size_t size, size_t alignment)
{
    if (REPLACED(new_one_aligned))
        return new_one_aligned(size, alignment);
    void *const ptr = api_aligned_alloc(alignment, size);
    if (UNLIKELY(ptr == NULL))
        return new_slow(size, alignment);
    return ptr;
}

void *new_one_quiet(size_t size, const void *tag)
{
    (void)tag;
    if (REPLACED(new_one))
        return quiet_foreign(new_one, size);
    void *const ptr = api_malloc(size);
    if (UNLIKELY(ptr == NULL))
        return quiet_slow(size, NATURAL);
    return ptr;
}

void *new_many_quiet(size_t size, const void *tag)
{
    (void)tag;
    if (REPLACED(new_many) || REPLACED(new_one))
        return quiet_foreign(new_many, size);
    void *const ptr = api_malloc(size);
    if (UNLIKELY(ptr == NULL))
        return quiet_slow(size, NATURAL);
    return ptr;
}

void *new_one_aligned_quiet(size_t size, size_t alignment, const void *tag)
{
    (void)tag;
    if (REPLACED(new_one_aligned))
        return quiet_foreign_aligned(new_one_aligned, size, alignment);
    void *const ptr = api_aligned_alloc(alignment, size);
    if (UNLIKELY(ptr == NULL))
        return quiet_slow(size, alignment);
    return ptr;
}

void *new_many_aligned_quiet(size_t size, size_t alignment, const void *tag)
{
    (void)tag;
    if (REPLACED(new_many_aligned) || REPLACED(new_one_aligned))
        return quiet_foreign_aligned(new_many_aligned, size, alignment);
    void *const ptr = api_aligned_alloc(alignment, size);
    if (UNLIKELY(ptr == NULL))
        return quiet_slow(size, alignment);
    return ptr;
}

/* -- delete -- */

void delete_one(void *ptr)
{
    api_free(ptr);
}

void delete_many(void *ptr)
{
    if (REPLACED(delete_one))
        delete_one(ptr);
    else
        api_free(ptr);
}

void delete_one_quiet(void *ptr, const void *tag)
{
    (void)tag;
    if (REPLACED(delete_one))
        delete_one(ptr);
    else
        api_free(ptr);
}

void delete_many_quiet(void *ptr, const void *tag)
{
    (void)tag;
    if (REPLACED(delete_many) || REPLACED(delete_one))
        delete_many(ptr);
    else
        api_free(ptr);
}

void delete_one_sized(void *ptr, size_t size)
{
    if (REPLACED(delete_one))
        delete_one(ptr);
    else
        api_free_sized(ptr, size);
}

void delete_many_sized(void *ptr, size_t size)
{
    if (REPLACED(delete_many) || REPLACED(delete_one))
        delete_many(ptr);
    else
        api_free_sized(ptr, size);
}

void delete_one_aligned(void *ptr, size_t alignment)
{
    (void)alignment;
    api_free(ptr);
}

void delete_many_aligned(void *ptr, size_t alignment)
{
    if (REPLACED(delete_one_aligned))
        delete_one_aligned(ptr, alignment);
    else
        api_free(ptr);
}

void delete_one_aligned_quiet(void *ptr, size_t alignment, const void *tag)
{
    (void)tag;
    if (REPLACED(delete_one_aligned))
        delete_one_aligned(ptr, alignment);
    else
        api_free(ptr);
}

void delete_many_aligned_quiet(void *ptr, size_t alignment, const void *tag)
{
    (void)tag;
    if (REPLACED(delete_many_aligned) || REPLACED(delete_one_aligned))
        delete_many_aligned(ptr, alignment);
    else
        api_free(ptr);
}

void delete_one_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (REPLACED(delete_one_aligned))
        delete_one_aligned(ptr, alignment);
    else
        api_free_aligned_sized(ptr, alignment, size);
}

void delete_many_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (REPLACED(delete_many_aligned) || REPLACED(delete_one_aligned))
        delete_many_aligned(ptr, alignment);
    else
        api_free_aligned_sized(ptr, alignment, size);
}

#endif
