package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

// errReached stands for a connection: the guard let the address pass. No test connects to the internet.
var errReached = errors.New("would be connected to")

// reaching is the real client with another resolver, stopped after the guard. It says which addresses the guard let pass.
func reaching(loopback bool, n *names) (*http.Client, *[]string) {
	var reached []string
	dialer := newDialer(loopback)
	dialer.Resolver = n.resolver()
	guard := dialer.ControlContext
	dialer.ControlContext = func(ctx context.Context, network, address string, raw syscall.RawConn) error {
		if err := guard(ctx, network, address, raw); err != nil {
			return err
		}
		reached = append(reached, address)
		return errReached
	}
	return newClient(loopback, nil, dialer), &reached
}

// forbiddenAddresses are where a webhook has no business, and why.
var forbiddenAddresses = map[string][]string{
	"loopback":                   {"127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.254", "::1"},
	"unspecified":                {"0.0.0.0", "0.1.2.3", "::"},
	"private":                    {"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"},
	"unique local":               {"fc00::1", "fd00::1", "fd12:3456:789a::1"},
	"shared":                     {"100.64.0.1", "100.127.255.254"},
	"link-local":                 {"169.254.0.1", "169.254.255.254", "fe80::1", "febf::1", "fec0::1"},
	"metadata of AWS":            {"169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.123", "169.254.169.253", "fd00:ec2::254", "fd00:ec2::23"},
	"metadata of other clouds":   {"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254"},
	"multicast":                  {"224.0.0.1", "239.255.255.250", "ff02::1", "ff05::2", "ff0e::1"},
	"broadcast and reserved":     {"255.255.255.255", "240.0.0.1", "4000::1", "100::1", "5f00::1", "ffff::1"},
	"protocols and benchmarks":   {"192.0.0.1", "192.0.0.170", "198.18.0.1", "198.19.255.255", "2001:2::1", "2001:10::1", "2001:20::1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1"},
	"documentation":              {"192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::1", "3fff::1"},
	"IPv4-mapped":                {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.1.1", "::ffff:100.64.0.1", "::ffff:0.0.0.0"},
	"IPv4-compatible":            {"::127.0.0.1", "::169.254.169.254", "::8.8.8.8"},
	"IPv4-translated":            {"::ffff:0:127.0.0.1", "::ffff:0:169.254.169.254", "::ffff:0:8.8.8.8"},
	"NAT64":                      {"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1", "64:ff9b:1:fffe::a9fe:a9fe"},
	"6to4 and its relays":        {"2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::", "2002:808:808::1", "192.88.99.1"},
	"Teredo":                     {"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:a9fe:a9fe::1"},
	"ISATAP, in a public prefix": {"2600:1f18::5efe:169.254.169.254", "2600:1f18::200:5efe:10.0.0.1"},
}

// TestTheClientReachesNoForbiddenAddress: neither written in the URL nor as what a name resolves to.
func TestTheClientReachesNoForbiddenAddress(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{}}
	client, reached := reaching(false, n)
	count := 0
	for why, list := range forbiddenAddresses {
		for i, address := range list {
			count++
			host := address
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			name := fmt.Sprintf("%s-%d.hooks.example.com", strings.Map(letters, why), i)
			n.answers[name] = always(address)
			for _, host := range []string{host, name, name + "."} {
				if err := post(t, client, "https://"+host+"/"); !errors.Is(err, ErrForbiddenAddress) {
					t.Errorf("%s, %s as %s: %v", why, address, host, err)
				}
			}
		}
	}
	if len(*reached) > 0 {
		t.Errorf("reached %v", *reached)
	}
	if count < 60 {
		t.Errorf("only %d addresses", count)
	}
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// TestTheClientReachesNoForbiddenHost holds for hosts in forms that other programs read as addresses, and for names of the
// machine itself. Where a form is a name to Go, the resolver answers as the C library would.
func TestTheClientReachesNoForbiddenHost(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{}}
	const own, metadata, private = "127.0.0.1", "169.254.169.254", "10.0.0.1"
	client, reached := reaching(false, n)
	for _, tt := range []struct{ host, resolves string }{
		{"localhost", own},
		{"LOCALHOST", own},
		{"localhost.", own},
		{"LocalHost.", own},
		{"ip6-localhost", own},
		{"localhost.localdomain", own},
		{"localhost6.localdomain6", own},
		{"me.localhost", own},
		{"me.localhost.", own},
		{"127.0.0.1.", own},
		{"169.254.169.254.", metadata},
		{"2130706433", own},      // decimal
		{"2852039166", metadata}, // decimal
		{"167772161", private},   // decimal
		{"0x7f000001", own},      // hexadecimal
		{"0xa9fea9fe", metadata}, // hexadecimal
		{"0XA9FEA9FE", metadata}, // hexadecimal
		{"0x7f.0.0.1", own},      // hexadecimal in a part
		{"0xa9.0xfe.0xa9.0xfe", metadata},
		{"017700000001", own}, // octal
		{"0177.0.0.1", own},   // octal in a part
		{"0251.0376.0251.0376", metadata},
		{"0127.0.0.1", "87.0.0.1"},  // octal to some, decimal to others
		{"010.0.0.1", private},      // decimal with a zero before it
		{"127.1", own},              // short
		{"127.0.1", own},            // short
		{"169.254.43518", metadata}, // short
		{"0", "0.0.0.0"},
		{"127.0.0.1.nip.example", own},
		{"169-254-169-254.ip.example", metadata},
		{"①②⑦.⓪.⓪.①", own},            // digits that IDNA turns into others
		{"１２７.０.０.１", own},            // wide digits
		{"169。254。169。254", metadata}, // dots of other scripts
		{"[::ffff:7f00:1]", own},
		{"[::ffff:a9fe:a9fe]", metadata},
		{"[0:0:0:0:0:ffff:127.0.0.1]", own},
		{"[0000:0000:0000:0000:0000:0000:0000:0001]", "::1"},
		{"[fe80::1%25lo]", "fe80::1"},
		{"[::1%25lo]", "::1"},
		{"metadata.google.internal", metadata},
		{"metadata", metadata},
		{"instance-data", metadata},
		{"instance-data.ec2.internal", metadata},
		{"ip-10-0-0-1.eu-west-1.compute.internal", private},
		{"kubernetes.default.svc", "10.96.0.1"},
		{"host.docker.internal", "172.17.0.1"},
		{"printer.local", "192.168.1.20"},
		{"hooks.example.com", "fd00:ec2::254"},
	} {
		n.answers[strings.ToLower(strings.TrimSuffix(tt.host, "."))] = always(tt.resolves)
		err := post(t, client, "https://"+tt.host+"/latest/meta-data/")
		switch {
		case errors.Is(err, ErrForbiddenAddress), errors.Is(err, ErrBadURL):
		default:
			t.Errorf("%s: %v", tt.host, err)
		}
	}
	if len(*reached) > 0 {
		t.Errorf("reached %v", *reached)
	}
}

// TestTheClientReachesPublicAddresses: else the tables above could not fail.
func TestTheClientReachesPublicAddresses(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{
		"hooks.example.com": always("8.8.8.8"), "six.example.com": always("2606:4700:4700::1111"), "mapped.example.com": always("1.1.1.1"),
	}}
	for url, want := range map[string]string{
		"https://8.8.8.8/":                       "8.8.8.8:443",
		"https://[2606:4700:4700::1111]/":        "[2606:4700:4700::1111]:443",
		"https://[::ffff:8.8.8.8]/":              "8.8.8.8:443",
		"https://hooks.example.com/countersign":  "8.8.8.8:443",
		"https://hooks.example.com./countersign": "8.8.8.8:443",
		"https://hooks.example.com:443/":         "8.8.8.8:443",
		"https://hooks.example.com:8443/":        "8.8.8.8:8443",
		"https://six.example.com/":               "[2606:4700:4700::1111]:443",
	} {
		client, reached := reaching(false, n)
		if err := post(t, client, url); !errors.Is(err, errReached) || len(*reached) != 1 || (*reached)[0] != want {
			t.Errorf("%s: %v, reached %v", url, err, *reached)
		}
	}
}

// TestANameThatChangesItsAnswer: the first lookup gives a public address, the next AWS's metadata.
func TestANameThatChangesItsAnswer(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{"rebind.example.com": {addrs("8.8.8.8"), addrs("169.254.169.254")}}}
	client, reached := reaching(false, n)
	if err := post(t, client, "https://rebind.example.com/"); !errors.Is(err, errReached) {
		t.Fatalf("before the change: %v", err)
	}
	if err := post(t, client, "https://rebind.example.com/"); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("after it: %v", err)
	}
	if got := strings.Join(*reached, " "); got != "8.8.8.8:443" {
		t.Errorf("reached %s", got)
	}
	if n.asked["rebind.example.com A"] != 2 {
		t.Errorf("asked %v: an attempt asks once, and dials what it was told", n.asked)
	}
}

// TestANameWithManyAddresses: the public ones are tried, the others never.
func TestANameWithManyAddresses(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{"many.example.com": always("169.254.169.254", "8.8.8.8", "10.0.0.1", "::1", "127.0.0.1")}}
	client, reached := reaching(false, n)
	if err := post(t, client, "https://many.example.com/"); err == nil {
		t.Error("taken")
	}
	if got := strings.Join(*reached, " "); got != "8.8.8.8:443" {
		t.Errorf("reached %s", got)
	}
}

// TestLoopbackAllowsNothingElse: where the machine itself is allowed, for a local emulator, the rest is still refused.
func TestLoopbackAllowsNothingElse(t *testing.T) {
	n := &names{answers: map[string][][]netip.Addr{}}
	client, reached := reaching(true, n)
	for why, list := range forbiddenAddresses {
		for i, address := range list {
			name := fmt.Sprintf("%s-%d.example.com", strings.Map(letters, why), i)
			n.answers[name] = always(address)
			want := ErrForbiddenAddress
			if netip.MustParseAddr(address).Unmap().IsLoopback() {
				want = errReached
			}
			if err := post(t, client, "https://"+name+"/"); !errors.Is(err, want) {
				t.Errorf("%s, %s: %v, want %v", why, address, err, want)
			}
		}
	}
	for _, address := range *reached {
		if a := netip.MustParseAddrPort(address); !a.Addr().IsLoopback() {
			t.Errorf("reached %s", address)
		}
	}
}

// TestTheEnvironmentsProxyIsNotUsed: a proxy would dial where the guard doesn't look.
func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	n := &names{answers: map[string][][]netip.Addr{"hooks.example.com": always("8.8.8.8")}}
	client, reached := reaching(false, n)
	if err := post(t, client, "https://hooks.example.com/"); !errors.Is(err, errReached) || len(*reached) != 1 {
		t.Errorf("%v, reached %v", err, *reached)
	}
}
