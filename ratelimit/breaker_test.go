package ratelimit

import (
	"testing"
	"time"
)

func TestBreakerLeavesAFailingNodeAlone(t *testing.T) {
	var b breaker
	now := time.Unix(1, 0)
	for i := range breakAfter {
		if !b.admits("a", now) {
			t.Fatalf("after %d failures the node is left alone", i)
		}
		if broken := b.failed("a", now); broken != (i == breakAfter-1) {
			t.Errorf("failure %d: broken is %t", i+1, broken)
		}
	}
	if b.admits("a", now.Add(breakFor-1)) {
		t.Error("the node is asked though it failed")
	}
	if !b.admits("b", now) {
		t.Error("another node is left alone")
	}

	now = now.Add(breakFor)
	if !b.admits("a", now) || b.admits("a", now) {
		t.Error("want one call, and no other, to see how the node is")
	}
	if b.failed("a", now) {
		t.Error("a node that was left alone is news again")
	}
	if b.admits("a", now.Add(breakFor-1)) || !b.admits("a", now.Add(breakFor)) {
		t.Error("want the next call after a second")
	}
	if !b.succeeded("a") || !b.admits("a", now) || !b.admits("a", now) {
		t.Error("a node that answers is left alone")
	}
	if b.succeeded("a") {
		t.Error("a node that always answers is news")
	}
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	var b breaker
	now := time.Unix(1, 0)
	for range 10 * breakAfter {
		for range breakAfter - 1 {
			b.failed("a", now)
		}
		b.succeeded("a")
	}
	if !b.admits("a", now) {
		t.Error("a node that answers in between is left alone")
	}
}

func TestBreakerIsNewsOnceForAllNodes(t *testing.T) {
	var b breaker
	now := time.Unix(1, 0)
	fail := func(node string) (news int) {
		for range breakAfter {
			if b.failed(node, now) {
				news++
			}
		}
		return news
	}
	if fail("a") != 1 || fail("b") != 0 {
		t.Error("want the first node to be news, and no other")
	}
	if b.succeeded("a") || !b.succeeded("b") {
		t.Error("want the last node's return to be news, and no other")
	}
}

func TestBreakerForgetsWhomNobodyAsks(t *testing.T) {
	var b breaker
	now := time.Unix(1, 0)
	for range breakAfter {
		b.failed("gone", now)
	}
	if b.expire(now.Add(breakForgets - 1)) {
		t.Error("it is forgotten too early")
	}
	if !b.expire(now.Add(breakForgets)) || b.failing.Load() != 0 {
		t.Error("it is not forgotten")
	}
}
