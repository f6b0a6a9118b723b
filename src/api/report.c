/* SPDX-License-Identifier: MIT */
/*
 * report - the statistics, as text.
 *
 * Owns     what MALLOC_CONF=stats_print:true and `ashlar run --stats` show.
 *          Blocks in hand count as allocated; what other threads do while the
 *          report is made is counted or not.
 * Tests    test/programs/run.py
 */
#include "api/api.h"

#include "heap/heap.h"

static void report_line(struct text *text, const char *name, size_t value)
{
    text_string(text, name);
    text_number(text, value, 16);
    text_string(text, "\n");
}

/* Blocks of a class that are out, over all heaps. */
static uint64_t report_blocks(unsigned cls, uint64_t *handed)
{
    uint64_t out = -load_relaxed(&arena_main.folded[cls]);
    *handed = 0;
    /* pairs with arena_add_heap() */
    const struct heap *heap = load_acquire(&arena_main.heaps);
    for (; heap != NULL; heap = heap->next) {
        *handed += heap->bin[cls].handed;
        out += heap->bin[cls].handed - heap->bin[cls].folded;
    }
    return out;
}

static void report_pool(struct text *text)
{
    struct pool *pool = &arena_main.pool;
    pool_lock(pool);
    report_line(text, "  reserved bytes       ", pool->reserved_bytes);
    report_line(text, "  taken bytes          ", pool->taken_bytes);
    report_line(text, "  own mappings, bytes  ", pool->mapped_bytes);
    report_line(text, "  dirty bytes          ", pool->dirty_bytes);
    report_line(text, "  dirty allowance      ", pool->decay.allowance);
    report_line(text, "  kept by heaps, bytes ", pool->leased_bytes);
    report_line(text, "  purges               ", pool->purges);
    report_line(text, "  purged bytes         ", pool->purged_bytes);
    lock_give(&pool->lock);
}

static void report_classes(struct text *text)
{
    text_string(text,
        "      size         handed out            in use      bytes in use\n");
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        uint64_t handed;
        const uint64_t out = report_blocks(cls, &handed);
        if (handed == 0)
            continue;
        text_number(text, class_bytes[cls], 10);
        text_number(text, handed, 19);
        text_number(text, out, 18);
        text_number(text, out * class_bytes[cls], 18);
        text_string(text, "\n");
    }
}

void report_print(void)
{
    struct text text;
    text_clear(&text);
    text_string(&text, "___ Begin ashlar statistics ___\n");
    text_string(&text, "Version: " ASHLAR_VERSION_STRING "\n");
    option_report(&api_options, &text);
    report_pool(&text);
    report_classes(&text);
    text_string(&text, "--- End ashlar statistics ---\n");
    sys_write_error(text.bytes, text.length);
}
