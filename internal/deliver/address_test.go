package deliver

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"
)

// TestForbiddenAddresses holds the guard alone to the table, and to what can't be dialled on every machine.
func TestForbiddenAddresses(t *testing.T) {
	forbidden := []string{"fe80::1%eth0", "2606:4700::1111%eth0"}
	for _, list := range forbiddenAddresses {
		forbidden = append(forbidden, list...)
	}
	for _, s := range forbidden {
		addr := netip.AddrPortFrom(netip.MustParseAddr(s), 443)
		if err := checkAddress(addr, false); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s was allowed", s)
		}
		if err := checkAddress(addr, true); err == nil != addr.Addr().Unmap().IsLoopback() {
			t.Errorf("%s where loopback is allowed: %v", s, err)
		}
	}
}

func TestAllowedAddresses(t *testing.T) {
	for _, s := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8",
		"2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00:1450:4001::200e", "3ffe::1",
	} {
		addr := netip.MustParseAddr(s)
		if err := checkAddress(netip.AddrPortFrom(addr, 443), false); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		for _, port := range []uint16{1024, 3306, 8080, 8443, 65535} {
			if err := checkAddress(netip.AddrPortFrom(addr, port), false); err != nil {
				t.Errorf("%s port %d: %v", s, port, err)
			}
		}
		for _, port := range []uint16{0, 22, 25, 53, 80, 444, 465, 1023} {
			if checkAddress(netip.AddrPortFrom(addr, port), false) == nil || checkAddress(netip.AddrPortFrom(addr, port), true) == nil {
				t.Errorf("%s port %d was allowed", s, port)
			}
		}
	}
}

func TestURLs(t *testing.T) {
	for _, tt := range []struct {
		url             string
		plain, loopback bool // taken; taken where loopback is allowed
	}{
		{"https://hooks.example.com/countersign", true, true},
		{"https://hooks.example.com:443/x?y=z", true, true},
		{"https://8.8.8.8/", true, true},
		{"https://127.0.0.1/", true, true}, // the dialer refuses it: see TestTheClientReachesNoForbiddenAddress
		{"http://hooks.example.com/", false, false},
		{"http://hooks.example.com:443/", false, false},
		{"https://hooks.example.com:8443/", true, true},
		{"https://hooks.example.com:1024/", true, true},
		{"https://hooks.example.com:1023/", false, false},
		{"https://hooks.example.com:25/", false, false},
		{"https://hooks.example.com:0/", false, false},
		{"https://hooks.example.com:65536/", false, false},
		{"https://hooks.example.com:8443443/", false, false},
		{"https://user:pass@hooks.example.com/", false, false},
		{"https://user@127.0.0.1/", false, false},
		{"https:///path", false, false},
		{"https:hooks.example.com", false, false},
		{"//hooks.example.com/", false, false},
		{"ftp://hooks.example.com/", false, false},
		{"file:///etc/passwd", false, false},
		{"gopher://127.0.0.1/", false, false},
		{"http://127.0.0.1:8080/", false, true},
		{"http://localhost:8080/", false, true},
		{"http://[::1]:8080/", false, true},
		{"http://[::ffff:127.0.0.1]:8080/", false, true},
		{"https://localhost:8443/", true, true}, // as above
		{"http://localhost.example.com/", false, false},
		{"http://127.0.0.1.example.com/", false, false},
		{"https://2130706433/", false, false},
		{"https://0x7f000001/", false, false},
		{"https://0177.0.0.1/", false, false},
		{"https://127.1/", false, false},
		{"https://127.0.0.1./", false, false},
		{"https://hooks.example.com./", true, true},
		{"https://hooks.example.0x/", true, true},
		{"http://169.254.169.254/latest/meta-data/", false, false},
		{"", false, false},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkURL(u, false) == nil; got != tt.plain {
			t.Errorf("%q: taken %t", tt.url, got)
		}
		if got := checkURL(u, true) == nil; got != tt.loopback {
			t.Errorf("%q where loopback is allowed: taken %t", tt.url, got)
		}
	}
}
