package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/paylogic/pushserver/api/client"
)

// serverFlags say which server a client command talks to, and as whom.
type serverFlags struct {
	URL string `name:"url" help:"URL of the server." default:"http://127.0.0.1:8080" env:"PUSHSERVER_URL"`
	Key string `help:"API key." required:"" placeholder:"KEY" env:"PUSHSERVER_KEY"`
}

// client returns a client, or an error that names the flag to fix.
func (s *serverFlags) client() (*client.Client, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("--url must be like http://127.0.0.1:8080")
	}
	if s.Key == "" {
		return nil, errors.New("--key is empty: pass a key, or set PUSHSERVER_KEY")
	}
	if strings.ContainsFunc(s.Key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("--key contains characters that never occur in a key")
	}
	return &client.Client{URL: s.URL, Key: s.Key}, nil
}
