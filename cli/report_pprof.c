/* SPDX-License-Identifier: MIT */
/*
 * report_pprof - reads heap profiles in pprof's format: a message of protocol
 * buffers, of the type perftools.profiles.Profile.
 *
 * Tests    test/programs/report.py
 */
#include "report_profile.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* The fields that are read, of each kind of message. */
enum { SAMPLE_TYPE = 1, SAMPLE, MAPPING, LOCATION, TEXT = 6, PERIOD = 12 };
enum { TYPE_NAME = 1 };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES };
enum { LOCATION_ID = 1, LOCATION_ADDRESS = 3 };
enum {
    MAPPING_START = 2, MAPPING_END, MAPPING_OFFSET, MAPPING_FILE,
    MAPPING_BUILD_ID,
};
enum { IS_NUMBER, IS_8_BYTES, IS_BYTES, IS_4_BYTES = 5 };

/* A message, or what is left of it. */
struct message {
    const struct profile *profile;
    const unsigned char *at;
    const unsigned char *end;
};

/* A number, or bytes. */
struct field {
    unsigned number;
    unsigned kind;
    uint64_t value;
    struct message bytes;
};

struct array {
    uint64_t *value;
    size_t count;
};

struct location {
    uint64_t id;
    uint64_t address;
};

/* What refers to something further on, or by number, waits here. */
struct reader {
    struct profile *profile;
    char **text;
    size_t text_count;
    struct array type;          /* the names of a sample's values */
    struct array module;        /* for each the file and the build id */
    struct location *location;
    size_t location_count;
    struct message *sample;
    size_t sample_count;
};

__attribute__((noreturn))
static void refuse(const struct message *message)
{
    profile_refuse(message->profile, "not a heap profile, or a damaged one");
}

static void array_add(struct array *array, uint64_t value)
{
    array->value =
        array_grow(array->value, array->count, sizeof *array->value);
    array->value[array->count++] = value;
}

/* -- fields -- */

static uint64_t take_number(struct message *message)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && message->at < message->end;
         shift += 7) {
        const unsigned char byte = *message->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    refuse(message);
}

static struct message take_bytes(struct message *message, uint64_t count)
{
    struct message bytes = *message;
    if (count > (size_t)(message->end - message->at))
        refuse(message);
    message->at += count;
    bytes.end = message->at;
    return bytes;
}

/* False at the end of the message. */
static bool take_field(struct message *message, struct field *field)
{
    if (message->at == message->end)
        return false;
    const uint64_t key = take_number(message);
    field->number = (unsigned)(key >> 3);
    field->kind = key & 7;
    switch (field->kind) {
    case IS_NUMBER: field->value = take_number(message); break;
    case IS_BYTES:
        field->bytes = take_bytes(message, take_number(message));
        break;
    case IS_8_BYTES: take_bytes(message, 8); break;
    case IS_4_BYTES: take_bytes(message, 4); break;
    default: refuse(message);
    }
    return true;
}

/* A field of which there may be more: each on its own, or all as bytes. */
static void take_numbers(struct array *array, struct field *field)
{
    if (field->kind == IS_NUMBER)
        array_add(array, field->value);
    else
        while (field->bytes.at < field->bytes.end)
            array_add(array, take_number(&field->bytes));
}

/* -- the parts of a profile -- */

static void add_text(struct reader *reader, struct message bytes)
{
    reader->text = array_grow(reader->text, reader->text_count,
        sizeof *reader->text);
    reader->text[reader->text_count++] = need(
        strndup((const char *)bytes.at, (size_t)(bytes.end - bytes.at)));
}

static char *text_of(const struct reader *reader, uint64_t index)
{
    if (index >= reader->text_count)
        profile_refuse(reader->profile, "damaged: a text is missing");
    return reader->text[index];
}

static void add_type(struct reader *reader, struct message message)
{
    uint64_t name = 0;
    for (struct field field; take_field(&message, &field);) {
        if (field.number == TYPE_NAME && field.kind == IS_NUMBER)
            name = field.value;
    }
    array_add(&reader->type, name);
}

static void add_module(struct reader *reader, struct message message)
{
    struct profile_module *const module = profile_add_module(reader->profile);
    uint64_t file = 0;
    uint64_t build_id = 0;
    for (struct field field; take_field(&message, &field);) {
        if (field.kind != IS_NUMBER)
            continue;
        switch (field.number) {
        case MAPPING_START: module->start = field.value; break;
        case MAPPING_END: module->end = field.value; break;
        case MAPPING_OFFSET: module->offset = field.value; break;
        case MAPPING_FILE: file = field.value; break;
        case MAPPING_BUILD_ID: build_id = field.value; break;
        }
    }
    array_add(&reader->module, file);
    array_add(&reader->module, build_id);
}

static void add_location(struct reader *reader, struct message message)
{
    struct location location = { 0, 0 };
    for (struct field field; take_field(&message, &field);) {
        if (field.number == LOCATION_ID && field.kind == IS_NUMBER)
            location.id = field.value;
        if (field.number == LOCATION_ADDRESS && field.kind == IS_NUMBER)
            location.address = field.value;
    }
    reader->location = array_grow(reader->location, reader->location_count,
        sizeof *reader->location);
    reader->location[reader->location_count++] = location;
}

static void add_sample(struct reader *reader, struct message message)
{
    reader->sample = array_grow(reader->sample, reader->sample_count,
        sizeof *reader->sample);
    reader->sample[reader->sample_count++] = message;
}

static void read_field(struct reader *reader, const struct field *field)
{
    if (field->number == PERIOD && field->kind == IS_NUMBER)
        reader->profile->rate_bytes = field->value;
    if (field->kind != IS_BYTES)
        return;
    switch (field->number) {
    case SAMPLE_TYPE: add_type(reader, field->bytes); break;
    case SAMPLE: add_sample(reader, field->bytes); break;
    case MAPPING: add_module(reader, field->bytes); break;
    case LOCATION: add_location(reader, field->bytes); break;
    case TEXT: add_text(reader, field->bytes); break;
    }
}

/* -- when all parts are there -- */

static int compare_locations(const void *left, const void *right)
{
    const struct location *const a = left;
    const struct location *const b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static uint64_t address_of(const struct reader *reader, uint64_t id)
{
    const struct location key = { id, 0 };
    const struct location *const found = bsearch(&key, reader->location,
        reader->location_count, sizeof key, compare_locations);
    if (!found)
        profile_refuse(reader->profile, "damaged: a location is missing");
    return found->address;
}

/* Where a sample has the value of this name, if the profile has it at all. */
static double *place_of(const struct reader *reader, uint64_t type,
    struct profile_stack *stack)
{
    const char *const name = text_of(reader, type);
    if (strcmp(name, "inuse_objects") == 0)
        return &stack->live.objects;
    if (strcmp(name, "inuse_space") == 0)
        return &stack->live.bytes;
    if (strcmp(name, "alloc_objects") == 0)
        return &stack->ever.objects;
    if (strcmp(name, "alloc_space") == 0)
        return &stack->ever.bytes;
    return NULL;
}

static void read_sample(const struct reader *reader, struct message message)
{
    struct profile_stack *const stack = profile_add_stack(reader->profile);
    struct array locations = { NULL, 0 };
    struct array values = { NULL, 0 };
    for (struct field field; take_field(&message, &field);) {
        if (field.number == SAMPLE_LOCATIONS)
            take_numbers(&locations, &field);
        if (field.number == SAMPLE_VALUES)
            take_numbers(&values, &field);
    }
    if (values.count != reader->type.count)
        refuse(&message);
    for (size_t i = 0; i < values.count; i++) {
        double *const place = place_of(reader, reader->type.value[i], stack);
        if (place)
            *place = (double)(int64_t)values.value[i];
    }
    free(values.value);
    for (size_t i = 0; i < locations.count; i++)
        locations.value[i] = address_of(reader, locations.value[i]);
    stack->address = locations.value;
    stack->count = locations.count;
}

static void check_types(const struct reader *reader)
{
    struct profile_stack stack;
    bool has_live = false;
    for (size_t i = 0; i < reader->type.count; i++) {
        double *const place =
            place_of(reader, reader->type.value[i], &stack);
        has_live |= place == &stack.live.bytes;
        reader->profile->has_ever |= place == &stack.ever.bytes;
    }
    if (!has_live)
        profile_refuse(reader->profile, "not a heap profile: it has no values "
            "of the type inuse_space");
}

void profile_read_pprof(struct profile *profile, struct profile_text text)
{
    struct reader reader = { .profile = profile };
    struct message message = {
        .profile = profile,
        .at = (const unsigned char *)text.bytes,
        .end = (const unsigned char *)text.bytes + text.length };
    if (text.length == 0)
        profile_refuse(profile, "empty");
    for (struct field field; take_field(&message, &field);)
        read_field(&reader, &field);
    check_types(&reader);
    profile->format = "pprof";
    if (reader.location_count)
        qsort(reader.location, reader.location_count,
            sizeof *reader.location, compare_locations);
    for (size_t i = 0; i < profile->module_count; i++) {
        profile->module[i].file =
            text_of(&reader, reader.module.value[2 * i]);
        profile->module[i].build_id =
            text_of(&reader, reader.module.value[2 * i + 1]);
    }
    for (size_t i = 0; i < reader.sample_count; i++)
        read_sample(&reader, reader.sample[i]);
}
