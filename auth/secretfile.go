package auth

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

const (
	maxSecretFile = 64 << 10

	// secretFileModes may be set on a secret's file: its owner reads and writes,
	// its group reads, as where an orchestrator mounts it for a group.
	secretFileModes os.FileMode = 0o640
)

// ReadSecretFile returns the text of a file that holds a secret: a key, a password
// or a private key. It refuses a file that is not regular, has more than 64 KiB, or
// has a mode other than 0400, 0440, 0600 or 0640 and their subsets. Every error
// names the file; the one about the mode also gives the chmod that fixes it.
func ReadSecretFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: must be a regular file", path)
	case info.Mode().Perm()&^secretFileModes != 0:
		return nil, fmt.Errorf("%s: holds a secret, and its mode %04o lets others use it: run chmod 0600 %s",
			path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSecretFile {
		return nil, fmt.Errorf("%s: has more than %d bytes", path, maxSecretFile)
	}
	return text, nil
}

// LoadSecret returns the key's secret that a file holds and nothing else. Errors
// are those of [ReadSecretFile] and [ParseSecret].
func LoadSecret(path string) (Secret, error) {
	text, err := ReadSecretFile(path)
	if err != nil {
		return Secret{}, err
	}
	secret, err := ParseSecret(string(bytes.TrimSpace(text)))
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}
