/* SPDX-License-Identifier: MIT */
/*
 * pprof - writes a profile as pprof reads it.
 *
 * The file is written as it is made: a text when it is first named, a location
 * when a stack first has it, then the samples that refer to them by number.
 */
#include "ledger/pprof.h"

#include <string.h>

#include "ashlar/ashlar.h"
#include "ledger/gzip.h"
#include "ledger/module.h"
#include "ledger/protobuf.h"
#include "ledger/stack.h"
#include "util/units.h"

/* The fields of the format's messages. */
enum {
    PPROF_SAMPLE_TYPE = 1, PPROF_SAMPLE, PPROF_MAPPING, PPROF_LOCATION,
    PPROF_TEXT = 6, PPROF_DROP, PPROF_TIME_NS = 9,
    PPROF_PERIOD_TYPE = 11, PPROF_PERIOD, PPROF_DEFAULT_TYPE = 14,
};
enum { PPROF_TYPE_TYPE = 1, PPROF_TYPE_UNIT };
enum { PPROF_SAMPLE_LOCATIONS = 1, PPROF_SAMPLE_VALUES, PPROF_SAMPLE_LABEL };
enum {
    PPROF_LABEL_KEY = 1, PPROF_LABEL_TEXT, PPROF_LABEL_NUMBER,
    PPROF_LABEL_UNIT,
};
enum { PPROF_LOCATION_ID = 1, PPROF_LOCATION_MAPPING, PPROF_LOCATION_ADDRESS };
enum {
    PPROF_MAPPING_ID = 1, PPROF_MAPPING_START, PPROF_MAPPING_END,
    PPROF_MAPPING_OFFSET, PPROF_MAPPING_FILE, PPROF_MAPPING_BUILD_ID,
};

/* The texts that every profile has, in the order of their numbers. */
enum pprof_text {
    PPROF_NONE, PPROF_ALLOC_OBJECTS, PPROF_ALLOC_SPACE, PPROF_INUSE_OBJECTS,
    PPROF_INUSE_SPACE, PPROF_COUNT, PPROF_BYTES, PPROF_SPACE, PPROF_THREAD,
    PPROF_THREAD_UID, PPROF_ARENA, PPROF_DROP_FRAMES, PPROF_TEXTS
};
static const char *const pprof_texts[PPROF_TEXTS] = {
    "", "alloc_objects", "alloc_space", "inuse_objects", "inuse_space",
    "count", "bytes", "space", "thread", "thread_uid", "arena",
    /* What programs call to allocate, and what of that is on a stack where the
     * library is part of the program: no reader wants to see it. */
    "api_("
#define EXPORT_C(name) #name "|"
#define EXPORT_ALLOCX(name) #name "|"
#include "table/export.def"
    "new)(_slow|_medium)?|"
#define EXPORT_C(name) SYS_QUOTE(ASHLAR_NAME(name)) "|"
#define EXPORT_ALLOCX(name) SYS_QUOTE(ASHLAR_NAME(name)) "|"
#include "table/export.def"
    "operator new(\\[\\])?|operator delete(\\[\\])?",
};

enum {
    PPROF_WORDS = 256,          /* power of two */
    PPROF_WORD_BYTES = 32,
    PPROF_PLACES_MIN = 4096,    /* power of two */
    PPROF_PATH_BYTES = 4096,
};

/* A short text that was written lately, and its number. */
struct pprof_word {
    char bytes[PPROF_WORD_BYTES];
    uint64_t number;
};

/* An address that was written, and its number; 0: a free slot. */
struct pprof_place {
    uintptr_t address;
    uint64_t number;
};

struct pprof {
    const struct snapshot *snapshot;
    struct module_list modules;
    struct pprof_place *place;  /* at most half of them taken */
    size_t places_max;          /* power of two */
    size_t places;
    uint64_t texts;             /* how many were written */
    struct pprof_word word[PPROF_WORDS];
    char program[PPROF_PATH_BYTES];
    struct text text;
    struct protobuf message;
    struct protobuf inner;
    struct gzip gzip;
};

static const char *(*pprof_arena_name)(unsigned arena);

void pprof_set_arena_names(const char *(*name_of)(unsigned arena))
{
    pprof_arena_name = name_of;
}

static void pprof_release(void *address, size_t bytes)
{
    /* Where the kernel cannot split a mapping, it stays. */
    const bool done = address == NULL || sys_release(address, bytes);
    (void)done;
}

/* -- parts of the file -- */

static void pprof_put(struct pprof *pprof, unsigned field, const void *bytes,
    size_t count)
{
    uint8_t head[2 * PROTOBUF_NUMBER_BYTES];
    gzip_bytes(&pprof->gzip, head, protobuf_head(head, field, count));
    gzip_bytes(&pprof->gzip, bytes, count);
}

/* Writes the message that was made, and begins another. */
static void pprof_put_message(struct pprof *pprof, unsigned field)
{
    pprof_put(pprof, field, pprof->message.bytes, pprof->message.used);
    protobuf_clear(&pprof->message);
}

static uint64_t pprof_put_text(struct pprof *pprof, const char *text,
    size_t length)
{
    pprof_put(pprof, PPROF_TEXT, text, length);
    return pprof->texts++;
}

static size_t pprof_hash(uint64_t value)
{
    return (size_t)(value * 0x9e3779b97f4a7c15u >> 32);
}

/* The number of a short text. A profile has few of them again and again; one
 * that was forgotten meanwhile is written once more, which is allowed. */
static uint64_t pprof_word(struct pprof *pprof, const char *text)
{
    const size_t length = strnlen(text, PPROF_WORD_BYTES - 1);
    uint64_t hash = 0;
    for (size_t i = 0; i < length; i++)
        hash = hash * 31 + (uint8_t)text[i];
    struct pprof_word *const word =
        &pprof->word[pprof_hash(hash) % PPROF_WORDS];
    if (word->number == 0 || strncmp(word->bytes, text, length) != 0
        || word->bytes[length] != 0) {
        memcpy(word->bytes, text, length);
        word->bytes[length] = 0;
        word->number = pprof_put_text(pprof, word->bytes, length);
    }
    return word->number;
}

/* -- mappings -- */

static void pprof_put_module(struct pprof *pprof, size_t index)
{
    static const char deleted[] = " (deleted)";
    const struct module *const module = &pprof->modules.module[index];
    char id[2 * MODULE_BUILD_ID_BYTES + 1];
    size_t length = strlen(module->name);
    /* The build id says whether a file of that name is the same one. */
    if (length >= sizeof deleted
        && strcmp(module->name + length + 1 - sizeof deleted, deleted) == 0)
        length -= sizeof deleted - 1;
    const uint64_t name =
        length == 0 ? 0 : pprof_put_text(pprof, module->name, length);
    const uint64_t build_id = module_build_id(module, id)
        ? pprof_put_text(pprof, id, strlen(id)) : 0;
    struct protobuf *const message = &pprof->message;
    protobuf_number(message, PPROF_MAPPING_ID, index + 1);
    protobuf_number(message, PPROF_MAPPING_START, module->start);
    protobuf_number(message, PPROF_MAPPING_END, module->end);
    protobuf_number(message, PPROF_MAPPING_OFFSET, module->offset);
    protobuf_number(message, PPROF_MAPPING_FILE, name);
    protobuf_number(message, PPROF_MAPPING_BUILD_ID, build_id);
    pprof_put_message(pprof, PPROF_MAPPING);
}

/* Readers take the first one for the program. */
static void pprof_put_modules(struct pprof *pprof)
{
    const struct module_list *const modules = &pprof->modules;
    if (!sys_read_link("/proc/self/exe", pprof->program, PPROF_PATH_BYTES))
        pprof->program[0] = 0;
    size_t program = 0;
    while (program < modules->count
        && strcmp(modules->module[program].name, pprof->program) != 0)
        program++;
    if (program < modules->count)
        pprof_put_module(pprof, program);
    for (size_t i = 0; i < modules->count; i++) {
        if (i != program)
            pprof_put_module(pprof, i);
    }
}

/* -- locations -- */

static struct pprof_place *pprof_find_place(const struct pprof *pprof,
    uintptr_t address)
{
    size_t slot = pprof_hash(address) & (pprof->places_max - 1);
    while (pprof->place[slot].number != 0
        && pprof->place[slot].address != address)
        slot = (slot + 1) & (pprof->places_max - 1);
    return &pprof->place[slot];
}

/* false: no memory; nothing has changed. */
static bool pprof_grow_places(struct pprof *pprof)
{
    const size_t old_max = pprof->places_max;
    struct pprof_place *const old = pprof->place;
    const size_t new_max = old_max == 0 ? PPROF_PLACES_MIN : 2 * old_max;
    struct pprof_place *const fresh = sys_map(new_max * sizeof *fresh);
    if (fresh == NULL)
        return false;
    pprof->place = fresh;
    pprof->places_max = new_max;
    for (size_t i = 0; i < old_max; i++) {
        if (old[i].number != 0)
            *pprof_find_place(pprof, old[i].address) = old[i];
    }
    pprof_release(old, old_max * sizeof *old);
    return true;
}

/* A return address lies behind its call, maybe in another line or function;
 * the byte before it is the call's. The number; 0: no memory. */
static uint64_t pprof_place_of(struct pprof *pprof, const void *pc)
{
    const uintptr_t address = (uintptr_t)pc - (pc != NULL);
    struct pprof_place *place = pprof_find_place(pprof, address);
    if (place->number != 0)
        return place->number;
    if (pprof->places == pprof->places_max / 2) {
        if (!pprof_grow_places(pprof))
            return 0;
        place = pprof_find_place(pprof, address);
    }
    *place = (struct pprof_place){ address, ++pprof->places };
    const struct module *const module =
        module_at(&pprof->modules, address);
    struct protobuf *const message = &pprof->message;
    protobuf_number(message, PPROF_LOCATION_ID, place->number);
    if (module != NULL)
        protobuf_number(message, PPROF_LOCATION_MAPPING,
            (uint64_t)(module - pprof->modules.module) + 1);
    protobuf_number(message, PPROF_LOCATION_ADDRESS, address);
    pprof_put_message(pprof, PPROF_LOCATION);
    return place->number;
}

/* The stack's locations, into the inner message; false: no memory. What comes
 * first is written first: the message is free for each location. */
static bool pprof_make_stack(struct pprof *pprof, const struct trace *trace)
{
    protobuf_clear(&pprof->inner);
    for (unsigned i = 0; i < trace->count && i < STACK_DEPTH_MAX; i++) {
        const uint64_t number = pprof_place_of(pprof, trace->pc[i]);
        if (number == 0)
            return false;
        protobuf_value(&pprof->inner, number);
    }
    return true;
}

/* -- samples -- */

static void pprof_add_label(struct pprof *pprof, enum pprof_text key,
    unsigned field, uint64_t value)
{
    struct protobuf *const label = &pprof->inner;
    if (value == 0)
        return;
    protobuf_clear(label);
    protobuf_number(label, PPROF_LABEL_KEY, key);
    protobuf_number(label, field, value);
    if (key == PPROF_BYTES)
        protobuf_number(label, PPROF_LABEL_UNIT, PPROF_BYTES);
    protobuf_message(&pprof->message, PPROF_SAMPLE_LABEL, label);
}

static uint64_t pprof_arena(struct pprof *pprof, unsigned arena)
{
    const char *const name =
        pprof_arena_name == NULL ? NULL : pprof_arena_name(arena);
    if (name != NULL && *name != 0)
        return pprof_word(pprof, name);
    text_clear(&pprof->text);
    text_number(&pprof->text, arena, 0);
    return pprof_word(pprof, pprof->text.bytes);
}

static void pprof_add_labels(struct pprof *pprof,
    const struct snapshot_row *row)
{
    const uint64_t name =
        row->name[0] == 0 ? 0 : pprof_word(pprof, row->name);
    pprof_add_label(pprof, PPROF_THREAD, PPROF_LABEL_TEXT, name);
    pprof_add_label(pprof, PPROF_THREAD_UID, PPROF_LABEL_NUMBER, row->thread);
    pprof_add_label(pprof, PPROF_ARENA, PPROF_LABEL_TEXT,
        pprof_arena(pprof, row->arena));
    pprof_add_label(pprof, PPROF_BYTES, PPROF_LABEL_NUMBER, row->usable);
}

/* The nearest whole number that the format can say. */
static uint64_t pprof_round(double value)
{
    return value < (double)INT64_MAX ? (uint64_t)(value + 0.5) : INT64_MAX;
}

static void pprof_add_values(struct pprof *pprof,
    const struct snapshot_row *row)
{
    const double weight =
        snapshot_weight((double)row->usable, pprof->snapshot->rate_log2);
    const double counts[] = {
        (double)row->objects_ever * weight, (double)row->objects * weight };
    struct protobuf *const values = &pprof->inner;
    protobuf_clear(values);
    for (size_t i = pprof->snapshot->has_ever ? 0 : 1; i < 2; i++) {
        protobuf_value(values, pprof_round(counts[i]));
        protobuf_value(values, pprof_round(counts[i] * (double)row->usable));
    }
    protobuf_message(&pprof->message, PPROF_SAMPLE_VALUES, values);
}

/* Locations go out before the sample that names them: its message is made when
 * all are there. */
static bool pprof_put_sample(struct pprof *pprof,
    const struct snapshot_row *row)
{
    if (!pprof_make_stack(pprof, row->trace))
        return false;
    protobuf_message(&pprof->message, PPROF_SAMPLE_LOCATIONS, &pprof->inner);
    pprof_add_values(pprof, row);
    pprof_add_labels(pprof, row);
    pprof_put_message(pprof, PPROF_SAMPLE);
    return true;
}

/* -- the file -- */

static void pprof_put_type(struct pprof *pprof, unsigned field,
    enum pprof_text type, enum pprof_text unit)
{
    protobuf_number(&pprof->message, PPROF_TYPE_TYPE, type);
    protobuf_number(&pprof->message, PPROF_TYPE_UNIT, unit);
    pprof_put_message(pprof, field);
}

static void pprof_put_number(struct pprof *pprof, unsigned field,
    uint64_t value)
{
    struct protobuf *const message = &pprof->message;
    protobuf_number(message, field, value);
    gzip_bytes(&pprof->gzip, message->bytes, message->used);
    protobuf_clear(message);
}

static void pprof_put_head(struct pprof *pprof)
{
    for (unsigned i = 0; i < PPROF_TEXTS; i++)
        pprof_put_text(pprof, pprof_texts[i], strlen(pprof_texts[i]));
    const unsigned type = PPROF_SAMPLE_TYPE;
    if (pprof->snapshot->has_ever) {
        pprof_put_type(pprof, type, PPROF_ALLOC_OBJECTS, PPROF_COUNT);
        pprof_put_type(pprof, type, PPROF_ALLOC_SPACE, PPROF_BYTES);
    }
    pprof_put_type(pprof, type, PPROF_INUSE_OBJECTS, PPROF_COUNT);
    pprof_put_type(pprof, type, PPROF_INUSE_SPACE, PPROF_BYTES);
    pprof_put_number(pprof, PPROF_DEFAULT_TYPE, PPROF_INUSE_SPACE);
    pprof_put_type(pprof, PPROF_PERIOD_TYPE, PPROF_SPACE, PPROF_BYTES);
    pprof_put_number(pprof, PPROF_PERIOD,
        (uint64_t)1 << pprof->snapshot->rate_log2);
    pprof_put_number(pprof, PPROF_TIME_NS, sys_wall_ns());
    pprof_put_number(pprof, PPROF_DROP, PPROF_DROP_FRAMES);
}

static bool pprof_put_rows(struct pprof *pprof)
{
    const struct snapshot *const snapshot = pprof->snapshot;
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_row *const row = &snapshot->row[i];
        const bool counts = row->objects != 0
            || (snapshot->has_ever && row->objects_ever != 0);
        if (counts && !pprof_put_sample(pprof, row))
            return false;
    }
    return true;
}

bool pprof_write(struct out *out, const struct snapshot *snapshot)
{
    const size_t bytes = round_up(sizeof(struct pprof), sys_page_bytes());
    struct pprof *const pprof = sys_map(bytes);
    if (pprof == NULL)
        return false;
    pprof->snapshot = snapshot;
    bool done = pprof_grow_places(pprof);
    if (done) {
        gzip_begin(&pprof->gzip, out);
        pprof_put_head(pprof);
        /* Without mappings, addresses are worth something still. */
        if (module_list_take(&pprof->modules))
            pprof_put_modules(pprof);
        done = pprof_put_rows(pprof);
        gzip_end(&pprof->gzip);
        module_list_drop(&pprof->modules);
    }
    pprof_release(pprof->place, pprof->places_max * sizeof *pprof->place);
    pprof_release(pprof, bytes);
    return done;
}
