package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// AWSNames lets programs of the lab reach REST APIs by AWS's own names for them, as roles' tags and events say them: an HTTPS
// proxy that stands for these names and for no others, and hands each request to the emulator as it is.
func (l *Lab) AWSNames(ctx context.Context) (end func(), err error) {
	certificate, trusted, err := selfSigned("*.execute-api." + Region + ".amazonaws.com")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.Dir, "names.pem")
	if err := os.WriteFile(file, trusted, 0o600); err != nil {
		return nil, err
	}
	emulator, err := url.Parse(l.Endpoint)
	if err != nil {
		return nil, err
	}
	// The signature covers the name: the request keeps it.
	hand := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", emulator.Host }}
	inner := &queueListener{conns: make(chan net.Conn), done: make(chan struct{})}
	inside := &http.Server{Handler: hand, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = inside.Serve(tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ".execute-api."+Region+".amazonaws.com:443") {
			http.Error(w, "no such place in the lab", http.StatusForbidden)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return
		}
		select {
		case inner.conns <- conn:
		case <-inner.done:
			_ = conn.Close()
		}
	})}
	go func() { _ = proxy.Serve(listener) }()
	l.names = []string{"HTTPS_PROXY=http://" + listener.Addr().String(), "NO_PROXY=127.0.0.1", "SSL_CERT_FILE=" + file}
	return func() { _, _ = proxy.Close(), inside.Close() }, nil
}

// queueListener takes connections that came in elsewhere.
type queueListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (q *queueListener) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *queueListener) Close() error   { close(q.done); return nil }
func (q *queueListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// selfSigned is a certificate for a name, and the same as PEM for whoever is to trust it.
func selfSigned(name string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Countersign's lab"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
