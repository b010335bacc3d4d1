package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/streams/eventlog"
)

// redisFlags say where Redis is.
type redisFlags struct {
	Redis             []string `name:"redis" help:"A standalone Redis, or some nodes of a cluster." placeholder:"HOST:PORT" env:"PUSHSERVER_REDIS"`
	RedisUser         string   `name:"redis-user" help:"User name for Redis." placeholder:"NAME" env:"PUSHSERVER_REDIS_USER"`
	RedisPasswordFile string   `name:"redis-password-file" help:"File that holds the password for Redis." placeholder:"FILE" env:"PUSHSERVER_REDIS_PASSWORD_FILE"`
	RedisTLS          bool     `name:"redis-tls" help:"Use TLS with Redis." env:"PUSHSERVER_REDIS_TLS"`
}

// options returns how to connect, or an error that names the flag to fix.
func (f *redisFlags) options(logger *slog.Logger) (eventlog.RedisOptions, error) {
	o := eventlog.RedisOptions{Addrs: f.Redis, Username: f.RedisUser, Logger: logger}
	for _, address := range f.Redis {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return o, fmt.Errorf("--redis %q: must be HOST:PORT, or several separated by commas", address)
		}
	}
	if f.RedisPasswordFile != "" {
		text, err := auth.ReadSecretFile(f.RedisPasswordFile)
		if err != nil {
			return o, fmt.Errorf("--redis-password-file: %w", err)
		}
		// Editors and echo end a file with a line break; a password has none.
		o.Password = eventlog.Password(bytes.TrimRight(text, "\r\n"))
	}
	if f.RedisTLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, nil
}
