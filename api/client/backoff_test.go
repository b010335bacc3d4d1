package client

import (
	"errors"
	"testing"
	"time"
)

func TestNobodyComesBackBeforeTheServerWantsThem(t *testing.T) {
	const retry = 3 * time.Second
	for name, err := range map[string]error{
		"an end of the stream":       errors.New("the stream ended"),
		"a Retry-After that is less": &Problem{Status: 503, RetryAfter: time.Second},
		"a Retry-After that is more": &Problem{Status: 503, RetryAfter: 10 * time.Second},
	} {
		least := retry
		var p *Problem
		if errors.As(err, &p) {
			least = max(least, p.RetryAfter)
		}
		for failures := range 20 {
			for range 50 { // a part of it is chance
				if got := backoff(failures, retry, err); got < least {
					t.Fatalf("%s, after %d failures: %v, want at least %v", name, failures, got, least)
				}
			}
		}
	}
	if got := backoff(3, time.Hour, errors.New("the stream ended")); got < time.Hour {
		t.Errorf("retry of an hour: %v", got)
	}
}
