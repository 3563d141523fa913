package deliver

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
)

// ErrForbiddenAddress says that a webhook's host is at an address where a webhook has no business.
var ErrForbiddenAddress = errors.New("not a public address and port for webhooks")

// public is what may hold a webhook's endpoint: IPv4, and of IPv6 the global unicast space that is handed out. All
// other IPv6 is refused by not being in it: loopback, unique local, link-local, multicast, NAT64 and IPv4 in disguise.
var public = prefixes("0.0.0.0/0", "2000::/3")

// special are the parts of public that IANA's special-purpose registries, or AWS, keep for something else.
var special = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carriers' NAT
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // Azure's own services, within Azure
	"169.254.0.0/16",    // link-local: AWS's metadata, credentials and time
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // automatic multicast tunnelling
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, broadcast
	"2001::/23",         // protocol assignments: Teredo, ORCHID, benchmarks
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: any IPv4 address
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

// isISATAP says whether an address is IPv4 in disguise under anybody's prefix: the second half of RFC 5214.
func isISATAP(ip netip.Addr) bool {
	b := ip.As16()
	return ip.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(addr netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// checkAddress decides by the address that is really dialled, after the name was resolved, so that a name whose address
// changes between a check and its use gains nothing.
func checkAddress(addr netip.AddrPort, loopback bool) error {
	ip := addr.Addr().Unmap()
	if loopback && ip.IsLoopback() {
		return nil
	}
	if !isPort(addr.Port()) || !within(ip, public) || within(ip, special) || isISATAP(ip) {
		return ErrForbiddenAddress
	}
	return nil
}

// control is the dialer's hook before each connection.
func control(loopback bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		addr, err := netip.ParseAddrPort(address)
		if err != nil {
			return ErrForbiddenAddress
		}
		return checkAddress(addr, loopback)
	}
}
