package streams

import (
	"runtime"
	"sync"
)

// spreadAt is the number of readers from which a delivery is spread over the
// processors. Passing work to another goroutine costs as much as about ten
// writes, so the goroutine that read the log writes to small feeds itself.
const spreadAt = 256

// A delivery is a feed's new items and the readers to offer them to.
type delivery struct {
	feed  *feed
	items []*item
	subs  []*Subscription
}

// fanOut writes each delivery to the readers that are parked. Busy and blocked
// readers find the items in the feed later.
func fanOut(deliveries []delivery) {
	for _, d := range deliveries {
		pieces := pieces{feed: d.feed, items: d.items}
		if len(d.subs) < spreadAt {
			pieces.write(d.subs)
			continue
		}
		var group sync.WaitGroup
		share := (len(d.subs) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
		for len(d.subs) > share {
			part := d.subs[:share]
			d.subs = d.subs[share:]
			group.Go(func() { pieces.write(part) })
		}
		pieces.write(d.subs)
		group.Wait()
	}
}

// pieces are a delivery's items, joined once for each framing in use.
type pieces struct {
	feed   *feed
	items  []*item
	joined [framings]struct {
		once sync.Once
		text []byte
		n    int // how many of items are in text
	}
}

func (p *pieces) write(subs []*Subscription) {
	for _, sub := range subs {
		j := &p.joined[sub.framing]
		j.once.Do(func() { j.text, j.n = join(p.items, sub.framing, nil) })
		sub.offer(p.feed, p.items, j.text, j.n)
	}
}
