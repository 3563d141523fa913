package deliver

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// names is a DNS server: for each name what it answers at the first question, the second, and so on; the last for ever.
// A name that it doesn't know doesn't exist.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	asked   map[string]int // questions for IPv4 addresses
}

// resolver asks the server and nobody else, but for the machine's own hosts file.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go n.serve(there)
		return here, nil
	}}
}

// serve answers one question of a connection; on a pipe Go's resolver writes it as over TCP, after its length.
func (n *names) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // a pipe
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return
	}
	answer := n.answer(question)
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

const (
	typeA    = 1
	typeAAAA = 28
)

// answer reads and writes messages of RFC 1035, section 4: one question, and its addresses.
func (n *names) answer(question []byte) []byte {
	end, labels := 12, []string{}
	for question[end] != 0 {
		size := int(question[end])
		labels = append(labels, string(question[end+1:end+1+size]))
		end += 1 + size
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	addrs, known := n.take(strings.Join(labels, "."), kind)
	var records []byte
	count := uint16(0)
	for _, a := range addrs {
		if a.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		count++
		records = append(records, 0xc0, 12) // the name is that of the question
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // class internet, to be kept for no time
		records = binary.BigEndian.AppendUint16(records, uint16(a.BitLen()/8))
		records = append(records, a.AsSlice()...)
	}
	flags := uint16(0x8180)
	if !known {
		flags |= 3 // no such name
	}
	out := append([]byte{}, question[:2]...)
	for _, field := range []uint16{flags, 1, count, 0, 0} {
		out = binary.BigEndian.AppendUint16(out, field)
	}
	return append(append(out, question[12:end+5]...), records...)
}

// take is what the server says now. The two questions of one lookup, for IPv4 and IPv6, get the same answer.
func (n *names) take(name string, kind uint16) ([]netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	turns, known := n.answers[strings.ToLower(name)]
	if !known {
		return nil, false
	}
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	key := name + map[uint16]string{typeA: " A", typeAAAA: " AAAA"}[kind]
	turn := min(n.asked[key], len(turns)-1)
	n.asked[key]++
	return turns[turn], true
}

// always is a name with the same addresses at every lookup.
func always(list ...string) [][]netip.Addr { return [][]netip.Addr{addrs(list...)} }

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, s := range list {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}
