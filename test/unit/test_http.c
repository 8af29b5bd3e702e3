/* SPDX-License-Identifier: BSD-2-Clause */
/* URLs, the request, and heads of answers as servers send them. */
// SOURCES: kernel/xfer/http_head.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/xfer/http_head.h"

static void url_is(const char *text, const char *host, unsigned port, const char *path)
{
	struct http_url u;

	assert_int_equal(http_url_parse(text, &u), 0);
	assert_string_equal(u.host, host);
	assert_int_equal(u.port, port);
	assert_string_equal(u.path, path);
}

static void urls(void **state)
{
	url_is("http://10.77.0.254/a/b.raw?x=1", "10.77.0.254", 80, "/a/b.raw?x=1");
	url_is("HTTP://web:8080/", "web", 8080, "/");
	url_is("http://web", "web", 80, "/");
	url_is("http://[fd77::1]:81/x", "fd77::1", 81, "/x");
	url_is("http://[fd77::1]/x", "fd77::1", 80, "/x");
}

static void no_urls(void **state)
{
	static const char *const bad[] = { "",
					   "web/x",
					   "http://",
					   "http:///x",
					   "http://a:/x",
					   "http://a:0/x",
					   "http://a:65536/x",
					   "http://a:1x/",
					   "http://[::1/x",
					   "http://[::1]x/",
					   "http://[]/x",
					   "http://a/b c",
					   "http://u@a/x",
					   "http://a/x#y",
					   "http://a/\r\nHost: b" };
	char path[HTTP_PATH_MAX + 16] = "http://a/";
	struct http_url u;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(http_url_parse(bad[i], &u), -EINVAL);
	assert_int_equal(http_url_parse("https://a/x", &u), -EPROTONOSUPPORT);
	memset(path + strlen(path), 'x', HTTP_PATH_MAX - 2);
	assert_int_equal(http_url_parse(path, &u), 0);
	path[strlen(path)] = 'x';
	assert_int_equal(http_url_parse(path, &u), -EINVAL);
}

static void request(void **state)
{
	char buf[HTTP_PATH_MAX + 256];
	struct http_url u;
	size_t n;

	assert_int_equal(http_url_parse("http://[fd77::1]:81/x?y", &u), 0);
	n = http_request(&u, buf, sizeof(buf));
	assert_int_equal(n, strlen(buf));
	assert_non_null(strstr(buf, "GET /x?y HTTP/1.0\r\nHost: [fd77::1]:81\r\n"));
	assert_string_equal(buf + strlen(buf) - 4, "\r\n\r\n");
}

static ptrdiff_t parse(const char *text, struct http_head *h)
{
	return http_head_parse(text, strlen(text), h);
}

static void a_head(void **state)
{
	static const char text[] =
		"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  123 \r\n\r\nbody";
	struct http_head h;

	assert_int_equal(parse(text, &h), strlen(text) - 4);
	assert_int_equal(h.status, 200);
	assert_string_equal(h.reason, "OK");
	assert_true(h.has_length && h.length == 123 && !h.coded);
	for (size_t n = 0; n < strlen(text) - 4; n++)
		assert_int_equal(http_head_parse(text, n, &h), 0);
}

static void heads_that_say_other_things(void **state)
{
	struct http_head h;

	assert_true(parse("HTTP/1.0 404\n\n", &h) > 0);
	assert_true(h.status == 404 && !h.has_length && !h.reason[0]);
	assert_true(parse("HTTP/1.1 302 Found\r\nLocation: https://a/b\r\n\r\n", &h) > 0);
	assert_string_equal(h.location, "https://a/b");
	assert_true(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &h) > 0);
	assert_true(h.coded);
	assert_true(parse("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\n", &h) > 0);
	assert_false(h.coded);
	assert_true(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", &h) >
		    0);
}

static void no_heads(void **state)
{
	static const char *const bad[] = {
		"SSH-2.0-x\r\n",
		"\r\n\r\n",
		"HTTP/2.0 200 OK\r\n",
		"HTTP/1.1 20x OK\r\n",
		"HTTP/1.1 2000 OK\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n",
		"HTTP/1.1 200 OK\r\n: x\r\n",
		"HTTP/1.1 200 O\x01K\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
	};
	static char endless[HTTP_HEAD_MAX];
	struct http_head h;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse(bad[i], &h), -EBADMSG);
	memset(endless, 'x', sizeof(endless));
	assert_int_equal(http_head_parse(endless, sizeof(endless) - 1, &h), 0);
	assert_int_equal(http_head_parse(endless, sizeof(endless), &h), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(no_urls),
		cmocka_unit_test(request),
		cmocka_unit_test(a_head),
		cmocka_unit_test(heads_that_say_other_things),
		cmocka_unit_test(no_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
