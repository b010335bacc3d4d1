// Package client receives and publishes events of a pushserver.
//
// A [Client] streams a feed over as many connections as it takes: it resumes
// after the last event, waits as long as the server asks, and says when events
// may be missing. It publishes so that an event that is sent twice is one event.
//
//	c := client.Client{URL: "https://push.example", Key: os.Getenv("PUSHSERVER_KEY")}
//	err := c.Stream(ctx, client.Feed{Types: []string{"payment.*"}}, func(e client.Event) error {
//		fmt.Println(e.Type, string(e.Data))
//		return nil
//	})
package client
