/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: net/addr.c
/* Addresses: text that is taken, text that is refused, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tern/net.h>

static void same(const char *in, const char *out)
{
	struct net_addr a;
	char text[48];

	assert_int_equal(net_addr_parse(in, &a), 0);
	net_addr_format(&a, text, sizeof(text));
	assert_string_equal(text, out);
}

static void test_good(void **state)
{
	static const char *const cases[][2] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "10.77.0.254", "10.77.0.254" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "fe80::5054:ff:fe12:3456", "fe80::5054:ff:fe12:3456" },
		{ "FD77:0:0:0:0:0:0:1", "fd77::1" },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3" },
		{ "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "2001:db8::0001", "2001:db8::1" },
		{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		same(cases[i][0], cases[i][1]);
}

static void test_bad(void **state)
{
	static const char *const cases[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.-4",
		"a.b.c.d",
		":",
		":::",
		"1:::2",
		"1::2::3",
		"12345::",
		"g::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"1:2:3:4:5:6:7:",
		":1:2:3:4:5:6:7",
		"::1.2.3.4",
		"fe80::1%eth0",
	};
	struct net_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (net_addr_parse(cases[i], &a) == 0)
			fail_msg("'%s' was taken", cases[i]);
}

static void test_prefix(void **state)
{
	struct net_addr a;
	unsigned n;

	(void)state;
	assert_int_equal(net_addr_parse_prefix("10.0.0.1/8", &a, &n), 0);
	assert_int_equal(n, 8);
	assert_int_equal(net_addr_parse_prefix("10.0.0.1", &a, &n), 0);
	assert_int_equal(n, 24);
	assert_int_equal(net_addr_parse_prefix("fd00::1", &a, &n), 0);
	assert_int_equal(n, 64);
	assert_int_equal(net_addr_parse_prefix("fd00::1/128", &a, &n), 0);
	assert_int_equal(n, 128);
	assert_true(net_addr_parse_prefix("10.0.0.1/33", &a, &n) < 0);
	assert_true(net_addr_parse_prefix("10.0.0.1/0", &a, &n) < 0);
	assert_true(net_addr_parse_prefix("10.0.0.1/", &a, &n) < 0);
	assert_true(net_addr_parse_prefix("10.0.0.1/8x", &a, &n) < 0);
	assert_true(net_addr_parse_prefix("fd00::1/129", &a, &n) < 0);
}

static bool host_address(const char *text)
{
	struct net_addr a;
	unsigned n;

	assert_int_equal(net_addr_parse_prefix(text, &a, &n), 0);
	return net_addr_is_host(&a, n);
}

/* An interface that got one of these would be cut off. */
static void test_host_addresses(void **state)
{
	static const char *const good[] = { "10.77.0.1/24", "10.0.0.0/31", "10.0.0.255/31",
					    "10.0.0.0/32",  "10.0.1.0/8",  "223.1.2.3/24",
					    "fd77::1/64",   "fe80::1/64" };
	static const char *const bad[] = { "127.0.0.1/8",  "224.0.0.1/4",  "255.255.255.255/24",
					   "0.0.0.1/8",	   "10.77.0.0/24", "10.77.0.255/24",
					   "10.77.0.4/30", "::/64",	   "::1/128",
					   "ff02::1/64" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!host_address(good[i]))
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (host_address(bad[i]))
			fail_msg("%s was taken", bad[i]);
}

static bool loops(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(text, &a), 0);
	return net_addr_is_loopback(&a);
}

static void test_loopback(void **state)
{
	struct net_addr a;

	(void)state;
	assert_true(loops("127.0.0.1") && loops("127.9.8.7") && loops("::1"));
	assert_false(loops("128.0.0.1") || loops("10.77.0.1") || loops("::2") || loops("::"));
	net_addr_loopback(&a);
	assert_true(net_addr_is_loopback(&a));
	assert_false(net_addr_is_loopback(&(struct net_addr){ .family = 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_bad),
		cmocka_unit_test(test_prefix),	 cmocka_unit_test(test_host_addresses),
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
