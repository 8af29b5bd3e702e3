# SPDX-License-Identifier: BSD-2-Clause
#
# lwIP: the core for IPv4, IPv6, ARP, ICMP, UDP and TCP through the raw interface
# (NO_SYS=1). Options and port headers are net/lwip/'s.

port_files=$(find net/lwip -name '*.h' | sort)

headers() { :; }

cppflags() {
	echo "-nostdinc -isystem $($CC -print-file-name=include) -isystem $TP/newlib/include" \
		"-I$root/net/lwip -I$root/include -I$src/src/include"
}

list() {
	local f
	for f in "$src"/src/core/*.c "$src"/src/core/ipv4/*.c "$src"/src/core/ipv6/*.c \
		"$src"/src/netif/ethernet.c; do
		case $f in
		*/altcp*.c | */dns.c | */dhcp6.c | */autoip.c | */igmp.c | */sys.c) continue ;;
		esac
		echo "$(basename "$f" .c) $f"
	done
}
