package deliver

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
)

func TestForbiddenAddresses(t *testing.T) {
	forbidden := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254",
		"127.0.0.1", "127.1.2.3", "127.255.255.254",
		"169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.169.123", "169.254.169.253",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1",
		"192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::8.8.8.8",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.1.1", "::ffff:0:8.8.8.8",
		"64:ff9b::8.8.8.8", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
		"100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1",
		"2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2620:4f:8000::1", "3fff::1", "5f00::1", "4000::1",
		"fc00::1", "fd00:ec2::254", "fd12:3456:789a::1", "fe80::1", "fe80::1%eth0", "fec0::1", "febf::1",
		"ff02::1", "ff05::2", "ffff::1", "2606:4700::1111%eth0",
	}
	if len(forbidden) < 40 {
		t.Fatalf("only %d addresses", len(forbidden))
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
		for _, port := range []uint16{0, 22, 80, 444, 3306, 8080, 8443} {
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
		{"https://127.0.0.1/", true, true}, // the dialer refuses it: see TestTheClientRefuses
		{"http://hooks.example.com/", false, false},
		{"http://hooks.example.com:443/", false, false},
		{"https://hooks.example.com:8443/", false, false},
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
		{"https://localhost:8443/", false, true},
		{"http://localhost.example.com/", false, false},
		{"http://127.0.0.1.example.com/", false, false},
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

// TestTheClientRefuses goes through the real client: nothing is sent to these, whatever they are written as.
func TestTheClientRefuses(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want error
	}{
		{"https://127.0.0.1/", ErrForbiddenAddress},
		{"https://[::1]/", ErrForbiddenAddress},
		{"https://[::ffff:127.0.0.1]/", ErrForbiddenAddress},
		{"https://localhost/", ErrForbiddenAddress},
		{"https://10.0.0.1/", ErrForbiddenAddress},
		{"https://169.254.169.254/latest/meta-data/", ErrForbiddenAddress},
		{"https://[fd00:ec2::254]/", ErrForbiddenAddress},
		{"https://0.0.0.0/", ErrForbiddenAddress},
		{"http://127.0.0.1/", ErrBadURL},
		{"http://8.8.8.8/", ErrBadURL},
		{"https://8.8.8.8:22/", ErrBadURL},
	} {
		r, err := NewRequest(t.Context(), tt.url, testKey(t), "id", now, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := Post(NewClient(false), r); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.url, err, tt.want)
		}
	}
}

func TestTheClientUsesNoProxy(t *testing.T) {
	transport := NewClient(false).Transport.(*guarded).next.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("a proxy would dial where the guard doesn't look")
	}
}
