package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"crypto/tls"
	"net"
	"testing"
	"time"
)

func TestAttack76OldAndSlowHandshakes(t *testing.T) {
	t.Parallel()
	r := startRig(t, eventlog.MemoryOptions{}, true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewHTTPServer(r.server.Handler(), r.server.Logger)
	server.TLSConfig = &tls.Config{Certificates: r.http.TLS.Certificates}
	go server.ServeTLS(l, "", "")
	t.Cleanup(func() { server.Close() })

	for name, tt := range map[string]struct {
		config *tls.Config
		served bool
	}{
		"TLS 1.0": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		"TLS 1.1": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"RC4": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}, false},
		"3DES": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}}, false},
		"TLS 1.2 without a server name": {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"TLS 1.3":                       {&tls.Config{MinVersion: tls.VersionTLS13, ServerName: "example.com"}, true},
	} {
		tt.config.InsecureSkipVerify = true
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", l.Addr().String(), tt.config)
		if (err == nil) != tt.served {
			t.Errorf("%s: %v, want served %t", name, err, tt.served)
		}
		if err == nil {
			conn.Close()
		}
	}

	// A ClientHello that comes byte by byte, and never whole.
	slow, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	began := time.Now()
	go func() {
		hello := append([]byte{22, 3, 1, 0x40, 0}, make([]byte, 16<<10)...)
		for i := range hello {
			if _, err := slow.Write(hello[i : i+1]); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	_ = slow.SetReadDeadline(began.Add(2 * patience))
	for err = nil; err == nil; {
		_, err = slow.Read(make([]byte, 512)) // an alert may come first
	}
	if took := time.Since(began); took >= 2*patience || took < headerTimeout/2 {
		t.Errorf("it was ended after %s: %v, want about %s", took, err, headerTimeout)
	}
	r.alive(t)
}
