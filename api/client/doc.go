// Package client receives and publishes events of a pushserver.
//
// A [Client] streams a feed over as many connections as it takes. It resumes after
// the last event, waits as long as the server asks, and reports when events may be
// missing. It publishes with an id, so that an event sent twice is one event.
//
//	c := client.Client{URL: "https://push.example", Key: os.Getenv("PUSHSERVER_KEY")}
//	err := c.Stream(ctx, client.Feed{Types: []string{"payment.*"}}, func(e client.Event) error {
//		fmt.Println(e.Type, string(e.Data))
//		return nil
//	})
package client
