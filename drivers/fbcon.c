/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on the framebuffer that the loader found. Writing only changes the text in
 * memory (fbterm.c); a world draws, some times a second, the characters that differ
 * from what is shown: the framebuffer is slow to write and is never read. A panic
 * draws at once, all of the screen the first time, and takes no lock: the holder
 * may be the one that panicked. The world is not woken, because a sink runs under
 * whatever locks its caller holds.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/arch.h>
#include <tern/cpu.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/world.h>

#include "drivers/fbcon.h"
#include "drivers/fbterm.h"

#define GLYPH_WIDTH 8u
#define GLYPH_HEIGHT 16u
#define GLYPH_FIRST ' '
#define COLS_MAX 256u
#define ROWS_MAX 128u
#define INK 0xd0d0d0u /* gray has no order of colours */
#define PAPER 0x000000u
#define DRAW_INTERVAL_NS (40 * NSEC_PER_MSEC)

/* The printable characters of ASCII, a byte a row, its high bit to the left. */
static const uint8_t font[][GLYPH_HEIGHT] = {
#include "font.hex"
};
_Static_assert(ARRAY_SIZE(font) == '~' - ' ' + 1, "a glyph for each character");

static struct boot_fb fb;	 /* [const] */
static volatile uint32_t *pixel; /* [const] NULL: no framebuffer */
static struct spinlock lock = SPINLOCK_INIT(LOCK_SINK, "framebuffer");
static struct fbterm term;  /* [lock] */
static char *shown;	    /* [own] of the drawing world, then of the panic */
static uint32_t changed;    /* [atom] */
static bool panic_has_seen; /* [own] of the panic */

static void draw_glyph(unsigned col, unsigned line, char c)
{
	const uint8_t *glyph = font[c - GLYPH_FIRST];
	size_t stride = fb.stride_bytes / sizeof(*pixel);
	volatile uint32_t *p = pixel + line * GLYPH_HEIGHT * stride + col * GLYPH_WIDTH;

	for (unsigned y = 0; y < GLYPH_HEIGHT; y++, p += stride)
		for (unsigned x = 0; x < GLYPH_WIDTH; x++)
			p[x] = (glyph[y] & (0x80u >> x)) ? INK : PAPER;
}

static void draw_line(unsigned line, const char *text)
{
	char *old = shown + (size_t)line * term.cols;

	for (unsigned col = 0; col < term.cols; col++) {
		if (old[col] == text[col])
			continue;
		old[col] = text[col];
		draw_glyph(col, line, text[col]);
	}
}

/* Each line is copied under the lock and drawn without it. */
static void draw(void)
{
	char text[COLS_MAX];

	for (unsigned line = 0; line < term.rows; line++) {
		unsigned long flags = spin_lock(&lock);

		memcpy(text, fbterm_line(&term, line), term.cols);
		spin_unlock(&lock, flags);
		draw_line(line, text);
	}
}

/* The drawing world may have been stopped at any point: what is shown is not known. */
static void draw_in_panic(void)
{
	if (!panic_has_seen)
		memset(shown, 0, (size_t)term.cols * term.rows);
	panic_has_seen = true;
	for (unsigned line = 0; line < term.rows; line++)
		draw_line(line, fbterm_line(&term, line));
}

static void write(struct console_sink *s, const char *text, size_t len)
{
	(void)s;
	if (arch_in_panic()) {
		fbterm_write(&term, text, len);
		draw_in_panic();
		return;
	}
	unsigned long flags = spin_lock(&lock);

	fbterm_write(&term, text, len);
	spin_unlock(&lock, flags);
	__atomic_store_n(&changed, 1, __ATOMIC_RELEASE);
}

static struct console_sink sink = { .write = write };

static bool usable(const struct boot_fb *f)
{
	return f->start && f->bits_per_pixel == 32 && f->width >= GLYPH_WIDTH &&
	       f->height >= GLYPH_HEIGHT && f->stride_bytes / sizeof(*pixel) >= f->width;
}

static void show_log(void)
{
	uint64_t seq = 0;
	char line[256];

	while (log_read(&seq, line, sizeof(line))) {
		fbterm_write(&term, line, strlen(line));
		fbterm_write(&term, "\n", 1);
	}
}

static void clear(void)
{
	for (uint32_t y = 0; y < fb.height; y++)
		for (uint32_t x = 0; x < fb.width; x++)
			pixel[y * (fb.stride_bytes / sizeof(*pixel)) + x] = PAPER;
}

void fbcon_early(const struct boot_fb *f)
{
	unsigned cols = MIN(f->width / GLYPH_WIDTH, COLS_MAX);
	unsigned rows = MIN(f->height / GLYPH_HEIGHT, ROWS_MAX);
	char *text;

	if (!usable(f))
		return;
	fb = *f;
	text = calloc(2, (size_t)cols * rows);
	pixel = text ? mmio_map(HPA(fb.start), (uint64_t)fb.stride_bytes * fb.height) : NULL;
	if (!pixel) {
		free(text);
		log_warn("screen", "no memory: no text on the framebuffer");
		return;
	}
	shown = text + (size_t)cols * rows;
	fbterm_init(&term, cols, rows, text);
	clear();
	show_log();
	console_add(&sink);
	log_info("screen", "%u x %u pixels, %u x %u characters", (unsigned)fb.width,
		 (unsigned)fb.height, cols, rows);
}

static void drawing_world(void *arg)
{
	(void)arg;
	for (;;) {
		if (__atomic_exchange_n(&changed, 0, __ATOMIC_ACQUIRE))
			draw();
		world_sleep_ns(DRAW_INTERVAL_NS);
	}
}

void fbcon_start(void)
{
	struct world_opts o = { .name = "screen", .prio = WORLD_NORMAL, .cpu = -1 };

	if (pixel && world_create(NULL, &o, drawing_world, NULL))
		log_warn("screen", "no memory: only a panic is drawn");
}
